//! Coroutines that hold what those of a program do; beside them one fails.

use std::collections::HashMap;
use std::time::Duration;

use clap::Parser;
use regex::Regex;
use tinyio::{Loop, coro, sleep, spawn};

#[derive(Parser)]
struct Args {
    /// The number of coroutines that are cancelled.
    workers: usize,
    /// Waits for a connection of tokio and hyper instead, so that both are linked.
    #[arg(long)]
    serve: bool,
}

async fn work(number: usize) -> tinyio::Result<usize> {
    let pattern = Regex::new("ab+c")?;
    let names: HashMap<String, usize> = (0..8).map(|one| (format!("name {one} of {number}"), one)).collect();
    let items: Vec<String> = (0..8).map(|one| format!("item {one}")).collect();
    let title = format!("the worker {number}");
    sleep(Duration::from_secs(3600)).await?;
    Ok(pattern.as_str().len() + names.len() + items.len() + title.len())
}

async fn parse(text: String) -> tinyio::Result<u32> {
    sleep(Duration::from_millis(1)).await?;
    let number: u32 = text.parse()?;
    Ok(number)
}

async fn load(workers: usize) -> tinyio::Result<u32> {
    let text = format!("not-{workers}");
    Ok(coro(parse(text)).await?)
}

fn main() -> tinyio::Result<()> {
    let Args { workers, serve } = Args::parse();
    if serve {
        tokio::runtime::Runtime::new()?.block_on(serve_one())?;
    }
    Loop::new().run(async move {
        let working: Vec<_> = (0..workers).map(|number| spawn(work(number))).collect();
        coro(load(workers)).await?;
        drop(working);
        tinyio::Ok(())
    })?;
    Ok(())
}

async fn serve_one() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{} {}", listener.local_addr()?, hyper::Uri::from_static("/"));
    listener.accept().await.map(drop)
}

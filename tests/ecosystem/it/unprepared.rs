//! Programs without preparation for inspection, each run unchanged on the loop: where their coroutines were at a crash,
//! and with which values.
//!
//! Each test runs itself again as the program, with a trace, and compares the stacks in the trace. It holds in debug
//! builds and in optimised ones: `cargo test -p tinyio-ecosystem --release unprepared`.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::process::{Command, Stdio};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_net::{TcpListener, TcpStream};
use futures::stream::{self, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol_hyper::rt::FuturesIo;
use tinyio::{Barrier, Error, Loop, Result, sleep, spawn, yield_now};
use tinyio_inspector::event::{Event, Frame, Kind, Stack};
use tinyio_inspector::source::{Progress, Source};
use tinyio_inspector::trace::TraceReader;

use crate::common::LONG;

/// Set for the program.
const PROGRAM: &str = "TINYIO_TEST_PROGRAM";
/// Turns after which every coroutine that can continue has done so.
const TURNS: usize = 1_000;

/// The stacks of `program` when it crashed: that of the failed coroutine at that time, and those of all others. In the
/// process of the program, it runs the program and returns `None`.
fn stacks<F: Future<Output = Result<()>>>(test: &str, program: impl FnOnce() -> F) -> Option<Vec<Stack>> {
    if std::env::var_os(PROGRAM).is_some() {
        Loop::new().run(program()).expect_err("the program fails at its end");
        return None;
    }
    let folder = std::env::temp_dir().join(format!("tinyio-unprepared-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let trace = folder.join("trace.jsonl");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&format!("unprepared::{test}"), "--exact", "--nocapture"])
        .env(PROGRAM, "1")
        .env("TINYIO_TRACE", &trace)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut reader = TraceReader::open(&trace).unwrap();
    let mut stacks = Vec::new();
    let mut keep = |event: Event| match event.kind {
        Kind::Frames { stack, .. } => stacks.push(stack),
        Kind::Crash { failures, .. } => stacks.extend(failures.into_iter().filter_map(|failure| failure.stack)),
        _ => {}
    };
    while reader.read(1_000, &mut keep).unwrap() == Progress::More {}
    std::fs::remove_dir_all(&folder).unwrap();
    Some(stacks)
}

/// The stacks that contain async functions of this file, with a line for each frame; futures awaited concurrently have
/// a stack each. Contains the requested locals, with their marks of uncertainty.
fn outlines(frames: &[Frame], asked: &[&str]) -> Vec<String> {
    let mut above = String::new();
    let mut found = Vec::new();
    for frame in frames {
        if frame.file.ends_with("unprepared.rs") {
            let line = frame.source.iter().find(|(line, _)| *line == frame.line).map_or("", |(_, text)| text.trim());
            above.push_str(&format!("{} `{line}`", frame.function));
            for local in frame.locals.iter().filter(|local| asked.contains(&local.name.as_str())) {
                // Where optimisation left too little of the code that drops a local, its presence cannot be proved; its
                // value is still right.
                let doubted = !cfg!(debug_assertions) && local.mark == "may be moved";
                let mark = if local.mark.is_empty() || doubted { String::new() } else { format!(" ({})", local.mark) };
                above.push_str(&format!(" {} = {}{mark}", local.name, local.value.text));
            }
            above.push('\n');
        }
        for branch in &frame.branches {
            found.extend(outlines(&branch.frames, asked).into_iter().map(|below| format!("{above}{below}")));
        }
    }
    if found.is_empty() { vec![above] } else { found }
}

/// Asserts that these are the stacks, in any order.
#[track_caller]
fn assert_outlines(stacks: &[Stack], asked: &[&str], expected: &str) {
    let mut found: Vec<String> = stacks.iter().flat_map(|stack| outlines(&stack.frames, asked)).collect();
    found.retain(|outline| !outline.is_empty());
    found.sort();
    let found = found.join("\n");
    assert_eq!(found.trim_end(), expected.trim(), "\n{found}\n{stacks:#?}");
}

/// Lets all other coroutines continue as far as they can.
async fn settle() -> Result<()> {
    for _ in 0..TURNS {
        yield_now().await?;
    }
    Ok(())
}

mod pipeline {
    use super::*;

    async fn produce(lines: Sender<String>, count: usize) -> Result<()> {
        for n in 0..count {
            lines.send(format!("{n}").repeat(n)).await?;
        }
        Ok(())
    }

    async fn measure(lines: Receiver<String>, lengths: Sender<usize>) -> Result<()> {
        while let Ok(line) = lines.recv().await {
            let length = line.len();
            lengths.send(length).await?;
            // A variable that is not used again is not kept.
            drop(line);
        }
        Ok(())
    }

    async fn add(lengths: Receiver<usize>) -> Result<usize> {
        let mut seen = Vec::new();
        while let Ok(length) = lengths.recv().await {
            seen.push(length);
            if seen.len() == 3 {
                settle().await?;
                return Err(Error::msg("three are enough"));
            }
        }
        Ok(seen.iter().sum())
    }

    pub async fn run() -> Result<()> {
        let (lines, measured) = bounded(1);
        let (lengths, added) = bounded(1);
        spawn(produce(lines, 10));
        spawn(measure(measured, lengths));
        let sum = add(added).await?;
        assert_eq!(sum, 0, "it fails before");
        Ok(())
    }
}

#[test]
fn a_pipeline_of_channels() {
    let Some(stacks) = stacks("a_pipeline_of_channels", pipeline::run) else { return };
    let expected = r#"
it::unprepared::pipeline::measure `lengths.send(length).await?;` line = "4444"

it::unprepared::pipeline::produce `lines.send(format!("{n}").repeat(n)).await?;` n = 6 count = 10 (as passed)

it::unprepared::pipeline::run `let sum = add(added).await?;`
it::unprepared::pipeline::add `return Err(Error::msg("three are enough"));` seen = [0, 1, 2] (mid-step)
"#;
    // An optimised build keeps the parameter alone, a debug build the variable that it is copied to as well, where that
    // is used.
    let expected = if cfg!(debug_assertions) { expected.to_owned() } else { expected.replace(" (as passed)", "") };
    assert_outlines(&stacks, &["n", "count", "line", "seen"], &expected);
}

mod server {
    use super::*;

    async fn answer(request: Request<Incoming>, entered: Barrier) -> Result<Response<Full<Bytes>>> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await?.to_bytes();
        let length = body.len();
        entered.wait().await?;
        sleep(LONG).await?;
        Ok(Response::new(Full::from(format!("{path} {length}"))))
    }

    async fn serve(stream: TcpStream, entered: Barrier) -> Result<()> {
        let service = service_fn(|request| {
            let entered = entered.clone();
            async move { answer(request, entered).await.map_err(|error| error.to_string()) }
        });
        let stream = FuturesIo::new(stream);
        let served = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
        Ok(served?)
    }

    async fn ask(server: std::net::SocketAddr, n: usize) -> Result<Bytes> {
        let stream = FuturesIo::new(TcpStream::connect(server).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        spawn(connection);
        let body = Full::new(Bytes::from(vec![b'x'; 10 * n]));
        let request = Request::post(format!("/item/{n}")).header("host", "tinyio").body(body)?;
        let answer = sender.send_request(request).await?;
        Ok(answer.into_body().collect().await?.to_bytes())
    }

    pub async fn run() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let entered = Barrier::new(3);
        for n in 1..=2 {
            spawn(ask(address, n));
            spawn(serve(listener.accept().await?.0, entered.clone()));
        }
        entered.wait().await?;
        settle().await?;
        Err(Error::msg("the server has seen enough"))
    }
}

#[test]
fn a_server_of_hyper() {
    let Some(stacks) = stacks("a_server_of_hyper", server::run) else { return };
    let expected = r#"
it::unprepared::server::ask `let answer = sender.send_request(request).await?;` n = 1

it::unprepared::server::ask `let answer = sender.send_request(request).await?;` n = 2

it::unprepared::server::run `Err(Error::msg("the server has seen enough"))`

it::unprepared::server::serve `let served = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;`
async block 0 in it::unprepared::server::serve::{closure 0} `async move { answer(request, entered).await.map_err(|error| error.to_string()) }`
it::unprepared::server::answer `sleep(LONG).await?;` path = "/item/1" length = 10

it::unprepared::server::serve `let served = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;`
async block 0 in it::unprepared::server::serve::{closure 0} `async move { answer(request, entered).await.map_err(|error| error.to_string()) }`
it::unprepared::server::answer `sleep(LONG).await?;` path = "/item/2" length = 20
"#;
    assert_outlines(&stacks, &["n", "path", "length"], expected);
}

mod buffered {
    use super::*;

    async fn fetch(n: u64) -> Result<u64> {
        let name = format!("item {n}");
        let wait = if n < 2 { Duration::ZERO } else { LONG };
        sleep(wait).await?;
        Ok(name.len() as u64)
    }

    async fn collect(count: u64) -> Result<u64> {
        let mut results = stream::iter(0..count).map(fetch).buffered(3);
        let mut lengths = Vec::new();
        while let Some(result) = results.next().await {
            lengths.push(result?);
        }
        Ok(lengths.iter().sum())
    }

    pub async fn run() -> Result<()> {
        spawn(collect(10));
        settle().await?;
        Err(Error::msg("none waits for the rest"))
    }
}

#[test]
fn a_buffered_stream() {
    let Some(stacks) = stacks("a_buffered_stream", buffered::run) else { return };
    let expected = r#"
it::unprepared::buffered::collect `while let Some(result) = results.next().await {` lengths = [6, 6]
it::unprepared::buffered::fetch `sleep(wait).await?;` n = 2 name = "item 2"

it::unprepared::buffered::collect `while let Some(result) = results.next().await {` lengths = [6, 6]
it::unprepared::buffered::fetch `sleep(wait).await?;` n = 3 name = "item 3"

it::unprepared::buffered::collect `while let Some(result) = results.next().await {` lengths = [6, 6]
it::unprepared::buffered::fetch `sleep(wait).await?;` n = 4 name = "item 4"

it::unprepared::buffered::run `Err(Error::msg("none waits for the rest"))`
"#;
    assert_outlines(&stacks, &["n", "name", "lengths"], expected);
}

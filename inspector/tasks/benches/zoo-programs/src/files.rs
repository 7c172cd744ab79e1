//! A server of files with smol: an executor that two threads run, a task a connection.

mod counted;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use smol::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use smol::lock::Semaphore;
use smol::net::{TcpListener, TcpStream};
use smol::{Executor, Timer, channel, future};

/// The executor does not say how many tasks it has: those that have begun and not ended.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

struct Alive;

impl Alive {
    fn new() -> Alive {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Alive
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Site {
    root: PathBuf,
    reads: Semaphore,
    log: channel::Sender<String>,
}

impl Site {
    async fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        let relative = Path::new(path.trim_start_matches('/'));
        if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        let _permit = self.reads.acquire().await;
        smol::fs::read(self.root.join(relative)).await
    }
}

async fn connection(site: Arc<Site>, stream: TcpStream, _alive: Alive) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.clone());
    let mut writer = stream;
    loop {
        let (mut request, mut length) = (String::new(), 0);
        if reader.read_line(&mut request).await? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).await?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).await?;
        let path = request.split(' ').nth(1).unwrap_or("/");
        let (status, body) = match site.read(path).await {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        writer.write_all(head.as_bytes()).await?;
        writer.write_all(&body).await?;
        writer.flush().await?;
        let _ = site.log.send(format!("{} {status}", request.trim())).await;
    }
}

async fn log(lines: channel::Receiver<String>, _alive: Alive) {
    let mut count = 0_usize;
    while let Ok(line) = lines.recv().await {
        count += line.len();
    }
    println!("{count}");
}

async fn rotate(_alive: Alive) {
    loop {
        Timer::after(Duration::from_millis(500)).await;
    }
}

fn main() -> std::io::Result<()> {
    let executor: Arc<Executor<'static>> = Arc::default();
    for _ in 0..2 {
        let executor = executor.clone();
        std::thread::spawn(move || future::block_on(executor.run(future::pending::<()>())));
    }
    let (sender, lines) = channel::bounded(64);
    let root = std::env::current_exe()?.parent().expect("a folder").to_owned();
    let site = Arc::new(Site { root, reads: Semaphore::new(4), log: sender });
    executor.spawn(log(lines, Alive::new())).detach();
    executor.spawn(rotate(Alive::new())).detach();
    smol::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        counted::answer(listener.local_addr()?.port(), || ALIVE.load(Ordering::SeqCst));
        loop {
            let (stream, _) = listener.accept().await?;
            executor.spawn(connection(site.clone(), stream, Alive::new())).detach();
        }
    })
}

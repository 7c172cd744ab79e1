//! A small server of keys and channels, as the tutorial of tokio builds one: a limit of connections, keys that expire,
//! subscriptions, a shutdown that all connections notice.

mod counted;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};
use tokio::time::{Instant, sleep_until};

struct Entry {
    data: Bytes,
    expires: Option<Instant>,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    channels: HashMap<String, broadcast::Sender<Bytes>>,
    expirations: BTreeSet<(Instant, String)>,
}

struct Shared {
    state: Mutex<State>,
    expires: Notify,
}

#[derive(Clone)]
struct Db(Arc<Shared>);

impl Db {
    fn new() -> Db {
        let db = Db(Arc::new(Shared { state: Mutex::default(), expires: Notify::new() }));
        tokio::spawn(purge(db.0.clone()));
        db
    }

    fn get(&self, key: &str) -> Option<Bytes> {
        self.0.state.lock().unwrap().entries.get(key).map(|entry| entry.data.clone())
    }

    fn set(&self, key: &str, data: Bytes, after: Option<Duration>) {
        let expires = after.map(|after| Instant::now() + after);
        {
            let mut state = self.0.state.lock().unwrap();
            state.entries.insert(key.to_owned(), Entry { data, expires });
            state.expirations.extend(expires.map(|at| (at, key.to_owned())));
        }
        if expires.is_some() {
            self.0.expires.notify_one();
        }
    }

    fn channel(&self, name: &str) -> broadcast::Sender<Bytes> {
        let mut state = self.0.state.lock().unwrap();
        state.channels.entry(name.to_owned()).or_insert_with(|| broadcast::channel(64).0).clone()
    }
}

impl Shared {
    /// Removes what has expired, and says when the next key does.
    fn next(&self) -> Option<Instant> {
        let mut guard = self.state.lock().unwrap();
        let state = &mut *guard;
        let now = Instant::now();
        while let Some((at, key)) = state.expirations.first().cloned() {
            if at > now {
                return Some(at);
            }
            state.expirations.pop_first();
            if state.entries.get(&key).is_some_and(|entry| entry.expires == Some(at)) {
                state.entries.remove(&key);
            }
        }
        None
    }
}

async fn purge(shared: Arc<Shared>) {
    loop {
        match shared.next() {
            Some(when) => {
                tokio::select! {
                    () = sleep_until(when) => {}
                    () = shared.expires.notified() => {}
                }
            }
            None => shared.expires.notified().await,
        }
    }
}

struct Connection {
    stream: BufWriter<TcpStream>,
    buffer: BytesMut,
}

impl Connection {
    /// The next line, as words; `None` at the end.
    async fn read(&mut self) -> std::io::Result<Option<Vec<String>>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                return Ok(Some(String::from_utf8_lossy(&line).split_whitespace().map(str::to_owned).collect()));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(line).await?;
        self.stream.write_all(b"\n").await?;
        self.stream.flush().await
    }
}

struct Handler {
    db: Db,
    connection: Connection,
    shutdown: broadcast::Receiver<()>,
    _complete: mpsc::Sender<()>,
}

impl Handler {
    async fn run(&mut self) -> std::io::Result<()> {
        loop {
            let words = tokio::select! {
                words = self.connection.read() => words?,
                _ = self.shutdown.recv() => return Ok(()),
            };
            let Some(words) = words else { return Ok(()) };
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words[..] {
                ["GET", key] => {
                    let found = self.db.get(key).unwrap_or_else(|| Bytes::from_static(b"-"));
                    self.connection.write(&found).await?;
                }
                ["SET", key, value] => {
                    self.db.set(key, value.to_owned().into(), None);
                    self.connection.write(b"OK").await?;
                }
                ["SET", key, value, after] => {
                    let after = after.parse().map(Duration::from_millis).ok();
                    self.db.set(key, value.to_owned().into(), after);
                    self.connection.write(b"OK").await?;
                }
                ["PUBLISH", name, text] => {
                    let count = self.db.channel(name).send(text.to_owned().into()).unwrap_or(0);
                    self.connection.write(count.to_string().as_bytes()).await?;
                }
                ["SUBSCRIBE", name] => self.subscribe(name).await?,
                _ => self.connection.write(b"ERR").await?,
            }
        }
    }

    async fn subscribe(&mut self, name: &str) -> std::io::Result<()> {
        let mut messages = self.db.channel(name).subscribe();
        self.connection.write(b"OK").await?;
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Ok(message) => self.connection.write(&message).await?,
                    Err(broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                words = self.connection.read() => match words? {
                    Some(_) => self.connection.write(b"ERR").await?,
                    None => return Ok(()),
                },
                _ = self.shutdown.recv() => return Ok(()),
            }
        }
    }
}

struct Listener {
    listener: TcpListener,
    db: Db,
    limit: Arc<Semaphore>,
    shutdown: broadcast::Sender<()>,
    complete: mpsc::Sender<()>,
}

impl Listener {
    async fn run(&self) -> std::io::Result<()> {
        loop {
            let permit = self.limit.clone().acquire_owned().await.unwrap();
            let (stream, _) = self.listener.accept().await?;
            let mut handler = Handler {
                db: self.db.clone(),
                connection: Connection { stream: BufWriter::new(stream), buffer: BytesMut::with_capacity(4096) },
                shutdown: self.shutdown.subscribe(),
                _complete: self.complete.clone(),
            };
            tokio::spawn(async move {
                let _ = handler.run().await;
                drop(permit);
            });
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let runtime = tokio::runtime::Handle::current();
    counted::answer(port, move || runtime.metrics().num_alive_tasks());
    let (shutdown, _) = broadcast::channel(1);
    let (complete, mut completed) = mpsc::channel(1);
    let server = Listener { listener, db: Db::new(), limit: Arc::new(Semaphore::new(250)), shutdown, complete };
    tokio::select! {
        result = server.run() => result?,
        _ = tokio::signal::ctrl_c() => {}
    }
    let Listener { shutdown, complete, .. } = server;
    drop((shutdown, complete));
    let _ = completed.recv().await;
    Ok(())
}

//! Tests the server through its clients.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

struct Server {
    process: Child,
    out: BufReader<ChildStdout>,
    address: String,
    folder: TempDir,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_serve"))
            .args(["--port", "0"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("http://").expect("its address").to_owned();
        Server { process, out, address, folder }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    /// The answer on a connection of its own.
    fn get(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends Ctrl-C; gives the rest of its stdout and its stderr.
    fn stop(mut self) -> (String, String) {
        kill_process(Pid::from_child(&self.process), Signal::INT).unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(self.process.wait().unwrap().success(), "{err}");
        (out, err)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn files_are_served() {
    let server = Server::start();
    fs::write(server.folder.path().join("a b.txt"), "hello").unwrap();
    fs::write(server.folder.path().join("index.html"), "<p>").unwrap();
    let hello = server.get("/a%20b.txt");
    assert!(hello.starts_with("HTTP/1.1 200 OK\r\n") && hello.ends_with("\r\n\r\nhello"), "{hello}");
    assert!(hello.contains("content-type: text/plain; charset=utf-8\r\n"), "{hello}");
    assert!(server.get("/").ends_with("\r\n\r\n<p>"));
    assert!(server.get("/none").starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert!(server.get("/../Cargo.toml").starts_with("HTTP/1.1 400 Bad Request\r\n"));
    // A link that leads out of the folder is not served.
    std::os::unix::fs::symlink("/etc/passwd", server.folder.path().join("out")).unwrap();
    assert!(server.get("/out").starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert_eq!(server.stop(), ("stopped\n".to_owned(), String::new()));
}

#[test]
fn a_broken_request_is_its_own_affair() {
    let server = Server::start();
    fs::write(server.folder.path().join("fine"), "fine").unwrap();
    // A link to itself cannot be read.
    std::os::unix::fs::symlink("loop", server.folder.path().join("loop")).unwrap();
    assert!(server.get("/loop").starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
    let mut nonsense = server.connect();
    nonsense.write_all(b"nonsense\r\n\r\n").unwrap();
    let mut answer = String::new();
    nonsense.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(server.get("/fine").ends_with("\r\n\r\nfine"));
    let (out, err) = server.stop();
    assert_eq!(out, "stopped\n");
    assert!(err.contains("GET /loop: "), "{err}");
    assert_eq!(err.lines().count(), 2, "{err}");
}

#[test]
fn ctrl_c_ends_every_connection() {
    let server = Server::start();
    fs::write(server.folder.path().join("file"), "file").unwrap();
    let mut idle: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut idle {
        write!(stream, "GET /file HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nfile") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
    }
    assert_eq!(server.stop(), ("stopped\n".to_owned(), String::new()));
    for mut stream in idle {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed in good order");
    }
}

//! Connections that ask a server for something all the time, one after the other.
//!
//! `load http|lines PORT CONNECTIONS`; says `ready` when each has had an answer.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

/// One request of HTTP and its answer.
fn http(stream: &mut BufReader<TcpStream>, round: usize) -> Result<()> {
    let note = r#"{"title":"one","body":"two three"}"#;
    let (method, path, body) = match round % 4 {
        0 => ("GET", format!("/page/{round}"), ""),
        1 => ("POST", format!("/notes/{}", round % 2000), note),
        2 => ("GET", format!("/notes/{}", round % 2000), ""),
        _ => ("POST", "/words".to_owned(), "some words to count"),
    };
    let length = body.len();
    write!(
        stream.get_mut(),
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])
}

/// One line and its answer.
fn line(stream: &mut BufReader<TcpStream>, number: usize, round: usize) -> Result<()> {
    let text = match round % 4 {
        _ if number % 8 == 0 && round == 0 => "SUBSCRIBE news".to_owned(),
        _ if number % 8 == 0 => String::new(),
        0 => format!("SET key{} value", round % 100),
        1 => format!("GET key{}", round % 100),
        2 => format!("SET short{number} value 50"),
        _ => "PUBLISH news text".to_owned(),
    };
    if !text.is_empty() {
        stream.get_mut().write_all(format!("{text}\n").as_bytes())?;
    }
    let mut answer = String::new();
    match stream.read_line(&mut answer)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, kind, port, count] = &arguments[..] else { panic!("load http|lines PORT CONNECTIONS") };
    let (port, count): (u16, usize) = (port.parse().expect("a port"), count.parse().expect("a number"));
    let (begun, all) = mpsc::channel();
    for number in 0..count {
        let (is_http, begun) = (kind == "http", begun.clone());
        std::thread::spawn(move || {
            let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("a connection"));
            for round in number.. {
                let done = if is_http { http(&mut stream, round) } else { line(&mut stream, number, round - number) };
                if done.is_err() {
                    return;
                }
                if round == number {
                    begun.send(()).expect("it is waited for");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
    all.iter().take(count).for_each(drop);
    println!("ready");
    for _ in std::io::stdin().lines() {}
    std::process::exit(0);
}

//! A small site on this machine, served by threads.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use http::Uri;

use crate::Bug;

/// Pages of the site, each with links to others.
const PAGES: usize = 40;

/// Serves the site as long as the process lives. Returns where it begins.
///
/// # Errors
///
/// If the machine permits no server.
pub fn serve(bug: Option<Bug>) -> io::Result<Uri> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let start = format!("http://{}/0.html", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, bug));
        }
    });
    start.parse().map_err(io::Error::other)
}

/// Answers one request.
fn answer(mut stream: TcpStream, bug: Option<Bug>) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    thread::sleep(Duration::from_millis(10));
    let path = request.split(' ').nth(1).unwrap_or_default();
    let number = path.trim_start_matches('/').strip_suffix(".html").and_then(|number| number.parse::<usize>().ok());
    let mut body = match number {
        Some(17) if bug == Some(Bug::Hang) => loop {
            thread::park();
        },
        Some(number) if number < PAGES => page(number).into_bytes(),
        _ if path == "/busy" => {
            let busy = b"HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n";
            return stream.write_all(busy);
        }
        _ => return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    };
    if number == Some(17) && bug == Some(Bug::Malformed) {
        body[20] = 0xff;
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", body.len())?;
    if number == Some(17) && bug == Some(Bug::Truncated) {
        body.truncate(body.len() / 2);
    }
    stream.write_all(&body)
}

/// The page with that number: links to the next ones, to one that is busy and to one that does not exist.
fn page(number: usize) -> String {
    let mut page = format!("<!doctype html><title>page {number}</title>\n<h1>Page {number}</h1>\n");
    for next in [2 * number + 1, 2 * number + 2, number / 2].into_iter().filter(|next| *next < PAGES) {
        page += &format!("<p><a href=\"{next}.html\">page {next}</a>\n");
    }
    match number {
        9 => page += "<p><a href=\"missing.html\">a page that does not exist</a>\n",
        12 => page += "<p><a href=\"/busy\">a page that is never ready</a>\n",
        _ => {}
    }
    page
}

//! Requests: HTTP/1.1 over `async-net`, with a limit, a timeout and retries.

use std::time::Duration;

use async_net::TcpStream;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use http::Uri;
use tinyio::{Result, Semaphore, sleep, timeout};

/// Bytes of a page that are read at most.
const LARGEST: usize = 4 << 20;

/// How a request is made.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until a request is given up.
    pub timeout: Option<Duration>,
    /// How often a request that failed is repeated.
    pub retries: u32,
    /// A malformed or truncated answer is an error of the program, not of the link.
    pub strict: bool,
}

/// What a server answered.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Seconds after which to try again, as the server has it.
    pub retry_after: Option<String>,
    pub is_html: bool,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("not an answer in HTTP: {0}")]
    NotHttp(#[from] httparse::Error),
    #[error("the connection was closed after {read} of {announced} bytes")]
    Truncated { read: usize, announced: usize },
    #[error("more than {LARGEST} bytes")]
    TooLarge,
}

/// Makes requests, a limited number at a time.
#[derive(Debug)]
pub struct Client {
    connections: Semaphore,
    pub limits: Limits,
}

impl Client {
    pub fn new(connections: usize, limits: Limits) -> Client {
        Client { connections: Semaphore::new(connections).named("connections"), limits }
    }

    /// Requests a page, several times if need be.
    pub async fn fetch(&self, url: &Uri) -> Result<std::result::Result<Response, Failure>> {
        let mut attempt = 0;
        loop {
            let answer = self.attempt(url).await?;
            attempt += 1;
            let again = match &answer {
                Ok(response) => response.status == 503,
                Err(failure) => !(self.limits.strict && matches!(failure, Failure::Truncated { .. })),
            };
            if !again || attempt > self.limits.retries {
                return Ok(answer);
            }
            tracing::info!(%url, attempt, "again");
            sleep(Duration::from_millis(50 << attempt)).await?;
        }
    }

    /// Requests a page once.
    async fn attempt(&self, url: &Uri) -> Result<std::result::Result<Response, Failure>> {
        let _connection = self.connections.acquire().await?;
        let Some(limit) = self.limits.timeout else { return Ok(request(url).await) };
        let url = url.clone();
        let answer = timeout(limit, async move { tinyio::Ok(request(&url).await) }).await?;
        Ok(answer.unwrap_or(Err(Failure::Late(limit))))
    }
}

async fn request(url: &Uri) -> std::result::Result<Response, Failure> {
    let (host, port) = (url.host().unwrap_or_default(), url.port_u16().unwrap_or(80));
    let mut stream = TcpStream::connect((host, port)).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await?;
        answer.extend_from_slice(&buffer[..read]);
        if let Some(response) = parse(&answer, read == 0)? {
            return Ok(response);
        }
        if answer.len() > LARGEST {
            return Err(Failure::TooLarge);
        }
    }
}

/// The response, if it is complete. `ended`: nothing more follows.
fn parse(answer: &[u8], ended: bool) -> std::result::Result<Option<Response>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(begin) = response.parse(answer)? else {
        let closed =
            std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the connection was closed without an answer");
        return if ended { Err(closed.into()) } else { Ok(None) };
    };
    let header = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let announced = header("content-length").and_then(|length| length.parse().ok());
    let body = &answer[begin..];
    match announced {
        Some(announced) if ended && body.len() < announced => {
            return Err(Failure::Truncated { read: body.len(), announced });
        }
        Some(announced) if body.len() < announced => return Ok(None),
        None if !ended => return Ok(None),
        _ => {}
    }
    Ok(Some(Response {
        status: response.code.unwrap_or_default(),
        retry_after: header("retry-after").map(str::to_owned),
        is_html: header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        body: body[..announced.unwrap_or(body.len()).min(body.len())].to_vec(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_complete_by_their_length_or_at_the_end() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n";
        let with = |body: &[u8]| [&head[..], body].concat();
        assert!(parse(&head[..20], false).unwrap().is_none());
        assert!(parse(&with(b"abc"), false).unwrap().is_none());
        let whole = parse(&with(b"abcd"), false).unwrap().expect("complete");
        assert_eq!((whole.status, whole.is_html, &whole.body[..]), (200, true, &b"abcd"[..]));
        let cut = parse(&with(b"abc"), true).unwrap_err();
        assert!(matches!(cut, Failure::Truncated { read: 3, announced: 4 }), "{cut}");
        assert!(matches!(parse(b"220 mail.example ESMTP\r\n", false).unwrap_err(), Failure::NotHttp(_)));
        let open = b"HTTP/1.0 404 Not Found\r\n\r\nno";
        assert!(parse(open, false).unwrap().is_none());
        assert_eq!(parse(open, true).unwrap().expect("complete").status, 404);
    }
}

//! Files by their paths in URLs.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use tinyio::{ThreadPool, thread};

use crate::connection::text;

/// A folder of files to serve. Clones share it.
#[derive(Clone)]
pub struct Files(Rc<Shared>);

struct Shared {
    folder: PathBuf,
    /// The number of threads on which files are read.
    threads: ThreadPool,
}

/// Bytes that are read before a thread checks whether it is cancelled.
const PIECE: usize = 1 << 20;

impl Files {
    pub fn new(folder: &Path) -> io::Result<Files> {
        Ok(Files(Rc::new(Shared { folder: folder.canonicalize()?, threads: ThreadPool::new(8) })))
    }

    /// The file at this path, or why there is none.
    pub async fn answer(&self, method: &Method, path: &str) -> tinyio::Result<Response<Full<Bytes>>> {
        if ![Method::GET, Method::HEAD].contains(method) {
            return Ok(text(StatusCode::METHOD_NOT_ALLOWED));
        }
        let Some(mut file) = decoded(path) else { return Ok(text(StatusCode::BAD_REQUEST)) };
        if path.ends_with('/') {
            file.push("index.html");
        }
        let kind = media_type(&file);
        let (folder, file) = (self.0.folder.clone(), self.0.folder.join(file));
        match self.0.threads.run_in_thread(move || read(&folder, &file)).await? {
            Ok(content) => {
                let mut response = Response::new(Full::from(content));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                Ok(response)
            }
            Err(ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory) => {
                Ok(text(StatusCode::NOT_FOUND))
            }
            Err(ErrorKind::PermissionDenied) => Ok(text(StatusCode::FORBIDDEN)),
            Err(other) => Err(io::Error::from(other))?,
        }
    }
}

/// Reads a file of the folder. A file that cannot be read is a value: only a cancellation is an error.
fn read(folder: &Path, file: &Path) -> tinyio::Result<Result<Vec<u8>, ErrorKind>> {
    let open = || {
        // Links must not lead out of the folder.
        let file = file.canonicalize()?;
        if !file.starts_with(folder) {
            return Err(ErrorKind::NotFound.into());
        }
        std::fs::File::open(file)
    };
    let mut content = Vec::new();
    let mut file = match open() {
        Ok(file) => file,
        Err(error) => return Ok(Err(error.kind())),
    };
    loop {
        thread::check_cancelled()?;
        match io::Read::read_to_end(&mut io::Read::take(&mut file, PIECE as u64), &mut content) {
            Ok(0) => return Ok(Ok(content)),
            Ok(_) => {}
            Err(error) => return Ok(Err(error.kind())),
        }
    }
}

/// The path below the folder; `None` for one that is not well-formed or would lead out of it.
fn decoded(path: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.strip_prefix('/')?.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?].map(|digit| char::from(digit).to_digit(16));
        bytes.push((digits[0]? * 16 + digits[1]?) as u8);
    }
    let path = PathBuf::from(OsString::from_vec(bytes));
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("txt" | "md" | "rs" | "toml") => "text/plain; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("wasm") => "application/wasm",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        assert_eq!(decoded("/a%20b/c.txt"), Some("a b/c.txt".into()));
        assert_eq!(decoded("/"), Some("".into()));
        for wrong in ["", "/../etc", "/a/%2e%2e/%2e%2e/b", "/%2fetc", "/a%2", "/%zz"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}

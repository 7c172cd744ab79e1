//! Parses what `sha256sum` writes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use tinyio::thread;

use super::common::sum::Sum;

/// One file of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: PathBuf,
    pub sum: Sum,
    /// Its line in the manifest, from 1.
    pub line: usize,
}

/// The manifest cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the manifest {}", manifest.display())]
struct NoManifest {
    manifest: PathBuf,
    source: io::Error,
}

/// A line of the manifest is not what `sha256sum` would write.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: {source}", manifest.display())]
struct BadLine {
    manifest: PathBuf,
    line: usize,
    source: Bad,
}

/// There is nothing in the manifest.
#[derive(Debug, thiserror::Error)]
#[error("{}: no sums in it; expected lines as `sha256sum` writes them", .0.display())]
struct Empty(PathBuf);

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("expected a sum of 64 hexadecimal digits, two spaces and a file name, as `sha256sum` writes them")]
    Form,
    #[error("a sum of {0} hexadecimal digits; a SHA-256 sum has 64")]
    Length(usize),
    #[error("a sum of the kind {0}; only SHA256 is understood")]
    Kind(String),
    #[error("no file name after the sum")]
    NoName,
    #[error("a line that begins with a backslash has \\\\, \\n or \\r in the name, and no other backslash")]
    Escape,
    #[error("a zero byte: `sha256sum --zero` writes manifests that are not read back")]
    Zero,
    #[cfg(not(unix))]
    #[error("the name is not UTF-8")]
    NotUtf8,
}

/// Reads a manifest, on a thread.
pub fn read(manifest: PathBuf) -> impl FnOnce() -> tinyio::Result<Vec<Entry>> {
    move || {
        let input = open(&manifest).map_err(|source| NoManifest { manifest: manifest.clone(), source })?;
        let mut entries = Vec::new();
        for (line, text) in (1..).zip(input.split(b'\n')) {
            thread::check_cancelled()?;
            let text = text.map_err(|source| NoManifest { manifest: manifest.clone(), source })?;
            let parsed = parse(&text).map_err(|source| BadLine { manifest: manifest.clone(), line, source })?;
            entries.extend(parsed.map(|(path, sum)| Entry { path, sum, line }));
        }
        if entries.is_empty() {
            return Err(Empty(manifest).into());
        }
        Ok(entries)
    }
}

fn open(manifest: &Path) -> io::Result<Box<dyn BufRead>> {
    match manifest.to_str() {
        Some("-") => Ok(Box::new(io::stdin().lock())),
        _ => Ok(Box::new(BufReader::new(File::open(manifest)?))),
    }
}

/// Parses one line without its end. `None` for comments and empty lines.
fn parse(line: &[u8]) -> Result<Option<(PathBuf, Sum)>, Bad> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    if line.contains(&0) {
        return Err(Bad::Zero);
    }
    let line = line.trim_ascii_start();
    let (escaped, line) = line.strip_prefix(b"\\").map_or((false, line), |line| (true, line));
    let (sum, name) = match tagged(line)? {
        Some(parts) => parts,
        None => untagged(line)?,
    };
    if name.is_empty() {
        return Err(Bad::NoName);
    }
    let name = if escaped { unescape(name)? } else { name.to_owned() };
    Ok(Some((path(name)?, sum)))
}

/// `SUM  NAME`, or `SUM *NAME` for files that were read in binary mode.
fn untagged(line: &[u8]) -> Result<(Sum, &[u8]), Bad> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (sum, rest) = line.split_at(digits);
    let name = rest.strip_prefix(b" ").or(rest.strip_prefix(b"\t"));
    match name {
        Some(name) if digits == 64 => {
            Ok((decode(sum)?, name.strip_prefix(b" ").or(name.strip_prefix(b"*")).unwrap_or(name)))
        }
        Some(_) if digits >= 8 => Err(Bad::Length(digits)),
        None if digits == 64 && rest.is_empty() => Err(Bad::NoName),
        _ => Err(Bad::Form),
    }
}

/// `SHA256 (NAME) = SUM`. `None` if it is no tagged line.
fn tagged(line: &[u8]) -> Result<Option<(Sum, &[u8])>, Bad> {
    let kind = line.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"-/".contains(byte)).count();
    let (kind, rest) = line.split_at(kind);
    // openssl writes no space there.
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let Some(rest) = rest.strip_prefix(b"(").filter(|_| !kind.is_empty()) else { return Ok(None) };
    if kind != b"SHA256" {
        return Err(Bad::Kind(String::from_utf8_lossy(kind).into_owned()));
    }
    // The name may contain parentheses, the sum contains none.
    let end = rest.iter().rposition(|byte| *byte == b')').ok_or(Bad::Form)?;
    let sum = rest[end + 1..].trim_ascii_start().strip_prefix(b"=").ok_or(Bad::Form)?;
    Ok(Some((decode(sum.trim_ascii())?, &rest[..end])))
}

fn decode(hex: &[u8]) -> Result<Sum, Bad> {
    let mut sum = [0; 32];
    if hex.is_empty() || !hex.iter().all(u8::is_ascii_hexdigit) {
        return Err(Bad::Form);
    }
    if hex.len() != 64 {
        return Err(Bad::Length(hex.len()));
    }
    for (byte, digits) in sum.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = 16 * digit(digits[0]) + digit(digits[1]);
    }
    Ok(Sum(sum))
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => hex.to_ascii_lowercase() - b'a' + 10,
    }
}

fn unescape(name: &[u8]) -> Result<Vec<u8>, Bad> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'\\') => b'\\',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                _ => return Err(Bad::Escape),
            },
            _ => *byte,
        });
    }
    Ok(plain)
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn path(name: Vec<u8>) -> Result<PathBuf, Bad> {
    use std::os::unix::ffi::OsStringExt;
    Ok(OsString::from_vec(name).into())
}

#[cfg(not(unix))]
fn path(name: Vec<u8>) -> Result<PathBuf, Bad> {
    String::from_utf8(name).map(|name| OsString::from(name).into()).map_err(|_| Bad::NotUtf8)
}

//! Interned names and places, and how a name is shortened for the screen.

use std::sync::Arc;

use tinyio_events::event::{NameId, SiteId};

use super::id_map::IdMap;

/// A source place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// File, as the compiler was given it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 where unknown.
    pub column: u32,
}

impl Site {
    /// File name and line, as in `crawl.rs:52`.
    pub fn short(&self) -> String {
        format!("{}:{}", file_name(&self.file), self.line)
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.column > 0 { write!(f, ":{}", self.column) } else { Ok(()) }
    }
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The last segment of a Rust path that is a name: `fetch` of `crawl::fetch::{{closure}}`, `Vec<u8>` of
/// `alloc::vec::Vec<u8>`.
pub fn short_name(path: &str) -> &str {
    let path = path.strip_suffix("::{{closure}}").unwrap_or(path);
    let mut depth = 0_i32;
    let mut start = 0;
    let bytes = path.as_bytes();
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            // The arrow of a function type closes nothing.
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth -= 1,
            b':' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    let tail = &path[start..];
    // "async block 0 in crawl::main" is a sentence: the path in it is its last word.
    match (tail, path.split_once(" in ")) {
        (_, Some((what, _))) if !what.contains(':') => path,
        ("", _) => path,
        // A closure that a function is made for adds nothing: `hash<verify::check::{{closure}}>`.
        (tail, _) => match tail.find('<') {
            Some(types) if types > 0 && tail.ends_with('>') && tail.contains("{{closure}}") => &tail[..types],
            _ => tail,
        },
    }
}

/// Everything interned so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names {
    names: IdMap<NameId, Arc<str>>,
    sites: IdMap<SiteId, Arc<Site>>,
}

impl Names {
    pub(super) fn set_name(&mut self, id: NameId, text: &str) {
        self.names.insert(id, text.into());
    }

    pub(super) fn set_site(&mut self, id: SiteId, site: Site) {
        self.sites.insert(id, Arc::new(site));
    }

    pub(super) fn name(&self, id: NameId) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    pub(super) fn site(&self, id: SiteId) -> Option<&Arc<Site>> {
        self.sites.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn a_name_is_shortened_to_its_last_segment() {
        for (path, short) in [
            ("crawl::fetch", "fetch"),
            ("crawl::fetch::{{closure}}", "fetch"),
            ("fetch", "fetch"),
            ("alloc::vec::Vec<alloc::string::String>", "Vec<alloc::string::String>"),
            ("a::call<fn(u8) -> b::C>", "call<fn(u8) -> b::C>"),
            ("async block 0 in crawl::main", "async block 0 in crawl::main"),
            ("", ""),
            ("::", "::"),
            ("a::>>::b", ">>::b"),
        ] {
            assert_eq!(short_name(path), short, "{path}");
        }
    }
}

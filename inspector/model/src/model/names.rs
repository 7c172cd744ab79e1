//! Interned names and places, and how a name is shortened for the screen.

use std::sync::Arc;

use tinyio_events::event::{NameId, ResKind, SiteId};

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
        // A closure that a function is made for adds nothing: `hash<verify::check::{{closure}}>`. What a future of
        // tinyio is of does not either, and is long: `tinyio::…::Gathering<alloc::vec::Vec<…>>`.
        (tail, _) => match tail.find('<') {
            Some(types)
                if types > 0
                    && tail.ends_with('>')
                    && (tail.contains("{{closure}}") || path.starts_with("tinyio::")) =>
            {
                &tail[..types]
            }
            _ => tail,
        },
    }
}

/// The part of a name that the program gave which alike coroutines share: without the number at its end. `worker` of
/// `worker 3`.
pub fn stem(name: &str) -> &str {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match bare.trim_end_matches([' ', '#', '-', '_', ':', '/', '.']) {
        "" => name,
        _ if bare.len() == name.len() => name,
        stem => stem,
    }
}

/// The stem that all these names have; none if one of them has another, or there is one without a name.
pub fn common_stem<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> Option<&'a str> {
    let mut names = names.into_iter().map(|name| name.map(stem));
    let first = names.next()??;
    names.all(|name| name == Some(first)).then_some(first)
}

/// Everything interned so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names {
    names: IdMap<NameId, Arc<str>>,
    sites: IdMap<SiteId, Arc<Site>>,
    /// How often the program gave each name to something of a kind: see [`Names::give`].
    given: IdMap<u64, u32>,
}

/// A kind of thing that a program gives names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Coro,
    Res(ResKind),
}

fn given_key(kind: Named, name: NameId) -> u64 {
    let kind = match kind {
        Named::Coro => 0,
        Named::Res(ResKind::Event) => 1,
        Named::Res(ResKind::Lock) => 2,
        Named::Res(ResKind::Semaphore) => 3,
        Named::Res(ResKind::Barrier) => 4,
        Named::Res(ResKind::Channel) => 5,
    };
    u64::from(name) << 3 | kind
}

impl Names {
    pub(super) fn set_name(&mut self, id: NameId, text: &str) {
        self.names.insert(id, text.into());
    }

    pub(super) fn set_site(&mut self, id: SiteId, site: Site) {
        self.sites.insert(id, Arc::new(site));
    }

    /// Notes that the program gave this name to one more thing of that kind.
    pub(super) fn give(&mut self, kind: Named, name: NameId) {
        *self.given.entry(given_key(kind, name)).or_default() += 1;
    }

    /// Forgets what had names.
    pub(super) fn forget_given(&mut self) {
        self.given.clear();
    }

    /// Whether the name tells a thing from all others of its kind that there have been.
    pub(super) fn is_unique(&self, kind: Named, name: NameId) -> bool {
        self.given.get(&given_key(kind, name)).is_none_or(|times| *times <= 1)
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
    use super::{common_stem, short_name, stem};

    #[test]
    fn the_stem_of_a_name_is_what_stands_before_its_number() {
        for (name, expected) in [
            ("worker 3", "worker"),
            ("worker#12", "worker"),
            ("shard-07", "shard"),
            ("10.0.0.1:8080", "10.0.0.1"),
            ("fetch", "fetch"),
            ("what is this:", "what is this:"),
            ("42", "42"),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
        assert_eq!(common_stem([Some("worker 1"), Some("worker 2")]), Some("worker"));
        assert_eq!(common_stem([Some("worker 1"), Some("ticker")]), None);
        assert_eq!(common_stem([Some("worker 1"), None]), None);
    }

    #[test]
    fn a_name_is_shortened_to_its_last_segment() {
        for (path, short) in [
            ("crawl::fetch", "fetch"),
            ("crawl::fetch::{{closure}}", "fetch"),
            ("fetch", "fetch"),
            ("alloc::vec::Vec<alloc::string::String>", "Vec<alloc::string::String>"),
            ("a::call<fn(u8) -> b::C>", "call<fn(u8) -> b::C>"),
            ("tinyio::coroutine::gather::Gathering<alloc::vec::Vec<a::Coro<u32>>>", "Gathering"),
            ("async block 0 in crawl::main", "async block 0 in crawl::main"),
            ("", ""),
            ("::", "::"),
            ("a::>>::b", ">>::b"),
        ] {
            assert_eq!(short_name(path), short, "{path}");
        }
    }
}

//! Converts names of debug info to the names a Rust programmer uses.

use tinyio_events::place::root;

/// `alloc::vec::Vec<u8>` → `alloc::vec::Vec`.
pub(super) fn without_generics(name: &str) -> &str {
    match name.find('<') {
        Some(0) | None => name,
        Some(at) => &name[..at],
    }
}

/// Splits a path at its `::`, those inside brackets not counted.
pub(super) fn segments(path: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0_i32, 0);
    let mut found = Vec::new();
    let bytes = path.as_bytes();
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            // Not the arrow of a function type.
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth -= 1,
            b':' if depth == 0 && bytes.get(at + 1) == Some(&b':') && at >= start => {
                found.push(&path[start..at]);
                start = at + 2;
            }
            _ => {}
        }
    }
    found.push(path.get(start..).unwrap_or_default());
    found
}

/// The generic arguments of a type: `Map<u8, Vec<u8>>` has `u8` and `Vec<u8>`.
pub(super) fn arguments(name: &str) -> Vec<&str> {
    let Some(inner) = name.split_once('<').and_then(|(_, inner)| inner.strip_suffix('>')) else { return Vec::new() };
    let (mut depth, mut start) = (0_i32, 0);
    let mut found = Vec::new();
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if at > 0 && inner.as_bytes()[at - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                found.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(inner[start..].trim());
    found
}

/// The name of what a pointer of this name points to.
pub(super) fn pointee(name: &str) -> &str {
    if let Some(target) = name.strip_prefix('&') {
        return target.strip_prefix("mut ").unwrap_or(target);
    }
    if let Some(target) = name.strip_prefix("*const ").or_else(|| name.strip_prefix("*mut ")) {
        return target;
    }
    arguments(name).first().copied().unwrap_or_default()
}

/// Whether a type of this name is a slice, and no array.
pub(super) fn is_slice(name: &str) -> bool {
    let Some(inner) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) else { return false };
    let mut depth = 0_i32;
    for byte in inner.bytes() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' | b')' | b']' | b'}' => depth -= 1,
            b';' if depth == 0 => return false,
            _ => {}
        }
    }
    true
}

/// The path of an implementation, from the linkage name of a function that is `below` levels inside it.
pub(super) fn implementation(linkage: &str, below: usize) -> Option<String> {
    let demangled = format!("{:#}", rustc_demangle::try_demangle(linkage).ok()?);
    // `f::<u8>` is one level, not two.
    let mut levels: Vec<String> = Vec::new();
    for segment in segments(&demangled) {
        match levels.last_mut() {
            Some(last) if segment.starts_with('<') => {
                last.push_str("::");
                last.push_str(segment);
            }
            _ => levels.push(segment.to_owned()),
        }
    }
    let kept = levels.len().checked_sub(below).filter(|kept| *kept > 0)?;
    let path = levels[..kept].join("::");
    // `<a::S<u8>>::f` is the method of a type, `<a::S as b::T>::f` that of a trait.
    let inner = path.strip_prefix('<').and_then(|path| path.strip_suffix('>'));
    Some(match inner {
        Some(inner) if !inner.contains(" as ") => inner.to_owned(),
        _ => path,
    })
}

/// Returns the name to show for a coroutine, from the path of its type.
pub(super) fn function(path: &str) -> String {
    let levels = segments(path);
    let Some((last, above)) = levels.split_last() else { return path.to_owned() };
    let above = above.join("::");
    let (inner, generics) = match last.find('}') {
        Some(end) => (&last[..end], &last[end + 1..]),
        None => (*last, ""),
    };
    let generics = shorten(generics);
    match inner.trim_start_matches('{').split_once("_env#") {
        Some(("async_fn", _)) => format!("{}{generics}", readable(&above)),
        Some(("async_block", number)) => format!("async block {number} in {}", readable(&above)),
        Some(("async_closure", _)) => {
            // Its path leads through the closure that makes it, which has the number.
            let (outer, own) = above.rsplit_once("::").unwrap_or(("", &above));
            let number = own.trim_start_matches("{closure#").trim_end_matches('}');
            format!("async closure {number} in {}", readable(outer))
        }
        Some(("closure", number)) => format!("closure {number} in {}", readable(&above)),
        _ => shorten(path),
    }
}

/// `f::{async_fn#0}::{async_block#1}` → `f::{async block 1}`, and standard types shortened.
fn readable(path: &str) -> String {
    let levels = segments(path);
    // The body of a function is a level of its own in paths that lead through it.
    let kept = levels.iter().filter(|level| !level.starts_with("{async_fn#"));
    let named = kept.map(|level| match level.strip_prefix('{').and_then(|level| level.split_once('#')) {
        Some((kind, number)) => format!("{{{} {number}", kind.replace('_', " ")),
        None => (*level).to_owned(),
    });
    shorten(&named.collect::<Vec<_>>().join("::"))
}

/// Types of the standard library by their last name alone, allocators left out.
pub(super) fn shorten(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut word = String::new();
    let name = name.replace(", alloc::alloc::Global>", ">").replace(", std::hash::random::RandomState>", ">");
    for c in name.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | ':' | '#' | '{' | '}') {
            word.push(c);
        } else {
            out.push_str(last_of_std(&word));
            word.clear();
            out.push(c);
        }
    }
    out.push_str(last_of_std(&word));
    out
}

fn last_of_std(word: &str) -> &str {
    let standard = ["alloc::", "core::", "std::"].iter().any(|root| word.starts_with(root));
    match word.rsplit_once("::") {
        Some((_, last)) if standard && !last.is_empty() && !word.contains('{') => last,
        _ => word,
    }
}

/// Whether a function is internal and hidden by default.
pub(super) fn is_plumbing(function: &str) -> bool {
    let root = root(function);
    matches!(root, "core" | "std" | "alloc" | "tinyio") || root.starts_with("futures")
}

/// Whether a function is one of the recorder and the reader of frames.
pub(super) fn is_ours(function: &str) -> bool {
    matches!(
        root(function),
        "tinyio_events" | "tinyio_frames" | "tinyio_model" | "tinyio_recorder" | "tinyio_inspector"
    )
}

/// The name of a variable as it is shown: `_ref__a` is what a block borrows as `a`, `self__x` what it takes of `self`.
pub(super) fn variable(name: &str) -> String {
    let name = name.strip_prefix("_ref__").unwrap_or(name);
    name.replacen("__", ".", usize::from(!name.starts_with("__")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_rust_paths() {
        assert_eq!(function("crawl::fetch::{async_fn_env#0}"), "crawl::fetch");
        assert_eq!(function("crawl::get::{async_fn_env#0}<alloc::string::String>"), "crawl::get<String>");
        assert_eq!(function("crawl::main::{async_block_env#2}"), "async block 2 in crawl::main");
        assert_eq!(segments("<a::B as c::D>::e::{f#0}"), ["<a::B as c::D>", "e", "{f#0}"]);
        assert_eq!(shorten("alloc::vec::Vec<alloc::string::String, alloc::alloc::Global>"), "Vec<String>");
        assert_eq!(shorten("my::core::Thing"), "my::core::Thing");
    }

    #[test]
    fn an_implementation_is_named_by_a_function_inside_it() {
        let legacy = "_ZN5probe1m10S$LT$T$GT$4meth28_$u7b$$u7b$closure$u7d$$u7d$17h8ba11301b0996ac8E";
        assert_eq!(implementation(legacy, 2).as_deref(), Some("probe::m::S<T>"));
    }

    #[test]
    fn names_of_plumbing_are_distinguished_from_those_of_programs() {
        assert!(is_plumbing("tinyio::gather"));
        assert!(is_plumbing("async block 0 in futures_util::future::join"));
        assert!(is_plumbing("<core::future::Ready as x::Y>::z"));
        assert!(!is_plumbing("tinyio_example::main"));
        assert!(!is_plumbing("crawl::core::fetch"));
    }
}

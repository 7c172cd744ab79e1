//! The native stack of a thread where an error is made.

use std::backtrace::Backtrace;

use tinyio_events::event::TraceSite;
use tinyio_events::place::{is_library, root};

use super::names;

/// The native stack of the calling thread as the standard library names it, innermost frame first; frames of tinyio, of
/// the standard library and of what starts a program are left out. Without debug info files and lines are unknown.
///
/// The first time in a process it reads the debug info of all that is loaded, which takes a tenth of a second for a
/// hundred megabytes: [`Frames::native_stack`](super::Frames::native_stack) takes less.
pub fn native_stack() -> Vec<TraceSite> {
    of_program(by_standard_library())
}

/// All frames of the calling thread, as the standard library names them. It gives them as text alone, and whole paths
/// in the alternate form.
#[inline(never)]
pub(super) fn by_standard_library() -> Vec<TraceSite> {
    parse(&format!("{:#}", Backtrace::force_capture()))
}

/// The backtrace that an error carries and that its `Debug` prints last, innermost frame first, without the machinery.
/// Empty if there is none.
///
/// `anyhow` and `eyre` print the backtrace of the standard library, after `Stack backtrace:`. There is no other way to
/// it on stable Rust, so the text is taken apart, and only if each line of it is one that the standard library writes.
pub fn backtrace_in(debug: &str) -> Vec<TraceSite> {
    let Some((_, text)) = debug.rsplit_once("\n\nStack backtrace:\n") else { return Vec::new() };
    let mut expected = 0_u32;
    let is_known = |line: &str| {
        let own = line.trim();
        if let Some(place) = own.strip_prefix("at ") {
            let mut parts = place.rsplitn(3, ':');
            let numbers = parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number);
            return numbers && parts.next().is_some();
        }
        match own.split_once(": ") {
            Some((number, _)) if is_number(number) => {
                expected += 1;
                number.parse() == Ok(expected - 1)
            }
            // Of several functions inlined into one, those after the first have no number.
            _ => expected > 0 && line.starts_with("     ") && !own.is_empty(),
        }
    };
    let text = text.trim_end();
    if text.is_empty() || !text.lines().all(is_known) {
        return Vec::new();
    }
    let mut sites = of_program(parse(text));
    sites.retain(|site| !matches!(root(&site.name), "anyhow" | "eyre"));
    sites
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// ```text
///   12:     0x55d0c0a0 - crawl::fetch::{{closure}}::h0123456789abcdef
///                                at /home/me/crawl/src/main.rs:12:5
/// ```
fn parse(text: &str) -> Vec<TraceSite> {
    let mut sites: Vec<TraceSite> = Vec::new();
    // Several functions inlined into one have one number.
    for line in text.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("at ") {
            let mut parts = place.rsplitn(3, ':');
            let (column, row, file) = (parts.next(), parts.next(), parts.next());
            if let (Some(site), Some(column), Some(row), Some(file)) = (sites.last_mut(), column, row, file)
                && let (Ok(column), Ok(row)) = (column.parse(), row.parse())
            {
                (site.file, site.line, site.column) = (file.to_owned(), row, column);
            }
            continue;
        }
        let numbered = line.split_once(": ").filter(|(number, _)| is_number(number));
        let name = numbered.map_or(line, |(_, rest)| rest.trim());
        let name = match name.split_once(" - ") {
            Some((address, name)) if address.starts_with("0x") => name,
            _ => name,
        };
        sites.push(TraceSite {
            coro: 0,
            name: function(name),
            file: String::new(),
            line: 0,
            column: 0,
            last_await: false,
        });
    }
    sites
}

/// The frames of the program, with short names.
pub(super) fn of_program(mut sites: Vec<TraceSite>) -> Vec<TraceSite> {
    let roots = roots(&sites);
    let is_left_out = |site: &TraceSite| {
        is_machinery(&site.name) || is_library(&site.file) || may_be_ours(&site.name) && is_ours(&site.file, &roots)
    };
    sites.retain(|site| !is_left_out(site));
    for site in &mut sites {
        site.name = names::shorten(&site.name);
    }
    sites
}

/// The function without the hash of its linkage name, and without what async bodies add.
pub(super) fn function(name: &str) -> String {
    let hashed =
        name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    let name = without_hashes(hashed.map_or(name, |(name, _)| name));
    let mut name = name.as_str();
    while let Some((outer, inner)) = name.rsplit_once("::")
        && (inner == "{{closure}}" || inner.starts_with("{closure#"))
    {
        name = outer;
    }
    name.to_owned()
}

/// `std[e28293b1aa0f68bd]::rt` is `std::rt`: the crate's hash in names of the v0 kind.
fn without_hashes(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        let hash = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        short.push_str(before);
        match after[hash..].strip_prefix(']') {
            Some(behind) if hash >= 8 => rest = behind,
            _ => {
                short.push('[');
                rest = after;
            }
        }
    }
    short + rest
}

/// Frames of the runtime and of the panic machinery, which are not shown.
fn is_machinery(function: &str) -> bool {
    names::is_plumbing(function)
        || names::is_ours(function)
        || matches!(
            root(function),
            "__rustc" | "backtrace" | "main" | "_start" | "clone" | "clone3" | "start_thread" | "rust_begin_unwind"
        )
        || ["<unknown>", "__libc_start", "rust_panic", "rust_begin", "__rust_", "__clone", "thread_start", "_Unwind"]
            .iter()
            .any(|start| function.starts_with(start))
        // Calls through pointers to functions.
        || function.contains(" as core::ops::function::Fn")
}

/// The files of this crate and of the loop that are on each stack, from where their sources are.
const OWN: [&str; 2] = ["src/backtrace.rs", "src/registers.rs"];
const CALLER: &str = "observe/moments.rs";

/// Where the sources of tinyio are: this crate's and that of the loop, which calls it.
fn roots(sites: &[TraceSite]) -> Vec<String> {
    let files = || sites.iter().map(|site| site.file.as_str()).filter(|file| !is_library(file));
    let of = |end| files().find_map(|file| file.strip_suffix(end)).filter(|root| !root.is_empty());
    OWN.into_iter().chain([CALLER]).filter_map(of).map(str::to_owned).collect()
}

/// Whether the file of a function has to tell if it is of tinyio: debug info of lines alone has the last part of a
/// function's name, nothing of where that is.
pub(super) fn may_be_ours(function: &str) -> bool {
    let has_path = function.starts_with('<') || function.split('<').next().unwrap_or_default().contains("::");
    !has_path && !is_machinery(function)
}

fn is_ours(file: &str, roots: &[String]) -> bool {
    roots.iter().any(|root| file.starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_lines_alone_the_machinery_is_recognised_by_its_files() {
        let text = "   0: create
                               at /rustc/abc/library/std/src/backtrace.rs:331:13
   1: backtrace
                               at /registry/tinyio-frames-1.0.0/src/backtrace.rs:15:30
   2: moment
                               at /registry/tinyio-1.0.0/src/observe/moments.rs:81:25
   3: msg<alloc::string::String>
                               at /registry/tinyio-1.0.0/src/error.rs:77:9
   4: {async_fn#0}
                               at /home/me/crawl/src/record/main.rs:5:16
   5: poll<crawl::fetch::{async_fn_env#0}, u64>
                               at /registry/tinyio-1.0.0/src/task/block.rs:185:40
   6: catch_unwind<core::task::poll::Poll<()>>
                               at /rustc/abc/library/std/src/panicking.rs:544:19
   7: <T as core::convert::Into<U>>::into
                               at /rustc/abc/library/core/src/convert/mod.rs:778:9
   8: run
                               at /home/me/crawl/src/frames/mod.rs:20:30";
        let sites = of_program(parse(text));
        let short: Vec<_> = sites.iter().map(|site| format!("{} {}", site.name, site.line)).collect();
        assert_eq!(short, ["{async_fn#0} 5", "run 20"]);
        let loop_sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
        assert!(loop_sources.join(CALLER).exists(), "{CALLER} has been moved");
    }

    #[test]
    fn the_backtrace_of_an_error_is_taken_only_if_each_line_of_it_is_one() {
        let text = "no route

Caused by:
    timed out

Stack backtrace:
   0: anyhow::error::<impl core::convert::From<E> for anyhow::Error>::from
             at /registry/anyhow-1.0.1/src/backtrace.rs:10:14
   1: <core::result::Result<T,F> as core::ops::try_trait::FromResidual<core::result::Result<core::convert::Infallible,E>>>::from_residual
             at /rustc/abc/library/core/src/result.rs:2189:27
   2: crawl::fetch::{{closure}}
             at ./src/main.rs:12:5
      crawl::run::{{closure}}
             at ./src/main.rs:20:30
   3: main
";
        let short = |text: &str| {
            let sites = backtrace_in(text).into_iter();
            sites.map(|site| format!("{} {}:{}", site.name, site.file, site.line)).collect::<Vec<_>>()
        };
        assert_eq!(short(text), ["crawl::fetch ./src/main.rs:12", "crawl::run ./src/main.rs:20"]);
        for (from, to) in [("   1: ", "   7: "), (":12:5", ":x:5"), ("   3: main", "and more"), ("Stack b", "B")] {
            assert_eq!(short(&text.replace(from, to)), [""; 0], "{to}");
        }
    }

    #[test]
    fn a_native_stack_is_the_program_alone() {
        let text = "   0:     0x55aa - std::backtrace::Backtrace::create::h0123456789abcdef
                               at /rustc/abc/library/std/src/backtrace.rs:331:13
   1:     0x55ab - tinyio::Error::new
                               at /home/me/tinyio/src/error.rs:20:9
   2:     0x55ac - crawl[e28293b1aa0f68bd]::fetch::{closure#1}
                               at /home/me/crawl/src/main.rs:12:5
                   crawl::run::{closure#0}
                               at /home/me/crawl/src/main.rs:20:30
   3:     0x55ad - <std[e28293b1aa0f68bd]::thread::Thread as core[c1f1a4ba060b9bfa]::ops::function::FnOnce<()>>::call_once
                               at library/std/src/panic.rs:359:2
   4:     0x55ad - main
   4:     0x55ae - <unknown>";
        let sites = of_program(parse(text));
        let short: Vec<_> =
            sites.iter().map(|site| format!("{} {}:{}:{}", site.name, site.file, site.line, site.column)).collect();
        assert_eq!(
            short,
            ["crawl::fetch /home/me/crawl/src/main.rs:12:5", "crawl::run /home/me/crawl/src/main.rs:20:30"]
        );
    }
}

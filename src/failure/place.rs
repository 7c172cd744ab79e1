//! Places in the source code.

use std::panic::Location;

/// A place in the source code.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    /// No place in the program is known.
    pub(crate) const UNKNOWN: Place = Place { file: "", line: 0, column: 0 };
}

impl From<&'static Location<'static>> for Place {
    fn from(at: &'static Location<'static>) -> Place {
        match is_library(at.file()) {
            true => Place::UNKNOWN,
            false => Place { file: at.file(), line: at.line(), column: at.column() },
        }
    }
}

/// Whether a file is one of the standard library. A call through a function pointer, such as `.map(tinyio::spawn)`,
/// comes from there: `#[track_caller]` then gives a line of the standard library, not one of the program.
pub(crate) fn is_library(file: &str) -> bool {
    // As built by the project, in a toolchain with its sources, and as Debian builds it.
    file.starts_with("/rustc/")
        || file.contains("/rustlib/src/rust/library/")
        || file.starts_with("/usr/src/rustc-") && file.contains("/library/")
}

#[cfg(all(test, feature = "record"))]
mod tests {
    use super::*;

    /// The loop alone depends on no crate of the inspector, so it has its own.
    #[test]
    fn the_loop_and_the_inspector_agree_which_files_are_of_the_standard_library() {
        let library = [
            "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs",
            "/home/me/.rustup/toolchains/stable-x86_64/lib/rustlib/src/rust/library/std/src/panicking.rs",
            "/usr/src/rustc-1.91.0/library/alloc/src/vec/mod.rs",
        ];
        let other = [
            "src/main.rs",
            "/home/me/library/core/src/main.rs",
            "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.48.0/src/lib.rs",
            "library/std.rs",
            "",
        ];
        for file in library.iter().chain(&other) {
            assert_eq!(is_library(file), library.contains(file), "{file}");
            assert_eq!(tinyio_events::place::is_library(file), library.contains(file), "{file}");
        }
    }
}

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
    file.starts_with("/rustc/") || file.contains("/rustlib/src/rust/library/")
}

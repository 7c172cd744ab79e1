//! Versions of runtimes that were tried.

use std::collections::HashSet;

use tinyio_frames::Frames;

/// A crate: its name, a part of the linker names of its functions, and the versions with which `tests/versions` has
/// passed. The table in docs/ANY-PROGRAM.md has the same.
const TRIED: [(&str, &str, &[&str]); 2] = [
    (
        "tokio",
        "5tokio7runtime",
        &[
            "1.40", "1.41", "1.42", "1.43", "1.44", "1.45", "1.46", "1.47", "1.48", "1.49", "1.50", "1.51", "1.52",
            "1.53", "1.54",
        ],
    ),
    ("async-executor", "14async_executor", &["1.13", "1.14"]),
];
/// Functions that are looked at. Most of them are generic, and were compiled with the program.
const MOST: usize = 4096;

/// A sentence for each version of a runtime in the program that was not tried, as far as debug info says which it is.
pub fn untried(frames: &mut Frames) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, part, tried) in TRIED {
        let mut seen: HashSet<String> = HashSet::new();
        for function in frames.functions(part).unwrap_or_default().into_iter().take(MOST) {
            let Some(package) = frames.package(function).filter(|package| !seen.contains(package)) else { continue };
            let version = package.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
            if let Some(version) = version.filter(|version| is_untried(version, tried)) {
                notes.push(format!(
                    "{name} {version} is none of the versions that were tried with success: what is shown of its tasks may be \
                     wrong or missing"
                ));
            }
            seen.insert(package);
        }
    }
    notes
}

/// Whether a version has a first and second number that is not in a list.
fn is_untried(version: &str, tried: &[&str]) -> bool {
    let mut parts = version.split('.');
    let (Some(major), Some(minor), Some(_)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_number(major) && is_number(minor) && !tried.contains(&&*format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_that_were_tried_with_success_are_those_of_the_page() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ANY-PROGRAM.md");
        let page = std::fs::read_to_string(page).expect("the page");
        for (name, _, tried) in TRIED {
            let of_page = page.lines().filter_map(|line| line.strip_prefix(&format!("| {name} | "))?.split_once(" | "));
            let numbers = |version: &str| version.rsplit_once('.').map(|(numbers, _)| numbers.to_owned());
            let passed = of_page.filter(|(_, result)| *result == "all |");
            let of_page: Vec<String> = passed.filter_map(|(version, _)| numbers(version)).collect();
            assert_eq!(of_page, tried, "{name}: `tests/versions` writes the table");
        }
    }

    #[test]
    fn a_version_that_is_none_is_not_called_untried() {
        assert!(is_untried("1.99.0", &["1.40"]) && is_untried("2.0.0-rc.1", &["1.40"]));
        for known in ["1.40.3", "macros-2.5.0", "util", "1", ""] {
            assert!(!is_untried(known, &["1.40"]), "{known}");
        }
    }
}

//! Source text: where it comes from, and a small colouring of Rust.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ratatui::style::Style;
use ratatui::text::Span;

use super::text::one_line;
use super::theme::Theme;
use crate::event::{Frame, Header};

/// Larger files are not read: they are hardly source.
const LARGEST: u64 = 8 << 20;

/// Files that were read, by their name in the events.
#[derive(Debug, Default)]
pub struct Sources {
    files: HashMap<String, Source>,
}

/// A file.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Where it was found.
    pub path: Option<PathBuf>,
    /// Its lines.
    pub lines: Vec<String>,
    /// One sentence about what is wrong with it.
    pub warning: Option<String>,
}

impl Sources {
    /// A file as the compiler named it.
    pub fn file(&mut self, name: &str, header: &Header) -> &Source {
        self.files.entry(name.to_owned()).or_insert_with(|| read(name, header))
    }
}

/// The lines to show of a frame: those that came with it, else from the file.
pub fn lines_of(frame: &Frame, file: &Source) -> Vec<(u32, String)> {
    if !frame.source.is_empty() {
        return frame.source.clone();
    }
    (1..).zip(file.lines.iter().cloned()).collect()
}

/// The lines of the function around a line, by indentation: from the `fn` above it to the brace that closes it.
pub fn function_of(lines: &[(u32, String)], line: u32) -> std::ops::Range<usize> {
    let Some(at) = lines.iter().position(|(number, _)| *number == line) else { return 0..lines.len() };
    let indent = |text: &str| text.len() - text.trim_start().len();
    let starts = |text: &str| {
        let words = text.split_whitespace().take(6);
        words.into_iter().any(|word| word == "fn") && !text.trim_start().starts_with("//")
    };
    let Some(start) = (0..=at).rev().find(|index| starts(&lines[*index].1)) else { return 0..lines.len() };
    let depth = indent(&lines[start].1);
    let closes = |text: &str| indent(text) == depth && text.trim_start().starts_with('}');
    let end = (at..lines.len()).find(|index| closes(&lines[*index].1)).map_or(lines.len(), |index| index + 1);
    start..end
}

fn read(name: &str, header: &Header) -> Source {
    let missing = |why: String| Source { warning: Some(why), ..Source::default() };
    if name.is_empty() {
        return missing("the place is not known".to_owned());
    }
    if name.starts_with("/rustc/") {
        return missing(format!("{name} is part of the standard library; `rustup component add rust-src` brings it"));
    }
    let given = Path::new(name);
    // Relative names are relative to where the crate was built: its directory, or that of its workspace.
    let mut bases: Vec<&Path> = Path::new(&header.directory).ancestors().take(4).collect();
    bases.push(Path::new(""));
    let found = bases.into_iter().map(|base| (base, base.join(given))).find(|(_, path)| path.is_file());
    let Some((base, path)) = found else {
        return missing(format!("{name} is not here; open this where the program was built"));
    };
    // A name from a recording is passed to other programs, which must not take it for an option.
    let path = std::path::absolute(&path).unwrap_or(path);
    let meta = match std::fs::metadata(&path) {
        Ok(meta) if meta.len() <= LARGEST => meta,
        Ok(_) => return missing(format!("{} is too large to be shown", path.display())),
        Err(error) => return missing(format!("{} cannot be read: {error}", path.display())),
    };
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return missing(format!("{} cannot be read: {error}", path.display())),
    };
    let started = SystemTime::UNIX_EPOCH + Duration::from_nanos(header.started);
    let newer = meta.modified().is_ok_and(|changed| changed > started);
    let is_guess = base.as_os_str().is_empty() && !given.is_absolute();
    let warning = match (newer, is_guess) {
        (true, _) => Some("changed since the program started: lines may be off".to_owned()),
        (false, true) => Some(format!("{}: it may be of another program", path.display())),
        (false, false) => None,
    };
    Source { path: Some(path), lines: text.lines().map(str::to_owned).collect(), warning }
}

/// A line of Rust, coloured.
pub fn highlight(line: &str, theme: &Theme) -> Vec<Span<'static>> {
    let line = one_line(line);
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut push = |text: &str, style: Style| spans.push(Span::styled(text.to_owned(), style));
    let mut rest = line.as_str();
    while let Some(first) = rest.chars().next() {
        let (length, style) = if rest.starts_with("//") {
            (rest.len(), theme.comment)
        } else if first == '"' {
            (string_end(rest), theme.string)
        } else if first == '\'' {
            char_or_lifetime(rest, theme)
        } else if first.is_alphabetic() || first == '_' {
            let length = run(rest, |one| one.is_alphanumeric() || one == '_');
            (length, word(&rest[..length], &rest[length..], theme))
        } else if first.is_ascii_digit() {
            (run(rest, |one| one.is_alphanumeric() || one == '_'), theme.number)
        } else {
            let plain = |one: char| !(one.is_alphanumeric() || "_\"'/".contains(one));
            (run(rest, plain).max(first.len_utf8()), theme.text)
        };
        push(&rest[..length], style);
        rest = &rest[length..];
    }
    spans
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|one| !belongs(one)).unwrap_or(text.len())
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, one) in text.char_indices().skip(1) {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn char_or_lifetime(text: &str, theme: &Theme) -> (usize, Style) {
    let mut inside = text.char_indices().skip(1);
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), Some((at, _))) => {
            let end = text[at..].char_indices().skip(1).find(|(_, one)| *one == '\'');
            (end.map_or(text.len(), |(end, _)| at + end + 1), theme.string)
        }
        (Some(_), Some((at, '\''))) => (at + 1, theme.string),
        _ => (1 + run(&text[1..], |one| one.is_alphanumeric() || one == '_'), theme.types),
    }
}

fn word(word: &str, after: &str, theme: &Theme) -> Style {
    const KEYWORDS: [&str; 36] = [
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
        "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self",
        "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "while",
    ];
    if KEYWORDS.contains(&word) || word == "where" {
        theme.keyword
    } else if word.starts_with(char::is_uppercase) {
        theme.types
    } else if after.starts_with('!') && !after.starts_with("!=") {
        theme.name
    } else {
        theme.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::DARK;

    fn parts(line: &str) -> Vec<(String, Style)> {
        highlight(line, &DARK).into_iter().map(|span| (span.content.into_owned(), span.style)).collect()
    }

    #[test]
    fn colouring_loses_no_character() {
        for line in [
            r#"let found = run("a \" b", 'x', '\'', 'static, 0x1F_u8)?; // "comment""#,
            "/ // 日本 \"unterminated",
            "'",
            "'\\",
            "x != y!()",
            "",
        ] {
            let text: String = parts(line).into_iter().map(|(text, _)| text).collect();
            assert_eq!(text, line);
        }
    }

    #[test]
    fn words_strings_and_comments_have_their_colours() {
        let all = parts("let x: Vec<u8> = vec![1, '\\n']; // \"no\"");
        let style = |text: &str| all.iter().find(|(part, _)| part == text).map(|(_, style)| *style);
        assert_eq!(style("let"), Some(DARK.keyword));
        assert_eq!(style("Vec"), Some(DARK.types));
        assert_eq!(style("vec"), Some(DARK.name));
        assert_eq!(style("1"), Some(DARK.number));
        assert_eq!(style("'\\n'"), Some(DARK.string));
        assert_eq!(style("// \"no\""), Some(DARK.comment));
    }

    #[test]
    fn the_function_around_a_line_is_found_by_its_indentation() {
        let text = "use x;\n\nimpl A {\n    async fn f(\n        a: u8,\n    ) {\n        if a {\n            b();\n        }\n    }\n\n    fn g() {}\n}\n";
        let lines: Vec<_> = (1..).zip(text.lines().map(str::to_owned)).collect();
        assert_eq!(function_of(&lines, 8), 3..10);
        assert_eq!(function_of(&lines, 1), 0..13);
        assert_eq!(function_of(&lines, 99), 0..13);
    }

    #[test]
    fn a_source_that_is_not_there_is_a_sentence() {
        let header = Header::default();
        let mut sources = Sources::default();
        // Where this command was started, there may be a file of the same name.
        let elsewhere = Header { directory: "/nonexistent/one".into(), started: u64::MAX, ..Header::default() };
        let guess = sources.file("src/tui/syntax.rs", &elsewhere);
        assert!(guess.warning.as_ref().unwrap().ends_with("it may be of another program"), "{guess:?}");
        let mut sources = Sources::default();
        for name in ["", "/rustc/abc/library/core/src/x.rs", "no/such/file.rs"] {
            let source = sources.file(name, &header);
            assert!(source.warning.is_some() && source.lines.is_empty(), "{name}");
        }
    }
}

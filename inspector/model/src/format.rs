//! Times, numbers and foreign text, as reports and exports write them.

use std::borrow::Cow;

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// A span of time in at most eight columns: `0.3 ms`, `88 ms`, `1.2 s`, `3 min 04`.
pub fn span(nanos: u64) -> String {
    match nanos {
        // Events near each other may have one reading of the clock.
        0 => "<1 µs".to_owned(),
        1..MICRO => format!("{nanos} ns"),
        MICRO..100_000 => format!("{} µs", nanos / MICRO),
        100_000..10_000_000 => format!("{:.1} ms", nanos as f64 / MILLI as f64),
        10_000_000..SECOND => format!("{} ms", nanos / MILLI),
        SECOND..60_000_000_000 => format!("{:.1} s", (nanos / (SECOND / 10)) as f64 / 10.0),
        _ => {
            let seconds = nanos / SECOND;
            match seconds / 60 {
                minutes @ 0..60 => format!("{minutes} min {:02}", seconds % 60),
                minutes @ 60..6000 => format!("{} h {:02}", minutes / 60, minutes % 60),
                minutes => format!("{} d {:02} h", minutes / 1440, minutes / 60 % 24),
            }
        }
    }
}

/// A span of time with three significant digits where there are seconds: `3.27 s`.
pub fn fine_span(nanos: u64) -> String {
    match nanos {
        SECOND..60_000_000_000 => format!("{:.2} s", (nanos / (SECOND / 100)) as f64 / 100.0),
        _ => span(nanos),
    }
}

/// A moment since the start: `00:12.400`.
pub fn clock(nanos: u64) -> String {
    clock_to(nanos, 3)
}

/// A moment since the start with that many decimals: `00:12.4`.
pub fn clock_to(nanos: u64, decimals: usize) -> String {
    let seconds = nanos / SECOND;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = format!("{:09}", nanos % SECOND);
    let tail = if decimals == 0 { String::new() } else { format!(".{}", &fraction[..decimals.min(9)]) };
    match hours {
        0 => format!("{minutes:02}:{seconds:02}{tail}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}{tail}"),
    }
}

/// A count with its thousands marked: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 coroutine`, `1,204 coroutines`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Text of the program on one line, with nothing in it that would move the cursor, colour what follows, or turn the
/// direction of reading.
pub fn one_line(text: &str) -> String {
    if text.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(one) = rest.next() {
        match one {
            // Errors that bring their own colours: these are for a terminal that is not this text.
            '\u{1b}' if rest.peek() == Some(&'[') => {
                while rest.next().is_some_and(|next| !('@'..='~').contains(&next) || next == '[') {}
            }
            '\n' => out.push('⏎'),
            '\t' => out.push_str("    "),
            '\r' => {}
            '\0'..' ' => {
                out.push('^');
                out.push((one as u8 + b'@') as char);
            }
            one if is_command(one) => out.push_str(&format!("\\u{{{:x}}}", one as u32)),
            _ => out.push(one),
        }
    }
    out
}

/// Whether a terminal obeys this character instead of showing it: it controls, or turns the direction of reading.
pub fn is_command(one: char) -> bool {
    let turns =
        |one| matches!(one, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    one.is_control() || turns(one)
}

/// JSON with those characters escaped in its strings that JSON allows there and a terminal obeys.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| byte < 0x7f) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len());
    for one in json.chars() {
        // What is below is escaped by JSON itself, or stands between its strings.
        if one > '~' && is_command(one) {
            out.push_str(&format!("\\u{:04x}", one as u32));
        } else {
            out.push(one);
        }
    }
    out.into()
}

/// A name without the types it is made for, where these are long: `hash<…>`.
pub fn brief(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(start) = rest.find('<') {
        let mut depth = 0_i32;
        let close = rest[start..].char_indices().find(|(at, one)| {
            // The arrow of a function type closes nothing.
            let is_arrow = *one == '>' && rest[..start + at].ends_with('-');
            depth += i32::from(*one == '<') - i32::from(*one == '>' && !is_arrow);
            depth == 0
        });
        let Some((length, _)) = close else { break };
        out.push_str(&rest[..start]);
        let types = &rest[start..=start + length];
        out.push_str(if width(types) > 12 { "<…>" } else { types });
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    out
}

/// Text of the program, line by line, each as [`one_line`].
pub fn lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(one_line)
}

/// Number of characters.
pub fn width(text: &str) -> usize {
    text.chars().count()
}

/// The text in at most `columns` characters, its end replaced by `…` where it does not fit.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(columns.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// The text in lines of at most `columns` characters, `lines` at most; the end of what does not fit is `…`. Lines end
/// at spaces where that leaves none of them short by half.
pub fn broken(text: &str, columns: usize, lines: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut out = Vec::new();
    let mut rest = text;
    while width(rest) > columns && out.len() + 1 < lines {
        let most = rest.char_indices().nth(columns).map_or(rest.len(), |(at, _)| at);
        let least = rest.char_indices().nth(columns / 2).map_or(0, |(at, _)| at);
        // A space right behind the line is one to end it at.
        let found = rest[..most].rfind(' ').filter(|at| *at >= least);
        let end = if rest[most..].starts_with(' ') { most } else { found.unwrap_or(most) };
        out.push(rest[..end].to_owned());
        rest = rest[end..].trim_start_matches(' ');
    }
    if out.is_empty() || !rest.is_empty() {
        out.push(fit(rest, columns));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_counts_are_short() {
        let spans = [0, 999, 1_500, 250_000, 88_000_000, 1_250_000_000, 184_000_000_000, 3_600_000_000_000];
        assert_eq!(spans.map(span), ["<1 µs", "999 ns", "1 µs", "0.2 ms", "88 ms", "1.2 s", "3 min 04", "1 h 00"]);
        assert_eq!(fine_span(3_271_000_000), "3.27 s");
        assert!(width(&span(u64::MAX)) <= 14);
        assert_eq!(clock(3_723_004_000_000), "1:02:03.004");
        assert_eq!((clock_to(12_417_000_000, 1), clock_to(3_725_000_000_000, 0)), ("00:12.4".into(), "1:02:05".into()));
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "event"), counted(2, "event")), ("1 event".into(), "2 events".into()));
    }

    #[test]
    fn a_long_text_is_broken_at_spaces_and_its_end_left_out_after_so_many_lines() {
        assert_eq!(broken("short", 8, 3), ["short"]);
        assert_eq!(broken("", 8, 3), [""]);
        assert_eq!(broken("one, two, three", 8, 3), ["one,", "two,", "three"]);
        assert_eq!(broken("one two three four", 8, 9), ["one two", "three", "four"]);
        assert_eq!(broken("abcdefghijkl", 8, 3), ["abcdefgh", "ijkl"], "without a space");
        assert_eq!(broken("a bcdefghijkl", 8, 3), ["a bcdefg", "hijkl"], "a space too early");
        assert_eq!(broken("one two three four five", 8, 2), ["one two", "three f…"]);
    }

    #[test]
    fn text_of_the_program_cannot_drive_the_terminal() {
        assert_eq!(one_line("\u{1b}[31mred\u{1b}[0m\r\n\tx\u{7}\u{1b}]0;t"), "red⏎    x^G^[]0;t");
        assert_eq!(one_line("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(one_line("\u{1b}[1"), "");
        let text = "a\u{9b}2J\u{7f}\u{202e}\u{61c}b\nü";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let json = escaped_json(&json);
        assert_eq!(json, "[\n  \"a\\u009b2J\\u007f\\u202e\\u061cb\\nü\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text], "the same to a reader");
    }

    #[test]
    fn long_types_are_left_out_of_names() {
        assert_eq!(brief("hash<verify::check::{{closure}}::{{closure}}> #30"), "hash<…> #30");
        assert_eq!(brief("get<String>, Vec<Vec<fn(u8) -> u64>>"), "get<String>, Vec<…>");
        assert_eq!(brief("a < b"), "a < b");
    }
}

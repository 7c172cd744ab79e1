//! Times, numbers and widths as text.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// A span of time in at most eight columns: `0.3 ms`, `88 ms`, `1.2 s`, `3 min 04`.
pub fn span(nanos: u64) -> String {
    match nanos {
        0..MICRO => format!("{nanos} ns"),
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

/// A moment since the start: `00:12.4`, with as many decimals as asked for.
pub fn clock(nanos: u64, decimals: usize) -> String {
    let seconds = nanos / SECOND;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = format!("{:09}", nanos % SECOND);
    let tail = if decimals == 0 { String::new() } else { format!(".{}", &fraction[..decimals.min(9)]) };
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}{tail}")
    } else {
        format!("{minutes:02}:{seconds:02}{tail}")
    }
}

/// A count with its thousands marked: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate in few columns: `312`, `38.1k`, `1.2M`.
pub fn rate(number: f64) -> String {
    match number {
        ..999.5 => format!("{number:.0}"),
        ..99_950.0 => format!("{:.1}k", number / 1e3),
        ..999_500.0 => format!("{:.0}k", number / 1e3),
        _ => format!("{:.1}M", number / 1e6),
    }
}

/// Columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `columns`, its end replaced by `…` where it does not fit. What would move the cursor is made visible.
pub fn fit(text: &str, columns: usize) -> String {
    let clean = printable(text);
    if clean.width() <= columns {
        return clean;
    }
    let mut out = String::new();
    let mut used = 0;
    for one in clean.chars() {
        let wide = one.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(one);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The text in exactly `columns`, padded on the right.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = fit(text, columns);
    let used = out.width();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    out
}

/// The text in exactly `columns`, padded on the left.
pub fn pad_left(text: &str, columns: usize) -> String {
    let out = fit(text, columns);
    let fill = columns.saturating_sub(out.width());
    format!("{}{out}", " ".repeat(fill))
}

/// Tabs as spaces, and other control characters as what `caret` notation or their number calls them.
pub fn printable(text: &str) -> String {
    if text.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '\t' => out.push_str("    "),
            '\n' => out.push('⏎'),
            '\0'..' ' => {
                out.push('^');
                out.push((one as u8 + b'@') as char);
            }
            // Marks that turn the direction of the text around would make a line lie.
            '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            one => out.push(one),
        }
    }
    out
}

/// The text in lines of at most `columns`, broken at spaces where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = printable(line);
        let mut current = String::new();
        let mut used = 0;
        for word in line.split_inclusive(' ') {
            let wide = word.trim_end().width();
            if used > 0 && used + wide > columns {
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            for one in word.chars() {
                let wide = one.width().unwrap_or(0);
                if used + wide > columns && one != ' ' {
                    lines.push(std::mem::take(&mut current));
                    used = 0;
                }
                current.push(one);
                used += wide;
            }
        }
        lines.push(current);
    }
    lines
}

/// `1 coroutine`, `2 coroutines`.
pub fn plural(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_stay_short_at_every_size() {
        for (nanos, text) in [
            (0, "0 ns"),
            (12_000, "12 µs"),
            (300_000, "0.3 ms"),
            (88_000_000, "88 ms"),
            (1_210_000_000, "1.2 s"),
            (59_999_999_999, "59.9 s"),
            (184_000_000_000, "3 min 04"),
            (3_600_000_000_000, "1 h 00"),
        ] {
            assert_eq!(span(nanos), text);
        }
        assert!(width(&span(u64::MAX)) <= 14);
    }

    #[test]
    fn moments_have_hours_only_when_needed() {
        assert_eq!(clock(12_417_000_000, 1), "00:12.4");
        assert_eq!(clock(3_271_000_000, 3), "00:03.271");
        assert_eq!(clock(3_725_000_000_000, 0), "1:02:05");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!((count(7), count(1204), count(1_000_000)), ("7".into(), "1,204".into(), "1,000,000".into()));
        assert_eq!((rate(312.0), rate(38_120.0), rate(1_240_000.0)), ("312".into(), "38.1k".into(), "1.2M".into()));
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 5), "abcd…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(pad_left("ab", 4), "  ab");
    }

    #[test]
    fn nothing_in_a_text_can_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\tb\nc"), "a^[[31m    b⏎c");
        assert_eq!(printable("\u{202e}abc\u{9b}"), "\u{fffd}abc\u{fffd}");
    }

    #[test]
    fn long_lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), Vec::<String>::new());
    }
}

//! Text in columns of the terminal: widths, padding, wrapping.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub(crate) use crate::format::{clock_to as clock, count, counted, one_line, span};

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

/// Returns the text in at most `columns`, its end replaced by `…` where it does not fit. Control characters are made
/// visible.
pub fn fit(text: &str, columns: usize) -> String {
    let clean = one_line(text);
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

/// The text in lines of at most `columns`, broken at spaces where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = one_line(line);
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn long_lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), Vec::<String>::new());
    }
}

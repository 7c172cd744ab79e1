//! Text in columns of the terminal: widths, padding, wrapping.

use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub(crate) use crate::format::{clock_to as clock, count, counted, one_line, span};

/// A moment since the start, as all screens write it: `00:12.400123`. What happens within a millisecond has its order.
pub fn moment(nanos: u64) -> String {
    clock(nanos, 6)
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

/// At most `columns` of a line, from column `left` on; its end is replaced by `…` where it does not fit. Spaces at its
/// end need no room.
pub fn slice(line: &Line, left: usize, columns: usize) -> Line<'static> {
    let text: String = line.spans.iter().map(|span| &*span.content).collect();
    let is_cut = text.trim_end().width() > left + columns;
    if left == 0 && text.width() <= columns {
        let spans = line.spans.iter().map(|span| Span::styled(span.content.to_string(), span.style));
        return Line { style: line.style, alignment: line.alignment, spans: spans.collect() };
    }
    let end = if is_cut { left + columns.saturating_sub(1) } else { left + columns };
    let mut out = Line { style: line.style, alignment: line.alignment, spans: Vec::new() };
    let mut at = 0;
    for span in &line.spans {
        let mut text = String::new();
        for one in span.content.chars() {
            let next = at + one.width().unwrap_or(0);
            if at >= left && next <= end {
                text.push(one);
            }
            at = next;
        }
        out.spans.push(Span::styled(text, span.style));
        if at > end {
            break;
        }
    }
    if is_cut && columns > 0 {
        let style = out.spans.last().map(|span| span.style).unwrap_or_default();
        out.spans.push(Span::styled("…", style));
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
    fn a_slice_of_a_line_keeps_its_styles_and_ends_in_an_ellipsis_where_it_is_cut() {
        let line = Line::from(vec![Span::raw("abc"), Span::styled("def", ratatui::style::Style::new().bold())]);
        let parts = |left, columns| -> Vec<String> {
            slice(&line, left, columns).spans.iter().map(|span| span.content.to_string()).collect()
        };
        assert_eq!(parts(0, 6), ["abc", "def"]);
        assert_eq!(parts(0, 5), ["abc", "d", "…"]);
        assert_eq!(parts(0, 3), ["ab", "…"]);
        assert_eq!(parts(2, 9), ["c", "def"]);
        assert_eq!(slice(&line, 0, 5).spans[2].style, line.spans[1].style);
        assert_eq!(parts(9, 4), ["", ""]);
        assert_eq!(slice(&Line::raw("日本語"), 0, 4).to_string(), "日…");
        assert_eq!(slice(&Line::raw("abc "), 0, 3).to_string(), "abc");
        assert_eq!(slice(&Line::raw("abc"), 0, 0).to_string(), "");
    }

    #[test]
    fn long_lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), Vec::<String>::new());
    }
}

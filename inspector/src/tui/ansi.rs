//! Colours in the program's output.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use super::text::one_line;

/// A line as spans: colours and emphasis as the program set them, all other control sequences left out.
pub fn spans(line: &str, base: Style, colours: bool) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut style = base;
    let mut rest = line;
    while let Some(at) = rest.find('\x1b') {
        if at > 0 {
            spans.push(Span::styled(one_line(&rest[..at]), style));
        }
        let (sequence, after) = sequence(&rest[at + 1..]);
        if let Some(numbers) = sequence.strip_prefix('[').and_then(|inner| inner.strip_suffix('m'))
            && colours
        {
            style = apply(style, base, numbers);
        }
        rest = after;
    }
    if !rest.is_empty() {
        spans.push(Span::styled(one_line(rest), style));
    }
    spans
}

/// Splits a control sequence (without its escape) from what follows it.
fn sequence(text: &str) -> (&str, &str) {
    let end = match text.as_bytes().first() {
        Some(b'[') => text.bytes().skip(1).position(|byte| (0x40..=0x7e).contains(&byte)).map(|at| at + 2),
        // Operating system commands (titles, links) end with a bell or with escape and backslash.
        Some(b']') => text.find('\x07').map(|at| at + 1).or_else(|| text.find("\x1b\\").map(|at| at + 2)),
        Some(byte) if byte.is_ascii() => Some(1),
        _ => Some(0),
    };
    text.split_at(end.unwrap_or(text.len()))
}

fn apply(mut style: Style, base: Style, numbers: &str) -> Style {
    let mut numbers = numbers.split([';', ':']).map(|number| number.parse::<u8>().unwrap_or(0));
    while let Some(number) = numbers.next() {
        style = match number {
            0 => base,
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            3 => style.add_modifier(Modifier::ITALIC),
            4 => style.add_modifier(Modifier::UNDERLINED),
            7 => style.add_modifier(Modifier::REVERSED),
            22 => style.remove_modifier(Modifier::BOLD | Modifier::DIM),
            23 => style.remove_modifier(Modifier::ITALIC),
            24 => style.remove_modifier(Modifier::UNDERLINED),
            27 => style.remove_modifier(Modifier::REVERSED),
            30..=37 => style.fg(Color::Indexed(number - 30)),
            40..=47 => style.bg(Color::Indexed(number - 40)),
            90..=97 => style.fg(Color::Indexed(number - 82)),
            100..=107 => style.bg(Color::Indexed(number - 92)),
            39 => Style { fg: base.fg, ..style },
            49 => Style { bg: base.bg, ..style },
            38 | 48 => {
                let colour = match numbers.next() {
                    Some(5) => Color::Indexed(numbers.next().unwrap_or(0)),
                    Some(2) => {
                        let mut part = || numbers.next().unwrap_or(0);
                        Color::Rgb(part(), part(), part())
                    }
                    _ => continue,
                };
                if number == 38 { style.fg(colour) } else { style.bg(colour) }
            }
            _ => style,
        };
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<(String, Style)> {
        let spans = spans(line, Style::new(), true).into_iter();
        spans.map(|span| (span.content.into_owned(), span.style)).collect()
    }

    #[test]
    fn colours_are_kept_and_other_sequences_left_out() {
        let red = Style::new().fg(Color::Indexed(1));
        assert_eq!(
            of("a\x1b[31mb\x1b[0mc"),
            [("a".into(), Style::new()), ("b".into(), red), ("c".into(), Style::new())]
        );
        assert_eq!(of("\x1b[2K\x1b]0;title\x07x\x1b[1A"), [("x".into(), Style::new())]);
        let rich = Style::new().fg(Color::Rgb(1, 2, 3)).bg(Color::Indexed(200)).add_modifier(Modifier::BOLD);
        assert_eq!(of("\x1b[1;38;2;1;2;3;48;5;200mx"), [("x".into(), rich)]);
    }

    #[test]
    fn broken_sequences_do_no_harm() {
        for line in ["\x1b", "\x1b[", "\x1b[31", "\x1b]0;never", "\x1b日", "\x1b[38;5m\x1b[48mx", "\x1b[999999999mx"] {
            of(line);
        }
    }
}

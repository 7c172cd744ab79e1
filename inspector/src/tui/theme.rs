//! Colours and signs, as data.

use ratatui::style::{Color, Modifier, Style};

use crate::event::Outcome;
use crate::model::{Activity, Level};

/// The styles of everything on the screen: the terminal's own sixteen colours, and of the 256 indexed ones where none
/// of the sixteen can be read on the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Ordinary text.
    pub text: Style,
    /// Secondary text.
    pub dim: Style,
    /// Headings.
    pub title: Style,
    /// Lines between panes.
    pub line: Style,
    /// The selected row.
    pub selected: Style,
    /// The selected row of a pane that does not have the keys.
    pub marked: Style,
    /// A key in the footer or on the help page.
    pub key: Style,
    /// What was searched for.
    pub found: Style,
    /// See [`Activity::Running`].
    pub running: Style,
    /// See [`Activity::Ready`].
    pub ready: Style,
    /// Waiting on something.
    pub waiting: Style,
    /// Waiting on a timer.
    pub sleeping: Style,
    /// Ended well.
    pub done: Style,
    /// Ended with an error; errors in general.
    pub failed: Style,
    /// Was cancelled.
    pub cancelled: Style,
    /// Warnings; improper answers.
    pub warning: Style,
    /// Names of variables and fields.
    pub name: Style,
    /// Places in the source.
    pub place: Style,
    /// Keywords in source text.
    pub keyword: Style,
    /// Strings in source text.
    pub string: Style,
    /// Comments in source text.
    pub comment: Style,
    /// Numbers in source text.
    pub number: Style,
    /// Types in source text.
    pub types: Style,
    /// Colours of the program's own output are shown.
    pub colours: bool,
    /// The signs.
    pub glyphs: Glyphs,
}

/// The names of the styles, for the settings.
pub const STYLES: [&str; 23] = [
    "text",
    "dim",
    "title",
    "line",
    "selected",
    "marked",
    "key",
    "found",
    "running",
    "ready",
    "waiting",
    "sleeping",
    "done",
    "failed",
    "cancelled",
    "warning",
    "name",
    "place",
    "keyword",
    "string",
    "comment",
    "number",
    "types",
];

const PLAIN: Style = Style::new();

/// Blue that can be read on black: xterm's own two blues have a contrast of 2.2 and 4.4.
const SKY: Color = Color::Indexed(75);

/// Green, yellow and grey that can be read on white: xterm's own have a contrast of 2.2, 1.7 and 4.0.
const DARK_GREEN: Color = Color::Indexed(28);
const BROWN: Color = Color::Indexed(94);
const GREY: Color = Color::Indexed(241);

/// For dark terminals.
pub const DARK: Theme = Theme {
    text: PLAIN,
    dim: PLAIN.fg(Color::DarkGray),
    title: PLAIN.add_modifier(Modifier::BOLD),
    line: PLAIN.fg(Color::DarkGray),
    // All of a row alike: reversed, the colours of its parts would be patches.
    selected: PLAIN.fg(Color::Reset).bg(Color::Reset).add_modifier(Modifier::REVERSED),
    marked: PLAIN.add_modifier(Modifier::BOLD).add_modifier(Modifier::UNDERLINED),
    key: PLAIN.fg(Color::Cyan),
    found: PLAIN.fg(Color::Black).bg(Color::Yellow),
    running: PLAIN.fg(Color::Green).add_modifier(Modifier::BOLD),
    ready: PLAIN.fg(Color::Green),
    waiting: PLAIN.fg(Color::Yellow),
    sleeping: PLAIN.fg(SKY),
    done: PLAIN.fg(Color::DarkGray),
    failed: PLAIN.fg(Color::LightRed).add_modifier(Modifier::BOLD),
    cancelled: PLAIN.fg(Color::LightMagenta),
    warning: PLAIN.fg(Color::LightYellow),
    name: PLAIN.fg(Color::Cyan),
    place: PLAIN.fg(SKY),
    keyword: PLAIN.fg(Color::LightMagenta),
    string: PLAIN.fg(Color::Green),
    comment: PLAIN.fg(Color::DarkGray),
    number: PLAIN.fg(Color::Yellow),
    types: PLAIN.fg(Color::Cyan),
    colours: true,
    glyphs: UNICODE,
};

/// For light terminals: nothing yellow or bright on white.
pub const LIGHT: Theme = Theme {
    dim: PLAIN.fg(GREY),
    key: PLAIN.fg(Color::Blue),
    found: PLAIN.fg(Color::White).bg(Color::Blue),
    running: PLAIN.fg(DARK_GREEN).add_modifier(Modifier::BOLD),
    ready: PLAIN.fg(DARK_GREEN),
    waiting: PLAIN.fg(BROWN),
    sleeping: PLAIN.fg(Color::Blue),
    done: PLAIN.fg(GREY),
    failed: PLAIN.fg(Color::Red).add_modifier(Modifier::BOLD),
    cancelled: PLAIN.fg(Color::Magenta),
    warning: PLAIN.fg(Color::Red),
    name: PLAIN.fg(Color::Blue),
    place: PLAIN.fg(Color::Blue),
    keyword: PLAIN.fg(Color::Magenta),
    string: PLAIN.fg(DARK_GREEN),
    comment: PLAIN.fg(GREY),
    number: PLAIN.fg(BROWN),
    types: PLAIN.fg(Color::Blue),
    ..DARK
};

/// Without colours: only bold, underline, reverse, and the signs.
pub const MONO: Theme = Theme {
    dim: PLAIN.add_modifier(Modifier::DIM),
    line: PLAIN.add_modifier(Modifier::DIM),
    selected: PLAIN.add_modifier(Modifier::REVERSED),
    key: PLAIN.add_modifier(Modifier::BOLD),
    found: PLAIN.add_modifier(Modifier::REVERSED).add_modifier(Modifier::UNDERLINED),
    running: PLAIN.add_modifier(Modifier::BOLD),
    ready: PLAIN.add_modifier(Modifier::BOLD),
    waiting: PLAIN,
    sleeping: PLAIN,
    done: PLAIN.add_modifier(Modifier::DIM),
    failed: PLAIN.add_modifier(Modifier::BOLD).add_modifier(Modifier::UNDERLINED),
    cancelled: PLAIN,
    warning: PLAIN.add_modifier(Modifier::BOLD),
    name: PLAIN,
    place: PLAIN.add_modifier(Modifier::UNDERLINED),
    keyword: PLAIN.add_modifier(Modifier::BOLD),
    string: PLAIN,
    comment: PLAIN.add_modifier(Modifier::DIM),
    number: PLAIN,
    types: PLAIN,
    colours: false,
    ..DARK
};

/// The signs on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// One per state: running, ready, waiting, sleeping, done, failed, cancelled, improper.
    states: [&'static str; 8],
    /// A dependency shown elsewhere.
    pub reference: &'static str,
    /// A child with siblings after it; the last one; the line past them; two columns and a space each.
    pub branch: &'static str,
    /// See `branch`.
    pub last: &'static str,
    /// `branch` and `last` of a child that its parent does not wait on.
    pub loose: [&'static str; 2],
    /// See `branch`.
    pub past: &'static str,
    /// Has children that are shown.
    pub open: &'static str,
    /// Has children that are not shown.
    pub closed: &'static str,
    /// Has none.
    pub leaf: &'static str,
    /// The current line or entry.
    pub here: &'static str,
    /// Between two parts of a sentence.
    pub dot: &'static str,
    /// How many.
    pub times: &'static str,
    /// Horizontal and vertical lines, and where they meet: tee down, tee up, tee right, tee left.
    pub horizontal: &'static str,
    /// See `horizontal`.
    pub vertical: &'static str,
    /// See `horizontal`.
    pub tees: [&'static str; 4],
    /// What a column is sorted by: the least first, the most first.
    pub sorted: [&'static str; 2],
    /// A warning.
    pub warning: &'static str,
    /// A cycle.
    pub cycle: &'static str,
    /// Paused.
    pub paused: &'static str,
    /// Timeline: running, ready, waiting on a coroutine, a thread, a lock, a timer, an event, unknown.
    pub lanes: [&'static str; 8],
    /// Timeline: ran, but for less than half the column.
    pub brief: &'static str,
    /// Boxes: corners (top left, top right, bottom left, bottom right), of the selected one after them.
    pub corners: [&'static str; 8],
    /// Lines of the selected box: horizontal, vertical.
    pub heavy: [&'static str; 2],
    /// Arrow heads: right, down.
    pub arrows: [&'static str; 2],
}

/// For terminals that can show them.
pub const UNICODE: Glyphs = Glyphs {
    states: ["●", "◐", "◷", "◌", "✔", "✖", "⊘", "!"],
    reference: "⇢",
    branch: "├─",
    last: "└─",
    loose: ["├┄", "└┄"],
    past: "│ ",
    open: "▾",
    closed: "▸",
    leaf: "─",
    here: "▶",
    dot: "·",
    times: "×",
    horizontal: "─",
    vertical: "│",
    tees: ["┬", "┴", "├", "┤"],
    sorted: ["▴", "▾"],
    warning: "⚠",
    cycle: "↻",
    paused: "‖",
    lanes: ["█", "▒", "░", "▓", "╳", "┄", "·", "?"],
    brief: "▂",
    corners: ["┌", "┐", "└", "┘", "┏", "┓", "┗", "┛"],
    heavy: ["━", "┃"],
    arrows: ["▶", "▼"],
};

/// For those that cannot.
pub const ASCII: Glyphs = Glyphs {
    states: ["R", "r", "w", "z", "+", "x", "c", "!"],
    reference: ">",
    branch: "|-",
    last: "`-",
    loose: ["|.", "`."],
    past: "| ",
    open: "v",
    closed: ">",
    leaf: "-",
    here: ">",
    dot: "-",
    times: "x",
    horizontal: "-",
    vertical: "|",
    tees: ["+", "+", "+", "+"],
    sorted: ["^", "v"],
    warning: "!",
    cycle: "@",
    paused: "=",
    lanes: ["#", "r", "w", "T", "L", "z", "e", "?"],
    brief: "'",
    corners: ["+", "+", "+", "+", "#", "#", "#", "#"],
    heavy: ["=", "#"],
    arrows: [">", "v"],
};

/// Red, green and blue of an indexed colour of a terminal with 256; none of the first sixteen, which the terminal
/// chooses.
pub(super) fn indexed(index: u8) -> Option<[u8; 3]> {
    let level = |part: u8| if part == 0 { 0 } else { 55 + 40 * part };
    match index {
        0..16 => None,
        16..232 => Some([(index - 16) / 36, (index - 16) / 6 % 6, (index - 16) % 6].map(level)),
        grey => Some([8 + 10 * (grey - 232); 3]),
    }
}

impl Theme {
    /// A style by its name in [`STYLES`].
    pub(super) fn style_mut(&mut self, name: &str) -> Option<&mut Style> {
        Some(match name {
            "text" => &mut self.text,
            "dim" => &mut self.dim,
            "title" => &mut self.title,
            "line" => &mut self.line,
            "selected" => &mut self.selected,
            "marked" => &mut self.marked,
            "key" => &mut self.key,
            "found" => &mut self.found,
            "running" => &mut self.running,
            "ready" => &mut self.ready,
            "waiting" => &mut self.waiting,
            "sleeping" => &mut self.sleeping,
            "done" => &mut self.done,
            "failed" => &mut self.failed,
            "cancelled" => &mut self.cancelled,
            "warning" => &mut self.warning,
            "name" => &mut self.name,
            "place" => &mut self.place,
            "keyword" => &mut self.keyword,
            "string" => &mut self.string,
            "comment" => &mut self.comment,
            "number" => &mut self.number,
            "types" => &mut self.types,
            _ => return None,
        })
    }

    /// The theme for an environment: `TINYIO_THEME` (`dark`, `light`, `mono`), `NO_COLOR`, `TERM`, `COLORFGBG`,
    /// `TINYIO_ASCII`, and the locale.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Theme {
        let set = |name: &str| get(name).is_some_and(|value| !value.is_empty());
        let background = get("COLORFGBG").and_then(|text| text.rsplit(';').next()?.parse::<u8>().ok());
        let mut theme = match get("TINYIO_THEME").as_deref() {
            Some("dark") => DARK,
            Some("light") => LIGHT,
            Some("mono") => MONO,
            _ if set("NO_COLOR") || get("TERM").as_deref() == Some("dumb") => MONO,
            _ if matches!(background, Some(7 | 15)) => LIGHT,
            _ => DARK,
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| get(name).filter(|value| !value.is_empty()));
        let utf8 = locale.is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        });
        let ascii = match get("TINYIO_ASCII").as_deref() {
            Some("0") => false,
            Some(value) if !value.is_empty() => true,
            _ => !utf8,
        };
        if ascii {
            theme.glyphs = ASCII;
        }
        theme
    }

    /// The style of a state.
    pub fn activity(&self, activity: Activity) -> Style {
        match activity {
            Activity::Running => self.running,
            Activity::Ready => self.ready,
            Activity::Sleeping => self.sleeping,
            Activity::Done => self.done,
            Activity::Failed => self.failed,
            Activity::Cancelled => self.cancelled,
            Activity::Improper => self.warning,
            _ => self.waiting,
        }
    }

    /// The sign of a state.
    pub fn sign(&self, activity: Activity) -> &'static str {
        self.glyphs.states[match activity {
            Activity::Running => 0,
            Activity::Ready => 1,
            Activity::Sleeping => 3,
            Activity::Done => 4,
            Activity::Failed => 5,
            Activity::Cancelled => 6,
            Activity::Improper => 7,
            _ => 2,
        }]
    }

    /// The state that an outcome shows as.
    pub fn outcome(outcome: Outcome) -> Activity {
        match outcome {
            Outcome::Ok | Outcome::Unknown => Activity::Done,
            Outcome::Error | Outcome::Panic => Activity::Failed,
            Outcome::Cancelled | Outcome::NeverStarted => Activity::Cancelled,
            Outcome::Improper => Activity::Improper,
        }
    }

    /// The style and the name of a log level.
    pub fn level(&self, level: Level) -> (Style, &'static str) {
        match level {
            Level::Error => (self.failed, "ERROR"),
            Level::Warn => (self.warning, "WARN"),
            Level::Info => (self.ready, "INFO"),
            Level::Debug => (self.sleeping, "DEBUG"),
            Level::Trace => (self.dim, "TRACE"),
            Level::Stdout => (self.dim, "out"),
            Level::Stderr => (self.dim, "err"),
            Level::Tinyio => (self.cancelled, "tinyio"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(env: &[(&str, &str)]) -> Theme {
        Theme::from_env(|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_chooses() {
        let utf8 = ("LANG", "en_US.UTF-8");
        assert_eq!(of(&[utf8]), DARK);
        assert_eq!(of(&[utf8, ("NO_COLOR", "1")]), MONO);
        assert_eq!(of(&[utf8, ("NO_COLOR", "")]), DARK);
        assert_eq!(of(&[utf8, ("COLORFGBG", "0;15")]), LIGHT);
        assert_eq!(of(&[utf8, ("NO_COLOR", "1"), ("TINYIO_THEME", "dark")]), DARK);
        assert_eq!(of(&[("LANG", "C")]).glyphs, ASCII);
        assert_eq!(of(&[]).glyphs, ASCII);
        assert_eq!(of(&[("TINYIO_ASCII", "0")]).glyphs, UNICODE);
        assert_eq!(of(&[utf8, ("TINYIO_ASCII", "1")]).glyphs, ASCII);
        assert_eq!(of(&[utf8, ("LC_ALL", "C")]).glyphs, ASCII);
    }

    /// The luminance of a colour as WCAG defines it, with the values of xterm; of `default` where it is the terminal's.
    fn luminance(colour: Option<Color>, default: [u8; 3]) -> f64 {
        let rgb = match colour.unwrap_or(Color::Reset) {
            Color::Reset => default,
            Color::Black => [0, 0, 0],
            Color::Red => [205, 0, 0],
            Color::Green => [0, 205, 0],
            Color::Yellow => [205, 205, 0],
            Color::Blue => [0, 0, 238],
            Color::Magenta => [205, 0, 205],
            Color::Cyan => [0, 205, 205],
            Color::Gray => [229, 229, 229],
            Color::DarkGray => [127, 127, 127],
            Color::LightRed => [255, 0, 0],
            Color::LightGreen => [0, 255, 0],
            Color::LightYellow => [255, 255, 0],
            Color::LightBlue => [92, 92, 255],
            Color::LightMagenta => [255, 0, 255],
            Color::LightCyan => [0, 255, 255],
            Color::White => [255, 255, 255],
            Color::Indexed(index) => indexed(index).unwrap_or_else(|| panic!("{index} is one of the sixteen")),
            other => panic!("no xterm value for {other:?}"),
        };
        let linear = |part: u8| match f64::from(part) / 255.0 {
            small @ ..=0.04045 => small / 12.92,
            part => ((part + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2])
    }

    #[test]
    fn every_style_can_be_read_on_the_background_of_its_theme() {
        const BLACK: [u8; 3] = [0; 3];
        const GRAY: [u8; 3] = [229; 3];
        const WHITE: [u8; 3] = [255; 3];
        let mut poor = Vec::new();
        for (theme, mut one, text, background) in [("dark", DARK, GRAY, BLACK), ("light", LIGHT, BLACK, WHITE)] {
            for name in STYLES {
                let style = *one.style_mut(name).unwrap();
                // Reversing swaps the two, which leaves the contrast as it is.
                let (fg, bg) = (luminance(style.fg, text), luminance(style.bg, background));
                let contrast = (fg.max(bg) + 0.05) / (fg.min(bg) + 0.05);
                let least = if name == "line" { 3.0 } else { 4.5 };
                // How much darker a terminal draws dim text is not known.
                if contrast < least || style.add_modifier.contains(Modifier::DIM) {
                    poor.push(format!("{theme} {name}: {contrast:.2}, {style:?}"));
                }
            }
        }
        assert!(poor.is_empty(), "{poor:#?}");
    }

    #[test]
    fn the_monochrome_theme_has_no_colour_and_every_state_its_own_sign() {
        for activity in Activity::ALL {
            let style = MONO.activity(activity);
            assert_eq!((style.fg, style.bg), (None, None));
        }
        for glyphs in [UNICODE, ASCII] {
            let mut signs = glyphs.states.to_vec();
            signs.sort_unstable();
            signs.dedup();
            assert_eq!(signs.len(), 8);
        }
    }
}

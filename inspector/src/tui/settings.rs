//! The settings of the user: theme, signs, styles, keys, memory; in a file and in the environment.
//!
//! The file is `$TINYIO_SETTINGS_FILE`, or `tinyio/inspector.conf` in `$XDG_CONFIG_HOME` or `~/.config`.
//! `TINYIO_SETTINGS` has the same lines, with semicolons between them, and wins over the file. Lines that are wrong
//! are reported and left out; the rest is in force.
//!
//! ```text
//! theme = light                  # dark, light, mono
//! ascii = yes                    # no signs beyond ASCII
//! mouse = no                     # the terminal selects text with the mouse
//! tape = 512M                    # memory for the events one can go back to
//! secrets = iban, account number # names of values that are masked, besides those that are anyway
//! style.waiting = magenta bold   # [bold] [dim] [italic] [underline] [reverse] [COLOUR] [on COLOUR]
//! key.pause = x ctrl-s           # the action's keys, instead of those it has
//! ```

use std::fmt::Write as _;
use std::io::{self, Write as _};

use ratatui::style::{Color, Modifier, Style};

use super::keymaps::keymaps;
use super::keys::{Keys, Wish};
use super::options::Options;
use super::theme::{STYLES, Theme};
use crate::environment;
use crate::ring::bytes;
pub use crate::settings_file::path;
use crate::settings_file::{Entry, FILE, entries};

/// Bytes of events kept in memory: some fifteen million events.
pub const TAPE: usize = 128 << 20;
/// The least: a chunk or two.
const LEAST_TAPE: u64 = 1 << 20;

impl Options {
    /// Returns the default options with this theme, independent of the user's settings.
    pub(super) fn of(theme: Theme) -> Options {
        Options { theme, keys: Keys::default(), mouse: true, tape: TAPE, file: None, is_process: false, notice: None }
    }

    /// As the environment and the file of settings say. What is wrong with them goes to stderr, too.
    pub fn from_env() -> Options {
        let settings = Settings::load();
        for problem in &settings.problems {
            let _ = writeln!(io::stderr(), "tinyio: {problem}");
        }
        let notice = settings.notice();
        Options {
            theme: settings.theme,
            keys: settings.keys,
            mouse: settings.mouse,
            tape: settings.tape,
            file: None,
            is_process: false,
            notice,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::from_env()
    }
}

/// What is in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Colours and signs.
    pub theme: Theme,
    /// The keys.
    pub keys: Keys,
    /// The mouse selects rows and screens.
    pub mouse: bool,
    /// Bytes of events kept in memory.
    pub tape: usize,
    /// What was wrong with the settings, a sentence each.
    pub problems: Vec<String>,
}

impl Settings {
    /// As the file and the environment say.
    pub fn load() -> Settings {
        let get = environment::var;
        let Some(path) = path(get) else { return Settings::of(get, None) };
        let named = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => Settings::of(get, Some((&named, &text))),
            // None is needed, unless it was asked for.
            Err(error) if error.kind() == io::ErrorKind::NotFound && get(FILE).is_none() => Settings::of(get, None),
            Err(error) => {
                let mut settings = Settings::of(get, None);
                settings.problems.insert(0, format!("{named}: the settings cannot be read: {error}"));
                settings
            }
        }
    }

    /// Of an environment, and a file with its name.
    pub fn of(get: impl Fn(&str) -> Option<String>, file: Option<(&str, &str)>) -> Settings {
        let mut problems = Vec::new();
        let (name, text) = file.unwrap_or_default();
        let entries = entries(&get, name, text, &mut problems);
        let last = |name: &str| entries.iter().rev().find(|entry| entry.name == name).map(|entry| entry.value.clone());
        // The variables with names of their own take precedence, as they are set for one run.
        let mut theme = Theme::from_env(|name| {
            get(name).filter(|value| !value.is_empty()).or_else(|| match name {
                "TINYIO_THEME" => last("theme"),
                "TINYIO_ASCII" => {
                    last("ascii").and_then(|value| yes(&value)).map(|yes| String::from(if yes { "1" } else { "0" }))
                }
                _ => None,
            })
        });
        if let Some(wrong) = get("TINYIO_THEME").filter(|value| !value.is_empty() && !THEMES.contains(&value.as_str()))
        {
            problems.push(format!("TINYIO_THEME: there is no theme {wrong:?}: expected {}", THEMES.join(", ")));
        }
        let mut tape = TAPE;
        let mut mouse = true;
        let mut wishes = Vec::new();
        for Entry { place, name, value } in &entries {
            let mut wrong = |what: String| problems.push(format!("{place}: {what}"));
            match name.split_once('.').unwrap_or((name, "")) {
                ("theme", "") if THEMES.contains(&value.as_str()) => {}
                ("theme", "") => wrong(format!("there is no theme {value:?}: expected {}", THEMES.join(", "))),
                ("ascii", "") if yes(value).is_some() => {}
                ("ascii", "") => wrong(format!("ascii is {value:?}: expected yes or no")),
                ("mouse", "") => match yes(value) {
                    Some(yes) => mouse = yes,
                    None => wrong(format!("mouse is {value:?}: expected yes or no")),
                },
                ("tape", "") => {
                    match bytes(value).filter(|size| *size >= LEAST_TAPE).and_then(|size| usize::try_from(size).ok()) {
                        Some(size) => tape = size,
                        None => wrong(format!("tape is {value:?}: expected a size of 1M or more, such as 512M")),
                    }
                }
                // Read where values are recorded.
                ("secrets", "") => {}
                ("style", element) => match (theme.style_mut(element), style(value)) {
                    (None, _) => wrong(format!("there is no style {element:?}: expected one of {}", STYLES.join(", "))),
                    (Some(_), Err(what)) => wrong(what),
                    (Some(entry), Ok(style)) => *entry = style,
                },
                ("key", action) => wishes.push(Wish {
                    place: place.clone(),
                    name: action.to_owned(),
                    keys: value.split_whitespace().map(str::to_owned).collect(),
                }),
                _ => wrong(format!(
                    "there is no setting {name:?}: expected theme, ascii, mouse, tape, secrets, style.ELEMENT or key.ACTION"
                )),
            }
        }
        let mut keys = Keys::default();
        problems.extend(keys.rebind(wishes));
        Settings { theme, keys, mouse, tape, problems }
    }

    /// The sentence for the footer, if anything is wrong.
    pub fn notice(&self) -> Option<String> {
        let first = self.problems.first()?;
        match self.problems.len() {
            1 => Some(first.clone()),
            many => Some(format!("{first} (and {} more)", many - 1)),
        }
    }
}

const THEMES: [&str; 3] = ["dark", "light", "mono"];

/// A file of settings in which all are as they are anyway, to begin with.
pub fn sample() -> String {
    let mut text = String::from(
        "# Settings of tinyio's inspector. All of these are as they are without the file.\n\
         # Lines `NAME = VALUE`; `#` after a blank begins a comment.\n\n\
         # Colours: dark, light, mono. Without this NO_COLOR, TERM and COLORFGBG decide.\n\
         #theme = dark\n\
         # No signs beyond ASCII. Without this the locale decides.\n\
         #ascii = no\n\
         # The mouse selects rows and screens; with no the terminal selects text with it.\n\
         #mouse = yes\n",
    );
    let _ = write!(text, "# Memory for the events one can go back to.\n#tape = {}M\n", TAPE >> 20);
    text += "# Names of values that are masked in recordings, besides those that are anyway; read by the recorded program, too.\n\
             #secrets =\n\n";
    text += "# Styles: [bold] [dim] [italic] [underline] [reverse] [COLOUR] [on COLOUR], or plain.\n\
             # Colours: red, lightred, darkgray and so on, 0 to 255, or #rrggbb.\n";
    let mut theme = super::theme::DARK;
    for name in STYLES {
        if let Some(style) = theme.style_mut(name) {
            let _ = writeln!(text, "#style.{name} = {}", style_text(style));
        }
    }
    for keymap in keymaps() {
        let _ = write!(text, "\n# Keys: {}\n", keymap.context.title());
        for binding in &keymap.bindings {
            let setting = format!("#key.{} = {}", binding.name, binding.keys.join(" "));
            let _ = writeln!(text, "{setting:<40} # {}", binding.help);
        }
    }
    text
}

fn yes(value: &str) -> Option<bool> {
    match value {
        "yes" | "on" | "true" | "1" => Some(true),
        "no" | "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

const MODIFIERS: [(&str, Modifier); 5] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underline", Modifier::UNDERLINED),
    ("reverse", Modifier::REVERSED),
];

fn style(text: &str) -> Result<Style, String> {
    let mut style = Style::new();
    let mut on = false;
    for word in text.split_whitespace() {
        let modifier = MODIFIERS.iter().find(|(name, _)| *name == word);
        match (word, modifier, word.parse::<Color>()) {
            ("plain", ..) => {}
            ("on", ..) if !on => on = true,
            (_, Some((_, modifier)), _) if !on => style = style.add_modifier(*modifier),
            (_, _, Ok(colour)) if on => (style, on) = (style.bg(colour), false),
            (_, _, Ok(colour)) => style = style.fg(colour),
            _ => {
                let what = "expected plain, bold, dim, italic, underline, reverse, a colour, or on and a colour";
                return Err(format!("{word:?} is no part of a style: {what}"));
            }
        }
    }
    if on {
        return Err("a colour is missing after \"on\"".to_owned());
    }
    Ok(style)
}

fn style_text(style: &Style) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(
        MODIFIERS.iter().filter(|(_, one)| style.add_modifier.contains(*one)).map(|(name, _)| (*name).to_owned()),
    );
    words.extend(style.fg.map(|colour| colour.to_string().to_lowercase()));
    words.extend(style.bg.map(|colour| format!("on {}", colour.to_string().to_lowercase())));
    if words.is_empty() { "plain".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Action, Context};
    use super::super::theme::{ASCII, DARK, LIGHT, MONO};
    use super::*;

    fn of(env: &[(&str, &str)], file: &str) -> Settings {
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::of(get, Some(("conf", file)))
    }

    const UTF8: (&str, &str) = ("LANG", "C.UTF-8");

    #[test]
    fn the_file_sets_and_the_environment_wins() {
        assert_eq!(of(&[UTF8], "theme = light\n").theme, LIGHT);
        assert_eq!(of(&[UTF8, ("TINYIO_SETTINGS", "theme=mono")], "theme = light\n").theme, MONO);
        assert_eq!(of(&[UTF8, ("TINYIO_THEME", "dark")], "theme = light\n").theme, DARK);
        assert_eq!(
            of(&[UTF8, ("NO_COLOR", "1")], "theme = light\n").theme,
            LIGHT,
            "the file takes precedence over NO_COLOR"
        );
        assert_eq!(of(&[UTF8], "ascii = yes").theme.glyphs, ASCII);
        assert!(of(&[], "").mouse && !of(&[], "mouse = no").mouse);
        assert_eq!(of(&[], "# nothing\n\n  tape = 2G # much\n").tape, 2 << 30);
        let set = of(&[UTF8], "style.waiting = bold #ff8000 on blue\nkey.pause = x #\nkey.live = space");
        assert_eq!(set.theme.waiting, Style::new().bold().fg(Color::Rgb(255, 128, 0)).bg(Color::Blue));
        assert_eq!(set.keys.action(&[Context::EVERYWHERE], "#"), Some(Action::Pause));
        assert_eq!(set.keys.action(&[Context::EVERYWHERE], "space"), Some(Action::Live));
        assert!(set.problems.is_empty(), "{:?}", set.problems);
    }

    #[test]
    fn wrong_lines_are_reported_with_their_place_and_left_out() {
        let file = "theme = blue\ncolour = red\nnonsense\nascii = perhaps\ntape = 3\nstyle.sky = blue\nstyle.dim = on\n\
                    key.fly = x\nkey.live = hyper-x\nkey.pause = .\ntape = 64M\nmouse = maybe";
        let set = of(
            &[UTF8, ("TINYIO_SETTINGS", "key.drawn = x; key.graph = X; key.lints = X"), ("TINYIO_THEME", "red")],
            file,
        );
        let expected = [
            "conf:3: \"nonsense\" is no setting: expected NAME = VALUE",
            "TINYIO_THEME: there is no theme \"red\": expected dark, light, mono",
            "conf:1: there is no theme \"blue\": expected dark, light, mono",
            "conf:2: there is no setting \"colour\": expected theme, ascii, mouse, tape, secrets, style.ELEMENT or key.ACTION",
            "conf:4: ascii is \"perhaps\": expected yes or no",
            "conf:5: tape is \"3\": expected a size of 1M or more, such as 512M",
            "conf:6: there is no style \"sky\": expected one of text, dim, title",
            "conf:7: a colour is missing after \"on\"",
            "conf:12: mouse is \"maybe\": expected yes or no",
            "conf:8: there is no action \"fly\": `tinyio-inspector settings` lists them",
            "conf:9: \"hyper-x\" is no key: expected one character, or enter, esc, tab, space, f1, ctrl-x and the like",
            "conf:10: key.pause: \".\" is the key of step-on there: expected one that is free, or other keys for step-on as well",
            "TINYIO_SETTINGS: key.lints: \"X\" is the key of graph (TINYIO_SETTINGS) there: expected one that is free",
        ];
        assert_eq!(set.problems.len(), expected.len(), "{:#?}", set.problems);
        for (problem, expected) in set.problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem:?} is not {expected:?}");
        }
        assert_eq!(set.tape, 64 << 20, "the good lines are in force");
        assert_eq!(set.keys.action(&[Context("Graph")], "x"), Some(Action::Canvas));
        assert!(set.notice().unwrap().ends_with("(and 12 more)"));
    }

    #[test]
    fn the_sample_sets_all_there_is_to_what_it_is() {
        let text = sample()
            .lines()
            .map(|line| line.trim_start_matches('#').trim_start().to_owned() + "\n")
            .collect::<String>();
        let is_setting = |line: &&str| {
            let name = line.split_once(" = ").map_or("", |(name, _)| name);
            ["theme", "ascii", "mouse", "tape"].contains(&name)
                || name.starts_with("style.")
                || name.starts_with("key.")
        };
        let text: String = text.lines().filter(is_setting).map(|line| format!("{line}\n")).collect();
        let keys: usize = keymaps().iter().map(|keymap| keymap.bindings.len()).sum();
        assert_eq!(text.lines().count(), 4 + STYLES.len() + keys);
        let set = of(&[UTF8], &text);
        assert_eq!((set.problems, set.theme, set.mouse, set.tape), (Vec::new(), DARK, true, TAPE));
        assert_eq!(set.keys, Keys::default());
    }

    #[test]
    fn the_file_is_found_by_the_environment() {
        let of = |env: &[(&str, &str)]| {
            path(|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("HOME", "/h")]), Some("/h/.config/tinyio/inspector.conf".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), Some("/x/tinyio/inspector.conf".into()));
        assert_eq!(of(&[("HOME", "/h"), ("TINYIO_SETTINGS_FILE", "/f")]), Some("/f".into()));
        assert_eq!(of(&[]), None);
    }
}

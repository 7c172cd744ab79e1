//! The screens without a terminal: driven by key names, read as text, drawn as SVG.

use std::fmt::Write as _;
use std::io;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::Options;
use super::app::App;
use super::playback::Status;
use super::theme::{DARK, indexed};
use crate::source::{Progress, Source};

/// Width and height of a character, in pixels.
const CELL: (f64, f64) = (8.4, 17.0);

/// The screens over a recording, as they would be on a terminal: for pictures, tests and measurements. Dark, with the
/// keys of the table, whatever the user set.
pub struct Headless {
    app: App,
    terminal: Terminal<TestBackend>,
}

impl std::fmt::Debug for Headless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

impl Headless {
    /// With that many columns and rows, when that time had come, in nanoseconds since the beginning: as if the program
    /// lived. Without a time, at the end of what there is to read.
    ///
    /// # Errors
    ///
    /// When the recording cannot be read.
    pub fn of(source: &mut dyn Source, until: Option<u64>, wide: u16, high: u16) -> io::Result<Headless> {
        let mut app = App::new(source.header(), Options::of(DARK));
        let mut status = loop {
            let progress = source.read(4096, &mut |event| {
                if until.is_none_or(|until| event.at <= until) {
                    app.push(&event);
                }
            });
            match progress? {
                Progress::More => {}
                Progress::Idle => break Status::Live,
                Progress::Ended => break Status::Ended,
                Progress::Died => break Status::Died,
            }
        };
        if let Some(until) = until {
            let playback = &mut app.session.playback;
            let second = playback.tape.position_of(until.saturating_sub(1_000_000_000));
            (playback.clock, playback.rate) = (until, (playback.tape.len() - second) as f64);
            status = Status::Live;
        }
        app.settle(status);
        let terminal = Terminal::new(TestBackend::new(wide, high)).map_err(io::Error::other)?;
        let mut screens = Headless { app, terminal };
        screens.lint();
        screens.draw();
        Ok(screens)
    }

    /// Presses keys, by their names in the table with blanks between them, and draws after each, with the lints of the
    /// moment that is shown.
    pub fn press(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            self.app.key(key);
            self.lint();
            self.draw();
        }
    }

    /// Runs the lints, as the live view does twice a second and in a twentieth of its time at most.
    pub fn lint(&mut self) {
        self.app.session.lint();
    }

    /// Draws a frame, as after an event, with the lints that were found last.
    pub fn draw(&mut self) {
        let Ok(_) = self.terminal.draw(|frame| self.app.draw(frame));
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let row = |row: u16| (0..buffer.area.width).map(move |column| buffer[(column, row)].symbol());
        (0..buffer.area.height).map(|y| row(y).collect::<String>().trim_end().to_owned() + "\n").collect()
    }

    /// The screen as SVG.
    pub fn svg(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let mut out = head(buffer.area.width, buffer.area.height);
        out.push_str(r#"<g transform="translate(10 10)">"#);
        out.push('\n');
        draw_cells(&mut out, buffer);
        out.push_str("</g></svg>\n");
        out
    }
}

/// Screens one after another, as one animated SVG that begins again at its end.
#[derive(Debug)]
pub struct Film {
    wide: u16,
    high: u16,
    /// Seconds, caption, and the picture.
    scenes: Vec<(f64, String, String)>,
}

impl Film {
    /// An empty film, of screens with that many columns and rows.
    pub fn new(wide: u16, high: u16) -> Film {
        Film { wide, high, scenes: Vec::new() }
    }

    /// Adds what is on the screen now, for some seconds, with a line of text below it.
    pub fn add(&mut self, screens: &Headless, seconds: f64, caption: &str) {
        let mut picture = String::new();
        draw_cells(&mut picture, screens.terminal.backend().buffer());
        self.scenes.push((seconds, caption.to_owned(), picture));
    }

    /// The film as SVG. Readers that do not animate show the first scene.
    pub fn svg(&self) -> String {
        let all: f64 = self.scenes.iter().map(|(seconds, ..)| seconds).sum();
        let mut out = head(self.wide, self.high + 2);
        out.push_str("<style>.scene { animation-duration: ");
        let _ = write!(out, "{all:.1}s; animation-iteration-count: infinite; animation-timing-function: step-end }}");
        let mut begin = 0.0;
        for (scene, (seconds, ..)) in self.scenes.iter().enumerate() {
            let (from, to) = (begin / all * 100.0, (begin + seconds) / all * 100.0);
            let hidden = if scene > 0 { "0% { visibility: hidden } " } else { "" };
            let _ = write!(
                out,
                "\n@keyframes s{scene} {{ {hidden}{from:.2}% {{ visibility: visible }} {to:.2}% {{ visibility: hidden }} }} \
                 #s{scene} {{ animation-name: s{scene} }}"
            );
            begin += seconds;
        }
        out.push_str("</style>\n");
        for (scene, (_, caption, picture)) in self.scenes.iter().enumerate() {
            let hidden = if scene > 0 { r#" visibility="hidden""# } else { "" };
            let _ = writeln!(out, r#"<g class="scene" id="s{scene}" transform="translate(10 10)"{hidden}>"#);
            out.push_str(picture);
            let below = (f64::from(self.high) + 1.0) * CELL.1 + 13.0;
            let _ = writeln!(
                out,
                r##"<text x="8.4" y="{below:.1}" fill="#f0c674" font-weight="bold">{}</text></g>"##,
                escaped(caption)
            );
        }
        out.push_str("</svg>\n");
        out
    }
}

/// The beginning of a picture with room for that many columns and rows.
fn head(wide: u16, high: u16) -> String {
    let (wide, high) = (f64::from(wide) * CELL.0, f64::from(high) * CELL.1);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0} {:.0}" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14"><rect width="100%" height="100%" rx="8" fill="#16181d"/>"##,
        wide + 20.0,
        high + 20.0
    )
}

fn draw_cells(out: &mut String, buffer: &Buffer) {
    for row in 0..buffer.area.height {
        let mut column = 0;
        while column < buffer.area.width {
            let first = &buffer[(column, row)];
            let mut text = String::new();
            let begin = column;
            while column < buffer.area.width && same(first, &buffer[(column, row)]) {
                text.push_str(buffer[(column, row)].symbol());
                column += 1;
            }
            run(out, first, &text, begin, row, column - begin);
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn same(one: &Cell, other: &Cell) -> bool {
    (one.fg, one.bg, one.modifier) == (other.fg, other.bg, other.modifier)
}

/// Characters of one style.
fn run(out: &mut String, style: &Cell, text: &str, column: u16, row: u16, cells: u16) {
    let (x, y) = (f64::from(column) * CELL.0, f64::from(row) * CELL.1);
    let width = f64::from(cells) * CELL.0;
    let reversed = style.modifier.contains(Modifier::REVERSED);
    let (mut ink, mut paper) = (colour(style.fg), background(style.bg));
    if reversed {
        (ink, paper) = (paper.unwrap_or_else(|| "#16181d".to_owned()), Some(ink));
    }
    if let Some(paper) = paper {
        let _ =
            write!(out, r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{:.1}" fill="{paper}"/>"#, CELL.1);
    }
    if text.trim().is_empty() {
        return;
    }
    let bold = if style.modifier.contains(Modifier::BOLD) { r#" font-weight="bold""# } else { "" };
    let dim = if style.modifier.contains(Modifier::DIM) { r#" opacity="0.6""# } else { "" };
    // The leading spaces are left out, so that readers that fold white space draw the same.
    let indent = text.chars().take_while(|one| *one == ' ').count();
    let text = text.trim_end().trim_start();
    let x = x + indent as f64 * CELL.0;
    let length = text.chars().count() as f64 * CELL.0;
    let text = escaped(text);
    let _ = writeln!(
        out,
        r#"<text x="{x:.1}" y="{:.1}" fill="{ink}"{bold}{dim} textLength="{length:.1}" lengthAdjust="spacingAndGlyphs" xml:space="preserve">{text}</text>"#,
        y + 13.0
    );
}

fn background(colour_of: Color) -> Option<String> {
    (colour_of != Color::Reset).then(|| colour(colour_of))
}

/// The colours of a terminal: the sixteen named ones, and the indexed ones.
fn colour(colour: Color) -> String {
    let named = match colour {
        Color::Black => "#16181d",
        Color::Red => "#e06c75",
        Color::Green => "#98c379",
        Color::Yellow => "#d19a66",
        Color::Blue => "#61afef",
        Color::Magenta => "#c678dd",
        Color::Cyan => "#56b6c2",
        Color::DarkGray => "#6b7280",
        Color::LightRed => "#ff8a93",
        Color::LightGreen => "#b5e890",
        Color::LightYellow => "#f0c674",
        Color::LightBlue => "#8cc8ff",
        Color::LightMagenta => "#e0a3f0",
        Color::LightCyan => "#7fdbe6",
        Color::White => "#ffffff",
        Color::Indexed(index) => match indexed(index) {
            Some([red, green, blue]) => return format!("#{red:02x}{green:02x}{blue:02x}"),
            None => "#d0d4dc",
        },
        _ => "#d0d4dc",
    };
    named.to_owned()
}

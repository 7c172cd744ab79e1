//! Draws the screens over a recording as SVG; `docs/draw` makes the pictures of the documentation with it.
//!
//! `picture WIDTHxHEIGHT FILE SECONDS|end [KEY…]` draws one screen. `picture WIDTHxHEIGHT` draws an animated one: each
//! line of the standard input is a scene, `DURATION FILE SECONDS|end [KEY…] | CAPTION`.

use std::io;
use std::process::ExitCode;

use tinyio_inspector::trace;
use tinyio_inspector::tui::{Film, Headless};

fn main() -> ExitCode {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let drawn = match &args[..] {
        [size] => io::read_to_string(io::stdin()).and_then(|scenes| film(size, &scenes)),
        [size, scene @ ..] => picture(size, &scene.join(" ")),
        [] => Err(invalid("usage: picture WIDTHxHEIGHT [FILE SECONDS|end [KEY…]]")),
    };
    match drawn {
        Ok(svg) => {
            print!("{svg}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn sizes(size: &str) -> io::Result<(u16, u16)> {
    size.split_once('x')
        .and_then(|(wide, high)| Some((wide.parse().ok()?, high.parse().ok()?)))
        .ok_or_else(|| invalid("the size is WIDTHxHEIGHT in characters, such as 110x30"))
}

/// The screens that `FILE SECONDS|end [KEY…]` says.
fn screens(size: &str, scene: &str) -> io::Result<Headless> {
    let (wide, high) = sizes(size)?;
    let mut words = scene.split_whitespace();
    let (Some(file), Some(at)) = (words.next(), words.next()) else {
        return Err(invalid(&format!("{scene:?}: a scene is FILE SECONDS|end [KEY…]")));
    };
    let at = at.parse::<f64>().ok().map(|seconds| (seconds * 1e9) as u64);
    let mut source = trace::open(file.as_ref())?;
    let mut screens = Headless::of(&mut *source, at, wide, high)?;
    screens.press(&words.collect::<Vec<_>>().join(" "));
    Ok(screens)
}

/// One screen.
pub fn picture(size: &str, scene: &str) -> io::Result<String> {
    Ok(screens(size, scene)?.svg())
}

/// Headless one after another.
pub fn film(size: &str, scenes: &str) -> io::Result<String> {
    let (wide, high) = sizes(size)?;
    let mut film = Film::new(wide, high);
    for line in scenes.lines() {
        let parts =
            line.split_once('|').and_then(|(scene, caption)| Some((scene.trim().split_once(' ')?, caption.trim())));
        let Some(((seconds, scene), caption)) = parts else {
            return Err(invalid(&format!("{line:?}: a scene is DURATION FILE SECONDS|end [KEY…] | CAPTION")));
        };
        let seconds = seconds.parse().map_err(|_| invalid(&format!("{line:?}: the duration is in seconds, as 2.5")))?;
        film.add(&screens(size, scene)?, seconds, caption);
    }
    Ok(film.svg())
}

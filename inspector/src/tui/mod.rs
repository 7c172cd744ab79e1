//! The terminal screens.
//!
//! [`run`] shows a stream of events until the user leaves; [`spawn`] does so on a thread of its own, over the program that is
//! being looked at. State and drawing are apart: `app` holds the state and knows what keys do, `pane` draws it, `engine` is the
//! loop between them, and `terminal` is the one file that touches the terminal.

mod app;
mod code;
mod crash;
mod engine;
mod filter;
mod keys;
mod pane;
mod say;
mod terminal;
mod text;
mod theme;
mod tree_view;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::mpsc::channel;

use app::App;
pub use engine::Exit;
use engine::Host;
pub use keys::{Binding, Context, Keys, TABLE};
pub use theme::{DARK, LIGHT, MONO, Theme};

use crate::source::Source;

/// How the screens look and behave.
#[derive(Clone, Debug)]
pub struct Options {
    /// Colours and signs.
    pub theme: Theme,
    /// The keys.
    pub keys: Keys,
}

impl Options {
    /// As the environment says.
    pub fn from_env() -> Options {
        Options { theme: Theme::from_env(|name| std::env::var(name).ok()), keys: Keys::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::from_env()
    }
}

/// Shows a stream in this terminal until the user leaves.
///
/// # Errors
///
/// Without a terminal, or when it fails.
pub fn run(mut source: Box<dyn Source>, options: Options) -> io::Result<Exit> {
    let mut app = App::new(source.header(), options.theme, options.keys);
    let (send, inputs) = channel();
    let screen = terminal::Screen::take(None)?;
    restore_on_panic(screen.restorer());
    let reader = terminal::Reader::start(send)?;
    let mut host = Live { screen, reader };
    engine::drive(&mut app, &mut *source, &inputs, &mut host)
}

/// The terminal comes back before a panic's message is printed.
fn restore_on_panic(restore: impl Fn() + Send + Sync + 'static) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        before(info);
    }));
}

/// The real terminal.
struct Live {
    screen: terminal::Screen,
    reader: terminal::Reader,
}

impl Live {
    /// Gives the terminal and the keys to someone else for a while.
    fn lend(&mut self, with: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.reader.pause();
        self.screen.leave()?;
        let done = with();
        self.screen.enter()?;
        self.reader.resume();
        done
    }
}

impl Host for Live {
    fn draw(&mut self, app: &mut App) -> io::Result<()> {
        self.screen.terminal.draw(|frame| pane::draw(frame, app)).map(drop)
    }

    fn redraw(&mut self, app: &mut App) -> io::Result<()> {
        self.screen.terminal.clear()?;
        self.draw(app)
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.lend(|| {
            terminal::suspend();
            Ok(())
        })
    }

    fn edit(&mut self, file: &Path, line: u32) -> io::Result<()> {
        self.lend(|| terminal::edit(file, line))
    }
}

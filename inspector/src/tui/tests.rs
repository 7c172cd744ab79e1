//! The screens, as a whole.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::{App, Effect, Status};
use super::keys::Keys;
use super::pane;
use super::theme::{DARK, Theme};
use crate::script::{Script, crawl, verify};

/// The screens over a whole stream.
fn app_with(script: &Script, theme: Theme) -> App {
    let mut app = App::new(&script.header, theme, Keys::default());
    script.events.iter().for_each(|event| app.push(event));
    app
}

fn live(script: &Script) -> App {
    let mut app = app_with(script, DARK);
    app.settle(Status::Live);
    app.clock = app.tape.latest().now();
    app
}

fn ended(script: &Script) -> App {
    let mut app = app_with(script, DARK);
    app.settle(Status::Ended);
    app
}

fn draw(app: &mut App, wide: u16, high: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(wide, high)).unwrap();
    terminal.draw(|frame| pane::draw(frame, app)).unwrap();
    terminal
}

/// Keys, by their names, with spaces between them.
fn press(app: &mut App, keys: &str) -> Effect {
    let mut effect = Effect::None;
    for key in keys.split_whitespace() {
        effect = app.key(key);
    }
    effect
}

fn text(app: &mut App, wide: u16, high: u16) -> String {
    draw(app, wide, high).backend().to_string().replace('"', "")
}

#[test]
fn peek() {
    let Ok(what) = std::env::var("PEEK") else { return };
    let size: Vec<u16> =
        std::env::var("SIZE").unwrap_or("120x40".into()).split('x').map(|n| n.parse().unwrap()).collect();
    let mut app = if what == "verify" { ended(&verify()) } else { live(&crawl()) };
    text(&mut app, size[0], size[1]);
    press(&mut app, &std::env::var("KEYS").unwrap_or_default());
    println!("{}", text(&mut app, size[0], size[1]));
}

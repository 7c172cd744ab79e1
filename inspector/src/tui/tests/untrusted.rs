//! Recordings from untrusted sources, in the screens.

#[path = "../../../tests/common/spoiled.rs"]
mod spoiled;

use super::*;
use crate::event::{Event, Header};
use spoiled::{commands, examples, spoiled, text};

/// The screens over a trace in which every text holds what a terminal would obey.
fn app<'a>(lines: impl IntoIterator<Item = &'a str>) -> App {
    let mut lines = spoiled(lines).into_iter();
    let header: Header = serde_json::from_value(lines.next().unwrap()).unwrap();
    let mut app = App::new(&header, Options { file: Some(text()), notice: Some(text()), ..Options::of(DARK) });
    for line in lines {
        let event: Event = serde_json::from_value(line).unwrap();
        app.push(&event);
    }
    app
}

#[track_caller]
fn assert_harmless(app: &mut App, after: &str) {
    for (wide, high) in [(80, 24), (200, 60)] {
        let terminal = draw(app, wide, high);
        for cell in terminal.backend().buffer().content() {
            let one = commands().find(|one| cell.symbol().contains(*one));
            assert_eq!(one, None, "{:?} after {after:?} at {wide}x{high}", cell.symbol());
        }
    }
}

#[test]
fn no_screen_draws_what_a_terminal_would_obey() {
    let crawl = include_str!("../../../tests/traces/crawl.jsonl");
    let verify = include_str!("../../../tests/traces/verify.jsonl");
    let traces: [Vec<&str>; 3] = [crawl.lines().collect(), verify.lines().collect(), examples().collect()];
    for (lines, status) in traces.into_iter().zip([Status::Live, Status::Ended, Status::Broken(text())]) {
        let mut app = app(lines);
        app.settle(status);
        assert_harmless(&mut app, "");
        for keys in [
            "t",
            "p",
            "n",
            "s",
            "1 j j l j j enter",
            "w",
            "g",
            "esc",
            "2 j j enter",
            "3 j",
            "4 j",
            "5 j h h",
            "6",
            "7",
            "/ f e enter n",
            "!",
            "?",
            "esc",
            "f",
            "esc",
            "0",
        ] {
            press(&mut app, keys);
            assert_harmless(&mut app, keys);
        }
        for color in [true, false] {
            let farewell = app.session.playback.farewell(color, 80);
            let plain = farewell.replace('\n', "");
            // Its own colours are the only ones.
            let plain: String = if color { plain.split("\u{1b}[").collect() } else { plain };
            assert_eq!(commands().find(|one| plain.contains(*one)), None, "{farewell:?}");
        }
    }
}

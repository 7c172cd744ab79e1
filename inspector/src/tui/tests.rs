//! The screens, as a whole: what keys do, and what is drawn, with its styles, at several sizes.

mod after_the_end;
mod copy;
mod frames;
mod help;
mod lints;
mod names;
mod searching;
mod selection;
mod snapshot;
mod times;
mod typing;
mod untrusted;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::{App, Effect};
use super::keymaps::keymaps;
use super::options::Options;
use super::playback::Status;
use super::theme::{ASCII, DARK, MONO, Theme};
use crate::event::{Kind, Outcome, ResKind, Target, Waker};
use crate::model::Level;
use crate::output::Line;
use crate::test_script::{Script, cancelling, crawl, observed, verify};

/// Sizes at which every pane is looked at. Smaller ones have one sentence or nothing; that they do no harm is another
/// test.
const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (160, 50)];

/// The size at which its styles are looked at.
const STYLED: (u16, u16) = (80, 24);

/// As `verify`, and the origin panicked: with a native stack, of which the await stack has all frames but one.
fn panicked() -> Script {
    let mut script = verify();
    let failures = script.events.iter_mut().find_map(|event| match &mut event.kind {
        Kind::Crash { failures, .. } => Some(failures),
        _ => None,
    });
    let origin = &mut failures.unwrap()[0];
    origin.kind = Outcome::Panic;
    origin.message = "panicked: no digits".into();
    let innermost = origin.trace.last().unwrap().clone();
    origin.backtrace = vec![innermost, crate::test_script::trace(0, "verify::start", "examples/verify.rs:12:5")];
    script
}

/// The screens over a whole stream.
fn app_with(script: &Script, theme: Theme) -> App {
    let mut app = App::new(&script.header, Options::of(theme));
    script.events.iter().for_each(|event| app.push(event));
    app
}

fn live(script: &Script) -> App {
    let mut app = app_with(script, DARK);
    app.settle(Status::Live);
    app.session.playback.clock = app.session.playback.tape.latest().now() + 300_000;
    app
}

fn ended(script: &Script) -> App {
    let mut app = app_with(script, DARK);
    app.settle(Status::Ended);
    app
}

fn draw(app: &mut App, wide: u16, high: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(wide, high)).unwrap();
    loop {
        app.session.dirty = false;
        terminal.draw(|frame| app.draw(frame)).unwrap();
        // On a slow machine the timeline needs several frames.
        if !app.session.dirty {
            return terminal;
        }
    }
}

/// Keys, by their names, with spaces between them.
fn press(app: &mut App, keys: &str) -> Effect {
    let mut effect = Effect::None;
    for key in keys.split_whitespace() {
        effect = app.key(key);
        // As on a real screen: keys act on what was drawn.
        draw(app, 100, 30);
    }
    effect
}

fn text(app: &mut App, wide: u16, high: u16) -> String {
    let backend = draw(app, wide, high).backend().to_string();
    backend.lines().map(|line| line.trim_matches('"').trim_end().to_owned() + "\n").collect()
}

/// Compares the text at all sizes, and with `styled` the styles at one, with the snapshot of that name.
fn check(name: &str, app: &mut App, styled: bool) {
    let mut out = String::new();
    for (wide, high) in SIZES {
        out += &format!("{wide}×{high}\n{}\n", snapshot::text(draw(app, wide, high).backend().buffer()));
    }
    if styled {
        let (wide, high) = STYLED;
        out += &format!("styles at {wide}×{high}\n{}", snapshot::styles(draw(app, wide, high).backend().buffer()));
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, out));
}

/// A screen as a snapshot; `styled` where the styles are part of it: once per pane.
macro_rules! pane {
    ($name:ident, $app:expr, $keys:expr) => {
        pane!($name, $app, $keys, false);
    };
    ($name:ident, $app:expr, $keys:expr, styled) => {
        pane!($name, $app, $keys, true);
    };
    ($name:ident, $app:expr, $keys:expr, $styled:literal) => {
        #[test]
        fn $name() {
            let mut app = $app;
            draw(&mut app, 100, 30);
            press(&mut app, $keys);
            check(stringify!($name), &mut app, $styled);
        }
    };
}

pane!(graph, live(&crawl()), "j j", styled);
pane!(graph_unfolded, live(&crawl()), "j j j l j j");
pane!(graph_drawn, live(&crawl()), "j j j j j g", styled);
pane!(coroutines, live(&crawl()), "2 j j");
pane!(coroutines_filtered, live(&crawl()), "2 f f e t c h enter", styled);
pane!(coroutines_sorted, live(&crawl()), "2 s s s S");
pane!(threads, live(&crawl()), "3", styled);
pane!(resources, live(&crawl()), "4", styled);
pane!(timeline, live(&crawl()), "5 j");
pane!(timeline_at_a_moment, live(&crawl()), "5 h h h", styled);
pane!(log, live(&crawl()), "6", styled);
pane!(detail, live(&crawl()), "j j j l j j j j j j j j enter", styled);
pane!(why, live(&crawl()), "j j j j j w", styled);
pane!(times, live(&crawl()), "/ w r i t e r enter D", styled);
pane!(help, live(&crawl()), "?", styled);
pane!(paused, live(&crawl()), "space , , ,");
pane!(searched, live(&crawl()), "/ f e t c h enter n");
pane!(empty, live(&Script::new("nothing")), "");
pane!(crash, ended(&verify()), "", styled);
pane!(crash_panicked, ended(&panicked()), "");
pane!(crash_improper, ended(&verify()), "J");
pane!(crash_stacks, ended(&verify()), "t j", styled);
pane!(crash_printed, ended(&verify()), "p e n t r y enter", styled);
pane!(crash_source, ended(&verify()), "s", styled);
pane!(after_the_end, ended(&verify()), "1");
pane!(timeline_of_a_short_run, ended(&crawl()), "5");
pane!(observed_detail, live(&observed()), "1 j");
pane!(observed_threads, live(&observed()), "3", styled);
pane!(observed_timeline, ended(&observed()), "5", styled);
pane!(before_the_crash, ended(&verify()), "[ 1");

/// Two coroutines, each of which holds the lock that the other waits for, a root and one that runs beside.
fn deadlock() -> Script {
    let mut s = Script::new("two");
    s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:2:1").spawn(3, 1, "right", "a.rs:3:1");
    s.spawn(4, 1, "ticker", "a.rs:4:1");
    s.named_resource(1, ResKind::Lock, 1, "accounts", "a.rs:1:5");
    s.named_resource(2, ResKind::Lock, 1, "orders", "a.rs:1:6");
    s.begin(1).wait(1, Target::Coro(2), "a.rs:4:1").wait(1, Target::Coro(3), "a.rs:4:1").pause(1);
    s.hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1").step(2, Target::Res(2), "a.rs:7:1");
    s.step(3, Target::Res(1), "a.rs:8:1").step(4, Target::Timer(9_000_000_000), "a.rs:9:1");
    s
}

pane!(graph_drawn_cycle, live(&deadlock()), "j g", styled);
pane!(graph_drawn_cycle_from_the_root, live(&deadlock()), "g");
pane!(resource, live(&crate::test_script::named()), "4 enter", styled);
pane!(resource_why, live(&crate::test_script::named()), "4 w");

#[test]
fn without_colours_and_beyond_ascii_everything_is_still_distinct() {
    let mut theme = MONO;
    theme.glyphs = ASCII;
    for script in [crawl(), verify()] {
        let mut app = app_with(&script, theme);
        app.settle(Status::Ended);
        for keys in ["", "1", "2", "3", "4", "5", "6", "?", "q [ 1 g"] {
            press(&mut app, keys);
            let terminal = draw(&mut app, 100, 30);
            for cell in terminal.backend().buffer().content() {
                assert!(cell.fg == ratatui::style::Color::Reset && cell.bg == ratatui::style::Color::Reset, "{keys}");
                // What the program itself writes may be anything; the frame around it is ASCII.
                let own = cell.symbol().is_ascii() || ["·", "×", "…", "µ"].contains(&cell.symbol());
                assert!(own, "{keys:?}: {:?}", cell.symbol());
            }
        }
    }
}

#[test]
fn no_key_anywhere_at_any_size_does_harm() {
    let bindings = keymaps().into_iter().flat_map(|keymap| keymap.bindings);
    let keys: Vec<&str> = bindings.flat_map(|binding| binding.keys).copied().collect();
    let others = ["x", "ß", "日", "f12", "alt-x", "ctrl-x", "delete"];
    let mut seed = 7_u64;
    for script in [crawl(), verify(), Script::new("nothing")] {
        for (wide, high) in [(1, 1), (20, 5), (33, 9), (80, 24), (150, 50)] {
            let mut app = ended(&script);
            for _ in 0..40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let pick = (seed >> 33) as usize;
                let key = keys.iter().chain(&others).nth(pick % (keys.len() + others.len())).unwrap();
                app.key(key);
                draw(&mut app, wide, high);
                app.click((pick % usize::from(wide)) as u16, (pick / 7 % usize::from(high)) as u16);
            }
        }
    }
}

/// What the cursor is at, after keys.
fn selected_after(keys: &str) -> Option<u64> {
    let mut app = live(&crawl());
    draw(&mut app, 100, 30);
    press(&mut app, keys);
    app.session.selected
}

#[test]
fn the_graph_is_walked() {
    for (keys, selected) in [
        ("j", Some(2)),
        ("j j", Some(9)),
        ("j j j", None),
        ("j j j l", None),
        ("j j j l l", Some(10)),
        ("j j j l j j j j j j j j", Some(17)),
        ("G", Some(5)),
        ("G home", Some(1)),
        ("G k", Some(4)),
        ("j h", Some(2)),
        ("j h j", Some(4)),
        ("j h l j", Some(9)),
        ("j j h", Some(2)),
        ("/ w r i t e r enter", Some(5)),
        ("/ f e t c h enter", Some(10)),
        ("/ # 1 2 enter", Some(12)),
        ("/ h space # 1 4 enter", Some(14)),
        ("/ f e t c h enter n n", Some(12)),
        ("/ f e t c h enter N", Some(17)),
        ("/ f e t c h esc", None),
    ] {
        let expected = if keys.ends_with("esc") { selected_after("") } else { selected };
        assert_eq!(selected_after(keys), expected, "after {keys:?}");
    }
}

#[test]
fn time_is_walked_event_by_event_and_from_mark_to_mark() {
    let script = verify();
    let end = script.events.len() as u64;
    for (keys, position) in [
        ("", end),
        (",", end - 1),
        (", , ,", end - 3),
        (", , .", end - 1),
        (", 0", end),
        ("space", end),
        ("[", 1 + script.events.iter().position(|e| matches!(e.kind, Kind::CancelBegin { .. })).unwrap() as u64),
        ("[ ]", 1 + script.events.iter().position(|e| matches!(e.kind, Kind::CancelBegin { .. })).unwrap() as u64),
    ] {
        let mut app = ended(&script);
        draw(&mut app, 100, 30);
        press(&mut app, keys);
        assert_eq!(app.session.playback.position(), position, "after {keys:?}");
    }
}

#[test]
fn the_events_of_the_selected_one_are_gone_through() {
    let script = crawl();
    let mut app = ended(&script);
    draw(&mut app, 100, 30);
    press(&mut app, "/ w r i t e r enter < <");
    let event = app.session.playback.tape.event_at(app.session.playback.position() - 1).unwrap();
    assert!(crate::history::concerns(&event.kind, 5), "{event:?}");
    let here = app.session.playback.position();
    press(&mut app, "< >");
    assert_eq!(app.session.playback.position(), here);
}

#[test]
fn recording_goes_on_while_a_moment_is_held() {
    let mut script = crawl();
    let mut app = live(&script);
    press(&mut app, "space");
    let held = (app.session.playback.position(), app.session.now());
    let before = script.events.len();
    script.at(9_000_000).wake(4, Waker::Timer).begin(4).end(4, Outcome::Ok);
    script.events[before..].iter().for_each(|event| app.push(event));
    assert_eq!((app.session.playback.position(), app.session.now()), held);
    assert!(app.session.model().coro(4).unwrap().is_live());
    press(&mut app, "0");
    assert!(!app.session.model().coro(4).unwrap().is_live());
}

/// The row that is drawn as the selected one: its number, and its text.
fn selected_row(app: &mut App) -> (u16, String) {
    let terminal = draw(app, 90, 30);
    let buffer = terminal.backend().buffer();
    // The tab of the screen is reversed, too.
    let is_selected = |y: &u16| buffer[(0, *y)].modifier.contains(ratatui::style::Modifier::REVERSED);
    let y = (2..buffer.area.height).find(is_selected).expect("a selected row");
    (y, (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect())
}

#[test]
fn a_selected_row_that_goes_leaves_the_cursor_beside_it_and_its_detail_in_sight() {
    let mut script = crawl();
    let mut app = live(&script);
    draw(&mut app, 100, 30);
    press(&mut app, "G k");
    let row = selected_row(&mut app);
    let before = script.events.len();
    script.at(2_000_000).end(4, Outcome::Ok);
    script.events[before..].iter().for_each(|event| app.push(event));
    draw(&mut app, 100, 30);
    let then = selected_row(&mut app);
    assert!(row.1.contains("ticker #4") && then.1.contains("writer #5"), "{row:?} {then:?}");
    assert_eq!(then.0, row.0);
    assert_eq!(app.session.selected, Some(4));
    assert!(text(&mut app, 120, 30).contains("ticker #4"));
}

#[test]
fn long_lines_of_source_are_gone_along() {
    let mut app = ended(&verify());
    let begin = "let found = run_in_thread";
    press(&mut app, "s");
    assert!(text(&mut app, 60, 20).contains(begin));
    press(&mut app, "l l l");
    assert!(!text(&mut app, 60, 20).contains(begin));
    press(&mut app, "h h h h");
    assert!(text(&mut app, 60, 20).contains(begin));
}

#[test]
fn a_crash_of_an_isolated_loop_can_be_opened_and_does_not_open_itself() {
    let failures = verify().model().crash().unwrap().failures.clone();
    let mut script = crawl();
    script.push(Kind::LoopStart { id: 2, parent: 9, mode: crate::event::LoopMode::Isolate });
    script.push(Kind::Crash { id: 2, failures });
    script.push(Kind::LoopEnd { id: 2, outcome: crate::event::LoopOutcome::Crashed });
    let mut app = live(&script);
    assert_eq!(app.screen(), "Graph");
    assert!(text(&mut app, 120, 30).contains("LIVE"));
    press(&mut app, "7");
    let seen = text(&mut app, 120, 30);
    assert!(seen.contains("check #780") && seen.contains("sha256 mismatch: file 777.txt"), "{seen}");
    assert!(text(&mut app, 120, 30).contains("LIVE"), "the program has dealt with it");
}

#[test]
fn a_crash_opens_its_screen_and_leaves_a_held_moment_alone() {
    let app = ended(&verify());
    assert_eq!(app.screen(), "Crash");
    let script = verify();
    let mut app = App::new(&script.header, Options::of(DARK));
    let (first, rest) = script.events.split_at(10);
    first.iter().for_each(|event| app.push(event));
    app.settle(Status::Live);
    press(&mut app, "space");
    rest.iter().for_each(|event| app.push(event));
    app.settle(Status::Ended);
    assert_eq!(app.screen(), "Graph");
    assert!(text(&mut app, 100, 20).contains("7 Crash"));
}

#[test]
fn the_crash_is_walked() {
    // FailureStack and frame after the keys; frame 3 of the origin is hidden.
    for (keys, place) in [
        ("", (0, 2)),
        ("k", (0, 1)),
        ("k k k", (0, 0)),
        ("j", (1, 0)),
        ("v j", (0, 3)),
        ("v j v", (0, 2)),
        ("J", (1, 0)),
        ("J J", (2, 2)),
        ("J K", (0, 2)),
        ("G", (3, 2)),
        ("t j c", (1, 0)),
        ("t j j c", (2, 2)),
        ("t k k c", (0, 0)),
        ("t O j c", (1, 0)),
        ("t O j j c", (2, 2)),
    ] {
        let mut app = ended(&verify());
        draw(&mut app, 100, 30);
        press(&mut app, keys);
        let crash = app.session.crash.as_ref().unwrap();
        assert_eq!((crash.stack, crash.frame), place, "after {keys:?}");
        assert!(app.pages.is_empty());
    }
}

#[test]
fn values_are_printed_by_path_with_completion_and_history() {
    let mut app = ended(&verify());
    press(&mut app, "p e tab");
    assert_eq!(app.prompt.as_ref().unwrap().text(), "entry");
    press(&mut app, ". tab");
    assert_eq!(app.prompt.as_ref().unwrap().choices, ["entry.line", "entry.sum"]);
    press(&mut app, "s enter");
    assert!(text(&mut app, 100, 30).contains("it has line, sum"));
    press(&mut app, "p up backspace s u m enter");
    let text = text(&mut app, 100, 30);
    assert!(text.contains("it has line, sum") && text.contains("\n   a31f…9e"), "{text}");
    press(&mut app, "q");
    assert!(app.pages.is_empty());
}

#[test]
fn esc_never_leaves_and_q_closes_what_is_on_top_first() {
    let mut app = live(&crawl());
    draw(&mut app, 100, 30);
    assert_eq!(press(&mut app, "? esc esc esc"), Effect::None);
    assert_eq!(press(&mut app, "? q"), Effect::None);
    assert_eq!(press(&mut app, "w w"), Effect::None);
    assert!(app.pages.is_empty());
    assert_eq!(press(&mut app, "q"), Effect::Quit);
    assert_eq!(press(&mut app, "ctrl-c"), Effect::Interrupt);
    assert_eq!(press(&mut app, "ctrl-z"), Effect::Suspend);
    assert_eq!(press(&mut app, "/ q"), Effect::None);
    assert_eq!(app.prompt.as_ref().unwrap().text(), "q");
}

#[test]
fn widgets_know_no_pane_and_panes_not_the_router() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui");
    let mut folders = vec![(source.join("widgets"), ["panes::", "app::"]), (source.join("panes"), ["app::", "App,"])];
    while let Some((folder, arrows)) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push((path, arrows));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|line| line.trim_start().starts_with("use ")) {
                assert!(!arrows.iter().any(|arrow| line.contains(arrow)), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn a_thread_of_a_pool_has_the_name_of_the_pool_beside_it() {
    let mut script = crawl();
    assert!(!text(&mut live(&script), 100, 20).contains("pool"));
    script.named_resource(40, ResKind::Semaphore, 2, "hashing", "crawl.rs:9:1").spawn(40, 2, "hash", "crawl.rs:70:9");
    script.begin(40).hold(40, 40, "crawl.rs:70:9").thread(9, 40, "hash", "crawl.rs:70:9").pause(40);
    let mut app = live(&script);
    press(&mut app, "3");
    for (wide, high) in [(80, 24), (120, 40)] {
        let screen = text(&mut app, wide, high);
        let row = screen.lines().find(|line| line.contains(" 9 hashing")).unwrap_or_else(|| panic!("{screen}"));
        assert!(row.contains("hash ") && screen.contains("pool"), "{screen}");
    }
}

#[test]
fn what_is_cut_ends_in_an_ellipsis() {
    let mut script = crawl();
    let long = "a line of output that is far longer than the terminal is wide and goes on and on";
    script.log(9, "INFO", "crawl", long);
    let mut app = live(&script);
    press(&mut app, "6");
    let log = text(&mut app, 60, 12);
    assert!(log.lines().any(|line| line.contains("a line of") && line.ends_with('…')), "{log}");
    let header = text(&mut app, 30, 12);
    assert!(header.lines().next().unwrap().contains('…'), "{header}");
    // Lines too, where there is no room for all of them.
    press(&mut app, "2 / f e t c h enter");
    let beside = text(&mut app, 160, 12);
    assert!(beside.lines().any(|line| line.ends_with(" more")), "{beside}");
    assert!(!text(&mut app, 160, 50).lines().any(|line| line.ends_with(" more")));
}

#[test]
fn m_leaves_the_mouse_to_the_terminal_which_the_header_shows() {
    let mut app = live(&crawl());
    assert!(!text(&mut app, 80, 24).contains("mouse off"));
    assert_eq!(press(&mut app, "m"), Effect::Mouse(false));
    for (wide, high) in [(60, 12), (80, 24), (120, 40)] {
        let screen = text(&mut app, wide, high);
        assert!(screen.lines().next().unwrap().contains("mouse off   ● LIVE"), "{screen}");
    }
    assert!(text(&mut app, 80, 24).contains("the mouse is left to the terminal"));
    assert_eq!(press(&mut app, "m"), Effect::Mouse(true));
    assert!(!text(&mut app, 80, 24).contains("mouse off"));
}

#[test]
fn the_mouse_chooses_screens_and_rows() {
    let mut app = live(&crawl());
    draw(&mut app, 100, 30);
    app.click(12, 1);
    assert_eq!(app.screen(), "Coroutines");
    app.click(3, 1);
    draw(&mut app, 100, 30);
    app.click(10, 4);
    assert_eq!(app.session.selected, Some(2));
    // The selected row folds.
    app.click(10, 4);
    draw(&mut app, 100, 30);
    app.click(10, 5);
    assert_eq!(app.session.selected, Some(4));
}

#[test]
fn a_cycle_is_drawn_as_one() {
    let mut script = Script::new("cycle");
    script.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:1:1").spawn(3, 1, "right", "a.rs:1:1");
    script.resource(1, ResKind::Lock, 1, "a.rs:1:5").hold(1, 3, "a.rs:1:1").step(1, Target::Coro(2), "a.rs:1:1");
    script.step(2, Target::Res(1), "a.rs:2:1").step(3, Target::Coro(2), "a.rs:3:1");
    let mut app = live(&script);
    let text = text(&mut app, 80, 24);
    assert_eq!(text.matches("a cycle").count(), 2, "{text}");
}

#[test]
fn a_coroutine_that_blocks_the_loop_is_named_while_it_does() {
    let mut app = live(&crawl());
    assert_eq!(app.session.playback.blocked(), None);
    app.session.playback.clock += 2_000_000_000;
    assert!(text(&mut app, 100, 30).contains("BLOCKED 2.0 s by parse #9"));
}

#[test]
fn what_the_program_wrote_is_in_the_log_at_its_time() {
    let mut app = live(&crawl());
    app.session.output.push(app.session.now(), vec![Line::now("\u{1b}[31mred\u{1b}[0m")]);
    press(&mut app, "6");
    assert!(text(&mut app, 100, 30).contains("out    ") && text(&mut app, 100, 30).contains(" red\n"));
    press(&mut app, "space , , ,");
    assert!(!text(&mut app, 100, 30).contains(" red\n"), "not written yet at that moment");
}

#[test]
fn a_message_has_the_room_that_names_and_targets_do_not_need() {
    let mut app = live(&crawl());
    press(&mut app, "6");
    let line = |app: &mut App, wide| {
        let screen = text(app, wide, 30);
        screen.lines().find(|line| line.contains("GET http://a.b")).unwrap_or_else(|| panic!("{screen}")).to_owned()
    };
    assert!(line(&mut app, 80).contains("INFO   fetch #17  GET http://a.b/c?d"), "{}", line(&mut app, 80));
    assert!(line(&mut app, 100).contains("fetch #17  crawl: GET"), "{}", line(&mut app, 100));
    assert!(line(&mut app, 50).contains("INFO   GET"), "{}", line(&mut app, 50));
}

#[test]
fn what_is_written_while_the_past_is_shown_has_its_own_time() {
    let mut app = live(&crawl());
    let now = app.session.now();
    press(&mut app, "6 space , , ,");
    assert!(app.session.now() < now);
    app.session.output.push(now, vec![Line::now("red")]);
    assert!(!text(&mut app, 100, 30).contains(" red\n"), "not written yet at that moment");
    press(&mut app, "0");
    assert!(text(&mut app, 100, 30).contains(" red\n"));
}

#[test]
fn what_is_recorded_and_captured_is_in_the_log_once() {
    let mut app = live(&crawl());
    press(&mut app, "6");
    assert!(text(&mut app, 100, 30).contains("3 of 9 pages"), "as a recording shows it");
    app.session.output.level = Some(Level::Stdout);
    assert!(!text(&mut app, 100, 30).contains("3 of 9 pages"));
    app.session.output.push(app.session.now(), vec![Line::now("3 of 9 pages")]);
    assert_eq!(text(&mut app, 100, 30).matches("3 of 9 pages").count(), 1);
}

#[test]
fn hidden_frames_and_lost_events_are_counted_on_the_screen() {
    let mut app = ended(&verify());
    assert!(text(&mut app, 100, 30).contains("1 hidden"));
    let mut script = crawl();
    script.push(Kind::Lost { events: 1234, why: "lapped".into() });
    assert!(text(&mut live(&script), 120, 30).contains("1,234 events lost"));
}

/// For looking at a screen while working on it: `PEEK=verify KEYS="t j" SIZE=100x30 cargo test peek -- --nocapture`.
#[test]
fn peek() {
    let Ok(what) = std::env::var("PEEK") else { return };
    let size = std::env::var("SIZE").unwrap_or("120x40".into());
    let size: Vec<u16> = size.split('x').map(|number| number.parse().unwrap()).collect();
    let mut app = if what == "verify" { ended(&verify()) } else { live(&crawl()) };
    draw(&mut app, size[0], size[1]);
    press(&mut app, &std::env::var("KEYS").unwrap_or_default());
    println!("{}", text(&mut app, size[0], size[1]));
}

/// What a frame costs with very many coroutines: `MEASURE=100000 cargo test --release --lib measure -- --nocapture`.
#[test]
fn measure() {
    let Some(many) = std::env::var("MEASURE").ok().and_then(|text| text.parse::<u64>().ok()) else { return };
    let mut script = Script::new("many");
    script.start().spawn(1, 0, "main", "a.rs:1:1").begin(1);
    for id in 2..many + 2 {
        let name = ["a::fetch", "a::parse", "a::store"][id as usize % 3];
        let parent = if id % 5 == 0 { id / 2 } else { 1 };
        script.at(id).spawn(id, parent.max(1), name, "a.rs:2:1").wait(1, Target::Coro(id), "a.rs:3:1");
    }
    script.pause(1);
    for id in 2..many + 2 {
        script.step(id, Target::Timer(id * 1000), "a.rs:4:1");
    }
    let mut app = live(&script);
    let mut backend = Terminal::new(TestBackend::new(200, 60)).unwrap();
    for (what, keys) in [
        ("graph", "1"),
        ("graph, unfolded, in the middle", "j l j pgdn pgdn pgdn"),
        ("graph, at the end", "G"),
        ("drawn", "g"),
        ("coroutines", "g 2"),
        ("coroutines, at the end", "G"),
        ("coroutines, sorted by time in state", "s s s"),
        ("timeline", "5"),
        ("log", "6"),
    ] {
        let begin = std::time::Instant::now();
        keys.split(' ').for_each(|key| drop(app.key(key)));
        let pressed = begin.elapsed();
        let mut times: Vec<_> = (0..30)
            .map(|turn| {
                // Something happens between two frames.
                script.at(many + 10 + turn).wake(2 + turn, Waker::Timer);
                let event = script.events.pop().unwrap();
                app.push(&crate::event::Event { seq: app.session.playback.tape.len(), ..event });
                let begin = std::time::Instant::now();
                backend.draw(|frame| app.draw(frame)).unwrap();
                begin.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!("{what:32} keys {pressed:9.1?}  frame: median {:9.1?}  worst {:9.1?}", times[15], times[29]);
    }
    for _ in 0..std::env::var("JUMPS").map_or(0, |text| text.parse().unwrap()) {
        app.session.playback.go_to(app.session.playback.tape.len() / 2);
        app.session.playback.go_to(app.session.playback.tape.len() - 70_000);
    }
    let begin = std::time::Instant::now();
    app.session.lint();
    println!("lint {:.1?}", begin.elapsed());
    for position in
        [app.session.playback.tape.len() / 3, app.session.playback.tape.len() / 2, app.session.playback.tape.len() - 5]
    {
        let begin = std::time::Instant::now();
        app.session.playback.go_to(position);
        println!("jump to {position} of {}: {:.1?}", app.session.playback.tape.len(), begin.elapsed());
    }
}

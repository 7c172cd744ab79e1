//! After the end of the program: which time things are relative to, and the keys of the screen of a crash.

use super::*;

#[test]
fn after_the_end_times_are_relative_to_the_end() {
    let mut app = ended(&verify());
    press(&mut app, "enter");
    let page = text(&mut app, 120, 40);
    assert!(page.contains("failed at 00:03.271") && page.contains("before the end"), "{page}");
    assert!(!page.contains(" ago"), "{page}");
    press(&mut app, "esc [ enter");
    let page = text(&mut app, 120, 40);
    assert!(page.contains("before this moment") && !page.contains(" ago"), "{page}");
}

#[test]
fn the_history_of_a_coroutine_and_the_log_have_the_same_moments_to_the_microsecond() {
    let mut s = Script::new("log");
    s.start().at(12_400_123).spawn(1, 0, "main", "a.rs:1:1");
    s.at(12_400_200).begin(1).log(1, "INFO", "app", "hello").pause(1);
    let mut app = live(&s);
    press(&mut app, "j enter");
    let page = text(&mut app, 120, 40);
    assert!(page.contains("00:12.400123  scheduled"), "{page}");
    press(&mut app, "6");
    let page = text(&mut app, 120, 40);
    assert!(page.contains("00:12.400200 INFO"), "{page}");
}

#[test]
fn each_key_in_the_footer_of_a_crash_acts_on_that_screen() {
    let mut app = ended(&verify());
    let contexts = [crate::tui::panes::CRASH.context()];
    let hints: Vec<String> = app.session.keys.hints(&contexts).map(|(key, _)| key.to_owned()).collect();
    let footer = text(&mut app, 200, 24).lines().last().unwrap().to_owned();
    assert!(footer.contains("stack tree") && footer.contains("quit") && !footer.contains("pause"), "{footer}");
    assert!(!footer.contains("filter") && !footer.contains("w why"), "{footer}");
    assert!(hints.len() > 6);
    for key in hints {
        let mut app = ended(&verify());
        let before = text(&mut app, 120, 40);
        app.session.sources = Default::default();
        let effect = app.key(&key);
        assert!(effect != Effect::None || text(&mut app, 120, 40) != before, "{key} does nothing");
    }
}

#[test]
fn to_another_moment_the_screen_of_a_crash_gives_way_to_the_graph() {
    let mut app = ended(&verify());
    press(&mut app, "[");
    let page = text(&mut app, 120, 40);
    assert!(page.contains("verify #2") && page.contains("7 goes back to the crash"), "{page}");
    assert_eq!((app.screen(), app.session.playback.is_live()), ("Graph", false));
    press(&mut app, "7");
    assert_eq!(app.screen(), "Crash");
    press(&mut app, "w");
    let page = text(&mut app, 120, 40);
    assert!(page.contains("check #780"), "why is about the coroutine of the selected frame: {page}");
}

#[test]
fn why_is_about_the_moment_before_a_coroutine_was_cancelled() {
    let mut s = deadlock();
    s.at(5_000_000).push(Kind::CancelBegin { id: 1, origin: 0, reason: "deadlock".into(), failure: None });
    for id in [4, 3, 2, 1] {
        s.end(id, Outcome::Cancelled);
    }
    s.stop(crate::event::LoopOutcome::Crashed);
    let mut app = ended(&s);
    app.session.select(2);
    press(&mut app, "w");
    let page = text(&mut app, 120, 40);
    assert!(page.contains("Why is left #2 still waiting?") && page.contains("left #2 again: a cycle"), "{page}");
    assert!(!app.session.playback.is_live());
    // At that moment it is about the moment.
    press(&mut app, "esc , w");
    assert!(text(&mut app, 120, 40).contains("Why is left #2 still waiting?"));
    press(&mut app, "esc 0");
    assert!(app.session.playback.is_live());
    // One that failed by itself waited for nothing.
    let mut app = ended(&verify());
    app.session.select(780);
    press(&mut app, "1 w");
    assert!(app.session.playback.is_live());
}

#[test]
fn a_group_of_which_some_wait_in_a_cycle_says_so_and_why_is_about_one_of_them() {
    let mut s = Script::new("workers");
    s.start().spawn(1, 0, "main", "a.rs:1:1");
    for id in 2..=6 {
        s.spawn(id, 1, "worker", "a.rs:2:1").resource(id, ResKind::Lock, 1, "a.rs:1:5");
    }
    s.begin(1).wait(1, Target::Coro(2), "a.rs:4:1").pause(1);
    s.step(2, Target::Timer(9_000_000_000), "a.rs:7:1").step(3, Target::Timer(9_000_000_000), "a.rs:7:1");
    s.hold(5, 5, "a.rs:5:1").hold(6, 6, "a.rs:5:1").step(4, Target::Res(5), "a.rs:7:1");
    let mut before = live(&s);
    let page = text(&mut before, 80, 24);
    assert!(page.contains("worker ×5") && !page.contains("cycle"), "{page}");
    press(&mut before, "j w");
    let page = text(&mut before, 80, 24);
    assert!(page.contains("Why is worker #2 still waiting?"), "the one that has waited the longest: {page}");
    s.step(5, Target::Res(6), "a.rs:7:1").step(6, Target::Res(5), "a.rs:8:1");
    let mut app = live(&s);
    let page = text(&mut app, 80, 24);
    assert!(page.contains("in a cycle"), "{page}");
    press(&mut app, "j w");
    let page = text(&mut app, 80, 24);
    assert!(page.contains("Why is worker #5 still waiting?") && page.contains("again: a cycle"), "{page}");
}

#[test]
fn what_failed_is_shown_while_the_others_are_being_cancelled() {
    let script = cancelling();
    let mut app = live(&script);
    assert_eq!(app.screen(), "Crash");
    let page = text(&mut app, 120, 40);
    assert!(
        page.contains("CANCELLING") && page.contains("the other coroutines are being cancelled: 5 coroutines left"),
        "{page}"
    );
    assert!(page.contains("sha256 mismatch: file 777.txt") && page.contains("\"file 777.txt\""), "{page}");
    // The rest comes: the selection stays.
    press(&mut app, "k");
    let frame = app.session.crash.as_ref().unwrap().frame;
    let rest: Vec<_> = verify().events.split_off(script.events.len());
    rest.iter().for_each(|event| app.push(event));
    app.settle(Status::Live);
    let crash = app.session.crash.as_ref().unwrap();
    assert_eq!((crash.stack, crash.frame, app.screen()), (0, frame, "Crash"));
    assert!(crash.data.stacks.len() > 1);
    assert!(!text(&mut app, 120, 40).contains("being cancelled"));
    // Another screen that was chosen stays.
    let mut app = live(&script);
    press(&mut app, "2");
    rest.iter().for_each(|event| app.push(event));
    app.settle(Status::Live);
    assert_eq!(app.screen(), "Coroutines");
    // A recording that ends there.
    let mut app = live(&script);
    app.settle(Status::Died);
    assert!(
        text(&mut app, 120, 40).contains("were being cancelled when the program died after 3.27 s: 5 coroutines left")
    );
    // One that has lost the event with all failures.
    let mut app = live(&script);
    let mut lossy = cancelling();
    lossy.stop(crate::event::LoopOutcome::Crashed);
    app.push(lossy.events.last().unwrap());
    app.settle(Status::Live);
    let page = text(&mut app, 120, 40);
    assert!(page.contains("CRASHED") && !page.contains("being cancelled"), "{page}");
    // A loop that was dropped has not crashed.
    let mut app = live(&script);
    let mut dropped = script;
    dropped.stop(crate::event::LoopOutcome::Dropped);
    app.push(dropped.events.last().unwrap());
    app.settle(Status::Live);
    assert!(app.session.crash.is_none() && app.screen() == "Graph", "{}", app.screen());
}

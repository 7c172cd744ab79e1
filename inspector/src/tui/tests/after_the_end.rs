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

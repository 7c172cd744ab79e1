//! The page of the lints.

use super::*;

#[test]
fn lints_are_announced_and_listed() {
    let mut script = crawl();
    script.at(3_000_000).begin(5).at(3_235_000).pause(5);
    let mut app = live(&script);
    app.session.lint();
    draw(&mut app, 100, 30);
    press(&mut app, "!");
    check("lints", &mut app, true);
}

#[test]
fn the_selected_lint_leads_to_its_coroutine() {
    let mut script = crawl();
    script.at(3_000_000).begin(5).at(3_235_000).pause(5).at(4_000_000).begin(9).at(4_900_000).pause(9);
    let mut app = live(&script);
    app.session.lint();
    let coros: Vec<_> = app.session.lints.iter().map(|lint| lint.coro).collect();
    assert!(coros.len() > 1 && coros.iter().all(|coro| *coro != 0), "{coros:?}");
    // As small a page as is drawn: the selected one is on it nevertheless.
    for (presses, coro) in coros.iter().enumerate() {
        press(&mut app, "!");
        draw(&mut app, 80, 8);
        for _ in 0..presses {
            press(&mut app, "j");
        }
        let page = text(&mut app, 80, 8);
        let sentence: String = app.session.lints[presses].text.chars().take(40).collect();
        assert!(page.contains(&sentence), "{sentence}\n{page}");
        press(&mut app, "enter");
        let detail = text(&mut app, 120, 40);
        assert!(detail.contains(&app.session.model().label(*coro)), "{detail}");
        assert!(presses == 0 || app.session.selected == Some(*coro), "{coros:?}");
        press(&mut app, "esc");
        press(&mut app, "!");
    }
}

#[test]
fn a_deadlock_is_named_in_the_header() {
    let mut script = Script::new("deadlock");
    script.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:2:1").spawn(3, 1, "right", "a.rs:3:1");
    script.resource(1, ResKind::Lock, 1, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
    script.hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1");
    script.step(2, Target::Res(2), "a.rs:7:1").step(3, Target::Res(1), "a.rs:8:1");
    script.at(2_000_000).push(Kind::Diag { coro: 0, text: "later".into() });
    let mut app = live(&script);
    app.session.lint();
    for (wide, high, expected) in [(80, 24, "DEADLOCK? !"), (120, 40, "LIKELY DEADLOCK, ! shows")] {
        let header = text(&mut app, wide, high);
        assert!(header.lines().nth(1).is_some_and(|line| line.contains(expected)), "{header}");
    }
}

#[test]
fn a_lint_that_has_passed_stays_with_its_time_until_it_holds_again() {
    let mut script = crawl();
    script.at(1_300_000).step(9, Target::Res(1), "crawl.rs:62:9");
    let lint_at = |app: &mut App, clock: u64| {
        app.session.playback.clock = clock;
        app.session.lint();
        press(app, "!");
        let page = text(app, 120, 30);
        press(app, "esc");
        page
    };
    let mut app = live(&script);
    app.push(&crate::event::Event {
        seq: script.events.len() as u64,
        at: 1_400_000_000,
        kind: Kind::StepBegin { coro: 5 },
    });
    let holds = lint_at(&mut app, 3_000_000_000);
    assert!(holds.contains("writer #5 has been in one step for 1.6 s") && !holds.contains("until"), "{holds}");
    app.push(&crate::event::Event {
        seq: script.events.len() as u64 + 1,
        at: 3_200_000_000,
        kind: Kind::StepEnd { coro: 5 },
    });
    let passed = lint_at(&mut app, 3_300_000_000);
    assert!(passed.contains("until 00:03.300000: writer #5 has been in one step"), "{passed}");
    assert!(passed.contains("writer #5 blocked the loop for 1.8 s in one step"), "{passed}");
    app.push(&crate::event::Event {
        seq: script.events.len() as u64 + 2,
        at: 3_300_000_000,
        kind: Kind::StepBegin { coro: 5 },
    });
    let again = lint_at(&mut app, 5_000_000_000);
    assert!(
        again.contains("writer #5 has been in one step for 1.7 s")
            && !again.contains("until 00:03.300000: writer #5 has been in"),
        "{again}"
    );
}

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

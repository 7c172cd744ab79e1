//! Frames of a live program: which coroutine they are requested of, and what the screens say about their origin.

use super::*;
use crate::event::{CoroId, Frame, Local, Stack, Value};

const MOMENT: u64 = 1_000_000_000;

/// One frame with one variable.
fn stack(text: &str) -> Stack {
    let local =
        Local { name: "found".into(), value: Value { text: text.into(), ..Value::default() }, mark: String::new() };
    let frame = Frame {
        function: "crawl::fetch".into(),
        file: "crawl.rs".into(),
        line: 52,
        locals: vec![local],
        ..Frame::default()
    };
    Stack { frames: vec![frame], ..Stack::default() }
}

/// With `writer` selected, which waits; `parse` runs.
fn selected() -> (App, CoroId) {
    let mut app = live(&crawl());
    let writer =
        app.session.model().live().find(|coro| app.session.model().label(coro.id) == "writer #5").map(|coro| coro.id);
    app.session.select(writer.expect("it lives"));
    (app, writer.expect("it lives"))
}

#[test]
fn a_loop_that_answers_is_not_looked_at_from_outside() {
    let (app, writer) = selected();
    assert_eq!(app.wants_frames(), Some((writer, false)));
    assert_eq!(app.session.wants_remote_frames(false), None);
    assert_eq!(app.session.wants_remote_frames(true), Some(writer), "asked in vain");
}

#[test]
fn while_the_loop_is_blocked_frames_come_from_outside_and_say_so_until_it_goes_on() {
    let (mut app, writer) = selected();
    app.session.playback.clock += 2 * MOMENT;
    assert_eq!(app.session.wants_remote_frames(false), Some(writer));
    app.session.take_remote_stack(writer, Ok(stack("seen from outside")));
    assert_eq!(app.session.wants_remote_frames(false), None, "it cannot have changed");
    let text = super::text(&mut app, 120, 30);
    assert!(text.contains("read from outside: parse #9 blocks") && text.contains("seen from outside"), "{text}");
    app.push(&crate::event::Event {
        seq: app.session.playback.tape.len(),
        at: app.session.now(),
        kind: Kind::StepEnd { coro: 9 },
    });
    let text = super::text(&mut app, 120, 30);
    assert!(!text.contains("from outside"), "{text}");
}

#[test]
fn what_the_running_one_has_is_read_now_and_then() {
    let (mut app, _) = selected();
    app.session.select(9);
    assert_eq!(app.session.wants_remote_frames(true), Some(9));
    app.session.take_remote_stack(9, Ok(Stack { mid_step: true, ..stack("a") }));
    assert_eq!(app.session.wants_remote_frames(true), None);
    app.session.playback.clock += 2 * MOMENT;
    assert_eq!(app.session.wants_remote_frames(true), Some(9));
    let text = super::text(&mut app, 120, 30);
    assert!(text.contains("read from outside: it blocks the loop"), "{text}");
    assert!(text.contains("in the middle of a step: "), "{text}");
}

#[test]
fn why_frames_cannot_be_read_from_outside_is_shown() {
    let (mut app, writer) = selected();
    app.session.playback.clock += 2 * MOMENT;
    app.session.take_remote_stack(writer, Err("the memory of process 1 cannot be read: it is not yours".into()));
    let text = super::text(&mut app, 200, 30);
    assert!(text.contains("not read: parse #9 blocks the loop, and"), "{text}");
}

/// `outer` waits for `inner`, and `inner` for something that is not of tinyio, as does `beside`.
#[test]
fn what_is_not_of_tinyio_is_named_without_being_selected() {
    let mut script = Script::new("shop");
    script.start().spawn(1, 0, "shop::outer", "shop.rs:1:1").spawn(2, 1, "shop::inner", "shop.rs:2:1");
    script.spawn(3, 1, "shop::beside", "shop.rs:3:1").begin(2).pause(2).begin(3).pause(3);
    script.step(1, Target::Coro(2), "shop.rs:4:1");
    let mut app = live(&script);
    let send = |app: &mut App, coro: CoroId| {
        let frames = vec![stack("x").frames.remove(0), Frame { function: "net::Recv".into(), ..Frame::default() }];
        let kind = Kind::Frames { coro, stack: Stack { frames, ..Stack::default() } };
        app.push(&crate::event::Event { seq: app.session.playback.tape.len(), at: app.session.now() + 1, kind });
    };
    app.session.select(1);
    send(&mut app, 1);
    super::text(&mut app, 120, 30);
    assert_eq!(app.wants_frames(), Some((2, false)), "it is what the selected one waits for in the end");
    send(&mut app, 2);
    app.key("2");
    let text = super::text(&mut app, 120, 30);
    assert!(text.contains("Recv, crawl.rs:52") && text.contains("external"), "{text}");
    assert_eq!(app.wants_frames(), Some((3, false)), "the table shows it");
    send(&mut app, 3);
    assert_eq!(app.wants_frames(), None);
    let text = super::text(&mut app, 120, 30);
    assert!(!text.contains("external"), "{text}");
    app.key("6");
    super::text(&mut app, 120, 30);
    assert!(app.session.drawn.is_empty());
}

#[test]
fn all_variables_are_shown_in_full_once_the_program_has_sent_them() {
    let (mut app, writer) = selected();
    let send = |app: &mut App, text: &str| {
        let kind = Kind::Frames { coro: writer, stack: stack(text) };
        app.push(&crate::event::Event { seq: app.session.playback.tape.len(), at: app.session.now() + 1, kind });
    };
    send(&mut app, "[1, 2, …]");
    assert_eq!(app.wants_frames(), None);
    app.key("P");
    assert_eq!(app.wants_frames(), Some((writer, true)), "in full");
    let text = super::text(&mut app, 120, 30);
    assert!(text.contains("found = [1, 2, …]") && text.contains("is asked for more"), "{text}");
    let long = format!("[{}]", (1..60).map(|n| n.to_string()).collect::<Vec<_>>().join(", "));
    send(&mut app, &long);
    assert_eq!(app.wants_frames(), None);
    check("values", &mut app, true);
    let text = super::text(&mut app, 120, 30);
    assert!(text.contains("58, 59]") && !text.contains("is asked for more"), "{text}");
    app.key("P");
    assert!(app.pages.is_empty());
}

/// Answers a request for the frames of a coroutine.
fn answer(app: &mut App, coro: CoroId, frames: Vec<Frame>) {
    let at = app.session.now() + 1;
    let kind = Kind::Frames { coro, stack: Stack { frames, ..Stack::default() } };
    app.push(&crate::event::Event { seq: app.session.playback.tape.len(), at, kind });
}

#[test]
fn why_names_the_call_that_led_to_each_wait_and_where_each_lock_was_acquired() {
    let mut app = live(&deadlock());
    app.session.select(2);
    press(&mut app, "w");
    let page = text(&mut app, 120, 30);
    assert!(page.contains("holds lock accounts, acquired at a.rs:5,"), "{page}");
    assert!(page.contains("holds lock orders, acquired at a.rs:6,"), "{page}");
    assert!(!page.contains("called in"), "{page}");
    // Of both, one after another.
    for (coro, line, caller) in [(2, 7, "transfer"), (3, 8, "order")] {
        assert_eq!(app.wants_frames(), Some((coro, false)));
        let frame = |function: &str, line| Frame {
            function: format!("shop::{function}"),
            file: "/src/a.rs".into(),
            line,
            ..Frame::default()
        };
        let hidden = Frame { hidden: true, ..frame("poll", 99) };
        answer(&mut app, coro, vec![frame("main", 1), hidden, frame(caller, 30 + line), frame("grab", line)]);
        draw(&mut app, 120, 30);
    }
    assert_eq!(app.wants_frames(), None);
    let page = text(&mut app, 120, 30);
    assert!(page.contains("in grab, a.rs:7, called in transfer, a.rs:37, called in main, a.rs:1"), "{page}");
    assert!(page.contains("in grab, a.rs:8, called in order, a.rs:38"), "{page}");
    check("why_of_a_deadlock", &mut app, false);
}

#[test]
fn the_stack_that_is_looked_at_is_read_again_each_second_and_no_other_is() {
    let (mut app, writer) = selected();
    answer(&mut app, writer, stack("one").frames);
    app.push(&crate::event::Event {
        seq: app.session.playback.tape.len(),
        at: app.session.now(),
        kind: Kind::StepEnd { coro: 9 },
    });
    // It holds the lock, and waits for something that is not of tinyio.
    answer(&mut app, 9, stack("one").frames);
    press(&mut app, "enter");
    assert_eq!(app.wants_frames(), None);
    app.session.playback.clock += MOMENT + 2;
    assert_eq!(app.wants_frames(), Some((writer, false)));
    app.key("esc");
    text(&mut app, 80, 24);
    assert_eq!(app.wants_frames(), None, "it is on the screen no more");
    text(&mut app, 160, 30);
    assert_eq!(app.wants_frames(), Some((writer, false)), "beside the graph it is");
    answer(&mut app, writer, stack("two").frames);
    assert_eq!(app.wants_frames(), None);
    let page = text(&mut app, 160, 30);
    assert!(page.contains("found = two") && !page.contains("as of"), "{page}");
}

#[test]
fn of_a_stack_that_cannot_be_read_again_its_age_and_the_reason_are_shown() {
    let (mut app, writer) = selected();
    answer(&mut app, writer, stack("one").frames);
    app.session.playback.clock += 5 * MOMENT;
    press(&mut app, "enter");
    let page = text(&mut app, 120, 30);
    assert!(page.contains("s ago: parse #9 blocks the loop"), "{page}");
    app.settle(Status::Died);
    app.session.playback.clock = 0;
    app.session.playback.go_to_time(app.session.now() + 7 * MOMENT);
    let page = text(&mut app, 120, 30);
    assert!(page.contains("as of 7.0 s before this moment: it was not read later"), "{page}");
}

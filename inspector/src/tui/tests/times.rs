//! The distributions of step times and scheduling delays, live and at an earlier moment.

use super::*;

/// A coroutine that steps for 1 µs to 100 µs, 10 µs after each wake; the last wake is not in the record.
fn busy() -> Script {
    let mut s = Script::new("busy");
    s.start().spawn(1, 0, "main", "a.rs:1:1").begin(1).wait(1, Target::Timer(1), "a.rs:2:1").pause(1);
    for step in 1..=100 {
        s.at(step * 1_000).wake(1, Waker::Timer).at(step * 1_000 + 10).begin(1).at(step * 1_000 + 10 + step).pause(1);
    }
    s.at(200_000).begin(1).at(200_001).pause(1);
    s
}

#[test]
fn the_page_and_the_details_show_p50_p99_the_longest_and_what_was_left_out() {
    let mut app = live(&busy());
    draw(&mut app, 120, 50);
    press(&mut app, "j D");
    let page = text(&mut app, 120, 60);
    assert!(page.contains("max 0.1 ms, of 102"), "{page}");
    assert!(page.contains("p99 ~10 µs, max 10 µs, of 101; 1 left out"), "{page}");
    assert!(page.contains("Times of all coroutines") && page.contains("Times of main"), "{page}");
    press(&mut app, "esc enter");
    let detail = text(&mut app, 120, 50);
    assert!(detail.contains("max 10 µs, of 101;"), "{detail}");
}

#[test]
fn at_an_earlier_moment_they_are_those_of_that_moment() {
    let mut app = ended(&busy());
    let at = busy().events.iter().position(|event| event.at > 50_000_000).unwrap() as u64;
    app.session.playback.go_to(at);
    draw(&mut app, 120, 50);
    press(&mut app, "D");
    let page = text(&mut app, 120, 60);
    assert!(page.contains("max 49 µs, of 50") && page.contains("max 10 µs, of 50"), "{page}");
    press(&mut app, "0");
    assert!(text(&mut app, 120, 60).contains("max 0.1 ms, of 102"));
}

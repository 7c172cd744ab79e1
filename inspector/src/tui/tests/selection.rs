//! `enter` and `w` act on what is selected on the screen in front.

use super::*;
use crate::test_script::named;

#[test]
fn enter_and_w_on_the_resources_are_about_the_selected_resource() {
    let mut app = live(&named());
    draw(&mut app, 120, 40);
    press(&mut app, "2 j j j 4 enter");
    let page = text(&mut app, 120, 40);
    for part in
        ["lock accounts  #1", "Held by", "worker 1, acquired at shop.rs:50, 0.5 ms ago", "1  worker 2  for 0.5 ms"]
    {
        assert!(page.contains(part), "{part:?}\n{page}");
    }
    assert!(page.contains("worker 2 began to wait, shop.rs:50") && page.contains("acquired by worker 1"), "{page}");
    press(&mut app, "w");
    let why = text(&mut app, 120, 40);
    for part in
        ["Why is lock accounts not free?", "held by worker 1, acquired at shop.rs:50, 0.5 ms ago", "a timer, fires in"]
    {
        assert!(why.contains(part), "{part:?}\n{why}");
    }
    press(&mut app, "esc esc j w");
    let why = text(&mut app, 120, 40);
    assert!(why.contains("Why is event stop not set?") && why.contains("4 coroutines"), "{why}");
}

#[test]
fn the_queue_of_a_resource_is_in_the_order_in_which_its_waiters_came() {
    let mut script = named();
    script.at(400).wake(3, Waker::Own).begin(3).wait(3, Target::Res(1), "shop.rs:60:1").pause(3);
    script.at(500).wake(2, Waker::Own).begin(2).wait(2, Target::Res(1), "shop.rs:60:1").pause(2);
    let mut app = live(&script);
    draw(&mut app, 120, 40);
    press(&mut app, "4 enter");
    let page = text(&mut app, 120, 40);
    let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part:?}\n{page}"));
    assert!(at("1  worker 2 ") < at("2  worker 7 ") && at("2  worker 7 ") < at("3  worker 8 "), "{page}");
}

#[test]
fn enter_and_w_on_the_log_are_about_the_coroutine_of_the_selected_line() {
    let mut app = live(&named());
    draw(&mut app, 120, 40);
    press(&mut app, "2 j j j 6 w");
    assert!(text(&mut app, 120, 40).contains("select a line of a coroutine first"));
    press(&mut app, "k enter");
    let page = text(&mut app, 120, 40);
    assert!(page.contains("worker 2") && page.contains("Await stack"), "{page}");
    press(&mut app, "esc w");
    let why = text(&mut app, 120, 40);
    assert!(why.contains("Why is worker 2 still waiting?"), "{why}");
    // The last line is no coroutine's: moving to it follows.
    press(&mut app, "esc j w");
    assert!(text(&mut app, 120, 40).contains("select a line of a coroutine first"));
}

#[test]
fn a_long_line_of_the_log_can_be_read_as_a_whole() {
    let mut script = crawl();
    let words = |name: &str| (0..30).map(|number| format!("{name}{number}")).collect::<Vec<_>>().join(" ");
    script.log(9, "WARN", "crawl", &words("own"));
    script.push(Kind::Output { stream: 2, text: words("out"), printed: 0 });
    let mut app = live(&script);
    press(&mut app, "6 enter");
    let page = text(&mut app, 80, 24);
    assert!(page.contains("out0") && page.contains("out29"), "{page}");
    press(&mut app, "esc k right");
    let page = text(&mut app, 80, 24);
    assert!(page.contains("own0") && page.contains("own29") && page.contains("parse #9"), "{page}");
}

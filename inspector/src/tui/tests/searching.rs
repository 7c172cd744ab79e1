//! The key `/`: what is found, in which order, and what is marked.

use super::*;

#[test]
fn the_best_match_comes_first_and_n_goes_on_to_the_next_best() {
    let mut script = Script::new("many");
    script.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "prefetch", "a.rs:2:1");
    script.spawn(3, 1, "f_etch", "a.rs:3:1").spawn(4, 1, "fetch", "a.rs:4:1").spawn(5, 1, "fetch", "a.rs:4:1");
    let mut app = live(&script);
    let mut selected = |keys: &str| {
        press(&mut app, keys);
        (app.session.selected.unwrap(), app.session.search.found)
    };
    assert_eq!(selected("/ f e t c h enter"), (4, Some((1, 4))));
    assert_eq!(selected("n"), (5, Some((2, 4))));
    let rest = [selected("n").0, selected("n").0];
    assert_eq!(rest, [3, 2]);
    assert_eq!(selected("n"), (4, Some((1, 4))));
    assert_eq!(selected("N"), (2, Some((4, 4))));
    assert_eq!(selected("2 / F C enter"), (4, Some((1, 4))), "letters apart, and on the table of coroutines");
    press(&mut app, "/ q enter");
    assert!(text(&mut app, 80, 24).contains("no coroutine matches \"q\""));
}

#[test]
fn a_number_finds_the_coroutine_with_this_number_first() {
    let mut script = Script::new("many");
    script.start().spawn(1, 0, "main", "a.rs:1:1");
    for id in 2..=60 {
        script.spawn(id, 1, "fetch", "a.rs:2:1");
    }
    script.named(59, "worker 5");
    let mut app = live(&script);
    for keys in ["/ 5 enter", "/ # 5 enter", "2 / 5 enter"] {
        press(&mut app, "1 / 1 enter");
        assert_eq!(app.session.selected, Some(1));
        press(&mut app, keys);
        assert_eq!(app.session.selected, Some(5), "{keys}");
    }
    press(&mut app, "/ f e t c h 5 2 enter");
    assert_eq!((app.session.selected, app.session.search.found), (Some(52), Some((1, 1))));
    assert!(text(&mut app, 80, 24).contains("1/1") && !text(&mut app, 80, 24).contains("pause"));
    press(&mut app, "esc");
    assert!(!text(&mut app, 80, 24).contains("1/1") && text(&mut app, 80, 24).contains("pause"));
    assert_eq!(app.session.selected, Some(52));
}

#[test]
fn lines_of_the_log_with_the_text_come_in_the_order_of_time_before_those_with_its_letters() {
    let mut script = Script::new("log");
    script.start().spawn(1, 0, "main", "a.rs:1:1").begin(1);
    for text in ["error: one", "err or two", "an error", "the other"] {
        script.log(1, "info", "app", text);
    }
    let mut app = live(&script);
    press(&mut app, "6 / e r r o r enter");
    let line = |app: &mut App| {
        let screen = draw(app, 80, 24);
        let buf = screen.backend().buffer().clone();
        let is_selected = |y: &u16| buf[(0, *y)].modifier.contains(ratatui::style::Modifier::REVERSED);
        let row = (3..22).find(is_selected).unwrap();
        let marked = |x: &u16| buf[(*x, row)].bg == DARK.found.bg.unwrap();
        let marked: String = (0..80).filter(marked).map(|x| buf[(x, row)].symbol()).collect();
        let text: String = (0..80).map(|x| buf[(x, row)].symbol()).collect();
        (text.trim_end().to_owned(), marked)
    };
    for (end, letters) in [("error: one", "error"), ("an error", "error"), ("err or two", "error")] {
        let (text, marked) = line(&mut app);
        assert!(text.ends_with(end), "{text}");
        assert_eq!(marked, letters);
        press(&mut app, "n");
    }
    assert!(line(&mut app).0.ends_with("error: one"));
}

#[test]
fn the_letters_that_were_found_are_marked_in_the_names_of_the_rows() {
    for screen in ["1", "2"] {
        let mut app = live(&crawl());
        press(&mut app, &format!("{screen} / w r t r enter"));
        let screen = draw(&mut app, 80, 24);
        let buf = screen.backend().buffer();
        let marked: Vec<_> = buf.content().iter().filter(|cell| cell.bg == DARK.found.bg.unwrap()).collect();
        let marked: String = marked.into_iter().map(|cell| cell.symbol()).collect();
        assert!(marked.starts_with("wrtr"), "{marked}");
    }
}

#[test]
fn threads_resources_lanes_and_stacks_are_searched_where_they_are_listed() {
    let found = |app: &mut App, keys: &str, marked: &str| {
        press(app, keys);
        let screen = draw(app, 120, 30);
        let buf = screen.backend().buffer();
        let marks: String = (3..27)
            .flat_map(|y| (0..120).map(move |x| (x, y)))
            .filter(|at| buf[*at].bg == DARK.found.bg.unwrap())
            .map(|at| buf[at].symbol())
            .collect();
        assert!(marks.starts_with(marked), "{keys}: {marks}");
        app.session.search.found
    };
    let mut app = live(&crate::test_script::named());
    assert_eq!(found(&mut app, "4 / s t o p enter", "stop"), Some((1, 1)));
    press(&mut app, "enter");
    assert!(text(&mut app, 120, 30).contains("event stop"), "it is selected");
    press(&mut app, "esc / z z z enter");
    assert!(text(&mut app, 120, 30).contains("no resource matches"));
    let mut app = live(&crawl());
    assert!(found(&mut app, "3 / r e a d enter", "read").is_some());
    assert!(found(&mut app, "5 / w r i t e r enter", "writer").is_some());
    assert_eq!(app.session.selected, Some(5));
    let mut app = ended(&verify());
    press(&mut app, "7 / p r o g r e s s enter");
    assert_eq!(app.session.crash.as_ref().map(|crash| crash.stack), Some(1));
}

#[test]
fn lanes_of_coroutines_that_have_ended_are_found_too() {
    let mut app = ended(&verify());
    press(&mut app, "5 / p r o g r e s s enter");
    assert_eq!(app.session.selected, Some(3));
}

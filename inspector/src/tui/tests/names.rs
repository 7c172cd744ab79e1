//! The names that a program gives are shown on all screens, in place of numbers.

use super::*;
use crate::test_script::named;

#[test]
fn the_names_that_the_program_gave_are_on_all_screens() {
    for (keys, expected, not) in [
        ("1", &["worker ×8"][..], &["serve"][..]),
        ("1 j l j j", &["worker 8", "worker 1", "lock accounts, held by worker 1"], &["serve #", "lock #"]),
        ("2", &["worker 1", "lock accounts, held by worke", "Recv<Job>, shop.rs:57"], &["serve"]),
        ("3", &["for main"], &["serve"]),
        ("4", &["lock accounts", "held by worker 1", "event stop"], &["#1", "#2"]),
        ("5", &["worker 1"], &["serve"]),
        ("6", &["worker 2"], &["serve"]),
        ("/ w o r k e r space 2 enter w", &["Why is worker 2 still waiting?", "held by worker 1"], &["serve"]),
    ] {
        let mut app = live(&named());
        draw(&mut app, 120, 40);
        press(&mut app, keys);
        let text = text(&mut app, 120, 40);
        for part in expected {
            assert!(text.contains(part), "{keys}: no {part:?} in\n{text}");
        }
        for part in not {
            assert!(!text.contains(part), "{keys}: {part:?} in\n{text}");
        }
    }
}

#[test]
fn coroutines_are_sorted_and_filtered_by_the_names_that_the_program_gave() {
    let mut app = live(&named());
    draw(&mut app, 120, 40);
    press(&mut app, "2 s");
    let rows = |app: &mut App| -> Vec<String> {
        let text = text(app, 120, 40);
        let coroutines = text.lines().filter(|line| !line.contains("main"));
        coroutines.filter_map(|line| Some(format!("worker {}", line.split_once("worker ")?.1.get(..1)?))).collect()
    };
    assert_eq!(rows(&mut app), (1..9).map(|n| format!("worker {n}")).collect::<Vec<_>>());
    press(&mut app, "f n a m e : 7 enter");
    assert_eq!(rows(&mut app)[..1], ["worker 7"]);
    let shown = text(&mut app, 120, 40);
    assert!(shown.contains("1 of 9"), "{shown}");
}

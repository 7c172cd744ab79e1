//! Loops that are suspended: their variables are not used after the await.

use std::hint::black_box;

use crate::{Cases, Never, drawn, holds, marked};

#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "the fields are read by the debugger")]
struct Point(u16, i64);

pub fn run(cases: &mut Cases) {
    let words: Vec<String> = (0..4).map(|n| format!("word {n}")).collect();
    let third = cases.random() % 3;
    let points = [Point(1, -1), Point(2, -2), Point(3, cases.random() as i64)];
    cases.case("references to elements", async move {
        for word in &words {
            if word.ends_with('2') {
                drawn!(word);
                Never.await;
            }
        }
    });
    cases.case("elements by a pattern", async move {
        for &point in &points {
            if point.0 == 3 {
                drawn!(point);
                Never.await;
            }
        }
    });
    cases.case("elements of a vector", async move {
        for point in Vec::from(points) {
            if point.0 == 2 {
                drawn!(point);
                Never.await;
            }
        }
    });
    cases.case("elements of an array", async move {
        for point in points {
            if point.0 == 2 {
                drawn!(point);
                Never.await;
            }
        }
    });
    cases.case("numbers", async move {
        for n in -1..3_i16 {
            drawn!(n);
            for more in 0..=third {
                if more == third {
                    drawn!(more);
                    Never.await;
                }
            }
        }
    });
    let words: Vec<String> = (0..4).map(|n| format!("word {n}")).collect();
    cases.case("counted elements", async move {
        for (n, word) in words.iter().enumerate() {
            if n == 1 {
                drawn!(n, word);
                Never.await;
            }
        }
    });
    let words: Vec<String> = (0..4).map(|n| format!("word {n}")).collect();
    cases.case("a variable that is used afterwards", async move {
        for word in words {
            if word.ends_with('2') {
                holds!(word);
                Never.await;
                black_box(&word);
            }
        }
    });
    let words: Vec<String> = (0..4).map(|n| format!("word {n}")).collect();
    cases.case("what no iterator tells", async move {
        for word in words.iter().rev() {
            black_box(word);
            for mut n in 0..4 {
                n *= 2;
                black_box(n);
                if cfg!(debug_assertions) {
                    marked!("not kept over the await": "n", "word");
                }
                Never.await;
            }
        }
    });
    cases.case("a variable of the name of the iterator", async move {
        let iter = 0..third + 1;
        if cfg!(debug_assertions) {
            holds!(iter);
        }
        for _ in iter.clone() {
            Never.await;
            black_box(&iter);
        }
    });
}

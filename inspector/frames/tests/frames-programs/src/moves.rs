//! Locals that still look alive.

use std::cell::RefCell;
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;

use crate::{Cases, Never, holds, marked, shadowed};

fn text(n: u64) -> String {
    format!("text {n}")
}

async fn take(taken: String) {
    holds!(taken);
    Never.await;
    black_box(&taken);
}

/// Parameters that are moved on, in a coroutine that another one awaits: its owner drops the whole of it.
async fn pass_on<T>(handed: Vec<T>, first: String, ended: impl Fn() -> T) {
    let count = handed.len();
    let shared = Rc::new(RefCell::new(handed.into_iter()));
    black_box(&first);
    let held = Some(first);
    marked!("moved": "handed", "first");
    holds!(count, held);
    Never.await;
    black_box((&shared, count, &held, ended()));
}

#[derive(Debug)]
struct Pair {
    left: String,
    right: String,
}

struct Loud(#[allow(dead_code, reason = "the debugger reads it")] u8);
impl Drop for Loud {
    fn drop(&mut self) {
        black_box(self.0);
    }
}

pub fn run(cases: &mut Cases) {
    let n = cases.random() >> 1;
    let yes = black_box(true);
    let no = black_box(false);
    cases.case("moved on one path, taken", async move {
        let gone = text(n);
        let kept = text(n + 1);
        black_box(&gone);
        if yes {
            drop(gone);
        }
        marked!("moved": "gone");
        holds!(kept);
        Never.await;
        black_box(&kept);
    });
    cases.case("moved on one path, not taken", async move {
        let stays = text(n);
        black_box(&stays);
        if no {
            drop(stays);
        } else {
            holds!(stays);
        }
        Never.await;
    });
    cases.case("moved into the callee", async move {
        let argument = text(n);
        black_box(&argument);
        let after = text(n + 2);
        holds!(after);
        take(argument).await;
        black_box(&after);
    });
    cases.case("moved on in the callee", async move {
        pass_on(vec![text(n), text(n + 1)], text(n + 2), || text(n)).await;
    });
    cases.case("moved on in a boxed callee", async move {
        let boxed: Pin<Box<dyn Future<Output = ()>>> = Box::pin(pass_on(vec![text(n)], text(n + 2), || text(n)));
        boxed.await;
    });
    cases.case("moved into the callee, maybe", async move {
        let argument = text(n);
        black_box(&argument);
        if yes {
            marked!("moved": "argument");
            take(argument).await;
        }
        Never.await;
    });
    cases.case("a pair moved in part", async move {
        let pair = Pair { left: text(n), right: text(n + 1) };
        black_box(&pair);
        drop(pair.left);
        marked!("moved in part": "pair");
        Never.await;
        black_box(&pair.right);
    });
    cases.case("a tuple moved in part", async move {
        let tuple = (text(n), 7u8, vec![n]);
        black_box(&tuple);
        drop(tuple.2);
        marked!("moved in part": "tuple");
        Never.await;
        black_box((&tuple.0, tuple.1));
    });
    cases.case("a box emptied", async move {
        let emptied = Box::new(text(n));
        black_box(&emptied);
        drop(*emptied);
        marked!("moved": "emptied");
        Never.await;
    });
    cases.case("a full box", async move {
        let full = Box::new(text(n));
        holds!(full);
        Never.await;
        black_box(&full);
    });
    cases.case("an option emptied", async move {
        let mut option = Some(text(n));
        black_box(option.take());
        holds!(option);
        Never.await;
        black_box(&option);
    });
    cases.case("an option matched away", async move {
        let matched = Some(text(n));
        black_box(&matched);
        if let Some(inner) = matched {
            drop(inner);
        }
        marked!("moved|may be moved": "matched");
        Never.await;
    });
    cases.case("an option matched away in a tuple", async move {
        let matched = (Some(text(n)), text(n));
        black_box(&matched);
        if let Some(inner) = matched.0 {
            drop(inner);
        }
        marked!("moved in part|may be moved": "matched");
        Never.await;
        black_box(&matched.1);
    });
    cases.case("an option in a tuple", async move {
        let pair = (Some(text(n)), text(n));
        holds!(pair);
        Never.await;
        black_box(&pair);
    });
    cases.case("initialised later", async move {
        let late;
        if yes {
            late = text(n);
            holds!(late);
        } else {
            late = text(n + 1);
        }
        Never.await;
        black_box(&late);
    });
    cases.case("never initialised on this path", async move {
        let never;
        let flag = no;
        if flag {
            never = text(n);
            black_box(&never);
        }
        marked!("moved": "never");
        Never.await;
    });
    cases.case("moved and filled again", async move {
        let mut again = text(n);
        black_box(&again);
        drop(again);
        again = text(n + 5);
        holds!(again);
        Never.await;
        black_box(&again);
    });
    cases.case("moved in a loop", async move {
        let mut slot = Some(text(n));
        for round in 0..3u8 {
            let item = text(u64::from(round));
            holds!(item, round);
            if round == 0 {
                Never.await;
            }
            slot = Some(item);
        }
        black_box(&slot);
    });
    cases.case("moved into a vector", async move {
        let mut list = Vec::new();
        let element = text(n);
        black_box(&element);
        if yes {
            list.push(element);
        }
        marked!("moved": "element");
        holds!(list);
        Never.await;
        black_box(&list);
    });
    cases.case("a destructor of its own", async move {
        let loud = Loud(3);
        let gone_loud = Loud(4);
        black_box((&loud, &gone_loud));
        if yes {
            drop(gone_loud);
        }
        marked!("moved|may be moved": "gone_loud");
        marked!("": "loud");
        Never.await;
        black_box(&loud);
    });
    cases.case("moved into a closure", async move {
        let captured = text(n);
        black_box(&captured);
        let closure = if yes { Some(move || captured.len()) } else { None };
        marked!("moved": "captured");
        Never.await;
        black_box(closure.map(|closure| closure()));
    });
    cases.case("moved into a spawned box", async move {
        let argument = text(n);
        black_box(&argument);
        let task: std::pin::Pin<Box<dyn Future<Output = ()>>> =
            if yes { Box::pin(take(argument)) } else { Box::pin(take(text(0))) };
        marked!("moved": "argument");
        task.await;
    });
    cases.case("an array element by element", async move {
        let array = [text(n), text(n + 1)];
        holds!(array);
        Never.await;
        black_box(&array);
    });
    shadows(cases, n);
    cases.case("equal blocks of different types", async move {
        same(n as u32).await;
    });
    cases.case("equal blocks of different types, the other", async move {
        same(n as i32).await;
    });
}

/// Names that mean something else further down. Which binding is meant, the scopes of unoptimised code alone show.
fn shadows(cases: &mut Cases, n: u64) {
    cases.case("shadowed by another type", async move {
        let shadow = text(n);
        let keep = &shadow;
        let shadow = shadow.len();
        shadowed!(shadow);
        Never.await;
        black_box((keep, shadow));
    });
    cases.case("shadowed three times", async move {
        let shadow = text(n);
        let first = &shadow;
        let shadow = vec![n, n + 1];
        let second = &shadow;
        let shadow = (n as u8, true);
        shadowed!(shadow);
        holds!(first, second);
        Never.await;
        black_box((first, second, &shadow));
    });
    cases.case("shadowed by its own type", async move {
        let shadow = text(n);
        let keep = &shadow;
        let shadow = text(n + 1);
        shadowed!(shadow);
        holds!(keep);
        Never.await;
        black_box((keep, &shadow));
    });
    cases.case("shadowed inside a block that ended", async move {
        let shadow = text(n);
        {
            let shadow = shadow.len();
            black_box(&shadow);
        }
        holds!(shadow);
        Never.await;
        black_box(&shadow);
    });
    cases.case("shadowed inside a block", async move {
        let shadow = text(n);
        {
            let shadow = vec![shadow.as_str()];
            shadowed!(shadow);
            Never.await;
            black_box(&shadow);
        }
        Never.await;
        black_box(&shadow);
    });
    cases.case("shadowed in a loop and a pattern", async move {
        let n = text(n);
        for n in [Some(n.as_str())] {
            if let Some(n) = n {
                shadowed!(n);
                Never.await;
                black_box(n);
            }
            black_box(n);
        }
        black_box(&n);
    });
    cases.case("shadowed by what is not kept", async move {
        let shadow = text(n);
        let keep = &shadow;
        let shadow = shadow.len();
        black_box(shadow + 1);
        // In optimised code there is no trace of the second one.
        marked!("shadowed, older binding shown|": "shadow");
        holds!(keep);
        Never.await;
        black_box(keep);
    });
    cases.case("an argument shadowed", argument(text(n)));
    cases.case("an argument shadowed twice", twice(text(n)));
    cases.case("two awaits on one line, the first", one_line(false, text(n)));
    cases.case("two awaits on one line, the second", one_line(true, text(n)));
}

async fn argument(shadow: String) {
    let shadow = shadow.len() as u64;
    shadowed!(shadow);
    Never.await;
    black_box(shadow);
}

async fn twice(shadow: String) {
    let keep = &shadow;
    let shadow = keep.len() as u64;
    let again = &shadow;
    let shadow = Some(*again);
    shadowed!(shadow);
    holds!(keep, again);
    Never.await;
    black_box((keep, again, &shadow));
}

/// Both awaits are on one line and of one type; the names mean different things at them.
#[rustfmt::skip]
async fn one_line(second: bool, shadow: String) {
    let keep = &shadow;
    if second { let shadow = keep.len(); marked!("shadowed, not described": "shadow"); Never.await; black_box(shadow); } else { let shadow = keep.as_bytes(); marked!("shadowed, not described": "shadow"); Never.await; black_box(shadow); }
    black_box(keep);
}

async fn same<T: Copy + std::fmt::Debug>(value: T) {
    let copy = value;
    holds!(value, copy);
    Never.await;
    black_box((&value, &copy));
}

//! Measures what the loop costs, compared with other executors: `cargo bench`, or `cargo bench -p tinyio-benches -- W3
//! --quick`.
//!
//! With `--counts`, instructions and stores instead of time, by callgrind, which do not depend on what else the machine
//! runs. `cargo bench -p tinyio-benches --profile plain` measures the default release profile.
//!
//! All executors of a line alternate in one run; the figures are medians. Absolute figures differ between machines, so
//! the goals are ratios. All of them use the system's allocator, fat LTO and one codegen unit.

mod counts;
mod joined;
mod limit;
mod measure;
#[allow(dead_code, unused_imports, reason = "each bench uses its own part")]
mod peer;
mod primitives;
mod table;
mod threads;
mod waiters;
mod work;

use peer::{Compio, Glommio, Limit, Nio, Peer, Smol, Tinyio, Tokio};
use primitives::PRIMITIVES;
use table::{Line, OURS, TENTH, Table};

/// A line of the table: the same work by several executors, each of which is `P` in turn.
macro_rules! line {
    ($id:literal, $title:literal, $n:expr, $work:expr, $($peer:ident)*) => {{
        let line = Line::new($id, $title, $n);
        $(let line = {
            type P = $peer;
            if P::works() { line.by(P::NAME, move || $work) } else { line.without(P::NAME) }
        };)*
        line
    }};
}

/// One measurement of W9: the work, the executor, and the number of tasks.
fn bytes(asked: &str) -> Option<f64> {
    let mut words = asked.split(' ');
    let (what, peer, n) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
    macro_rules! by {
        ($work:ident, $($peer:ident)*) => {
            match peer {
                $(<$peer as Peer>::NAME => Some(work::$work::<$peer>(n)),)*
                _ => None,
            }
        };
    }
    match what {
        "idle" => by!(idle_bytes, Tinyio Tokio Smol Glommio Limit),
        "waiting" => by!(waiting_bytes, Tinyio Tokio Smol Limit),
        _ => None,
    }
}

fn main() {
    if counts::asked().is_none()
        && let Some(asked) = measure::asked()
    {
        println!("{}", bytes(&asked).expect("asked by this very program"));
        return;
    }
    let mut table = Table::from_args();
    if counts::asked().is_none() {
        table.heading();
    }
    let n = table.scale(1_000_000);
    let few = n / 10;
    let some = n / 100;

    table.run(
        line!("W1", "spawn + await, one after another", n, work::spawn_await::<P>(n), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .tenth(move || work::spawn_await::<Tinyio>(few))
            .best(0.85)
            .countable(),
    );
    table.run(
        line!("W2", "gather, all at once", n, work::gather::<P>(n), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .by("FuturesUnordered", move || joined::unordered(n))
            .tenth(move || work::gather::<Tinyio>(few))
            .best(0.8)
            .countable(),
    );
    table.run(
        line!("W2", "gather, all at once", some, work::gather::<P>(some), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .by("FuturesUnordered", move || joined::unordered(some))
            .by("futures-concurrency", move || joined::concurrency(some))
            .best(0.7)
            .countable(),
    );
    table.run(
        line!("W3", "yield, one task", n, work::yields::<P>(1, n), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .best(0.5)
            .countable(),
    );
    table.run(
        line!("W3", "yield, 1,000 tasks", n, work::yields::<P>(1_000, n), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .best(0.5)
            .countable(),
    );
    table.run(
        line!("W4", "chain, built, awaited", few, work::chained::<P>(few), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .tenth(move || work::chained::<Tinyio>(few / 10))
            .goal(0.65, "glommio")
            .goal(0.25, "tokio")
            .countable(),
    );
    // nio is left out: it does not drop its tasks.
    table.run(
        line!("W4", "chain, dropped while all wait", few, work::chain_dropped::<P>(few), Tinyio Tokio Smol Limit)
            .tenth(move || work::chain_dropped::<Tinyio>(few / 10))
            .goal(0.25, "tokio")
            .countable(),
    );
    table.run(
        line!("W5", "one awaited by many", few, work::shared::<P>(few), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .tenth(move || work::shared::<Tinyio>(few / 10))
            .best(0.5)
            .countable(),
    );
    table.run(
        line!("W6", "timers spread over a second, CPU each", n, work::timers::<P>(n), Tinyio Tokio Smol Limit)
            .runs(3)
            .goal(0.4, "tokio"),
    );
    table.run(
        line!("W6", "timers set that do not fire", n, work::set_and_cancel::<P>(n).0, Tinyio Tokio Smol Limit)
            .runs(3)
            .goal(0.15, "tokio")
            .countable(),
    );
    table.run(
        line!("W6", "timers cancelled", n, work::set_and_cancel::<P>(n).1, Tinyio Tokio Smol Limit)
            .runs(3)
            .goal(0.45, "tokio")
            .countable(),
    );
    let calls = n / 50;
    table.run(
        line!("W7", "functions on threads, one at a time", calls, work::thread::<P>(calls), Tinyio Tokio Smol)
            .by("rayon", move || threads::rayon_one_at_a_time(calls))
            .goal(1.0, "rayon"),
    );
    table.run(
        line!("W7", "functions on threads, pipelined", few, work::threads::<P>(few), Tinyio Tokio Smol)
            .by("rayon", move || threads::rayon_pipelined(few))
            .goal(1.0, "rayon"),
    );
    let trips = n / 100;
    table.run(
        line!("W8", "to a thread and back, both parked", trips, threads::round_trip::<P>(trips), Tinyio Tokio Smol)
            .by("bare park", move || threads::bare_park(trips))
            // Whether the system runs two threads in parallel or one after the other changes from second to second.
            .runs(9)
            .goal(1.1, "bare park"),
    );
    table.run(
        line!("W9", "an idle task", n, measure::in_child(&format!("idle {} {n}", P::NAME)), Tinyio Tokio Smol Glommio Limit)
            .unit("bytes")
            .runs(1)
            .goal(0.27, "tokio"),
    );
    table.run(
        line!("W9", "a task waiting on an event", n, measure::in_child(&format!("waiting {} {n}", P::NAME)), Tinyio Tokio Smol Limit)
            .unit("bytes")
            .runs(1)
            .goal(0.35, "tokio"),
    );
    table.run(
        line!("W10", "cancel all of them, asleep", n, work::cancel::<P>(n), Tinyio Tokio Smol Limit)
            .runs(3)
            .tenth(move || work::cancel::<Tinyio>(few))
            .goal(0.3, "tokio")
            .countable(),
    );
    for waiters in [few / 10, few] {
        table.run(
            Line::new("W11", "a busy coroutine beside others that wait for locks", waiters)
                .by(OURS, move || waiters::beside(waiters, true))
                .by("without searches", move || waiters::beside(waiters, false))
                .runs(3)
                .goal(1.05, "without searches"),
        );
    }
    let many = n / 50;
    for primitive in &PRIMITIVES {
        let many = many * primitive.scale;
        table.run(
            Line::new("N", primitive.name, many)
                .by(OURS, move || primitive.measure(many))
                .tenth(move || primitive.measure(many / 10))
                .goal(1.5, TENTH),
        );
    }
    table.end();
}

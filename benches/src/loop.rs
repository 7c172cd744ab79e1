//! What the loop costs, beside its peers: `cargo bench`, or `cargo bench -p tinyio-benches -- W3 --quick`.
//!
//! All executors of a line alternate in one run; the figures are medians. Absolute figures move from machine to machine, so the
//! goals are ratios. Everybody uses the system's allocator, fat LTO and one codegen unit.

mod limit;
mod measure;
mod peer;
mod table;
mod work;

use peer::{Compio, Limit, Peer, Smol, Tinyio, Tokio};
#[cfg(target_os = "linux")]
use peer::{Glommio, Nio};
use table::{Line, Table};

/// A line of the table: the same work by several executors, each of which is `P` in turn.
macro_rules! line {
    ($id:literal, $title:literal, $n:expr, $work:expr, $($peer:ident)*) => {{
        let line = Line::new($id, $title, $n);
        $(let line = {
            type P = $peer;
            line.by(P::NAME, move || $work)
        };)*
        line
    }};
}

fn main() {
    let mut table = Table::from_args();
    let n = table.scale(1_000_000);
    let few = n / 10;
    let some = n / 100;

    table.run(
        line!("W1", "spawn + await, one after another", n, work::spawn_await::<P>(n), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .tenth(move || work::spawn_await::<Tinyio>(few))
            .goal(0.7, "glommio")
            .goal(0.08, "tokio"),
    );
    table.run(
        line!("W2", "gather, all at once", n, work::gather::<P>(n), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .tenth(move || work::gather::<Tinyio>(few))
            .goal(1.1, "glommio")
            .goal(0.35, "tokio"),
    );
    table.run(
        line!("W2", "gather, all at once", some, work::gather::<P>(some), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .below_all()
            .goal(0.25, "tokio"),
    );
    table.run(
        line!("W3", "yield, one task", n, work::yields::<P>(1, n), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .below_all()
            .goal(0.25, "tokio"),
    );
    table.run(
        line!("W3", "yield, 1,000 tasks", n, work::yields::<P>(1_000, n), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .below_all()
            .goal(0.25, "tokio"),
    );
    table.run(
        line!("W4", "chain, built, awaited", few, work::chained::<P>(few), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .tenth(move || work::chained::<Tinyio>(few / 10))
            .goal(0.7, "glommio")
            .goal(0.23, "tokio"),
    );
    table.run(
        line!("W4", "chain, dropped while all wait", few, work::chain_dropped::<P>(few), Tinyio Tokio Smol Nio Limit)
            .tenth(move || work::chain_dropped::<Tinyio>(few / 10))
            .goal(0.4, "tokio"),
    );
    table.run(
        line!("W5", "one awaited by many", few, work::shared::<P>(few), Tinyio Tokio Smol Compio Nio Glommio Limit)
            .tenth(move || work::shared::<Tinyio>(few / 10))
            .goal(0.5, "glommio")
            .goal(0.2, "tokio"),
    );
    table.end();
}

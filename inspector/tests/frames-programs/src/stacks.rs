//! Shapes of await stacks.
use crate::{Cases, Never, holds};
use std::hint::black_box;

async fn leaf(n: u64, name: String) -> u64 {
    let twice = n * 2;
    holds!(n, name, twice);
    Never.await;
    black_box((&n, &name, &twice));
    twice
}

async fn middle(n: u64) -> u64 {
    let list = vec![n; 3];
    let result = leaf(n, format!("leaf {n}")).await;
    black_box(&list);
    result
}

pub fn run(cases: &mut Cases) {
    cases.case("three deep", async {
        let n = 4u64;
        middle(n).await;
        black_box(&n);
    });
    cases.case("boxed", async {
        let future: std::pin::Pin<Box<dyn Future<Output = u64>>> = Box::pin(middle(5));
        future.await;
    });
    cases.case("join", async {
        futures::join!(middle(1), leaf(2, "b".into()));
    });
}

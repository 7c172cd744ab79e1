//! Shapes of await stacks.

use std::cell::RefCell;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::rc::Rc;

use futures::FutureExt;
use futures::stream::{self, FuturesUnordered, StreamExt};

use crate::{Cases, Never, holds};

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

struct Shop<T> {
    stock: T,
}

trait Sell {
    async fn sell(&mut self, amount: u32) -> u32;
}

impl<T: std::fmt::Debug> Shop<T> {
    async fn count(&self, scale: u32) -> u32 {
        let scaled = scale * 3;
        Never.await;
        black_box((&self.stock, scaled));
        scaled
    }
}

impl<T> Sell for Shop<T> {
    async fn sell(&mut self, amount: u32) -> u32 {
        let rest = amount - 1;
        Never.await;
        black_box((&self.stock, rest));
        rest
    }
}

async fn generic<F: AsyncFnOnce(u32) -> u32>(f: F) -> u32 {
    f(3).await
}

async fn recursive(depth: u32) -> u32 {
    if depth == 0 {
        Never.await;
    }
    Box::pin(recursive(depth - 1)).await + 1
}

fn returned(n: u64) -> impl Future<Output = u64> {
    let doubled = n * 2;
    async move {
        Never.await;
        doubled
    }
}

pub fn run(cases: &mut Cases) {
    cases.case("three deep", async {
        let n = 4u64;
        middle(n).await;
        black_box(&n);
    });
    cases.case("an async function as the root", middle(9));
    cases.case("boxed dyn", async {
        let future: Pin<Box<dyn Future<Output = u64>>> = Box::pin(middle(5));
        future.await;
    });
    cases.case("a boxed dyn root", Box::pin(middle(6)) as Pin<Box<dyn Future<Output = u64>>>);
    cases.case("pinned on the stack", async {
        let mut future = pin!(middle(5));
        future.as_mut().await;
    });
    cases.case("a method", async {
        let shop = Shop { stock: "apples" };
        shop.count(2).await;
    });
    cases.case("a trait method", async {
        let mut shop = Shop { stock: 5u8 };
        shop.sell(7).await;
    });
    cases.case("an async closure", async {
        let factor = black_box(2);
        generic(async |n| {
            let product = n * factor;
            Never.await;
            black_box(product)
        })
        .await;
    });
    cases.case("recursion", recursive(3));
    cases.case("a returned future", async {
        returned(4).await;
    });
    cases.case("join", async {
        futures::join!(middle(1), leaf(2, "b".into()));
    });
    cases.case("select", async {
        let one = middle(1).fuse();
        let two = leaf(2, "b".into()).fuse();
        let (mut one, mut two) = (pin!(one), pin!(two));
        futures::select! {
            n = one => black_box(n),
            n = two => black_box(n),
        };
    });
    cases.case("join of a list", async {
        let list: Vec<_> = (0..3).map(middle).collect();
        futures::future::join_all(list).await;
    });
    cases.case("map and then", async {
        leaf(1, "m".into()).map(|n| n + 1).then(|n| leaf(n, "t".into())).await;
    });
    cases.case("either", async {
        let either = if black_box(true) {
            futures::future::Either::Left(middle(3))
        } else {
            futures::future::Either::Right(leaf(1, "r".into()))
        };
        either.await;
    });
    cases.case("unordered", async {
        let mut set = FuturesUnordered::new();
        set.push(middle(1));
        set.push(middle(2));
        set.next().await;
    });
    cases.case("buffered", async {
        let mut results = stream::iter(0..5).map(middle).buffer_unordered(2);
        results.next().await;
    });
    cases.case("finished branch", async {
        futures::join!(async { 1 }, middle(2));
    });
    cases.case("secrets", async {
        let password = "hunter2".to_owned();
        let login = Login { user: "visible".into(), api_token: "hunter2".into() };
        let headers = std::collections::HashMap::from([("authorization", "hunter2")]);
        Never.await;
        black_box((&password, &login, &headers));
    });
    cases.case("endless", async {
        let long: Vec<u32> = (0..10_000).collect();
        let words = "a".repeat(5_000);
        let deep = Some(Some(Some(Some(Some(Some(Some(5u8)))))));
        let ring = Rc::new(Ring { next: RefCell::new(None) });
        *ring.next.borrow_mut() = Some(ring.clone());
        Never.await;
        black_box((&long, &words, &deep, &ring));
    });
    cases.case("not started", async {
        let later = middle(3);
        Never.await;
        later.await;
    });
}

struct Login {
    #[allow(dead_code, reason = "the debugger reads it")]
    user: String,
    #[allow(dead_code, reason = "the debugger reads it")]
    api_token: String,
}

struct Ring {
    next: RefCell<Option<Rc<Ring>>>,
}

//! Loop and coroutines.

use std::time::Duration;
use tinyio::{Loop, Result, coro, gather, sleep, yield_now};

async fn one(x: u32) -> Result<u32> {
    yield_now().await?;
    Ok(x + 1)
}

async fn two(x: u32) -> Result<u32> {
    let y = coro(one(x)).await?;
    Ok(coro(one(y)).await?)
}

#[test]
fn basic() {
    assert_eq!(Loop::new().run(two(4)).unwrap(), 6);
}

#[test]
fn gathered() {
    let out = Loop::new().run(async { gather((coro(one(3)), coro(two(3)))).await }).unwrap();
    assert_eq!(out, (4, 5));
    let out = Loop::new().run(async { gather([one(3), one(4)]).await }).unwrap();
    assert_eq!(out, [4, 5]);
    let out = Loop::new().run(async { gather((0..1000).map(one).collect::<Vec<_>>()).await }).unwrap();
    assert_eq!(out, (1..=1000).collect::<Vec<_>>());
}

#[test]
fn threads() {
    let out = Loop::new().run(async { gather((0..100).map(|x| tinyio::run_in_thread(move || { std::thread::sleep(Duration::from_millis(50)); tinyio::Ok(x) })).collect::<Vec<_>>()).await }).unwrap();
    assert_eq!(out, (0..100).collect::<Vec<_>>());
}

#[test]
fn chain() {
    async fn down(n: u32) -> Result<u32> {
        if n == 0 { yield_now().await?; return Ok(0); }
        Ok(coro(Box::pin(down(n - 1)) as std::pin::Pin<Box<dyn Future<Output = Result<u32>>>>).await? + 1)
    }
    assert_eq!(Loop::new().run(down(100_000)).unwrap(), 100_000);
}

#[test]
fn siblings() {
    async fn h() -> Result<u32> {
        loop {
            sleep(Duration::from_secs(1)).await?;
        }
    }
    async fn i() -> Result<u32> {
        yield_now().await?;
        Err(std::io::Error::other("no"))?;
        Ok(1)
    }
    async fn g() -> Result<u32> {
        Ok(coro(i()).await?)
    }
    async fn f() -> Result<u32> {
        let (a, b) = gather((g(), h())).await?;
        Ok(a + b)
    }
    let crash = Loop::new().group(tinyio::Group::Always).run(f()).unwrap_err();
    println!("{crash:?}");
    let crash = Loop::new().run(f()).unwrap_err();
    println!("{crash}");
    assert!(!crash.is_group());
}

#[test]
fn cycle() {
    use std::{cell::RefCell, rc::Rc};
    let slot: Rc<RefCell<Option<tinyio::Coro<u32>>>> = Rc::default();
    let s2 = slot.clone();
    let crash = Loop::new()
        .run(async move {
            let a = coro(async move { let c = s2.borrow_mut().take().unwrap(); tinyio::Ok(c.await?) });
            *slot.borrow_mut() = Some(a.clone());
            tinyio::Ok(a.await?)
        })
        .unwrap_err();
    println!("{crash:?}");
}

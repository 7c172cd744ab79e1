//! Coroutines of tinyio that is not recorded. Says `ready` when they are at their places, and answers each line of its
//! input.
//!
//! `tinyio-programs KIND`

use std::time::Duration;

use tinyio::{CancelledError, Loop, Semaphore, coro, sleep};

type Result<T> = std::result::Result<T, CancelledError>;

async fn sleeper(label: String) -> Result<()> {
    sleep(Duration::from_secs(3600)).await?; // here: sleeper
    println!("{label}");
    Ok(())
}

async fn joiner(other: tinyio::Coro<()>) -> Result<()> {
    other.await // here: joiner
}

async fn holder(lock: tinyio::Lock) -> Result<()> {
    let guard = lock.acquire().await?;
    sleep(Duration::from_secs(3600)).await?; // here: holder
    drop(guard);
    Ok(())
}

async fn wants(lock: tinyio::Lock) -> Result<()> {
    let _guard = lock.acquire().await?; // here: wants
    Ok(())
}

async fn visitor(permits: Semaphore) -> Result<()> {
    let guard = permits.acquire().await?;
    sleep(Duration::from_secs(3600)).await?; // here: visitor
    drop(guard);
    Ok(())
}

/// Is ready when the others have begun to wait.
async fn says_ready() -> Result<()> {
    for _ in 0..10 {
        tinyio::yield_now().await?;
    }
    println!("ready");
    std::thread::spawn(|| {
        for _ in std::io::stdin().lines() {
            println!("alive");
        }
    });
    Ok(())
}

fn on_loop() {
    let mut looped = Loop::new();
    let done = looped.run(async {
        let lock = tinyio::Lock::new();
        let permits = Semaphore::new(2);
        for number in 0..3 {
            tinyio::spawn(sleeper(format!("sleeper {number}")));
        }
        tinyio::spawn(joiner(coro(sleeper("joined".to_owned()))));
        tinyio::spawn(holder(lock.clone()));
        tinyio::spawn(wants(lock));
        tinyio::spawn(visitor(permits));
        says_ready().await?;
        sleep(Duration::from_secs(3600)).await?; // here: main
        tinyio::Ok(())
    });
    println!("{done:?}");
}

async fn crosses(first: tinyio::Lock, second: tinyio::Lock) -> Result<()> {
    let _one = first.acquire().await?;
    tinyio::yield_now().await?;
    let _two = second.acquire().await?; // here: crosses
    Ok(())
}

/// Two coroutines that lock each other out, beside one that will be woken: the loop sees no deadlock.
fn deadlock() {
    let mut looped = Loop::new();
    let done = looped.run(async {
        let (one, two) = (tinyio::Lock::new().named("one"), tinyio::Lock::new()); // here: locks
        tinyio::spawn(crosses(one.clone(), two.clone()));
        let second = tinyio::spawn(crosses(two, one));
        tinyio::spawn(joiner(second));
        tinyio::spawn(sleeper("awake".to_owned()));
        says_ready().await?;
        sleep(Duration::from_secs(3600)).await?; // here: main
        tinyio::Ok(())
    });
    println!("{done:?}");
}

/// A gathering that is a coroutine itself, of a list, within one of a tuple.
fn gathered() {
    let mut looped = Loop::new();
    let done = looped.run(async {
        let list: Vec<_> = (0..3).map(|number| coro(sleeper(format!("sleeper {number}")))).collect();
        tinyio::gather((tinyio::gather(list), says_ready(), sleeper("beside".to_owned()))).await?; // here: main
        tinyio::Ok(())
    });
    println!("{done:?}");
}

fn main() {
    match std::env::args().nth(1).unwrap().as_str() {
        "one" => on_loop(),
        "deadlock" => deadlock(),
        "gathered" => gathered(),
        "thread" => std::thread::spawn(on_loop).join().unwrap(),
        _ => panic!("a kind"),
    }
}

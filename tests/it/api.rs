//! The public names and promises that programs depend on.

use std::error::Error as StdError;
use std::time::Duration;

use tinyio::{
    Barrier, CancelledError, Coro, Crash, Error, Event, Failure, FailureKind, Group, Handle, Interrupted, Lock, Loop,
    Semaphore, Site, ThreadPool, TimeoutError, as_completed, coro, gather, isolate, run_in_thread, sleep, spawn,
    timeout, yield_now,
};

use crate::check::watched;

fn send_and_sync<T: Send + Sync>() {}
fn unpin<T: Unpin>() {}
fn an_error<T: StdError + Send + Sync + 'static>() {}

#[test]
fn promises_hold() {
    let _watched = watched();
    send_and_sync::<Event>();
    send_and_sync::<Handle>();
    send_and_sync::<CancelledError>();
    send_and_sync::<Error>();
    unpin::<Coro<String>>();
    an_error::<Crash>();
    an_error::<CancelledError>();
    an_error::<TimeoutError>();
    an_error::<Interrupted>();
}

#[test]
fn everything_is_called_as_it_is_written_down() {
    let _watched = watched();
    let text = String::from("borrowed");
    let mut looped: Loop = Loop::new().group(Group::Auto).virtual_time().shuffle(1).grace(Duration::from_secs(1));
    let _: Handle = looped.handle();
    let out: Result<usize, Crash> = looped.run(async {
        let one: Coro<u8> = coro(async { tinyio::Ok(1_u8) });
        let same: Coro<u8> = coro(one.clone());
        assert_eq!((one.await?, same.await?), (1, 1));
        let background: Coro<()> = spawn(async { Ok::<_, std::io::Error>(sleep(Duration::ZERO).await?) });
        drop(background);
        let (a, b): (u8, &str) = gather((async { tinyio::Ok(1_u8) }, coro(async { tinyio::Ok("b") }))).await?;
        let many: Vec<u8> = gather(vec![async move { tinyio::Ok(a) }]).await?;
        let [c]: [u8; 1] = gather([async { tinyio::Ok(2_u8) }]).await?;
        yield_now().await?;
        let squares: Vec<u32> = ThreadPool::new(2).map(|n: u32| tinyio::Ok(n * n), 0..3).await?;
        let six: u32 = run_in_thread(|| {
            tinyio::thread::check_cancelled()?;
            tinyio::thread::sleep(Duration::from_millis(1))?;
            tinyio::Ok(if tinyio::thread::is_cancelled() { 0 } else { 6 })
        })
        .await?;
        let event = Event::new();
        event.set();
        event.wait().await?;
        assert!(event.wait_timeout(Duration::ZERO).await? && event.is_set());
        event.clear();
        drop((Semaphore::new(1).acquire().await?, Lock::new().acquire().await?));
        let index: usize = Barrier::new(1).wait().await?;
        let mut done = as_completed([async { tinyio::Ok(3_u8) }]);
        while let Some(value) = done.next().await? {
            assert_eq!(value, 3);
        }
        let late: Result<(), TimeoutError> = timeout(Duration::from_millis(1), sleep(Duration::from_secs(9))).await?;
        let broken: Result<(), Crash> = isolate(async { Err::<(), _>(Error::msg("x")) }).await?;
        let crash = broken.unwrap_err();
        let first: &Failure = &crash.failures()[0];
        let site: &Site = first.trace().last().expect("where it happened");
        assert_eq!((first.kind(), first.message().as_str(), site.file), (FailureKind::Error, "x", file!()));
        assert!(!first.name().is_empty() && first.error().is_some() && !crash.is_group());
        assert_eq!(crash.into_error().to_string(), "x");
        assert!(late.is_err() && (b, many.len(), c, squares[2], six, index) == ("b", 1, 2, 4, 6, 0));
        tinyio::Ok(text.len())
    });
    assert_eq!(out.unwrap(), 8);
}

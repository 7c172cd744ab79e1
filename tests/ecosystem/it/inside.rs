//! Loops driven inside other executors.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tinyio::{Event, Loop, Result, coro, gather, run_in_thread, sleep, spawn};

const NAP: Duration = Duration::from_millis(5);

/// Two coroutines that await a third, all of them asleep for a while: 9.
async fn diamond() -> Result<u32> {
    let runs = Rc::new(Cell::new(0));
    let counted = runs.clone();
    let shared = coro(async move {
        counted.set(counted.get() + 1);
        sleep(NAP).await?;
        tinyio::Ok(3)
    });
    let add = |n: u32| {
        let shared = shared.clone();
        async move {
            sleep(NAP * (2 - n)).await?;
            let three = shared.await?;
            sleep(NAP).await?;
            tinyio::Ok(three + n)
        }
    };
    let (three, four, two) = gather((add(0), add(1), run_in_thread(|| tinyio::Ok(2)))).await?;
    assert_eq!(runs.get(), 1);
    Ok(three + four + two)
}

/// What is run inside a host: the diamond, and an exchange with code outside of the loop, in which each side continues
/// only after the other.
async fn in_host() -> u32 {
    let (there, here) = (async_channel::bounded(1), async_channel::bounded(1));
    let called = Event::new();
    let calls = called.clone();
    let (send, receive) = (there.0, here.1);
    let main = async move {
        let talk = async move {
            for round in 0..100 {
                send.send(round).await?;
                assert_eq!(receive.recv().await?, round + 1);
            }
            drop(send);
            called.wait().await?;
            tinyio::Ok(())
        };
        Ok::<_, tinyio::Error>(gather((diamond(), talk)).await?.0)
    };
    let host = async move {
        while let Ok(round) = there.1.recv().await {
            here.0.send(round + 1).await.expect("the other end");
        }
        // From the host's side, while the loop has nothing to do.
        calls.set();
    };
    // Every exit is counted: the loop wakes its host when there is something to do, and only then.
    let mut looped = Loop::new();
    let mut polls = 0;
    let mut driven = pin!(looped.drive(main));
    let driven = poll_fn(|cx| {
        polls += 1;
        driven.as_mut().poll(cx)
    });
    let nine = futures::future::join(driven, host).await.0.unwrap();
    // `join` polls both whenever one is woken.
    assert!(polls < 1_000, "the loop was polled {polls} times");
    nine
}

#[test]
fn inside_tokio() {
    use tokio::runtime::Builder;
    use tokio::task::LocalSet;
    for threads in [0, 1, 3] {
        let mut builder = if threads == 0 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
        if threads > 0 {
            builder.worker_threads(threads);
        }
        let runtime = builder.enable_all().build().unwrap();
        assert_eq!(runtime.block_on(in_host()), 9);
        // As a task, and two of them beside each other, with tasks of tokio's own.
        let local = LocalSet::new();
        let tasks = [local.spawn_local(in_host()), local.spawn_local(in_host())];
        let ticks = runtime.spawn(async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let ended = runtime.block_on(local.run_until(async {
            let ended = futures::future::try_join_all(tasks).await;
            ticks.await.unwrap();
            ended
        }));
        assert_eq!(ended.unwrap(), [9, 9]);
    }
    // tokio's futures know their runtime inside the loop, too.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let main = async {
        tokio::time::sleep(NAP).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let client = coro(async move { tinyio::Ok(tokio::net::TcpStream::connect(address).await?.peer_addr()?) });
        let accept = async move { tinyio::Ok(listener.accept().await?.0.local_addr()?) };
        tinyio::Ok(gather((client, accept)).await?)
    };
    let mut looped = Loop::new();
    let (peer, local) = runtime.block_on(looped.drive(main)).unwrap();
    assert_eq!(peer, local);
}

#[test]
fn inside_smol() {
    assert_eq!(smol::block_on(in_host()), 9);
    let executor = smol::LocalExecutor::new();
    let tasks = [executor.spawn(in_host()), executor.spawn(in_host())];
    assert_eq!(smol::block_on(executor.run(futures::future::join_all(tasks))), [9, 9]);
}

#[test]
fn inside_pollster_and_futures() {
    use futures::executor::{LocalPool, block_on};
    use futures::task::LocalSpawnExt;
    assert_eq!(pollster::block_on(in_host()), 9);
    assert_eq!(block_on(in_host()), 9);
    let mut pool = LocalPool::new();
    let tasks = [(); 2].map(|()| pool.spawner().spawn_local_with_handle(in_host()).unwrap());
    assert_eq!(pool.run_until(futures::future::join_all(tasks)), [9, 9]);
}

#[test]
fn inside_itself() {
    // A loop driven by a coroutine of another, without blocking it.
    let main = async { Ok::<_, tinyio::Error>((in_host().await, coro(diamond()).await?)) };
    assert_eq!(Loop::new().run(main).unwrap(), (9, 9));
}

/// One poll to begin, one for each time that there is something to do, and none in between.
#[test]
fn inside_a_host_that_counts() {
    let mut looped = Loop::new();
    let event = Event::new();
    let set = event.clone();
    let mut polls = 0;
    let main = async move {
        for _ in 0..5 {
            sleep(NAP).await?;
        }
        let thread = spawn(run_in_thread(move || {
            set.set();
            tinyio::Ok(())
        }));
        event.wait().await?;
        tinyio::Ok(thread.await?)
    };
    let mut driven = pin!(looped.drive(main));
    let counted = poll_fn(|cx| {
        polls += 1;
        driven.as_mut().poll(cx)
    });
    pollster::block_on(counted).unwrap();
    // Five sleeps; the event and the end of the thread come together or one by one; a host's waker may be woken once
    // more than it is polled.
    assert!((6..=12).contains(&polls), "the loop was polled {polls} times");
}

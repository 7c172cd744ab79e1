//! Futures of the ecosystem, unchanged, on the loop.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_net::{TcpListener, TcpStream};
use event_listener::Event;
use futures::future::{FutureExt, select_all};
use futures::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use futures::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use tinyio::{Loop, Result, as_completed, coro, gather, run_in_thread, sleep, spawn, yield_now};

use crate::common::{Broken, Log, naps};

#[test]
fn std_wakers_channels() {
    let main = async {
        let (send, receive) = async_channel::bounded(1);
        let producers = (0..10_u32).map(|n| {
            let send = send.clone();
            spawn(async move {
                for round in 0..10 {
                    send.send(n * 10 + round).await?;
                    yield_now().await?;
                }
                tinyio::Ok(())
            })
        });
        let producers: Vec<_> = producers.collect();
        // One more, on a thread.
        let thread = run_in_thread(move || {
            for n in 100..200 {
                send.send_blocking(n)?;
            }
            tinyio::Ok(())
        });
        let thread = spawn(thread);
        let consumers = [(); 3].map(|()| {
            let receive = receive.clone();
            async move { tinyio::Ok(receive.collect::<Vec<_>>().await) }
        });
        let mut all: Vec<_> = gather(consumers).await?.concat();
        gather(producers).await?;
        thread.await?;
        all.sort_unstable();
        tinyio::Ok(all)
    };
    assert_eq!(Loop::new().run(main).unwrap(), (0..200).collect::<Vec<_>>());
}

#[test]
fn std_wakers_locks() {
    let main = async {
        let sum = Arc::new(async_lock::Mutex::new(0));
        let barrier = Arc::new(async_lock::Barrier::new(10));
        let adds = (1..=10).map(|n| {
            let (sum, barrier) = (sum.clone(), barrier.clone());
            async move {
                for _ in 0..10 {
                    let mut sum = sum.lock().await;
                    let before = *sum;
                    yield_now().await?;
                    *sum = before + n;
                }
                barrier.wait().await;
                tinyio::Ok(*sum.lock().await)
            }
        });
        let seen = gather(adds.collect::<Vec<_>>()).await?;
        assert_eq!(seen, [550; 10]);

        let event = Arc::new(Event::new());
        let (here, there) = (event.listen(), event.listen());
        let notifier = event.clone();
        let thread = spawn(run_in_thread(move || tinyio::Ok(notifier.notify(1))));
        here.await;
        thread.await?;
        event.notify_additional(1);
        there.await;
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
}

async fn nap(ms: u64) -> Result<u64> {
    sleep(Duration::from_millis(ms)).await?;
    Ok(ms)
}

/// The first loop of a process: its number is 0, like much that is empty.
#[test]
fn std_wakers_in_the_first_loop() {
    let test = "std_wakers::std_wakers_in_the_first_loop";
    if std::env::var_os("TINYIO_TEST_CHILD").is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args([test, "--exact", "--nocapture"]).env("TINYIO_TEST_CHILD", "1").output().unwrap();
        return assert!(output.status.success(), "{output:?}");
    }
    let main = async {
        let children: FuturesUnordered<_> = (1..=20).map(nap).collect();
        children.try_collect::<Vec<_>>().await
    };
    assert_eq!(Loop::new().run(main).unwrap(), (1..=20).collect::<Vec<_>>());
}

/// A coroutine that blocks its loop for long is slow, not blocked: the tasks that wait inside it are woken in the end.
#[test]
fn std_wakers_in_a_slow_step() {
    let main = async {
        let slow = async {
            for ms in [600, 100, 100, 100, 100] {
                std::thread::sleep(Duration::from_millis(ms));
                futures::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    std::task::Poll::Ready(())
                })
                .await;
                futures::pending!();
            }
            tinyio::Ok(0)
        };
        let children: FuturesUnordered<_> =
            [nap(1).boxed_local(), nap(2).boxed_local(), slow.boxed_local()].into_iter().collect();
        children.try_collect::<Vec<_>>().await
    };
    assert_eq!(Loop::new().run(main).unwrap().len(), 3);
}

#[test]
fn std_wakers_combinators() {
    let main = async {
        // join!, try_join!: tinyio's own await points concurrently in one coroutine,
        let (a, b, c) = futures::join!(nap(3), coro(nap(2)), run_in_thread(|| tinyio::Ok(1)));
        assert_eq!((a?, b?, c?), (3, 2, 1));
        let (a, b) = futures::try_join!(nap(2), nap(1))?;
        assert_eq!((a, b), (2, 1));

        // select!, many times with the same long future: the loop keeps no more of it than one registration.
        let mut long = Box::pin(nap(3_600_000).fuse());
        let shared = spawn(naps(Log::default()));
        let mut awaited = shared.clone().fuse();
        for round in 0..1_000 {
            let mut quick = Box::pin(yield_now().fuse());
            futures::select! {
                _ = long => panic!("an hour is over in round {round}"),
                _ = awaited => panic!("an hour is over in round {round}"),
                turn = quick => turn?,
            }
        }
        drop((long, awaited));

        // FuturesUnordered, select_all, buffer_unordered: children are polled when they are woken, and only then.
        let polls = Rc::new(Cell::new(0));
        let children: FuturesUnordered<_> = (1..=20)
            .map(|ms| {
                let polls = polls.clone();
                let mut nap = Box::pin(nap(ms));
                futures::future::poll_fn(move |cx| {
                    polls.set(polls.get() + 1);
                    nap.as_mut().poll(cx)
                })
            })
            .collect();
        assert_eq!(children.try_collect::<Vec<_>>().await?.into_iter().sum::<u64>(), 210);
        assert!(polls.get() <= 60, "{polls:?}");
        let (first, _, rest) = select_all([nap(50), nap(1)].map(Box::pin)).await;
        assert_eq!((first?, rest.len()), (1, 1));
        let buffered = stream::iter(0..50).map(nap).map(coro).buffer_unordered(8);
        assert_eq!(buffered.try_fold(0, |sum, ms| async move { Ok(sum + ms) }).await?, 1225);

        // Shared, over a coroutine: two others await it,
        let shared_nap = async { nap(2).await.map_err(|error| error.to_string()) }.shared();
        let twice = [shared_nap.clone(), shared_nap].map(|nap| async move { nap.await.map_err(tinyio::Error::msg) });
        assert_eq!(gather(twice).await?, [2, 2]);

        // and as_completed is a stream.
        let naps = as_completed([20, 1, 10].map(nap)).map_ok(|ms| ms + 1);
        assert_eq!(naps.try_collect::<Vec<_>>().await?, [2, 11, 21]);
        Err::<(), _>(Broken("enough"))?;
        tinyio::Ok(())
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_eq!(crash.downcast_ref(), Some(&Broken("enough")), "{crash:?}");
}

/// Every child of a combinator gets the cancellation, and cleans up.
#[test]
fn std_wakers_cancelled() {
    let log = Log::default();
    let (unordered, joined) = (log.clone(), log.clone());
    let main = async move {
        spawn(async move {
            let children: FuturesUnordered<_> = [(); 3].map(|()| naps(unordered.clone())).into_iter().collect();
            children.try_collect::<Vec<_>>().await?;
            tinyio::Ok(())
        });
        spawn(async move {
            let (one, two) = futures::join!(naps(joined.clone()), naps(joined));
            one.and(two)
        });
        nap(3).await?;
        Err::<(), _>(Broken("enough"))?;
        tinyio::Ok(())
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_eq!(crash.downcast_ref(), Some(&Broken("enough")));
    assert!(!crash.is_group());
    // `try_collect` leaves at the first error, and drops the rest.
    assert!(log.entries().len() >= 3 && log.entries().iter().all(|entry| *entry == "cancelled"), "{log:?}");
}

#[test]
fn std_wakers_io() {
    /// Echoes what it receives, line by line, and returns the number of lines.
    async fn echo(stream: TcpStream) -> Result<usize> {
        let mut lines = BufReader::new(stream.clone()).lines();
        let mut out = stream;
        let mut heard = 0;
        while let Some(line) = lines.next().await {
            out.write_all(format!("{}\n", line?.to_uppercase()).as_bytes()).await?;
            heard += 1;
        }
        Ok(heard)
    }
    async fn client(port: u16, n: usize) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut lines = BufReader::new(stream.clone()).lines();
        for line in 0..n {
            stream.write_all(format!("line {line} of {n}\n").as_bytes()).await?;
            async_io::Timer::after(Duration::from_millis(1)).await;
            assert_eq!(lines.next().await.expect("an answer")?, format!("LINE {line} OF {n}"));
        }
        stream.shutdown(std::net::Shutdown::Write)?;
        assert!(lines.next().await.is_none());
        Ok(())
    }
    let main = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let clients: Vec<_> = (0..20).map(|n| spawn(client(port, n))).collect();
        let mut served = Vec::new();
        for _ in 0..20 {
            served.push(spawn(echo(listener.accept().await?.0)));
        }
        gather(clients).await?;
        let heard = gather(served).await?;
        tinyio::Ok(heard.into_iter().sum::<usize>())
    };
    assert_eq!(Loop::new().run(main).unwrap(), 190);

    // A server that is cancelled closes its sockets: the client reads the end.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address)?;
        std::io::Read::read_to_end(&mut stream, &mut Vec::new())
    });
    let main = async {
        let listener = async_io::Async::new(listener)?;
        let (mut stream, _) = listener.accept().await?;
        spawn(async move {
            stream.read_exact(&mut [0; 10]).await?;
            tinyio::Ok(())
        });
        yield_now().await?;
        Err::<(), _>(Broken("server"))?;
        tinyio::Ok(())
    };
    assert!(Loop::new().run(main).unwrap_err().downcast_ref::<Broken>().is_some());
    assert_eq!(client.join().unwrap().unwrap(), 0);
}

#[test]
fn std_wakers_processes() {
    use async_process::{Command, Stdio};
    let main = async {
        let shells = (0..4).map(|n| async move {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("read line; echo \"$line\" {n}; exit {n}"));
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            child.stdin.take().expect("piped").write_all(b"hello\n").await?;
            let mut text = String::new();
            child.stdout.take().expect("piped").read_to_string(&mut text).await?;
            tinyio::Ok((text, child.status().await?.code()))
        });
        gather(shells.collect::<Vec<_>>()).await
    };
    let ended = Loop::new().run(main).unwrap();
    assert_eq!(ended, (0..4).map(|n| (format!("hello {n}\n"), Some(n))).collect::<Vec<_>>());

    // A coroutine that is cancelled while it waits for a process can kill it.
    let main = async {
        spawn(async {
            let mut child = Command::new("sleep").arg("3600").kill_on_drop(true).spawn()?;
            child.status().await?;
            tinyio::Ok(())
        });
        nap(5).await?;
        Err::<(), _>(Broken("enough"))?;
        tinyio::Ok(())
    };
    assert!(Loop::new().run(main).unwrap_err().downcast_ref::<Broken>().is_some());
}

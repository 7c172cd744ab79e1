//! Futures of tokio inside a loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tinyio::{Loop, from_tokio, gather, sleep, timeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::LONG;

#[test]
fn tokio_inside() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let main = async move {
        let talk = from_tokio(async move {
            counted.fetch_add(1, Ordering::SeqCst);
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await?;
                let mut heard = String::new();
                stream.read_to_string(&mut heard).await?;
                stream.write_all(heard.to_uppercase().as_bytes()).await
            });
            let mut client = TcpStream::connect(address).await?;
            client.write_all(b"hello").await?;
            client.shutdown().await?;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await?;
            server.await.map_err(std::io::Error::other)??;
            std::io::Result::Ok(answer)
        });
        let both = gather((talk.clone(), talk.clone())).await?;
        tinyio::Ok((both, talk.await?))
    };
    let hello = || "HELLO".to_owned();
    assert_eq!(Loop::new().run(main).unwrap(), ((hello(), hello()), hello()));
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    // With virtual time it still takes real time.
    let main = async {
        let nap = from_tokio(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            std::io::Result::Ok("slept")
        });
        let slept = timeout(LONG, nap).await?;
        sleep(LONG).await?;
        tinyio::Ok(slept)
    };
    assert_eq!(Loop::new().virtual_time().run(main).unwrap(), Ok("slept"));
}

/// A tokio future that never ends, and a receiver that is notified when it is dropped.
fn endless() -> (impl Future<Output = std::io::Result<()>> + Send, tokio::sync::oneshot::Receiver<()>) {
    let (sender, dropped) = tokio::sync::oneshot::channel();
    let endless = async move {
        let _sender: tokio::sync::oneshot::Sender<()> = sender;
        std::future::pending().await
    };
    (endless, dropped)
}

#[test]
fn dropped_tokio() {
    let main = async {
        // By the time limit of the function that awaits it.
        let (request, dropped) = endless();
        let function = async move { tinyio::Ok(from_tokio(request).await?) };
        assert!(timeout(Duration::from_millis(1), function).await?.is_err());
        assert!(dropped.await.is_err(), "the sender is gone");
        // As the loser of a race.
        let (request, dropped) = endless();
        let request = from_tokio(request);
        futures::future::select(request, sleep(Duration::from_millis(1))).await;
        assert!(dropped.await.is_err(), "the sender is gone");
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
}

#[test]
fn select_loser() {
    let main = async {
        let (cancelled_names, hears) = async_channel::unbounded();
        let slow = |name: &'static str| {
            let cancelled_names = cancelled_names.clone();
            tinyio::coro(async move {
                let cancelled = sleep(LONG).await.unwrap_err();
                cancelled_names.send((name, cancelled.is_timeout())).await?;
                Err::<(), tinyio::Error>(cancelled.into())
            })
        };
        futures::future::select(slow("select"), sleep(Duration::from_millis(1))).await;
        futures::select_biased! {
            never = futures::FutureExt::fuse(slow("select!")) => never?,
            slept = futures::FutureExt::fuse(sleep(Duration::from_millis(1))) => slept?,
        }
        tokio::select! {
            never = slow("tokio::select!") => never?,
            slept = sleep(Duration::from_millis(1)) => slept?,
        }
        let mut many: futures::stream::FuturesUnordered<_> =
            [slow("unordered"), slow("unordered")].into_iter().collect();
        let next = futures::StreamExt::next(&mut many);
        futures::future::select(next, sleep(Duration::from_millis(1))).await;
        drop(many);
        let mut names = Vec::new();
        for _ in 0..5 {
            let (name, timed_out) = hears.recv().await?;
            assert!(!timed_out);
            names.push(name);
        }
        assert_eq!(names, ["select", "select!", "tokio::select!", "unordered", "unordered"]);
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
}

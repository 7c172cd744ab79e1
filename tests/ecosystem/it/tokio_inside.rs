//! Futures of the tokio world inside a loop.

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

    // With virtual time it has the time it takes.
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

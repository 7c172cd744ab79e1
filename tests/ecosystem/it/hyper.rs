//! A `hyper` server and client on loops, one in each of two processes.

use std::cell::Cell;
use std::net::SocketAddr;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use async_net::{TcpListener, TcpStream};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol_hyper::rt::FuturesIo;
use tinyio::{Barrier, Loop, Result, gather, run_in_thread, sleep, spawn};

const CONNECTIONS: usize = 1_000;
const REQUESTS: usize = 3;
/// Names the server for the load process.
const SERVER: &str = "TINYIO_TEST_SERVER";

async fn answer(request: Request<Incoming>, answered: Rc<Cell<usize>>) -> Result<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    // Await points of the loop, and sometimes of a thread.
    sleep(Duration::from_millis(1)).await?;
    let length = body.len();
    let length = if length % 100 == 7 { run_in_thread(move || tinyio::Ok(length)).await? } else { length };
    answered.set(answered.get() + 1);
    Ok(Response::new(Full::from(format!("{path} {length}"))))
}

async fn serve(stream: TcpStream, answered: Rc<Cell<usize>>) -> Result<()> {
    let service = service_fn(|request| {
        let answered = answered.clone();
        async move { answer(request, answered).await.map_err(|error| error.to_string()) }
    });
    Ok(hyper::server::conn::http1::Builder::new().serve_connection(FuturesIo::new(stream), service).await?)
}

async fn client(server: SocketAddr, all_connected: Barrier, n: usize) -> Result<()> {
    let stream = FuturesIo::new(TcpStream::connect(server).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = spawn(connection);
    all_connected.wait().await?;
    for round in 0..REQUESTS {
        let body = Full::new(Bytes::from(vec![b'x'; n + round]));
        let request = Request::post(format!("/{n}/{round}")).header("host", "tinyio").body(body)?;
        let answer = sender.send_request(request).await?;
        assert!(answer.status().is_success());
        let text = answer.into_body().collect().await?.to_bytes();
        assert_eq!(text, format!("/{n}/{round} {}", n + round));
    }
    drop(sender);
    Ok(connection.await?)
}

/// A thousand clients, all of them connected before the first one sends.
fn load(server: SocketAddr) {
    let all_connected = Barrier::new(CONNECTIONS);
    let clients: Vec<_> = (0..CONNECTIONS).map(|n| client(server, all_connected.clone(), n)).collect();
    Loop::new().run(gather(clients)).unwrap();
}

#[test]
fn hyper_under_load() {
    if let Ok(server) = std::env::var(SERVER) {
        return load(server.parse().expect("an address"));
    }
    let answered = Rc::new(Cell::new(0));
    let counted = answered.clone();
    let main = async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = listener.local_addr()?;
        let load = spawn(async move {
            let mut child = async_process::Command::new(std::env::current_exe()?)
                .args(["hyper::hyper_under_load", "--exact", "--nocapture"])
                .env(SERVER, server.to_string())
                .stdout(Stdio::null())
                .kill_on_drop(true)
                .spawn()?;
            let status = child.status().await?;
            if !status.success() {
                return Err(tinyio::Error::msg(format!("the load ended with {status}")));
            }
            Ok(())
        });
        for _ in 0..CONNECTIONS {
            spawn(serve(listener.accept().await?.0, answered.clone()));
        }
        load.await?;
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
    assert_eq!(counted.get(), CONNECTIONS * REQUESTS);
}

//! A server with hyper itself: a task a connection, shut down by a signal.

mod counted;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    tokio::time::sleep(Duration::from_micros(300)).await;
    Ok(Response::new(Full::new(body)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let runtime = tokio::runtime::Handle::current();
    counted::answer(port, move || runtime.metrics().num_alive_tasks());
    let (server, graceful) = (Builder::new(TokioExecutor::new()), GracefulShutdown::new());
    let mut stop = signal(SignalKind::terminate()).expect("a signal");
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service_fn(echo));
                let connection = graceful.watch(connection.into_owned());
                tokio::spawn(async move {
                    let _ = connection.await;
                });
            }
            _ = stop.recv() => break,
        }
    }
    graceful.shutdown().await;
}

//! One connection.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;

use async_io::Async;
use futures_lite::future;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use smol_hyper::rt::FuturesIo;
use tinyio::{Event, isolate};

use crate::files::Files;

/// Serves one client until it closes the connection, or everything is cancelled.
pub async fn serve(stream: Async<TcpStream>, from: SocketAddr, files: Files) -> tinyio::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let files = files.clone();
        async move { Ok::<_, Infallible>(answer(request, files).await) }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(FuturesIo::new(stream), service));
    // Waiting for this event, which is never set, ends when the loop stops; the client is served until then.
    let stopping = async { Err(Event::new().wait().await) };
    let served = future::or(async { Ok(connection.as_mut().await) }, stopping).await;
    let (ended, stopped) = match served {
        Ok(ended) => (ended, None),
        Err(stopped) => {
            // Sends `connection: close` if an answer is under way, and closes the connection after it.
            connection.as_mut().graceful_shutdown();
            (connection.await, stopped.err())
        }
    };
    // A client that disconnected or sent invalid data is no failure of the server.
    if let Err(error) = ended {
        eprintln!("{from}: {error}");
    }
    match stopped {
        None => Ok(()),
        Some(cancelled) => Err(cancelled.into()),
    }
}

/// Answers one request. Its errors stay inside.
async fn answer(request: Request<Incoming>, files: Files) -> Response<Full<Bytes>> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let asked = format!("{method} {path}");
    match isolate(async move { files.answer(&method, &path).await }).await {
        Ok(Ok(response)) => response,
        Ok(Err(crash)) => {
            eprintln!("{asked}: {crash}");
            text(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Err(_cancelled) => text(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// A response with the status as its text.
pub fn text(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{status}\n")));
    *response.status_mut() = status;
    response
}

//! A service for notes, as one writes it with axum: shared state, a cache that is refreshed, a queue of jobs, timeouts.

mod counted;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{RwLock, Semaphore, mpsc, oneshot, watch};
use tower_http::timeout::TimeoutLayer;

#[derive(Clone, Serialize, Deserialize)]
struct Note {
    title: String,
    body: String,
}

#[derive(Clone)]
struct App {
    notes: Arc<RwLock<HashMap<u64, Note>>>,
    jobs: mpsc::Sender<Job>,
    limit: Arc<Semaphore>,
    settings: watch::Receiver<Settings>,
}

struct Job {
    text: String,
    done: oneshot::Sender<usize>,
}

#[derive(Clone, Default)]
struct Settings {
    generation: u64,
}

/// Pages that link to each other, for crawlers.
async fn page(Path(number): Path<u64>) -> String {
    tokio::time::sleep(Duration::from_millis(number % 7)).await;
    format!("/page/{} /page/{}", (2 * number) % 100_003, (2 * number + 1) % 100_003)
}

async fn note(State(app): State<App>, Path(id): Path<u64>) -> Result<Json<Note>, StatusCode> {
    let notes = app.notes.read().await;
    notes.get(&id).cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn create(State(app): State<App>, Path(id): Path<u64>, Json(note): Json<Note>) -> StatusCode {
    let _permit = app.limit.acquire().await.expect("it is never closed");
    let mut notes = app.notes.write().await;
    tokio::time::sleep(Duration::from_micros(200)).await;
    notes.insert(id, note);
    StatusCode::CREATED
}

async fn words(State(app): State<App>, body: String) -> Result<String, StatusCode> {
    let (done, count) = oneshot::channel();
    app.jobs.send(Job { text: body, done }).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let count = count.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(format!("{count} in generation {}", app.settings.borrow().generation))
}

async fn worker(mut jobs: mpsc::Receiver<Job>) {
    while let Some(Job { text, done }) = jobs.recv().await {
        let count = tokio::task::spawn_blocking(move || text.split_whitespace().count()).await.unwrap_or(0);
        let _ = done.send(count);
    }
}

async fn refresh(settings: watch::Sender<Settings>) {
    let mut every = tokio::time::interval(Duration::from_millis(250));
    loop {
        every.tick().await;
        settings.send_modify(|settings| settings.generation += 1);
    }
}

async fn follow(mut settings: watch::Receiver<Settings>, notes: Arc<RwLock<HashMap<u64, Note>>>) {
    while settings.changed().await.is_ok() {
        notes.write().await.retain(|id, _| *id < 1000);
    }
}

#[tokio::main]
async fn main() {
    let (jobs, queue) = mpsc::channel(16);
    let (sender, settings) = watch::channel(Settings::default());
    let notes = Arc::new(RwLock::new(HashMap::new()));
    tokio::spawn(worker(queue));
    tokio::spawn(refresh(sender));
    tokio::spawn(follow(settings.clone(), notes.clone()));
    let app = App { notes, jobs, limit: Arc::new(Semaphore::new(8)), settings };
    let router = Router::new()
        .route("/page/:number", get(page))
        .route("/notes/:id", get(note).post(create))
        .route("/words", post(words))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(10)))
        .with_state(app);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let runtime = tokio::runtime::Handle::current();
    counted::answer(port, move || runtime.metrics().num_alive_tasks());
    axum::serve(listener, router).await.expect("it serves");
}

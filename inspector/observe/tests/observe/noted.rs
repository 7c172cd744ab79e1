//! What a program notes about its polls by itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tinyio_observe::{Observed, observe_named};

/// Task and thread of each poll, in order.
static NOTES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Notes each poll.
pub struct Noted<F>(String, Pin<Box<F>>);

impl<F: Future> Future for Noted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        NOTES.lock().unwrap_or_else(PoisonError::into_inner).push((self.0.clone(), thread));
        self.1.as_mut().poll(context)
    }
}

/// A future that is recorded under this name, and notes its polls itself.
pub fn noted<F: Future>(name: impl Into<String>, future: F) -> Observed<Noted<F>> {
    let name = name.into();
    observe_named(name.clone(), Noted(name, Box::pin(future)))
}

/// Writes what was noted.
pub fn write(path: &Path) {
    let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = notes.iter().fold(String::new(), |mut text, (task, thread)| {
        let _ = writeln!(text, "{task}\t{thread}");
        text
    });
    std::fs::write(path, text).expect("the notes");
}

/// The threads of the polls of each task.
pub fn read(path: &Path) -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(path).expect("the notes");
    let mut noted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let (task, thread) = line.split_once('\t').expect("two parts");
        noted.entry(task.to_owned()).or_default().push(thread.to_owned());
    }
    noted
}

//! A task as its runtime describes it, before its future is read.

use tinyio_frames::TypeRef;

use crate::picture::State;

/// A task.
pub struct Row {
    /// Its number.
    pub id: u64,
    /// Its runtime: an index.
    pub runtime: usize,
    /// The name of its future.
    pub name: String,
    /// The names of other types that may be meant.
    pub or: Vec<String>,
    /// What it is doing.
    pub state: State,
    /// It waits, and no waker of it exists.
    pub never_woken: bool,
    /// Its future.
    pub future: Future,
    /// What has to be known before the row is believed.
    pub notes: Vec<String>,
    /// Of a future of `block_on`, its thread.
    pub thread: Option<i32>,
}

/// The future of a task.
pub enum Future {
    /// Its type and address.
    At(TypeRef, u64),
    /// There is none, or no more.
    None,
    /// Why it is not known.
    Unknown(&'static str),
}

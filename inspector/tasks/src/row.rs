//! A task as its runtime describes it, before its future is read.

use std::sync::Arc;

use tinyio_frames::TypeRef;

use crate::kinds::Kind;
use crate::picture::{Runtime, State};

/// What was found of a runtime.
#[derive(Debug)]
pub struct Found {
    /// The runtime.
    pub runtime: Runtime,
    /// Its tasks.
    pub tasks: Vec<Row>,
    /// Tasks of types that are not known.
    pub unknown: usize,
    /// The program was not about to change what has its tasks.
    pub is_whole: bool,
}

impl Found {
    /// Of a runtime without tasks yet.
    pub fn new(kind: &'static str, flavor: &'static str, is_whole: bool) -> Found {
        Found { runtime: Runtime { kind, flavor, tasks: 0 }, tasks: Vec::new(), unknown: 0, is_whole }
    }
}

/// A task.
#[derive(Clone, Debug)]
pub struct Row {
    /// The address of its header; of a future of `block_on`, its own.
    pub header: u64,
    /// Its number.
    pub id: u64,
    /// The name of its future.
    pub name: Arc<str>,
    /// The names of other types that may be meant.
    pub or: Vec<String>,
    /// What it is doing.
    pub state: State,
    /// The address of its state word, and the word.
    pub word: Option<(u64, u64)>,
    /// It waits, and no waker of it exists.
    pub never_woken: bool,
    /// Its future.
    pub future: Future,
    /// What has to be known before the row is believed.
    pub notes: Vec<String>,
    /// Of a future of `block_on`, its thread.
    pub thread: Option<i32>,
}

impl Row {
    /// A task of a kind that has a header at an address.
    pub fn of<K>(kind: &Kind<K>, header: u64, id: u64, state: State, future: Future) -> Row {
        let (name, or, notes) = (kind.name.clone(), kind.or.clone(), Vec::new());
        Row { header, id, name, or, state, word: None, never_woken: false, future, notes, thread: None }
    }
}

/// The future of a task.
#[derive(Clone, Debug)]
pub enum Future {
    /// Its type and address.
    At(TypeRef, u64),
    /// There is none, or no more.
    None,
    /// Why it is not known.
    Unknown(&'static str),
}

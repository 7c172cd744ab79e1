//! The task layout: all of the crate's `unsafe`, and the invariants it relies on (see [`cell`]).

mod arena;
mod cell;
mod handle;
mod local;
mod run_queue;
mod running;
mod task_table;
mod waiters;
mod wake_token;
mod waker;

pub(crate) use cell::{BoxError, Header, Payload, Profile, flag};
pub(crate) use handle::Handle;
pub(crate) use local::{current, each, enter, find_tag};
pub(crate) use run_queue::{Queue, Queued};
pub(crate) use running::{CurrentTask, Running, Step};
pub(crate) use task_table::TaskTable;
pub(crate) use waiters::Position;
pub(crate) use wake_token::{Kind, WakeToken};
pub(crate) use waker::{Inbox, Mail, lend, take_back, wake, wake_token};

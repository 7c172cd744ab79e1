//! The task layout, which is where `unsafe` code is, and what it relies on: read the top of [`cell`]. It knows no loop,
//! and no recorder: a loop is what implements [`Schedule`].

mod arena;
mod cell;
mod context;
mod fault;
mod handle;
mod memory;
mod release;
mod run_queue;
mod running;
mod schedule;
mod step;
mod task_table;
mod waiters;
mod wake_token;
mod waker;

pub(crate) use cell::{Header, Profile, flag};
pub(crate) use context::{Context, Entered};
pub(crate) use fault::{BoxError, Fault, Payload, Reason, TypeName};
pub(crate) use handle::Handle;
pub(crate) use memory::keep_memory;
pub(crate) use run_queue::{Queue, Queued};
pub(crate) use running::{CurrentTask, Running};
pub(crate) use schedule::{Schedule, WakerVtable};
pub(crate) use step::{Outcome, Step};
pub(crate) use task_table::TaskTable;
pub(crate) use waiters::{Position, Several};
pub(crate) use wake_token::{Kind, MAX_TAGS, WakeToken, next_number, tag_of};
pub(crate) use waker::{lend, wake_token};

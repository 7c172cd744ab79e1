//! The task layout: all of the crate's `unsafe`, and the invariants it rests on (see [`block`]).

mod block;
mod handle;
mod local;
mod memory;
mod ready;
mod running;
mod slots;
mod waiters;
mod waker;
mod word;

pub(crate) use block::{BoxError, Header, Payload, Profile, flag};
pub(crate) use handle::Handle;
pub(crate) use local::{current, each, enter, find_tag};
pub(crate) use ready::{Queue, Queued};
pub(crate) use running::{Running, Spot, Step};
pub(crate) use slots::Slots;
pub(crate) use waiters::Position;
pub(crate) use waker::{Inbox, Mail, lend, take_back, wake, word};
pub(crate) use word::{Kind, Word};

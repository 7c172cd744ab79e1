//! The task layout: all of the crate's `unsafe`, and the invariants it rests on (see [`block`]).

mod block;
mod local;
mod waiters;
mod waker;
mod word;

pub(crate) use block::{BoxError, Handle, Header, Payload, Profile, Queue, Queued, Running, Slotted, Spot, Step, flag};
pub(crate) use local::{current, each, enter, find};
pub(crate) use waiters::Position;
pub(crate) use waker::{Inbox, Mail, lend, wake, word};
pub(crate) use word::{Kind, MAX_SLOTS, Word};

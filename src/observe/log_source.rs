//! The author of a `tracing` message, and how the message is recorded.

use std::sync::{Arc, LazyLock};

pub(crate) use tinyio_events::event::FIELD;
use tinyio_events::event::Kind;
use tinyio_events::secrets::{MASKED, NOT_RECORDED};
use tinyio_frames::Limits;

use super::env::Switch;
use super::notes::{Mailbox, ThreadNote};
use super::observer::Observer as _;
use super::recorded_loops::RECORDED_LOOPS;
use super::recording::{RECORDING, Recording};
use crate::task::Header;

/// The most messages of threads that wait for the loop to record them. More are dropped, when a coroutine blocks the
/// loop for that long.
const MAX_NOTES: usize = 4096;

/// Whether there is a recording on this thread, or the environment asks for one, so that a message may be needed.
pub(crate) fn may_record() -> bool {
    static ASKED: LazyLock<bool> = LazyLock::new(|| Switch::read().record);
    *ASKED || is_recorded()
}

fn is_recorded() -> bool {
    RECORDING.try_with(|recording| recording.borrow().is_some()).unwrap_or(false)
}

/// A coroutine of a recorded loop, or the loop's thread between two steps.
#[derive(Clone)]
pub(crate) struct Author {
    coro: u64,
    /// The inbox of its loop. `None`: no loop runs on this thread at the moment.
    inbox: Option<Arc<dyn Mailbox>>,
}

impl PartialEq for Author {
    fn eq(&self, other: &Author) -> bool {
        self.coro == other.coro && self.inbox.as_ref().map(address) == other.inbox.as_ref().map(address)
    }
}

impl Author {
    /// The author of messages on this loop's thread; `None` on other threads, and when nothing is recorded.
    pub(crate) fn here() -> Option<Author> {
        let inside = RECORDED_LOOPS.current(|executor| {
            let executor = executor.filter(|executor| executor.rec().is_on())?;
            let coro = executor.current_task().with(|coro| coro.map_or(0, Header::id));
            Some(Author { coro, inbox: Some(executor.mailbox()) })
        });
        inside.or_else(|| is_recorded().then_some(Author { coro: 0, inbox: None }))
    }

    pub(crate) fn is_coroutine(&self) -> bool {
        self.coro != 0
    }

    /// Records a message. Other threads leave it in the loop's inbox.
    pub(crate) fn record(&self, level: &str, target: String, message: String, fields: Vec<(&'static str, String)>) {
        static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::from_env);
        let shown = |(name, value): (&str, String)| {
            let value = match LIMITS.values {
                false => NOT_RECORDED.to_owned(),
                true if LIMITS.secrets.has(name) => MASKED.to_owned(),
                true => value,
            };
            (name.to_owned(), value)
        };
        let fields = fields.into_iter().map(shown).collect();
        let kind = Kind::Log { coro: self.coro, level: level.to_owned(), target, message, fields };
        let record = |recording: &Recording| {
            recording.tick();
            recording.emit(kind.clone());
        };
        let Some(inbox) = &self.inbox else {
            return RECORDING.with_borrow(|recording| _ = recording.as_deref().map(record));
        };
        let here = RECORDED_LOOPS.find(
            |executor| Arc::ptr_eq(&executor.mailbox(), inbox),
            |executor| executor.and_then(|executor| executor.rec().on()).map(record),
        );
        if here.is_none() {
            inbox.post_notes(&mut |notes| leave(notes, kind.clone()));
        }
    }
}

fn address(mailbox: &Arc<dyn Mailbox>) -> *const () {
    Arc::as_ptr(mailbox).cast()
}

fn leave(notes: &mut Vec<ThreadNote>, kind: Kind) {
    if notes.len() < MAX_NOTES {
        notes.push(ThreadNote::Happened(kind));
    } else if let Some(ThreadNote::Happened(Kind::Lost { events, .. })) = notes.last_mut() {
        *events += 1;
    } else {
        notes.push(ThreadNote::Happened(Kind::Lost { events: 1, why: "log".to_owned() }));
    }
}

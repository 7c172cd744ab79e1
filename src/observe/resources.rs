//! Threads and resources in the record.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tinyio_events::event::Kind;

use super::event::ResKind;
use super::notes::ThreadNote;
use super::observer::{Observed, ResourceObserver, ThreadObserver};
use super::recording::send;
use super::stack_requests::Asked;
use crate::failure::crash::FailureKind;
use crate::failure::event::outcome;
use crate::failure::type_name;
use crate::task::{Header, WakeToken};

/// The recorded state of a function on a thread.
#[derive(Default)]
pub(crate) struct Thread {
    /// 0 if it is not recorded.
    id: u64,
}

impl Thread {
    fn note(&self, notes: &mut Vec<ThreadNote>, kind: Kind) {
        if self.id != 0 {
            notes.push(ThreadNote::Happened(kind));
        }
    }
}

impl ThreadObserver for Thread {
    fn queue(executor: &impl Observed, coro: &Header, at: &'static Location<'static>) -> Thread {
        let Some(recording) = executor.rec().on() else { return Thread::default() };
        recording.threads.set(recording.threads.get() + 1);
        let thread = recording.threads.get();
        let (name, site) = {
            let mut recorder = recording.recorder.borrow_mut();
            let recorder = recorder.recorder();
            (recorder.name(type_name::path(coro.type_name())), recorder.site(at))
        };
        recording.emit(Kind::ThreadQueue { thread, coro: coro.id(), name, site });
        Thread { id: thread }
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn started(&self, notes: &mut Vec<ThreadNote>) {
        self.note(notes, Kind::ThreadStart { thread: self.id });
    }

    fn ended(&self, notes: &mut Vec<ThreadNote>, how: Option<FailureKind>, wakes: Option<WakeToken>) {
        if self.id != 0 {
            notes.push(ThreadNote::Ended { thread: self.id, outcome: outcome(how), wakes });
        }
    }

    fn noticed(&self, notes: &mut Vec<ThreadNote>) {
        self.note(notes, Kind::ThreadNotice { thread: self.id });
    }

    fn cancelled(&self, executor: &impl Observed) {
        if let Some(recording) = executor.rec().on().filter(|_| self.id != 0) {
            recording.emit(Kind::ThreadCancel { thread: self.id });
        }
    }
}

/// The recorded state of permits that are taken: by which coroutine, and how many. Empty if that is not recorded.
#[derive(Default)]
pub(crate) struct Hold {
    coro: u64,
    permits: usize,
    /// The recording.
    recorded: Option<Asked>,
}

/// The recorded state of a resource. Several loops may use it; it has the same number in all of them.
pub(crate) struct Res {
    id: AtomicU64,
    what: ResKind,
    size: u64,
    name: OnceLock<Cow<'static, str>>,
    at: &'static Location<'static>,
    /// The recording that has its number.
    recorded: OnceLock<Asked>,
}

impl Res {
    /// Records an event on any thread.
    fn emit(&self, kind: impl FnOnce(u64) -> Kind) {
        if let Some(recorded) = self.recorded.get() {
            send(recorded, kind(self.id.load(Ordering::Relaxed)));
        }
    }
}

impl ResourceObserver for Res {
    type Hold = Hold;

    #[track_caller]
    fn new(what: ResKind, size: u64) -> Res {
        Res {
            id: AtomicU64::new(0),
            what,
            size,
            name: OnceLock::new(),
            at: Location::caller(),
            recorded: OnceLock::new(),
        }
    }

    fn set_name(&self, name: Cow<'static, str>) {
        let _ = self.name.set(name);
    }

    /// The number is assigned and recorded when a recorded loop first uses it.
    fn id(&self, executor: &impl Observed) -> u64 {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let Some(recording) = executor.rec().on() else { return 0 };
        let mut id = self.id.load(Ordering::Relaxed);
        if id == 0 {
            id = IDS.fetch_add(1, Ordering::Relaxed);
            self.id.store(id, Ordering::Relaxed);
            let _ = self.recorded.set(recording.asked.clone());
            let (site, name) = {
                let mut recorder = recording.recorder.borrow_mut();
                let recorder = recorder.recorder();
                (recorder.site(self.at), self.name.get().map_or(0, |name| recorder.intern(name)))
            };
            recording.emit(Kind::ResNew { res: id, what: self.what, size: self.size, site, name });
        }
        id
    }

    fn hold(&self, executor: &impl Observed, at: &'static Location<'static>, permits: usize) -> Hold {
        let res = self.id(executor);
        let Some(recording) = executor.rec().on() else { return Hold::default() };
        let coro = executor.current_task().with(|coro| coro.map_or(0, Header::id));
        let mut recorder = recording.recorder.borrow_mut();
        let recorder = recorder.recorder();
        let site = recorder.site(at);
        for _ in 0..permits {
            recorder.hold(recording.at.get(), res, coro, site);
        }
        Hold { coro, permits, recorded: Some(recording.asked.clone()) }
    }

    fn release(&self, hold: &Hold) {
        let Some(recorded) = &hold.recorded else { return };
        for _ in 0..hold.permits {
            send(recorded, Kind::Release { res: self.id.load(Ordering::Relaxed), coro: hold.coro });
        }
    }

    fn set(&self, set: bool) {
        self.emit(|res| Kind::Set { res, set });
    }
}

impl Drop for Res {
    fn drop(&mut self) {
        self.emit(|res| Kind::ResDrop { res });
    }
}

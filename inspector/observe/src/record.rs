//! The record of the process: one recorder, which all threads use under a lock.
//!
//! A ring for each thread would need no lock, but 16 MiB for each thread, and a reader that merges them by a time that
//! is not exact enough to order a wake and the poll that it causes. The lock is held for one event. A recorded poll,
//! two events, costs 34 ns of CPU time, and 38 ns if two threads poll all the time (`cargo bench -p tinyio-cost --bench
//! observe`). A thread that finds it taken waits.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use tinyio_events::event::{CoroId, Kind, LoopId, LoopMode, LoopOutcome, Target};
use tinyio_recorder::exit::AtExit;
use tinyio_recorder::recorder::Recorder;
use tinyio_recorder::switch::Switch;
use tinyio_recorder::trace::NamedTrace;

use crate::thread;

/// The loop that all observed futures belong to.
pub(crate) const OBSERVED: LoopId = 1;

const UNKNOWN: u8 = 0;
const ON: u8 = 1;
const OFF: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
static RECORD: Mutex<Option<Record>> = Mutex::new(None);
/// Events that came in the midst of another one of their thread.
static MISSED: AtomicU64 = AtomicU64::new(0);

/// The recording of this process.
pub(crate) struct Record {
    pub(crate) recorder: Recorder,
    trace: Option<NamedTrace>,
    at_exit: AtExit,
    pid: u32,
    coros: CoroId,
    /// Slots that are free, and how many there are.
    free: Vec<u32>,
    slots: u32,
    /// The number of the latest worker, and those that run.
    latest: LoopId,
    workers: Vec<LoopId>,
}

/// Whether futures are recorded. The first call reads the environment and starts the recording.
#[inline]
pub(crate) fn is_on() -> bool {
    match STATE.load(Ordering::Relaxed) {
        UNKNOWN => start(),
        state => state == ON,
    }
}

#[cold]
fn start() -> bool {
    let mut record = RECORD.lock().unwrap_or_else(PoisonError::into_inner);
    if STATE.load(Ordering::Relaxed) != UNKNOWN {
        return STATE.load(Ordering::Relaxed) == ON;
    }
    *record = Record::start();
    let state = if record.is_some() { ON } else { OFF };
    STATE.store(state, Ordering::Relaxed);
    state == ON
}

/// Calls `event` with the record, if there is one. Nothing of the program runs inside.
pub(crate) fn with<T>(event: impl FnOnce(&mut Record) -> T) -> Option<T> {
    if STATE.load(Ordering::Relaxed) != ON {
        return None;
    }
    let inside = || {
        let mut guard = lock()?;
        let record = guard.as_mut()?;
        let result = catch_unwind(AssertUnwindSafe(|| {
            if MISSED.load(Ordering::Relaxed) != 0 {
                record.missed();
            }
            event(record)
        }));
        if result.is_err() {
            STATE.store(OFF, Ordering::Relaxed);
            // What its destructor would do may panic again.
            std::mem::forget(guard.take());
        }
        Some(result)
    };
    let Some(result) = thread::once(inside) else {
        MISSED.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    match result? {
        Ok(result) => Some(result),
        Err(_) => {
            eprintln!(
                "tinyio: the recorder panicked, so the recording of observed futures ends here; the program runs on"
            );
            None
        }
    }
}

/// `None` in a child of `fork`, where the thread that holds the lock does not exist.
fn lock() -> Option<MutexGuard<'static, Option<Record>>> {
    match RECORD.try_lock() {
        Ok(guard) => return Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {}
    }
    if is_forked() {
        STATE.store(OFF, Ordering::Relaxed);
        return None;
    }
    Some(RECORD.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The process that records, to be compared without the lock.
static PID: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn is_forked() -> bool {
    PID.load(Ordering::Relaxed) != std::process::id()
}

thread_local! {
    static LEAVING: Leaving = const { Leaving };
}

/// Dropped when a thread ends that has a number.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        with(|record| record.worker_ended(thread::worker()));
    }
}

/// The process exits: the recording ends in good order if no observed future lives. Otherwise it is marked as left by
/// the exit, which is not done here.
fn exits() {
    if with(Record::end_if_unused) == Some(true) {
        STATE.store(OFF, Ordering::Relaxed);
        let record = lock().and_then(|mut guard| guard.take());
        let Some(Record { recorder, trace, at_exit, .. }) = record else { return };
        // The list that it is taken out of is in use.
        std::mem::forget(at_exit);
        if let Some(trace) = trace {
            trace.finish();
        }
        recorder.finish();
    }
}

impl Record {
    fn start() -> Option<Record> {
        let switch = Switch::read();
        if !switch.record {
            return None;
        }
        let (mut recorder, trace) = switch.start()?;
        if switch.view {
            eprintln!(
                "tinyio: observed futures have no live view: they are recorded, and `tinyio-inspector` in another \
                 terminal shows them"
            );
        }
        let at_exit =
            AtExit::watch(exits, recorder.at_exit(), trace.as_ref().and_then(NamedTrace::at_exit), Vec::new());
        let at = recorder.now();
        recorder.emit(at, Kind::LoopStart { id: OBSERVED, parent: 0, mode: LoopMode::Observed });
        let pid = std::process::id();
        PID.store(pid, Ordering::Relaxed);
        let (free, workers) = (Vec::new(), Vec::new());
        Some(Record { recorder, trace, at_exit, pid, coros: 0, free, slots: 0, latest: OBSERVED, workers })
    }
}

/// The events, as the hot methods of the recorder.
impl Record {
    /// The number and the slot of a new future, which is ready.
    pub(crate) fn spawn(
        &mut self,
        parent: CoroId,
        type_name: &'static str,
        given: Option<&str>,
        place: &'static Location<'static>,
    ) -> (CoroId, u32) {
        self.coros += 1;
        let coro = self.coros;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        let recorder = &mut self.recorder;
        let at = recorder.now();
        let name = recorder.name_of(type_name, |name| name.trim_end_matches("::{{closure}}"));
        let site = recorder.site(place);
        recorder.spawn(at, slot, coro, OBSERVED, parent, name, site);
        if let Some(given) = given {
            let name = recorder.intern(given);
            recorder.emit(at, Kind::Named { what: Target::Coro(coro), name });
        }
        (coro, slot)
    }

    /// Gives back the slot of a future that has ended.
    pub(crate) fn ended(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// The number of this thread.
    #[inline]
    pub(crate) fn worker(&mut self, at: u64) -> LoopId {
        match thread::worker() {
            0 => self.new_worker(at),
            worker => worker,
        }
    }

    #[cold]
    fn new_worker(&mut self, at: u64) -> LoopId {
        self.latest += 1;
        let id = self.latest;
        self.workers.push(id);
        self.recorder.emit(at, Kind::LoopStart { id, parent: 0, mode: LoopMode::Worker });
        if let Some(name) = std::thread::current().name() {
            let name = self.recorder.intern(name);
            self.recorder.emit(at, Kind::Named { what: Target::Loop(id), name });
        }
        thread::set_worker(id);
        // In a thread that ends already, the end is not recorded.
        let _ = LEAVING.try_with(|_| ());
        id
    }

    fn worker_ended(&mut self, id: LoopId) {
        let Some(index) = self.workers.iter().position(|worker| *worker == id) else { return };
        self.workers.swap_remove(index);
        let at = self.recorder.now();
        self.recorder.emit(at, Kind::LoopEnd { id, outcome: LoopOutcome::Ok });
    }

    /// Ends what runs, if no future lives and this is the process that records.
    fn end_if_unused(&mut self) -> bool {
        if self.free.len() != self.slots as usize || self.pid != std::process::id() {
            return false;
        }
        let at = self.recorder.now();
        for id in std::mem::take(&mut self.workers).into_iter().chain([OBSERVED]) {
            self.recorder.emit(at, Kind::LoopEnd { id, outcome: LoopOutcome::Ok });
        }
        true
    }

    #[cold]
    fn missed(&mut self) {
        let events = MISSED.swap(0, Ordering::Relaxed);
        let at = self.recorder.now();
        self.recorder.emit(at, Kind::Lost { events, why: "dropped".to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::process::Command;
    use std::task::{Context, Poll, Waker};

    use tinyio_events::source::Source;

    use super::*;
    use crate::observe;

    /// Whether this is the process that records; otherwise it has been started, and its stderr is checked.
    fn recorded(test: &str, stderr: &str) -> bool {
        if std::env::var_os("OBSERVE_TEST").is_some() {
            assert!(is_on());
            return true;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("record::tests::{test}"), "--nocapture"]).env("OBSERVE_TEST", "1");
        command.env("TINYIO_INSPECT", "record").env("TINYIO_RING_DIR", folder.path().join("rings"));
        let output = command.env_remove("TINYIO_TRACE").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains(stderr), "{text}");
        false
    }

    #[test]
    fn a_panic_of_the_recorder_ends_the_recording_and_not_the_program() {
        if recorded("a_panic_of_the_recorder_ends_the_recording_and_not_the_program", "the recorder panicked") {
            let mut future = pin!(observe(async { 7 }));
            assert_eq!(with(|_| panic!("on purpose")), None::<()>);
            assert!(!is_on());
            assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(7));
            drop(observe(async {}));
        }
    }

    #[test]
    fn an_event_in_the_midst_of_another_is_counted_as_missing() {
        if recorded("an_event_in_the_midst_of_another_is_counted_as_missing", "") {
            assert_eq!(with(|_| with(|_| ())), Some(None), "as in a signal handler");
            let future = observe(async {});
            let mut kinds = Vec::new();
            let mut reader = with(|record| record.recorder.reader()).unwrap().unwrap();
            reader.read(100, &mut |event| kinds.push(event.kind)).unwrap();
            let lost = kinds.iter().position(|kind| *kind == Kind::Lost { events: 1, why: "dropped".to_owned() });
            let spawn = kinds.iter().position(|kind| matches!(kind, Kind::Spawn { .. }));
            assert!(lost.is_some() && lost < spawn, "{kinds:?}");
            drop(future);
        }
    }
}

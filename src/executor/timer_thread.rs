//! Wakes driven loops when their timers are due, as their hosts do not have tinyio's timers. It also checks whether a
//! coroutine blocks its loop: see [`watchdog`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::executor::inbox::Inbox;
use crate::executor::watchdog;
use crate::panics;
use crate::threading::PerProcess;

struct Alarms {
    heap: Mutex<Heap>,
    change: Condvar,
}

struct Heap {
    alarms: BinaryHeap<Reverse<Alarm>>,
    /// Whether the thread runs. It ends when there is nothing left to wait for.
    running: bool,
}

struct Alarm {
    at: Instant,
    inbox: Weak<Inbox>,
    action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The loop has a timer.
    Wake,
    /// Check whether an executor blocks the loop's turn.
    CheckTurn,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Alarm) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Alarm) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Alarm) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

static ALARMS: LazyLock<PerProcess<Alarms>> = LazyLock::new(|| PerProcess::new(Alarms::new));

impl Alarms {
    fn new() -> Alarms {
        Alarms { heap: Mutex::new(Heap { alarms: BinaryHeap::new(), running: false }), change: Condvar::new() }
    }
}

/// Wakes the loop of this inbox after this many nanoseconds. Ignored if the loop is gone by then.
pub(crate) fn wake_after(after: u64, inbox: Weak<Inbox>) {
    set(Duration::from_nanos(after), inbox, Action::Wake);
}

/// Checks the turn of the loop of this inbox: see [`watchdog`].
pub(crate) fn check_turn_later(inbox: Weak<Inbox>) {
    set(watchdog::INTERVAL, inbox, Action::CheckTurn);
}

fn set(after: Duration, inbox: Weak<Inbox>, action: Action) {
    let Some(at) = Instant::now().checked_add(after) else { return };
    let alarms = ALARMS.here();
    let mut heap = alarms.heap.lock().unwrap_or_else(PoisonError::into_inner);
    heap.alarms.push(Reverse(Alarm { at, inbox, action }));
    if heap.running {
        alarms.change.notify_one();
        return;
    }
    let thread = std::thread::Builder::new().name("tinyio timer".to_owned()).spawn(|| watch(alarms));
    match thread {
        Ok(_) => heap.running = true,
        Err(error) => panic!("tinyio: cannot start the thread that wakes driven loops: {error}"),
    }
}

fn watch(alarms: &Alarms) {
    let mut heap = alarms.heap.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let now = Instant::now();
        match heap.alarms.peek() {
            None => {
                heap.running = false;
                return;
            }
            Some(Reverse(alarm)) if alarm.at <= now => {
                let due = heap.alarms.pop().and_then(|Reverse(alarm)| Some((alarm.inbox.upgrade()?, alarm.action)));
                drop(heap);
                // The wakers of other executors may panic, and dropping the last reference to an inbox may drop some:
                // this thread still serves the other loops.
                panics::contain(|| match due {
                    Some((inbox, Action::Wake)) => inbox.post(|_| {}),
                    Some((inbox, Action::CheckTurn)) if inbox.watch().check() => {
                        check_turn_later(Arc::downgrade(&inbox))
                    }
                    _ => {}
                });
                heap = alarms.heap.lock().unwrap_or_else(PoisonError::into_inner);
            }
            Some(Reverse(alarm)) => {
                let left = alarm.at - now;
                heap = alarms.change.wait_timeout(heap, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

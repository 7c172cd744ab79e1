//! The inboxes through which wakers and other threads reach a loop.

use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use crate::executor::timer_wheel;
use crate::executor::watchdog::Watchdog;
use crate::observe::{Mailbox, ThreadNote};
use crate::panics;
use crate::task::{MAX_TAGS, TypeName, WakeToken, next_number, tag_of};
use crate::threading::{self, AtomicBool, AtomicUsize, Mutex, MutexGuard, RwLock, Thread, global};

/// What other threads send to a loop.
pub(crate) struct Inbox {
    number: u32,
    mail: Mutex<Mail>,
    /// Set when `mail` holds something.
    flag: AtomicBool,
    /// The number of wakers cloned and not yet dropped: while it is 0, no waker outside can wake a coroutine.
    wakers: AtomicUsize,
    /// The loop is gone.
    closed: AtomicBool,
    /// The foreign wakers registered at await points in the current turn.
    watch: Watchdog,
    /// Set while the loop runs.
    running: AtomicBool,
    /// Set when Ctrl-C was pressed in the current run.
    interrupted: AtomicBool,
    /// Runs inside steps of this loop: they block it, and are stopped with it.
    inner: Mutex<Vec<Arc<Inbox>>>,
    /// The thread that runs the loop: it is unparked.
    thread: Thread,
    /// The host that drives the loop, if it is driven: woken instead.
    host: Mutex<Option<Host>>,
}

/// The task that drives a loop.
#[derive(Clone)]
pub(super) enum Host {
    /// A coroutine, and what wakes it. Not a clone of its waker, which would count as a waker outside the loop.
    Coro(WakeToken, fn(WakeToken)),
    /// Shared, so that its executor's code runs while the lock is free.
    Task(Arc<Waker>),
}

/// The content of an inbox.
#[derive(Default)]
pub(crate) struct Mail {
    /// The tasks to be woken.
    pub(crate) wake_tokens: Vec<WakeToken>,
    /// Why everything is to be cancelled, if it is.
    pub(crate) cancel: Option<Stop>,
    /// Coroutines whose last handle was dropped outside of the loop, each with the coroutine that dropped it.
    pub(crate) abandoned: Vec<(WakeToken, Option<TypeName>)>,
    /// Notes of threads for the record.
    pub(crate) notes: Vec<ThreadNote>,
    /// What await points had registered in the loop that were dropped where it was not running.
    pub(crate) unregister: Vec<Registration>,
}

/// What an await point has registered in its loop, and removes when it ends or is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Registration {
    Timer(timer_wheel::Key),
    /// A foreign waker.
    Foreign(u32),
    /// An entry in [`Detection::waits`](crate::executor::waits::Detection::waits).
    Wait(u32),
    /// A loop that a task of this one drives.
    Guest(u32),
}

/// Why a loop is stopped from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// By its handle, or Ctrl-C.
    Interrupted,
    /// The future that drives it was dropped.
    Dropped,
}

/// The inboxes by tag.
#[derive(Default)]
struct Table {
    inboxes: Vec<Option<Arc<Inbox>>>,
    /// The next numbers of free tags.
    free: Vec<u32>,
    /// The first numbers of tags whose numbers are all used up. They are reused when all tags are here, which is after
    /// 2^32 loops: until then, an await point that was kept names its own loop or none.
    worn: VecDeque<u32>,
}

global!(TABLE: RwLock<Table> = RwLock::default());

impl Inbox {
    /// Makes an inbox, with a tag of its own.
    ///
    /// # Panics
    ///
    /// If the process has 2^20 loops already.
    pub(crate) fn new() -> Arc<Inbox> {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        let number = match table.free.pop() {
            Some(number) => number,
            None if table.inboxes.len() < MAX_TAGS => {
                table.inboxes.push(None);
                table.inboxes.len() as u32 - 1
            }
            None => match table.worn.pop_front() {
                Some(number) => number,
                None => panic!("tinyio: more than {MAX_TAGS} loops at once in this process"),
            },
        };
        let inbox = Arc::new(Inbox {
            number,
            mail: Mutex::default(),
            flag: AtomicBool::new(false),
            wakers: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            watch: Watchdog::default(),
            running: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            inner: Mutex::default(),
            thread: threading::current(),
            host: Mutex::new(None),
        });
        table.inboxes[tag_of(number) as usize] = Some(inbox.clone());
        inbox
    }

    /// Closes the inbox of a loop that is gone. Its tag is reused, with another number, once no waker has it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.retire();
    }

    /// Whether the loop still exists.
    #[cfg(feature = "signal")]
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::SeqCst)
    }

    /// Handles Ctrl-C. Returns `true` if it was not the first one in this run.
    #[cfg(feature = "signal")]
    pub(crate) fn interrupt(&self) -> bool {
        self.interrupted.swap(true, Ordering::Relaxed)
    }

    /// Whether the loop is running.
    #[cfg(feature = "signal")]
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn run_begins(&self) {
        self.running.store(true, Ordering::Relaxed);
    }

    pub(crate) fn run_ended(&self) {
        self.running.store(false, Ordering::Relaxed);
        self.interrupted.store(false, Ordering::Relaxed);
    }

    /// Stops the loop, or its next run, and the runs inside its steps.
    pub(crate) fn stop(&self) {
        self.post(|mail| mail.cancel = Some(Stop::Interrupted));
        let inner = self.inner().clone();
        inner.iter().for_each(|inner| inner.stop());
    }

    fn inner(&self) -> MutexGuard<'_, Vec<Arc<Inbox>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a run begins inside a step of this loop.
    pub(crate) fn enclose(&self, inner: &Arc<Inbox>) {
        self.inner().push(inner.clone());
        // The loop may have been stopped since the step began.
        if self.mail.lock().unwrap_or_else(PoisonError::into_inner).cancel.is_some() {
            inner.stop();
        }
    }

    /// Records that this run has ended.
    pub(crate) fn release(&self, inner: &Arc<Inbox>) {
        self.inner().retain(|other| !Arc::ptr_eq(other, inner));
    }

    /// Takes the request to stop the loop.
    pub(crate) fn take_stop(&self) -> Option<Stop> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner).cancel.take()
    }

    fn retire(&self) {
        if self.closed.load(Ordering::SeqCst) && self.wakers.load(Ordering::SeqCst) == 0 {
            let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
            let entry = &mut table.inboxes[self.tag() as usize];
            if entry.as_ref().is_some_and(|inbox| ptr::eq(&**inbox, self)) {
                *entry = None;
                match next_number(self.number) {
                    first if first < MAX_TAGS as u32 => table.worn.push_back(first),
                    number => table.free.push(number),
                }
            }
        }
    }

    /// The number of the loop: see [`tag_of`].
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The tag in the wake tokens of the loop's tasks.
    pub(crate) fn tag(&self) -> u32 {
        tag_of(self.number)
    }

    pub(crate) fn watch(&self) -> &Watchdog {
        &self.watch
    }

    /// The number of wakers that were cloned and not yet dropped.
    pub(crate) fn wakers(&self) -> usize {
        self.wakers.load(Ordering::Acquire)
    }

    /// Puts something in and wakes the loop, unless it was woken and has not read its inbox since.
    pub(crate) fn post(&self, put: impl FnOnce(&mut Mail)) {
        put(&mut self.mail.lock().unwrap_or_else(PoisonError::into_inner));
        if self.raise() {
            self.notify();
        }
    }

    /// Wakes a coroutine by a waker that is dropped with it. The loop is woken once for both, after both.
    pub(super) fn post_last(&self, wake_token: WakeToken) {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner).wake_tokens.push(wake_token);
        let raised = self.raise();
        // Again, because the loop may have read its inbox in between.
        if (self.forget_waker() && self.raise()) || raised {
            self.notify();
        }
    }

    /// Sets the flag. Returns `true` if it was clear, so that the loop is to be woken.
    fn raise(&self) -> bool {
        !self.flag.swap(true, Ordering::AcqRel)
    }

    /// Has the loop read its inbox.
    fn notify(&self) {
        let host = self.host().clone();
        match host {
            // Its panic is caught here: this thread may serve other loops, too.
            Some(Host::Task(waker)) => _ = panics::contain(move || waker.wake_by_ref()),
            Some(Host::Coro(wake_token, wake)) => wake(wake_token),
            None => self.thread.unpark(),
        }
    }

    /// Counts a waker that was cloned.
    pub(super) fn keep_waker(&self) {
        self.wakers.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts down a dropped waker. Returns `true` if no waker remains: a sleeping loop must then start the deadlock
    /// check.
    pub(super) fn forget_waker(&self) -> bool {
        let last = self.wakers.fetch_sub(1, Ordering::SeqCst) == 1;
        if last {
            self.retire();
        }
        last
    }

    /// Whether the inbox holds something. A thread that sees the count of a dropped waker also sees its wake here.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Takes the content; new content will use the memory of `empty`.
    pub(crate) fn take(&self, empty: Mail) -> Mail {
        // Cleared first: a post after this sets the flag, and wakes, again.
        self.flag.swap(false, Ordering::AcqRel);
        std::mem::replace(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner), empty)
    }

    /// Takes the notes of threads for the record.
    pub(crate) fn take_notes(&self) -> Vec<ThreadNote> {
        std::mem::take(&mut self.mail.lock().unwrap_or_else(PoisonError::into_inner).notes)
    }

    /// Sets the task that drives the loop.
    pub(super) fn set_host(&self, new: Option<Host>) {
        let old = std::mem::replace(&mut *self.host(), new);
        panics::dispose(old);
    }

    /// Whether the task of this waker drives the loop.
    pub(super) fn is_driven_by(&self, waker: &Waker) -> bool {
        matches!(&*self.host(), Some(Host::Task(old)) if old.will_wake(waker))
    }

    fn host(&self) -> MutexGuard<'_, Option<Host>> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox for Inbox {
    fn post_notes(&self, put: &mut dyn FnMut(&mut Vec<ThreadNote>)) {
        self.post(|mail| put(&mut mail.notes));
    }
}

/// The inbox of the loop that has this tag now.
pub(super) fn find(tag: u32) -> Option<Arc<Inbox>> {
    TABLE.read().unwrap_or_else(PoisonError::into_inner).inboxes.get(tag as usize)?.clone()
}

/// The loops of the process.
pub(crate) struct Loops;

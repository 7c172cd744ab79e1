//! Wakers, and the inboxes through which other threads reach a loop.

use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::local;
use super::word::{MAX_TAGS, Word};
use crate::blocked::{self, Watch};
use crate::core::Core;
use crate::error::TypeName;
use crate::threading::{self, AtomicBool, AtomicUsize, Mutex, RwLock, Thread, global};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("tinyio keeps 64-bit words in wakers: it needs a 64-bit target");

/// What other threads have for a loop.
pub(crate) struct Inbox {
    tag: u32,
    mail: Mutex<Mail>,
    /// `mail` holds something.
    flag: AtomicBool,
    /// Wakers cloned and not yet dropped: while there are none, nothing outside can wake a coroutine.
    wakers: AtomicUsize,
    /// The loop is gone.
    closed: AtomicBool,
    /// What was left at await points in the turn that is on.
    watch: Watch,
    /// Ctrl-C was pressed for the run that is on, or for the next one.
    interrupted: AtomicBool,
    /// Who runs the loop: it is unparked.
    thread: Thread,
    /// Who drives the loop, if it is driven: woken instead.
    host: Mutex<Option<Host>>,
}

/// Who drives a loop.
#[derive(Clone)]
enum Host {
    /// A coroutine. Not a clone of its waker, which would count as one that somebody unknown holds.
    Coro(Word),
    Task(Waker),
}

/// The content of an inbox.
#[derive(Default)]
pub(crate) struct Mail {
    /// To be woken.
    pub(crate) words: Vec<Word>,
    /// Why everything is to be cancelled, if it is.
    pub(crate) cancel: Option<crate::core::Stop>,
    /// Coroutines whose last handle was dropped outside of the loop, and the coroutine that did it.
    pub(crate) abandoned: Vec<(Word, Option<TypeName>)>,
    /// What threads say about themselves, for the record.
    pub(crate) notes: Vec<crate::record::ThreadNote>,
}

/// The inboxes by tag.
#[derive(Default)]
struct Table {
    inboxes: Vec<Option<Arc<Inbox>>>,
    free: Vec<u32>,
}

global!(TABLE: RwLock<Table> = RwLock::default());

impl Inbox {
    /// A new inbox, with a tag of its own.
    ///
    /// # Panics
    ///
    /// If the process has 2^20 loops already.
    pub(crate) fn new() -> Arc<Inbox> {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        let tag = table.free.pop().unwrap_or_else(|| {
            table.inboxes.push(None);
            table.inboxes.len() as u32 - 1
        });
        assert!((tag as usize) < MAX_TAGS, "tinyio: more than {MAX_TAGS} loops at once in this process");
        let inbox = Arc::new(Inbox {
            tag,
            mail: Mutex::default(),
            flag: AtomicBool::new(false),
            wakers: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            watch: Watch::default(),
            interrupted: AtomicBool::new(false),
            thread: threading::current(),
            host: Mutex::new(None),
        });
        table.inboxes[tag as usize] = Some(inbox.clone());
        inbox
    }

    /// The loop is gone. Its tag is given out again once no waker bears it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.retire();
    }

    /// The loop still exists.
    #[cfg(feature = "signal")]
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::SeqCst)
    }

    /// Ctrl-C. `true`: not the first one for this run.
    #[cfg(feature = "signal")]
    pub(crate) fn interrupt(&self) -> bool {
        self.interrupted.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn run_ended(&self) {
        self.interrupted.store(false, Ordering::Relaxed);
    }

    fn retire(&self) {
        if self.closed.load(Ordering::SeqCst) && self.wakers.load(Ordering::SeqCst) == 0 {
            let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
            let entry = &mut table.inboxes[self.tag as usize];
            if entry.as_ref().is_some_and(|inbox| ptr::eq(&**inbox, self)) {
                *entry = None;
                table.free.push(self.tag);
            }
        }
    }

    pub(crate) fn tag(&self) -> u32 {
        self.tag
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Wakers that somebody outside the loop still holds.
    pub(crate) fn wakers(&self) -> usize {
        self.wakers.load(Ordering::Acquire)
    }

    /// Puts something in and wakes the loop, unless it has been woken and has not looked yet.
    pub(crate) fn post(&self, put: impl FnOnce(&mut Mail)) {
        put(&mut self.mail.lock().unwrap_or_else(PoisonError::into_inner));
        if self.raise() {
            self.notify();
        }
    }

    /// Wakes a coroutine by a waker that is gone with it. The loop is woken once for both, after both.
    fn post_last(&self, word: Word) {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner).words.push(word);
        let raised = self.raise();
        // Again, for the loop may have looked in between.
        if (self.forget_waker() && self.raise()) || raised {
            self.notify();
        }
    }

    /// Raises the flag. `true`: it was down, so that the loop is to be woken.
    fn raise(&self) -> bool {
        !self.flag.swap(true, Ordering::AcqRel)
    }

    /// Has the loop look into its inbox.
    fn notify(&self) {
        let host = self.host.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match host {
            Some(Host::Task(waker)) => waker.wake(),
            Some(Host::Coro(word)) => wake(word),
            None => self.thread.unpark(),
        }
    }

    /// A waker is gone. `true`: it was the last one. It may be the end of all hope: if the loop sleeps, it is to look who is left that could
    /// wake anybody.
    fn forget_waker(&self) -> bool {
        let last = self.wakers.fetch_sub(1, Ordering::SeqCst) == 1;
        if last {
            self.retire();
        }
        last
    }

    /// Something is in it. Whoever sees a waker gone sees its wake here.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Takes out what there is; what is put in next will use the memory of `empty`.
    pub(crate) fn take(&self, empty: Mail) -> Mail {
        // Cleared first: whoever posts after this flags, and wakes, again.
        self.flag.swap(false, Ordering::AcqRel);
        std::mem::replace(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner), empty)
    }

    /// Takes out what threads have said for the record.
    pub(crate) fn take_notes(&self) -> Vec<crate::record::ThreadNote> {
        std::mem::take(&mut self.mail.lock().unwrap_or_else(PoisonError::into_inner).notes)
    }

    /// Names the task that drives the loop.
    pub(crate) fn set_host(&self, waker: Option<&Waker>) {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *host, waker.map(|waker| (waker, word(waker)))) {
            (old, Some((_, Some(word)))) => *old = Some(Host::Coro(word)),
            (Some(Host::Task(old)), Some((new, None))) => old.clone_from(new),
            (old, new) => *old = new.map(|(new, _)| Host::Task(new.clone())),
        }
    }
}

/// Wakes whomever the word names, from wherever.
#[inline]
pub(crate) fn wake(word: Word) {
    if !here(word, |core| core.wake(word)) {
        wake_elsewhere(word, |inbox| inbox.post(|mail| mail.words.push(word)));
    }
}

/// The last handle of the coroutine of this word was dropped: its loop cancels it.
#[cold]
pub(super) fn abandon(word: Word) {
    let by = local::current(|core| core?.spot.with(|coro| Some(coro?.name())));
    local::find(word.tag(), |core| match core {
        Some(core) => core.cancel_later(word, by),
        None => elsewhere(word, |inbox| inbox.post(|mail| mail.abandoned.push((word, by)))),
    });
}

/// Does it if the word is of the innermost loop of this thread.
#[inline]
fn here(word: Word, act: impl FnOnce(&Core)) -> bool {
    local::current(|core| core.filter(|core| core.tag() == word.tag()).map(act)).is_some()
}

#[cold]
fn wake_elsewhere(word: Word, post: impl FnOnce(&Inbox)) {
    blocked::reached();
    elsewhere(word, post);
}

/// Does it with the inbox of the word's loop, if there still is one.
fn elsewhere(word: Word, act: impl FnOnce(&Inbox)) {
    if let Some(inbox) = inbox(word.tag()) {
        act(&inbox);
    }
}

fn inbox(tag: u32) -> Option<Arc<Inbox>> {
    TABLE.read().unwrap_or_else(PoisonError::into_inner).inboxes.get(tag as usize)?.clone()
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake_owned, wake_by_ref, drop_waker);

fn word_of(data: *const ()) -> Word {
    Word::from_bits(data.addr() as u64)
}

fn data_of(word: Word) -> *const () {
    ptr::without_provenance(word.bits() as usize)
}

/// A waker of this coroutine, to be lent to its poll: it is not counted, so it must not be dropped.
#[inline]
pub(crate) fn lend(word: Word) -> std::mem::ManuallyDrop<Waker> {
    // SAFETY: the functions treat the data as a word, and uphold the contract of `RawWaker`: they may be called from any
    // thread, and `data` owns nothing.
    std::mem::ManuallyDrop::new(unsafe { Waker::new(data_of(word), &VTABLE) })
}

/// The word of a waker, if it is one of ours.
#[inline]
pub(crate) fn word(waker: &Waker) -> Option<Word> {
    ptr::eq(waker.vtable(), &VTABLE).then(|| word_of(waker.data()))
}

fn clone(data: *const ()) -> RawWaker {
    let word = word_of(data);
    local::current(|core| core.map(|core| core.waker_cloned(word)));
    let count = |inbox: &Inbox| _ = inbox.wakers.fetch_add(1, Ordering::SeqCst);
    if !here(word, |core| count(core.inbox())) {
        elsewhere(word, count);
    }
    RawWaker::new(data, &VTABLE)
}

fn wake_owned(data: *const ()) {
    let word = word_of(data);
    let woken = here(word, |core| {
        core.wake(word);
        core.inbox().forget_waker();
    });
    if !woken {
        wake_elsewhere(word, |inbox| inbox.post_last(word));
    }
}

fn wake_by_ref(data: *const ()) {
    wake(word_of(data));
}

fn drop_waker(data: *const ()) {
    let word = word_of(data);
    // A loop that is at work looks before it sleeps.
    if !here(word, |core| _ = core.inbox().forget_waker()) {
        elsewhere(word, |inbox| {
            if inbox.forget_waker() {
                inbox.post(|_| {});
            }
        });
    }
}

//! The slot table of a loop, with its free list: it *is* the set of live coroutines.

use std::cell::{Cell, UnsafeCell};
use std::num::NonZero;
use std::ptr::{self, NonNull};

use super::cell::{Header, flag};
use super::handle::Handle;
use super::run_queue::Queued;
use super::running::Running;
use super::wake_token::{MAX_SLOTS, WakeToken};

/// How many slots [`TaskTable::grow`] adds.
const FEWEST_NEW_SLOTS: usize = 8;
const MOST_NEW_SLOTS: usize = 1_024;

/// All tasks that are scheduled and have not ended, by the slots that wake tokens name.
pub(crate) struct TaskTable {
    entries: UnsafeCell<Vec<Entry>>,
    /// The first free slot, or the number of entries if there is none.
    free: Cell<u32>,
    len: Cell<usize>,
}

/// The task in this slot, or, with bit 0 set, which is never set in the address of a block, twice the next free slot.
#[derive(Clone, Copy)]
struct Entry(NonNull<Header>);

impl Entry {
    fn free(next: u32) -> Entry {
        Entry(NonNull::without_provenance(NonZero::<usize>::MIN | (next as usize) << 1))
    }

    #[inline]
    fn full(self) -> Result<NonNull<Header>, u32> {
        let bits = self.0.addr().get();
        if bits & 1 == 0 { Ok(self.0) } else { Err((bits >> 1) as u32) }
    }
}

impl Default for TaskTable {
    fn default() -> Self {
        TaskTable { entries: UnsafeCell::default(), free: Cell::new(0), len: Cell::new(0) }
    }
}

impl TaskTable {
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// The number of slots, also of those that are free: at most twice as many as there were tasks at one time, or
    /// eight.
    pub(crate) fn slots(&self) -> usize {
        // SAFETY: the entries do not change meanwhile (6).
        unsafe { &*self.entries.get() }.len()
    }

    /// Where the table is, for readers from outside: see [`Header::BLOCKS`].
    #[cfg(feature = "record")]
    pub(crate) fn address(&self) -> usize {
        self.entries.get().addr()
    }

    /// Gives a coroutine its number and a slot in the loop of this tag.
    ///
    /// # Panics
    ///
    /// If it was scheduled before, or has ended; if no slot is free.
    #[inline(always)]
    pub(crate) fn schedule(&self, coro: &Handle, id: u64, tag: u32) {
        let flags = coro.flags.get();
        assert!(!coro.is_scheduled() && flags & flag::BODY == 0, "a coroutine is scheduled once");
        let slot = self.free.get();
        // SAFETY: nothing else has a reference to the entries (6).
        let entry = unsafe { &mut (&mut *self.entries.get())[slot as usize] };
        let Err(next) = entry.full() else { unreachable!("it is free") };
        *entry = Entry(coro.0);
        self.free.set(next);
        self.len.set(self.len.get() + 1);
        coro.id.set(id);
        coro.wake_token.set(WakeToken::task(tag, id, slot));
        coro.flags.set(flags | flag::SLOTTED);
    }

    /// Whether no slot is free.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.free.get() as usize >= self.slots()
    }

    /// Adds free slots, when there is none: as many as there are, within bounds. It is several at a time so that this
    /// is rare.
    ///
    /// # Panics
    ///
    /// If there are [`MAX_SLOTS`] already.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&self) {
        // SAFETY: nothing else has a reference to the entries (6).
        let entries = unsafe { &mut *self.entries.get() };
        let len = entries.len();
        assert!(len < MAX_SLOTS, "tinyio: more than {MAX_SLOTS} coroutines at once in this loop");
        let grown = (len + len.clamp(FEWEST_NEW_SLOTS, MOST_NEW_SLOTS)).min(MAX_SLOTS);
        entries.extend((len + 1..=grown).map(|next| Entry::free(next as u32)));
    }

    /// The coroutine of this wake token, which is alive until it is removed.
    #[inline]
    fn get(&self, wake_token: WakeToken) -> Option<NonNull<Header>> {
        // SAFETY: the entries do not change meanwhile (6).
        let header = unsafe { &*self.entries.get() }.get(wake_token.slot() as usize)?.full().ok()?;
        // SAFETY: the table owns it.
        (unsafe { header.as_ref() }.wake_token.get() == wake_token).then_some(header)
    }

    /// Makes the guard for the ready queue; `None` if the task is in it already, or has ended.
    #[inline]
    pub(crate) fn queue(&self, wake_token: WakeToken) -> Option<Queued> {
        let header = self.get(wake_token)?;
        // SAFETY: the table owns it.
        unsafe { Queued::new(header) }
    }

    /// Makes the guard to poll or drop the task; `None` if one exists already, or the task has ended.
    #[inline]
    pub(crate) fn run(&self, wake_token: WakeToken) -> Option<Running> {
        let header = self.get(wake_token)?;
        // SAFETY: the table owns it.
        unsafe { Running::new(header) }
    }

    /// Calls `f` with the coroutine of this wake token.
    pub(crate) fn with<R>(&self, wake_token: WakeToken, f: impl FnOnce(&Handle) -> R) -> Option<R> {
        // SAFETY: the table owns it; the handle keeps it, whatever `f` does.
        let task = unsafe { Handle::of(self.get(wake_token)?) };
        Some(f(&task))
    }

    /// Calls `f` with each task, by slot.
    pub(crate) fn each(&self, mut f: impl FnMut(&Handle)) {
        for slot in 0.. {
            // SAFETY: the entries do not change meanwhile (6).
            let Some(entry) = unsafe { &*self.entries.get() }.get(slot).filter(|_| self.len() > 0) else { break };
            if let Ok(header) = entry.full() {
                // SAFETY: the table owns it; the handle keeps it, whatever `f` does.
                let task = unsafe { Handle::of(header) };
                f(&task);
            }
        }
    }

    /// Removes a coroutine of this loop, if it is in the table. It stays alive: its guard owns it too.
    #[inline]
    pub(crate) fn remove(&self, task: &Running) {
        let slot = task.wake_token().slot();
        let flags = task.flags.get();
        // SAFETY: nothing else has a reference to the entries (6).
        let entries = unsafe { &mut *self.entries.get() };
        if flags & flag::SLOTTED != 0
            && let Some(entry) = entries.get_mut(slot as usize)
        {
            debug_assert!(entry.full().is_ok_and(|header| ptr::eq(header.as_ptr(), &**task)), "it is in this slot");
            *entry = Entry::free(self.free.replace(slot));
            self.len.set(self.len.get() - 1);
            task.flags.set(flags & !flag::SLOTTED);
        }
    }
}

// Without a destructor: tasks still in the table when its loop is dropped belong to a `drive` that was forgotten, and
// what they borrow may be gone (7). They leak.

//! One block of memory per coroutine, never moved: a header, then the future or, once it has ended, its output.
//!
//! ```text
//!             ┌──── schedule ────┐   ┌───────────── pending ────────────┐
//!             │                  ▼   ▼                                  │
//! FUTURE, not slotted        FUTURE, slotted ── run ──▶ FUTURE, running ┤
//!             │                      │                                  │ ready, panicked
//!             │ dropped              │ cancelled                        ▼
//!             └──────────────────────┴────────▶ GONE ◀──── taken ──── OUTPUT
//! ```
//!
//! # Transitions
//!
//! The state of a block is its body (FUTURE, OUTPUT or GONE), what owns it, and the flags ([`flag`]).
//!
//! 1. [`Handle`]`::new` makes the block: FUTURE, owned by one handle.
//! 2. [`TaskTable`]`::schedule`, once: it gets its number and its wake token, and a slot owns it (SLOTTED).
//! 3. [`Handle`]`::queue` after 2, [`TaskTable`]`::queue` for a wake, [`CurrentTask`]`::queue` if it wakes itself: a
//!    [`Queued`] owns it too, at most one at a time.
//! 4. [`Queued`]`::run` turns that into a [`Running`]; [`TaskTable`]`::run` makes one to cancel the task. At most one
//!    at a time: for a task that is being polled both give none.
//! 5. [`Running`]`::poll` polls it (STARTED). Pending: it stays FUTURE, and may have been queued (3) meanwhile;
//!    `suspended` ends the guard.
//! 6. Ready with a value: `poll` drops the future (GONE) and puts the value in its place (OUTPUT).
//! 7. Ready with an error, or a panic: `poll` drops the future (GONE).
//! 8. [`Running`]`::discard` drops future or output (GONE): a task that never started, that answers a cancellation in
//!    another way than by ending, or whose output has no handle. `leak` forgets it (GONE).
//! 9. [`TaskTable`]`::remove`, after 6, 7 or 8: the slot no longer owns it. The loop takes its waiters.
//! 10. [`Handle`]`::take`: the last handle moves the output out (GONE, TAKEN), the others clone it.
//! 11. The last [`Handle`] is dropped between 2 and 9, and the task is not DETACHED: ABANDONED, and its loop is
//!     notified, which delivers a cancellation (4, 5).
//! 12. [`release`]: the last owner is gone. What is left in the body is dropped, the block is freed.
//!
//! # Invariants
//!
//! [`TaskTable`]: super::TaskTable
//! [`Queue`]: super::Queue
//! [`Handle`]: super::Handle
//! [`Queued`]: super::Queued
//! [`Running`]: super::Running
//! [`CurrentTask`]: super::CurrentTask
//! [`release`]: super::release::release
//!
//! The `unsafe` code in `task`, and the calls of it in `coroutine::coro`, rely on these.
//!
//! 1. A block is freed exactly when nothing owns it: no [`Handle`], no slot of a [`TaskTable`], no [`Queued`], no
//!    [`Running`]. Handles are counted. Of the others a block has at most one each, recorded in its header; the guards
//!    cannot be copied. Every `&Header` comes from one of these.
//! 2. The state is set to GONE before anything is dropped or moved out, and OUTPUT only after the output is written: a
//!    destructor that panics leaks, and never runs twice.
//! 3. Only `poll` accesses the future, which refuses to be entered twice; the future is dropped in place.
//! 4. The owner of a [`Handle`] (`Coro<T>`) knows its type, because it got it from `Handle::new` or a clone; only the
//!    last handle moves the output out.
//! 5. Header, tables and guards are neither `Send` nor `Sync`. Only wake tokens cross threads.
//! 6. User code (drop, clone, poll, into, wake) runs only while nothing here is borrowed. That is why [`TaskTable`],
//!    [`Queue`] and the lists of waiters need no `RefCell`: none of their methods calls anything while it holds a
//!    reference into them.
//! 7. A future that is not `'static` has ended, or was dropped, before the call that lent it returns; the loop ensures
//!    that.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::future::Future;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of};
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

#[cfg(feature = "record")]
use tinyio_events::program_memory::Blocks;
#[cfg(feature = "record")]
use tinyio_frames::FutureMark;

use super::arena::{STEP, SizeClass};
use super::fault::{BoxError, Fault, TypeName};
use super::schedule::Schedule;
use super::step::{Outcome, Step};
use super::waiters::{Position, Several, Waiters};
use super::wake_token::WakeToken;
use crate::panics::Disposed;

/// The header of every coroutine. 56 bytes: 64 cost a fifth more on a gather of a million.
///
/// The order is fixed because of the last four fields. Each is stored by itself, and a load that is wider than the
/// store before it waits until the store has reached the cache. If `flags` were aligned to four bytes, the compiler
/// would load them together with what follows: a sixth of W2 (10,000) on AMD.
#[repr(C)]
pub(crate) struct Header {
    pub(super) vtable: &'static Vtable,
    /// The next in the ready queue; later, the next in the drop list.
    pub(super) link: Cell<Option<NonNull<Header>>>,
    pub(super) waiters: Waiters,
    /// Its wake token; `NONE` until it is scheduled.
    pub(super) wake_token: Cell<WakeToken>,
    /// Its number; 0 until it is scheduled.
    pub(super) id: Cell<u64>,
    /// Where it was made, until it first waits; then its latest `.await`.
    pub(super) place: Cell<&'static Location<'static>>,
    /// The number of handles.
    pub(super) handles: Cell<u32>,
    /// A [`Queued`] exists. Not one of the flags: these two fields change in every step, and setting a byte takes fewer
    /// instructions.
    pub(super) queued: Cell<bool>,
    /// A [`Running`] exists.
    pub(super) running: Cell<bool>,
    pub(super) flags: Cell<u16>,
}

const _: () = assert!(size_of::<Header>() == 56 && align_of::<Header>() == STEP);
const _: () = assert!(offset_of!(Header, flags) % 4 == 2, "so that no load of four bytes begins with the flags");

/// Flags of a header: two bits of the body, the others independent unless stated otherwise. "Never" cleared means that
/// a flag stays until the block is freed.
pub(crate) mod flag {
    /// The two bits of the body; 0 is FUTURE.
    pub(in crate::task) const BODY: u16 = 0b11;
    /// There is an output, to be taken. Set by `poll` (6), cleared by `take` (10) and `discard` (8); excludes GONE.
    pub(in crate::task) const OUTPUT: u16 = 0b01;
    /// There is neither. Set by `poll` (6, 7), `discard` (8), `take` (10) and `release` (12), before anything is
    /// dropped; cleared by `poll` (6) alone. Excludes OUTPUT.
    pub(in crate::task) const GONE: u16 = 0b10;
    /// A slot of the table of its loop owns it. Set by `schedule` (2), cleared by `remove` (9).
    pub(in crate::task) const SLOTTED: u16 = 1 << 2;
    /// It has been polled. Set by the first `poll` (5), cleared never.
    pub(crate) const STARTED: u16 = 1 << 3;
    /// The output was taken by the last handle. Set by `take` (10), cleared never; implies GONE.
    pub(in crate::task) const TAKEN: u16 = 1 << 4;
    /// In its last step it began to wait for a timer, a thread or a loop that does not enclose its own: it will be
    /// woken. Set by the await point, cleared by the next `poll` (5).
    pub(crate) const EXTERNAL_WAKE: u16 = 1 << 5;
    /// In its last step it began to wait for an event: any owner of a clone may set it. Set by the await point, cleared
    /// by the next `poll` (5).
    pub(crate) const EVENT: u16 = 1 << 6;
    /// Its waker was cloned at some time: code outside the loop may wake it. Set by the clone, cleared never.
    pub(crate) const CLONED: u16 = 1 << 7;
    /// It stands for a function on a thread, or another thing that ends only by itself. Set by `new` (1), cleared
    /// never.
    pub(crate) const THREAD: u16 = 1 << 8;
    /// A cancellation was delivered to it, and it has not ended by that. Set by the loop, cleared never.
    pub(crate) const CANCEL_DELIVERED: u16 = 1 << 9;
    /// Its future is one of tinyio's own, awaited at no line of the program: it keeps the place where it was made. Set
    /// by `new` (1), cleared never.
    pub(crate) const INTERNAL: u16 = 1 << 10;
    /// In its last step it began to wait for a coroutine of an enclosing loop. Set by the await point, cleared by the
    /// next `poll` (5).
    pub(crate) const OUTER_LOOP: u16 = 1 << 11;
    /// In this step an executor inside it blocks the thread, which is to be reported. Set by the check of its foreign
    /// waker, cleared by the report or the next `poll` (5); implies FOREIGN_WAKER.
    pub(crate) const BLOCKED: u16 = 1 << 12;
    /// In its last step it registered a foreign waker at an await point. Set by the await point, cleared by the next
    /// `poll` (5).
    pub(crate) const FOREIGN_WAKER: u16 = 1 << 13;
    /// It runs to its end, whether or not it has handles. Set by `new` (1) or by a handle, cleared never. A task gets
    /// no ABANDONED after it.
    pub(crate) const DETACHED: u16 = 1 << 14;
    /// Its last handle was dropped while it was scheduled: it is to be cancelled. Set with the drop (11), cleared
    /// never; excludes DETACHED, and handles.
    pub(in crate::task) const ABANDONED: u16 = 1 << 15;
    /// All flags about the last step.
    pub(in crate::task) const LAST_STEP: u16 = EXTERNAL_WAKE | EVENT | OUTER_LOOP | FOREIGN_WAKER | BLOCKED;
}

pub(super) struct Vtable {
    /// An error is stored separately, so that the common return value fits a register.
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>, &mut Option<Step>) -> Outcome,
    /// Drops the future or the output, according to the body bits.
    pub(super) drop_body: unsafe fn(NonNull<Header>, body: u16),
    pub(super) layout: Layout,
    pub(super) size_class: SizeClass,
    /// The offset of the body.
    pub(super) offset: usize,
    name: TypeName,
    /// The type of the future, for readers of frames.
    #[cfg(feature = "record")]
    pub(super) future: FutureMark,
    pub(super) describe: unsafe fn(NonNull<Header>) -> String,
    pub(super) abandoned: fn(WakeToken),
    pub(super) never_scheduled: fn(usize, &'static Location<'static>, TypeName),
}

/// Both fields are at the start of the body.
#[repr(C)]
pub(super) union Body<F, T> {
    pub(super) future: ManuallyDrop<F>,
    output: ManuallyDrop<T>,
}

#[repr(C)]
pub(super) struct TaskCell<F, T> {
    pub(super) header: Header,
    pub(super) body: UnsafeCell<Body<F, T>>,
}

/// How a coroutine whose future is `F` is shown.
pub(crate) trait Profile<F, T, E: Into<BoxError>> {
    /// Its name, as the compiler gives it.
    fn type_name() -> &'static str {
        std::any::type_name::<F>()
    }

    /// The text of its output.
    fn describe(output: &T) -> String;

    /// The fault of its error.
    fn fault(error: E) -> Fault {
        Fault::of(error)
    }
}

pub(super) struct RawTask<F, T, E, P, S>(PhantomData<(F, T, E, P, S)>);

impl<F, T, E, P, S> RawTask<F, T, E, P, S>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
    P: Profile<F, T, E>,
    S: Schedule,
{
    pub(in crate::task) const VTABLE: Vtable = Vtable {
        poll: Self::poll,
        drop_body: Self::drop_body,
        layout: Layout::new::<TaskCell<F, T>>(),
        size_class: SizeClass::of(Layout::new::<TaskCell<F, T>>()),
        offset: offset_of!(TaskCell<F, T>, body),
        name: P::type_name,
        #[cfg(feature = "record")]
        future: FutureMark::of::<F>(),
        describe: Self::describe,
        abandoned: S::abandoned,
        never_scheduled: S::never_scheduled,
    };

    /// # Safety
    ///
    /// The header is that of a block with this vtable.
    unsafe fn body(header: NonNull<Header>) -> *mut Body<F, T> {
        let block = header.cast::<TaskCell<F, T>>().as_ptr();
        // SAFETY: a header is the first field of its block, so the field is in bounds.
        unsafe { UnsafeCell::raw_get(&raw const (*block).body) }
    }

    unsafe fn poll(header: NonNull<Header>, cx: &mut Context<'_>, failed: &mut Option<Step>) -> Outcome {
        // SAFETY: the vtable is that of this block.
        let body = unsafe { Self::body(header) };
        // SAFETY: the caller has checked for FUTURE and set RUNNING (3); the block never moves.
        let future = unsafe { Pin::new_unchecked(&mut *(*body).future) };
        let Poll::Ready(result) = future.poll(cx) else { return Outcome::Pending };
        // If the future's destructor panics, that of the output must not panic as well: it would abort the process.
        let result = Disposed::new(result);
        // SAFETY: the block is alive, its owner is polling it.
        let this = unsafe { header.as_ref() };
        this.set_body(flag::GONE);
        // SAFETY: the state was FUTURE and is now GONE (2).
        unsafe { ManuallyDrop::drop(&mut (*body).future) };
        match result.into_inner() {
            Ok(output) => {
                // SAFETY: the body is empty.
                unsafe { (&raw mut (*body).output).write(ManuallyDrop::new(output)) };
                this.set_body(flag::OUTPUT);
                Outcome::Done
            }
            Err(error) => {
                *failed = Some(Step::Failed(P::fault(error)));
                Outcome::Failed
            }
        }
    }

    unsafe fn drop_body(header: NonNull<Header>, body: u16) {
        // SAFETY: the vtable is that of this block.
        let place = unsafe { Self::body(header) };
        match body {
            // SAFETY: the caller read the state and has set GONE since (2).
            0 => unsafe { ManuallyDrop::drop(&mut (*place).future) },
            // SAFETY: as above.
            flag::OUTPUT => unsafe { ManuallyDrop::drop(&mut (*place).output) },
            _ => {}
        }
    }

    unsafe fn describe(header: NonNull<Header>) -> String {
        // SAFETY: the vtable is that of this block, and the caller has checked for OUTPUT.
        P::describe(unsafe { &(*Self::body(header)).output })
    }
}

impl Header {
    pub(super) fn body(&self) -> u16 {
        self.flags.get() & flag::BODY
    }

    pub(super) fn set_body(&self, body: u16) {
        self.flags.set((self.flags.get() & !flag::BODY) | body);
    }

    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags.get() & flag != 0
    }

    pub(crate) fn set(&self, flag: u16) {
        self.flags.set(self.flags.get() | flag);
    }

    pub(crate) fn unset(&self, flag: u16) {
        self.flags.set(self.flags.get() & !flag);
    }

    pub(crate) fn wake_token(&self) -> WakeToken {
        self.wake_token.get()
    }

    pub(crate) fn id(&self) -> u64 {
        self.id.get()
    }

    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.place.get()
    }

    pub(crate) fn set_place(&self, place: &'static Location<'static>) {
        self.place.set(place);
    }

    /// The type's name, as the compiler gives it.
    pub(crate) fn type_name(&self) -> &'static str {
        (self.vtable.name)()
    }

    /// The function that gives the type's name, also when the coroutine is gone.
    pub(crate) fn name(&self) -> TypeName {
        self.vtable.name
    }

    /// The type of the future, and where the future is, or was.
    #[cfg(feature = "record")]
    pub(crate) fn future_at(&self) -> (&'static FutureMark, usize) {
        (&self.vtable.future, std::ptr::from_ref(self).addr() + self.vtable.offset)
    }

    /// The offsets in blocks and vtables, for readers from outside.
    #[cfg(feature = "record")]
    pub(crate) const BLOCKS: Blocks = Blocks {
        vtable: offset_of!(Header, vtable),
        id: offset_of!(Header, id),
        running: offset_of!(Header, running),
        flags: offset_of!(Header, flags),
        ended: flag::BODY,
        body: offset_of!(Vtable, offset),
        future: offset_of!(Vtable, future),
    };

    /// Whether it has been woken and not polled since.
    pub(crate) fn is_queued(&self) -> bool {
        self.queued.get()
    }

    /// Whether its last handle was dropped while it was scheduled.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.has(flag::ABANDONED)
    }

    /// Whether it was ever scheduled.
    pub(crate) fn is_scheduled(&self) -> bool {
        !self.wake_token.get().is_none()
    }

    /// Whether it is scheduled on the loop of this tag and has not ended.
    #[inline]
    pub(crate) fn is_alive_in(&self, tag: u32) -> bool {
        self.is_scheduled() && self.body() == 0 && self.wake_token().tag() == tag
    }

    /// Whether its output is there.
    pub(crate) fn is_done(&self) -> bool {
        self.body() == flag::OUTPUT
    }

    /// Whether it has ended and there is no output.
    pub(crate) fn is_gone(&self) -> bool {
        self.body() == flag::GONE
    }

    /// Whether its output was there and has been taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.has(flag::TAKEN)
    }

    /// Registers a wake token to be woken when it ends.
    #[inline]
    pub(crate) fn add_waiter(&self, wake_token: WakeToken) -> Position {
        self.waiters.add(wake_token)
    }

    /// Registers a wake token at position 1, if there is no other.
    #[inline]
    pub(crate) fn add_only_waiter(&self, wake_token: WakeToken) -> bool {
        self.waiters.add_only(wake_token)
    }

    /// Replaces the wake token at this position; returns the previous one.
    #[inline]
    pub(crate) fn replace_waiter(&self, at: Position, wake_token: WakeToken) -> WakeToken {
        self.waiters.replace(at, wake_token)
    }

    /// Removes a registration; returns its wake token, which is `NONE` once the coroutine has ended.
    #[inline]
    pub(crate) fn remove_waiter(&self, at: Position) -> WakeToken {
        self.waiters.remove(at)
    }

    /// The wake token registered at this position.
    pub(crate) fn waiter(&self, at: Position) -> WakeToken {
        self.waiters.get(at)
    }

    /// Removes the only waiter. `Err`: [`take_waiters`](Header::take_waiters) removes them.
    #[inline]
    pub(crate) fn take_waiter(&self) -> Result<Option<WakeToken>, Several> {
        self.waiters.take_one()
    }

    /// Removes all waiters, in order of registration.
    pub(crate) fn take_waiters(&self, each: impl FnMut(WakeToken)) {
        self.waiters.take(each);
    }

    /// Calls `each` with every registered wake token, in order of registration. It must not register or remove any: it
    /// gets a copy.
    pub(crate) fn each_waiter(&self, each: impl FnMut(WakeToken)) {
        self.waiters.each(each);
    }
}

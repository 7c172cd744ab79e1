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
//! # Invariants
//!
//! [`TaskTable`]: super::TaskTable
//! [`Queue`]: super::Queue
//! [`Handle`]: super::Handle
//! [`Queued`]: super::Queued
//! [`Running`]: super::Running
//!
//! All of the crate's `unsafe` is in `task`; these are what it rests on.
//!
//! 1. A block is freed exactly when nothing owns it: no [`Handle`], no slot of a [`TaskTable`], no [`Queued`], no [`Running`]. Handles are
//!    counted. Of the others a block has at most one each, which its header says; the guards cannot be copied. Whoever has a
//!    `&Header` has it from one of these.
//! 2. The state says GONE before anything is dropped or moved out, and OUTPUT only after the output is written: a
//!    destructor that panics leaks, and never runs twice.
//! 3. The future is touched by `poll` alone, which refuses to be entered twice, and is dropped in place.
//! 4. A [`Handle`] is typed by whoever owns it (`Coro<T>`), who has it from `Handle::new` or a clone; only a handle that is alone moves
//!    the output out.
//! 5. Header, tables and guards are neither `Send` nor `Sync`. Only words cross threads.
//! 6. User code (drop, clone, poll, into, wake) runs only while nothing here is borrowed. That is why [`TaskTable`], [`Queue`] and the lists of
//!    waiters need no `RefCell`: none of their methods calls anything while it holds a reference into them.
//! 7. A future that is not `'static` has ended, or was dropped, before the call that lent it returns; the loop sees to it.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::error::Error;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::local;
use super::waiters::{Position, Waiters};
use super::wake_token::WakeToken;
use crate::failure::error::Fault;
use crate::failure::panic_hook::Disposed;
use crate::observe::FutureMark;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
pub(crate) type Payload = Box<dyn std::any::Any + Send>;

/// What every coroutine has. 56 bytes: 64 cost a fifth more on a gather of a million.
pub(crate) struct Header {
    pub(super) vtable: &'static Vtable,
    /// Next in the ready queue; later, next in the drop list.
    pub(super) link: Cell<Option<NonNull<Header>>>,
    pub(super) waiters: Waiters,
    /// Handles alive.
    pub(super) handles: Cell<u32>,
    pub(super) flags: Cell<u16>,
    /// A [`Queued`] exists. Not a flag among others: these two change in every step, and setting a byte takes fewer instructions.
    pub(super) queued: Cell<bool>,
    /// A [`Running`] exists.
    pub(super) running: Cell<bool>,
    /// How it is woken; none until it is scheduled.
    pub(super) wake_token: Cell<WakeToken>,
    /// Its number; 0 until it is scheduled.
    pub(super) id: Cell<u64>,
    /// Where it was made, until it first waits; then its latest `.await`.
    pub(super) place: Cell<&'static Location<'static>>,
}

const _: () = assert!(size_of::<Header>() == 56);

/// Flags of a header. Two bits of body, the others independent.
pub(crate) mod flag {
    /// Body: the two bits; 0 is FUTURE.
    pub(in crate::task) const BODY: u16 = 0b11;
    /// The output is there, to be taken.
    pub(in crate::task) const OUTPUT: u16 = 0b01;
    /// There is neither: the output was taken, or there never was one.
    pub(in crate::task) const GONE: u16 = 0b10;
    /// It is in the slot table of its loop.
    pub(in crate::task) const SLOTTED: u16 = 1 << 2;
    /// It has been polled.
    pub(crate) const STARTED: u16 = 1 << 3;
    /// The output was taken by the last handle.
    pub(in crate::task) const TAKEN: u16 = 1 << 4;
    /// In its last step it came to wait on a timer, a thread, a loop that is not around its own: it will be woken.
    pub(crate) const EXTERNAL_WAKE: u16 = 1 << 5;
    /// In its last step it came to wait on an event: whoever has it may set it.
    pub(crate) const EVENT: u16 = 1 << 6;
    /// Its waker was cloned, at whatever time: others may wake it.
    pub(crate) const CLONED: u16 = 1 << 7;
    /// In its last step it came to wait on a coroutine of a loop around its own.
    pub(crate) const OUTER_LOOP: u16 = 1 << 11;
    /// In its last step it came to leave the waker of somebody else at an await point.
    pub(crate) const FOREIGN_WAKER: u16 = 1 << 13;
    /// In this step an executor inside of it blocks the thread, which is to be said.
    pub(crate) const BLOCKED: u16 = 1 << 12;
    /// It stands for a function on a thread.
    pub(crate) const THREAD: u16 = 1 << 8;
    /// Its future is one of tinyio's own, awaited by no line of the program: it keeps the place where it was made.
    pub(crate) const INTERNAL: u16 = 1 << 10;
    /// Told of the cancellation.
    pub(crate) const CANCEL_DELIVERED: u16 = 1 << 9;
    /// It runs to its end, whether or not it has handles.
    pub(crate) const DETACHED: u16 = 1 << 14;
    /// Its last handle was dropped while it was scheduled: it is to be cancelled.
    pub(in crate::task) const ABANDONED: u16 = 1 << 15;
    /// All that is known of the last step alone.
    pub(in crate::task) const LAST_STEP: u16 = EXTERNAL_WAKE | EVENT | OUTER_LOOP | FOREIGN_WAKER | BLOCKED;
}

pub(super) struct Vtable {
    /// An error is put aside, so that what is returned in nearly every step fits a register.
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>, &mut Option<Fault>) -> Poll<()>,
    /// Drops what the body bits say there is.
    drop_body: unsafe fn(NonNull<Header>, body: u16),
    pub(super) layout: Layout,
    /// Of the body.
    pub(super) offset: usize,
    name: fn() -> &'static str,
    #[cfg_attr(not(feature = "record"), expect(dead_code, reason = "only the record reads frames"))]
    pub(super) future: FutureMark,
    pub(super) describe: unsafe fn(NonNull<Header>) -> String,
}

/// Both fields begin where the body does.
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

/// What is told of a coroutine whose future is `F`.
pub(crate) trait Profile<F, T, E: Into<BoxError>> {
    /// Its name, as the compiler gives it.
    fn type_name() -> &'static str {
        std::any::type_name::<F>()
    }

    /// What it returned.
    fn describe(output: &T) -> String;

    /// How it failed.
    fn fault(error: E) -> Fault {
        Fault::of(error)
    }
}

pub(super) struct RawTask<F, T, E, P>(PhantomData<(F, T, E, P)>);

impl<F, T, E, P> RawTask<F, T, E, P>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
    P: Profile<F, T, E>,
{
    pub(in crate::task) const VTABLE: Vtable = Vtable {
        poll: Self::poll,
        drop_body: Self::drop_body,
        layout: Layout::new::<TaskCell<F, T>>(),
        offset: std::mem::offset_of!(TaskCell<F, T>, body),
        name: P::type_name,
        future: FutureMark::of::<F>(),
        describe: Self::describe,
    };

    fn body(header: NonNull<Header>) -> *mut Body<F, T> {
        let block = header.cast::<TaskCell<F, T>>().as_ptr();
        // SAFETY: every header is the first field of the block whose vtable it has, so the field is in bounds.
        unsafe { UnsafeCell::raw_get(&raw const (*block).body) }
    }

    unsafe fn poll(header: NonNull<Header>, cx: &mut Context<'_>, fault: &mut Option<Fault>) -> Poll<()> {
        let body = Self::body(header);
        // SAFETY: the caller has seen the state FUTURE and set RUNNING (3); the block never moves.
        let future = unsafe { Pin::new_unchecked(&mut *(*body).future) };
        let Poll::Ready(result) = future.poll(cx) else { return Poll::Pending };
        // If the future's destructor panics, that of the output must not do so as well: it would end the process.
        let result = Disposed::new(result);
        // SAFETY: the block is alive, its owner is polling it.
        let this = unsafe { header.as_ref() };
        this.set_body(flag::GONE);
        // SAFETY: the state was FUTURE and is GONE by now (2).
        unsafe { ManuallyDrop::drop(&mut (*body).future) };
        match result.into_inner() {
            Ok(output) => {
                // SAFETY: the body is empty.
                unsafe { (&raw mut (*body).output).write(ManuallyDrop::new(output)) };
                this.set_body(flag::OUTPUT);
            }
            Err(error) => *fault = Some(P::fault(error)),
        }
        Poll::Ready(())
    }

    unsafe fn drop_body(header: NonNull<Header>, body: u16) {
        let place = Self::body(header);
        match body {
            // SAFETY: the caller read the state and has set GONE since (2).
            0 => unsafe { ManuallyDrop::drop(&mut (*place).future) },
            // SAFETY: as above.
            flag::OUTPUT => unsafe { ManuallyDrop::drop(&mut (*place).output) },
            _ => {}
        }
    }

    unsafe fn describe(header: NonNull<Header>) -> String {
        // SAFETY: the caller has seen the state OUTPUT.
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

    /// What gives the type's name, also when the coroutine is gone.
    pub(crate) fn name(&self) -> fn() -> &'static str {
        self.vtable.name
    }

    /// The type of the future, and where the future is, or was.
    #[cfg(feature = "record")]
    pub(crate) fn future_at(&self) -> (&'static FutureMark, usize) {
        (&self.vtable.future, std::ptr::from_ref(self).addr() + self.vtable.offset)
    }

    /// Where things are in blocks and vtables, for whoever looks at them from outside.
    #[cfg(feature = "record")]
    pub(crate) const BLOCKS: crate::observe::Blocks = crate::observe::Blocks {
        vtable: std::mem::offset_of!(Header, vtable),
        id: std::mem::offset_of!(Header, id),
        running: std::mem::offset_of!(Header, running),
        flags: std::mem::offset_of!(Header, flags),
        ended: flag::BODY,
        body: std::mem::offset_of!(Vtable, offset),
        future: std::mem::offset_of!(Vtable, future),
    };

    /// It has been woken, and has not had its turn yet.
    pub(crate) fn is_queued(&self) -> bool {
        self.queued.get()
    }

    /// Its last handle was dropped while it was scheduled.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.has(flag::ABANDONED)
    }

    /// It has been given a place in a loop, at whatever time.
    pub(crate) fn is_scheduled(&self) -> bool {
        !self.wake_token.get().is_none()
    }

    /// Its output is there.
    pub(crate) fn is_done(&self) -> bool {
        self.body() == flag::OUTPUT
    }

    /// It has ended, and there is no output.
    pub(crate) fn is_gone(&self) -> bool {
        self.body() == flag::GONE
    }

    /// Its output was there and has been taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.has(flag::TAKEN)
    }

    /// Registers who is to be woken when it ends.
    #[inline]
    pub(crate) fn add_waiter(&self, wake_token: WakeToken) -> Position {
        self.waiters.add(wake_token)
    }

    /// Registers another in this place; returns who was registered there.
    #[inline]
    pub(crate) fn replace_waiter(&self, at: Position, wake_token: WakeToken) -> WakeToken {
        self.waiters.replace(at, wake_token)
    }

    /// Takes a registration back; returns who was registered there, which is nobody once it has ended.
    #[inline]
    pub(crate) fn remove_waiter(&self, at: Position) -> WakeToken {
        self.waiters.remove(at)
    }

    /// Who is registered there.
    pub(crate) fn waiter(&self, at: Position) -> WakeToken {
        self.waiters.get(at)
    }

    #[inline]
    pub(crate) fn take_waiters(&self, each: impl FnMut(WakeToken)) {
        self.waiters.take(each);
    }

    /// Shows `each` who is registered, in order of registration. It must not register or remove anybody: it is shown a copy.
    pub(crate) fn each_waiter(&self, each: impl FnMut(WakeToken)) {
        self.waiters.each(each);
    }
}

/// One of the owners of a block is gone. If nobody owns it, frees it, at once or, inside another such call, when that is done (a chain of
/// coroutines that own each other must not recurse).
///
/// # Safety
///
/// The block is alive; if nobody owns it, nobody looks at it again.
#[inline]
pub(super) unsafe fn release(header: NonNull<Header>) {
    // SAFETY: the caller's word.
    let this = unsafe { header.as_ref() };
    if this.handles.get() > 0 || this.has(flag::SLOTTED) || this.queued.get() || this.running.get() {
        return;
    }
    if this.body() == flag::GONE && this.waiters.is_inline() {
        // There is nothing to be dropped, so nothing to catch, and no recursion.
        // SAFETY: nobody owns it.
        unsafe { dealloc(header) };
    } else {
        local::free(header);
    }
}

/// Gives the memory back.
///
/// # Safety
///
/// Nothing owns the block, there is nothing left in it to be dropped, and nobody looks at it again.
unsafe fn dealloc(header: NonNull<Header>) {
    // SAFETY: `Handle::new` took it, with that layout, on this thread (5).
    local::memory(|memory| unsafe { memory.give(header.cast(), header.as_ref().vtable.layout) });
}

/// Frees a block that nobody owns. Returns the panic of a destructor.
///
/// # Safety
///
/// Nothing owns the block, and nobody calls this for it again.
pub(super) unsafe fn free(header: NonNull<Header>) -> Result<(), Payload> {
    // SAFETY: the caller's word that it is alive, and not being polled.
    let result = unsafe { drop_body(header) };
    // SAFETY: by the caller's word nobody looks at it again; nothing else in a header needs to be dropped.
    unsafe {
        (&raw mut (*header.as_ptr()).waiters).drop_in_place();
        dealloc(header);
    }
    result
}

/// Drops future or output in place, whichever there is; catches the destructor's panic.
///
/// # Safety
///
/// The block is alive, and its future is not being polled.
pub(super) unsafe fn drop_body(header: NonNull<Header>) -> Result<(), Payload> {
    // SAFETY: the caller's word.
    let this = unsafe { header.as_ref() };
    let body = this.body();
    if body == flag::GONE {
        return Ok(());
    }
    this.set_body(flag::GONE);
    // SAFETY: the state was read, and says GONE by now (2).
    panic::catch_unwind(AssertUnwindSafe(|| unsafe { (this.vtable.drop_body)(header, body) }))
}

//! One block of memory per coroutine, never moved: a header, then the future or, once it has ended, its output.
//!
//! ```text
//!             ┌──── schedule ────┐   ┌───────────── pending ────────────┐
//!             │                  ▼   ▼                                  │
//! FUTURE, not slotted        FUTURE, slotted ── pop ──▶ FUTURE, running ┤
//!             │                      │                                  │ ready, panicked
//!             │ dropped              │ cancelled                        ▼
//!             └──────────────────────┴────────▶ GONE ◀──── taken ──── OUTPUT
//! ```
//!
//! # Invariants
//!
//! All of the crate's `unsafe` is in `task`; these are what it rests on.
//!
//! 1. A block is freed exactly when nothing owns it: no [`Handle`], no [`Slotted`], no [`Queued`], no [`Running`]. Each is a
//!    guard that cannot be copied, and there is at most one of each of the last three per block.
//! 2. The state says GONE before anything is dropped or moved out, and OUTPUT only after the output is written: a
//!    destructor that panics leaks, and never runs twice.
//! 3. The future is touched by `poll` alone, which refuses to be entered twice, and is dropped in place.
//! 4. A [`Handle`] is typed by whoever owns it (`Coro<T>`), who has it from `Handle::new` or a clone; only a handle that is alone moves
//!    the output out.
//! 5. Header and guards are neither `Send` nor `Sync`. Only words cross threads.
//! 6. User code (drop, clone, poll, into) runs only while nothing here is borrowed.
//! 7. A future that is not `'static` has ended, or was dropped, before the call that lent it returns; the loop sees to it.

use std::alloc::{self, Layout};
use std::cell::{Cell, UnsafeCell};
use std::error::Error;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::local;
use super::waiters::{CloneFn, Position, Waiters};
use super::word::Word;
use crate::record::FutureType;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
pub(crate) type Payload = Box<dyn std::any::Any + Send>;

/// What every coroutine has. 56 bytes: 64 cost a fifth more on a gather of a million.
pub(crate) struct Header {
    vtable: &'static Vtable,
    /// Next in the ready queue; later, next in the drop list.
    link: Cell<Option<NonNull<Header>>>,
    waiters: Waiters,
    /// Handles alive.
    handles: Cell<u32>,
    flags: Cell<u16>,
    /// A [`Queued`] exists. Not a flag among others: these two change in every step, and setting a byte takes fewer instructions.
    queued: Cell<bool>,
    /// A [`Running`] exists.
    running: Cell<bool>,
    /// How it is woken; none until it is scheduled.
    word: Cell<Word>,
    /// Its number; 0 until it is scheduled.
    id: Cell<u64>,
    /// Where it was made, until it first waits; then its latest `.await`.
    place: Cell<&'static Location<'static>>,
}

const _: () = assert!(size_of::<Header>() == 56);

/// Flags of a header. Two bits of body, the others independent.
pub(crate) mod flag {
    /// Body: the two bits; 0 is FUTURE.
    pub(super) const BODY: u16 = 0b11;
    /// The output is there, to be taken.
    pub(super) const OUTPUT: u16 = 0b01;
    /// There is neither: the output was taken, or there never was one.
    pub(super) const GONE: u16 = 0b10;
    /// A [`super::Slotted`] exists.
    pub(super) const SLOTTED: u16 = 1 << 2;
    /// It has been polled.
    pub(crate) const STARTED: u16 = 1 << 3;
    /// The output was taken by the last handle.
    pub(super) const TAKEN: u16 = 1 << 4;
    /// In its last step it came to wait on a timer, a thread, a loop that is not around its own: it will be woken.
    pub(crate) const OUTSIDE: u16 = 1 << 5;
    /// In its last step it came to wait on an event: whoever has it may set it.
    pub(crate) const EVENT: u16 = 1 << 6;
    /// Its waker was cloned, at whatever time: others may wake it.
    pub(crate) const CLONED: u16 = 1 << 7;
    /// In its last step it came to wait on a coroutine of a loop around its own.
    pub(crate) const ABOVE: u16 = 1 << 11;
    /// In its last step it came to leave the waker of somebody else at an await point.
    pub(crate) const LEFT: u16 = 1 << 13;
    /// In this step an executor inside of it blocks the thread.
    pub(crate) const BLOCKED: u16 = 1 << 12;
    /// It stands for a function on a thread.
    pub(crate) const THREAD: u16 = 1 << 8;
    /// Its future is one of tinyio's own, awaited by no line of the program: it keeps the place where it was made.
    pub(crate) const OURS: u16 = 1 << 10;
    /// Told of the cancellation.
    pub(crate) const TOLD: u16 = 1 << 9;
    /// All that is known of the last step alone.
    pub(super) const LAST_STEP: u16 = OUTSIDE | EVENT | ABOVE | LEFT | BLOCKED;
}

struct Vtable {
    /// An error is put aside, so that what is returned in nearly every step fits a register.
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>, &mut Option<BoxError>) -> Poll<()>,
    /// Drops what the body bits say there is.
    drop_body: unsafe fn(NonNull<Header>, body: u16),
    layout: Layout,
    /// Of the body.
    offset: usize,
    name: fn() -> &'static str,
    #[cfg_attr(not(feature = "record"), expect(dead_code, reason = "only the record reads frames"))]
    future: fn(NonNull<Header>) -> (FutureType, usize),
    describe: unsafe fn(NonNull<Header>) -> String,
}

/// Both fields begin where the body does.
#[repr(C)]
union Body<F, T> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<T>,
}

#[repr(C)]
struct Block<F, T> {
    header: Header,
    body: UnsafeCell<Body<F, T>>,
}

/// What is told of a coroutine whose future is `F`.
pub(crate) trait Profile<F, T> {
    /// Its name, as the compiler gives it.
    fn type_name() -> &'static str {
        std::any::type_name::<F>()
    }

    /// What it returned.
    fn describe(output: &T) -> String;
}

struct Typed<F, T, E, P>(PhantomData<(F, T, E, P)>);

impl<F, T, E, P> Typed<F, T, E, P>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
    P: Profile<F, T>,
{
    const VTABLE: Vtable = Vtable {
        poll: Self::poll,
        drop_body: Self::drop_body,
        layout: Layout::new::<Block<F, T>>(),
        offset: std::mem::offset_of!(Block<F, T>, body),
        name: P::type_name,
        future: Self::future,
        describe: Self::describe,
    };

    fn body(header: NonNull<Header>) -> *mut Body<F, T> {
        let block = header.cast::<Block<F, T>>().as_ptr();
        // SAFETY: every header is the first field of the block whose vtable it has, so the field is in bounds.
        unsafe { UnsafeCell::raw_get(&raw const (*block).body) }
    }

    unsafe fn poll(header: NonNull<Header>, cx: &mut Context<'_>, failed: &mut Option<BoxError>) -> Poll<()> {
        let body = Self::body(header);
        // SAFETY: the caller has seen the state FUTURE and set RUNNING (3); the block never moves.
        let future = unsafe { Pin::new_unchecked(&mut *(*body).future) };
        let Poll::Ready(result) = future.poll(cx) else { return Poll::Pending };
        // SAFETY: the block is alive, its owner is polling it.
        let this = unsafe { header.as_ref() };
        this.set_body(flag::GONE);
        // SAFETY: the state was FUTURE and is GONE by now (2).
        unsafe { ManuallyDrop::drop(&mut (*body).future) };
        match result {
            Ok(output) => {
                // SAFETY: the body is empty.
                unsafe { (&raw mut (*body).output).write(ManuallyDrop::new(output)) };
                this.set_body(flag::OUTPUT);
            }
            Err(error) => *failed = Some(error.into()),
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

    fn future(header: NonNull<Header>) -> (FutureType, usize) {
        (FutureType::of::<F>(), Self::body(header).addr())
    }

    unsafe fn describe(header: NonNull<Header>) -> String {
        // SAFETY: the caller has seen the state OUTPUT.
        P::describe(unsafe { &(*Self::body(header)).output })
    }
}

impl Header {
    fn body(&self) -> u16 {
        self.flags.get() & flag::BODY
    }

    fn set_body(&self, body: u16) {
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

    pub(crate) fn word(&self) -> Word {
        self.word.get()
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

    /// The future's type and address, for whoever reads frames. `None` once it is gone.
    #[cfg(feature = "record")]
    pub(crate) fn future(&self) -> Option<(FutureType, usize)> {
        (self.body() == 0).then(|| (self.vtable.future)(NonNull::from(self)))
    }

    /// The output as text, if it is there.
    pub(crate) fn describe_output(&self) -> Option<String> {
        // SAFETY: the state is OUTPUT.
        (self.body() == flag::OUTPUT).then(|| unsafe { (self.vtable.describe)(NonNull::from(self)) })
    }

    /// It has been woken, and has not had its turn yet.
    pub(crate) fn is_queued(&self) -> bool {
        self.queued.get()
    }

    /// It has been given a place in a loop, at whatever time.
    pub(crate) fn is_scheduled(&self) -> bool {
        !self.word.get().is_none()
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

    pub(crate) fn add_waiter(&self, word: Word) -> Position {
        self.waiters.add(word)
    }

    pub(crate) fn replace_waiter(&self, at: Position, word: Word) {
        self.waiters.replace(at, word);
    }

    pub(crate) fn remove_waiter(&self, at: Position) {
        self.waiters.remove(at);
    }

    #[inline]
    pub(crate) fn take_waiters(&self, each: impl FnMut(Word)) {
        self.waiters.take(each);
    }

    pub(crate) fn waiters(&self) -> Vec<Word> {
        self.waiters.list()
    }

    /// Gives it its number and a place in a loop.
    ///
    /// # Panics
    ///
    /// If it has one already.
    pub(crate) fn schedule(&self, id: u64, word: Word) -> Slotted {
        assert!(!self.is_scheduled() && self.body() == 0, "a coroutine is scheduled once");
        self.id.set(id);
        self.word.set(word);
        self.set(flag::SLOTTED);
        Slotted(NonNull::from(self))
    }

    /// One of its owners is gone. If nobody owns it, frees it, at once or, inside another such call, when that is done (a chain of
    /// coroutines that own each other must not recurse).
    #[inline]
    fn release(&self) {
        if self.handles.get() == 0 && !self.has(flag::SLOTTED) && !self.queued.get() && !self.running.get() {
            local::free(NonNull::from(self));
        }
    }
}

/// Frees a block that nobody owns. Returns the panic of a destructor.
///
/// # Safety
///
/// Nothing owns the block, and nobody calls this for it again.
pub(super) unsafe fn free(header: NonNull<Header>) -> Result<(), Payload> {
    // SAFETY: the caller's word that it is alive.
    let this = unsafe { header.as_ref() };
    let result = this.drop_body();
    let layout = this.vtable.layout;
    // SAFETY: nobody will look at the block again; the header was initialised by `Handle::new`, with that layout.
    unsafe {
        header.drop_in_place();
        alloc::dealloc(header.as_ptr().cast(), layout);
    }
    result
}

/// The link of the queue and of the drop list, which are never used at once: a block in the queue is owned.
///
/// # Safety
///
/// The block is alive for `'a`.
pub(super) unsafe fn link<'a>(header: NonNull<Header>) -> &'a Cell<Option<NonNull<Header>>> {
    // SAFETY: the caller's word that the block is alive for `'a`.
    unsafe { &header.as_ref().link }
}

impl Header {
    /// Drops future or output in place, whichever there is; catches the destructor's panic.
    pub(super) fn drop_body(&self) -> Result<(), Payload> {
        let body = self.body();
        if body == flag::GONE {
            return Ok(());
        }
        self.set_body(flag::GONE);
        // SAFETY: the state was read, and says GONE by now (2). A future that is being polled is not dropped: see the callers.
        panic::catch_unwind(AssertUnwindSafe(|| unsafe { (self.vtable.drop_body)(NonNull::from(self), body) }))
    }
}

/// One of the handles of a coroutine: what a `Coro` is made of.
pub(crate) struct Handle(NonNull<Header>);

impl Handle {
    /// Moves a future into a block of its own. The output's type is the caller's to remember.
    ///
    /// The future may borrow: see invariant 7 for who calls this with one that does.
    pub(crate) fn new<F, T, E, P>(future: F, place: &'static Location<'static>, flags: u16) -> Handle
    where
        F: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
        P: Profile<F, T>,
    {
        let layout = Layout::new::<Block<F, T>>();
        // SAFETY: the layout has the size of a header at least.
        let block = unsafe { alloc::alloc(layout) }.cast::<Block<F, T>>();
        let Some(block) = NonNull::new(block) else { alloc::handle_alloc_error(layout) };
        let header = Header {
            vtable: const { &Typed::<F, T, E, P>::VTABLE },
            link: Cell::new(None),
            waiters: Waiters::new(),
            handles: Cell::new(1),
            flags: Cell::new(flags),
            queued: Cell::new(false),
            running: Cell::new(false),
            word: Cell::new(Word::NONE),
            id: Cell::new(0),
            place: Cell::new(place),
        };
        // SAFETY: freshly allocated, with this type's layout; the two fields are written in place so that a large future is
        // copied once.
        unsafe {
            (&raw mut (*block.as_ptr()).header).write(header);
            UnsafeCell::raw_get(&raw const (*block.as_ptr()).body).write(Body { future: ManuallyDrop::new(future) });
        }
        Handle(block.cast())
    }

    /// Another handle of the same coroutine, whose output has the type `T`.
    ///
    /// # Safety
    ///
    /// `T` is the type of the output.
    pub(crate) unsafe fn share<T: Clone>(&self) -> Handle {
        unsafe fn clone_into<T: Clone>(source: NonNull<()>, target: NonNull<()>) {
            // SAFETY: the caller's word that the source holds a `T` and the target has room for one.
            unsafe { target.cast::<T>().write(source.cast::<T>().as_ref().clone()) }
        }
        let clone: CloneFn = clone_into::<T>;
        self.waiters.make_shared().clone.set(Some(clone));
        let handles = self.handles.get().checked_add(1).expect("fewer than 2^32 handles of one coroutine");
        self.handles.set(handles);
        Handle(self.0)
    }

    /// The output: moved out by the last handle, a clone otherwise. `None` if it is not there.
    ///
    /// # Safety
    ///
    /// `T` is the type of the output.
    pub(crate) unsafe fn take<T>(&self) -> Option<T> {
        if !self.is_done() {
            return None;
        }
        // SAFETY: the vtable is that of this block's type, so the field is in bounds.
        let place = unsafe { self.0.cast::<u8>().add(self.vtable.offset).cast::<T>() };
        if self.handles.get() == 1 {
            self.set_body(flag::GONE);
            self.set(flag::TAKEN);
            // SAFETY: the state was OUTPUT and is GONE by now (2); the output has type `T`, by the caller's word.
            return Some(unsafe { place.read() });
        }
        let clone = self.waiters.boxed().and_then(|shared| shared.clone.get()).expect("`share` made the other handle");
        let mut copy = std::mem::MaybeUninit::<T>::uninit();
        // SAFETY: the output is there, and stays while its `clone` runs, for it is moved out by a handle that is alone, and
        // `self` is borrowed; so `copy` is written when `clone` returns.
        unsafe {
            clone(place.cast(), NonNull::from(&mut copy).cast());
            Some(copy.assume_init())
        }
    }
}

impl Deref for Handle {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: a handle owns (1).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let header: &Header = self;
        header.handles.set(header.handles.get() - 1);
        header.release();
    }
}

/// Owned by the slot table of its loop: it has not ended.
pub(crate) struct Slotted(NonNull<Header>);

impl Slotted {
    /// To be put into the ready queue; `None` if it is there already.
    #[inline]
    pub(crate) fn queue(&self) -> Option<Queued> {
        if self.queued.replace(true) {
            return None;
        }
        Some(Queued(self.0))
    }

    /// To be polled or dropped; `None` if that is happening already.
    pub(crate) fn run(&self) -> Option<Running> {
        Running::new(self.0)
    }
}

impl Deref for Slotted {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: `Slotted` owns (1).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Slotted {
    fn drop(&mut self) {
        self.unset(flag::SLOTTED);
        self.release();
    }
}

/// Owned by the ready queue.
pub(crate) struct Queued(NonNull<Header>);

impl Queued {
    /// Its turn has come; `None` if it is being run already.
    #[inline]
    pub(crate) fn run(self) -> Option<Running> {
        let running = Running::new(self.0);
        if running.is_some() {
            // It is owned, so that `self` need not look whether it is the last owner.
            ManuallyDrop::new(self).queued.set(false);
        }
        running
    }
}

impl Deref for Queued {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: `Queued` owns (1).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.queued.set(false);
        self.release();
    }
}

/// Being polled, or dropped by its loop. Not queued, so that it can be woken meanwhile.
pub(crate) struct Running(NonNull<Header>);

/// What came of a poll.
pub(crate) enum Step {
    Pending,
    /// The output is there.
    Done,
    Failed(BoxError),
    Panicked(Payload),
}

impl Running {
    #[inline]
    fn new(header: NonNull<Header>) -> Option<Running> {
        // SAFETY: called with the block of a guard, which owns.
        let this = unsafe { header.as_ref() };
        if this.running.replace(true) {
            return None;
        }
        Some(Running(header))
    }

    /// There is a future to be polled.
    pub(crate) fn is_alive(&self) -> bool {
        self.body() == 0
    }

    /// Polls it once, as the coroutine that is running, and catches its panic. The future is gone unless it is pending.
    ///
    /// # Panics
    ///
    /// If there is no future.
    #[inline(always)]
    pub(crate) fn poll(&mut self, spot: &Spot, cx: &mut Context<'_>) -> Step {
        assert!(self.is_alive(), "a coroutine is polled until it ends");
        let flags = self.flags.get();
        if flags & (flag::LAST_STEP | flag::STARTED) != flag::STARTED {
            self.flags.set((flags & !flag::LAST_STEP) | flag::STARTED);
        }
        let header = self.0;
        let outer = spot.0.replace(Some(header));
        let mut failed = None;
        // SAFETY: the state is FUTURE, and `&mut self` on the only guard of its kind means that nobody else polls it (3).
        let poll = AssertUnwindSafe(|| unsafe { (self.vtable.poll)(header, cx, &mut failed) });
        let result = panic::catch_unwind(poll);
        spot.0.set(outer);
        match (result, failed) {
            (Ok(Poll::Pending), _) => Step::Pending,
            (Ok(Poll::Ready(())), None) => Step::Done,
            (Ok(Poll::Ready(())), Some(error)) => Step::Failed(error),
            (Err(payload), _) => {
                // A destructor that panics as well has nothing to add.
                let _ = self.drop_body();
                Step::Panicked(payload)
            }
        }
    }

    /// Drops the future, or the output, in place.
    ///
    /// # Errors
    ///
    /// The payload, if a destructor panicked.
    pub(crate) fn discard(&mut self) -> Result<(), Payload> {
        self.drop_body()
    }
}

impl Deref for Running {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: `Running` owns (1).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.set(false);
        self.release();
    }
}

/// First in, first out, linked through the headers.
#[derive(Default)]
pub(crate) struct Queue {
    head: Cell<Option<NonNull<Header>>>,
    tail: Cell<Option<NonNull<Header>>>,
}

impl Queue {
    #[inline]
    pub(crate) fn push(&self, task: Queued) {
        let header = ManuallyDrop::new(task).0;
        // SAFETY: what is in the queue is owned by it: the guard was forgotten, and comes back in `pop`.
        unsafe {
            link(header).set(None);
            match self.tail.replace(Some(header)) {
                None => self.head.set(Some(header)),
                Some(last) => link(last).set(Some(header)),
            }
        }
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Queued> {
        let header = self.head.get()?;
        // SAFETY: owned by the queue, as above.
        let next = unsafe { link(header) }.take();
        self.head.set(next);
        if next.is_none() {
            self.tail.set(None);
        }
        Some(Queued(header))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_none()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// The coroutine that its loop is running.
#[derive(Default)]
pub(crate) struct Spot(Cell<Option<NonNull<Header>>>);

impl Spot {
    /// Shows `f` the coroutine that is running, if one is.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(Option<&Header>) -> R) -> R {
        // SAFETY: `Running::poll` is on the stack with its guard, and takes it out before it returns: it catches every panic.
        f(self.0.get().map(|header| unsafe { header.as_ref() }))
    }
}

//! `limit`: a minimal executor, which shows how fast one of the usual kind can be without further features.
//!
//! One box per task, slab slots, a queue of indices, wakers of generation and index without counts, join handles
//! without atomics. It catches no panic, names nothing and cancels no task in order; dropping a long chain may recurse,
//! and a waker works on its own thread only. It is the lower bound that the others are compared with.
//!
//! ```text
//! handle ──┐
//!          ├──▶ Task { poll, drop, waiter, owners, done, future or output }
//! slot  ───┘
//! ```

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::ptr::{self, NonNull};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::{Duration, Instant};

/// Generation and index of a slot.
type Word = u64;

/// The index of the future that `run` was given.
const MAIN: u32 = u32::MAX;
/// No task.
const NONE: Word = Word::MAX;

#[derive(Default)]
struct Limit {
    slots: Vec<Slot>,
    free: Vec<u32>,
    queue: VecDeque<u32>,
    timers: Timers,
}

#[derive(Clone, Copy)]
struct Slot {
    task: Option<NonNull<Header>>,
    generation: u32,
    queued: bool,
}

thread_local! {
    /// The executor of each thread, emptied after every run.
    static LIMIT: Cell<*mut Limit> = const { Cell::new(ptr::null_mut()) };
}

/// Calls `f` with the executor of this thread. `f` must not call this again.
#[inline(always)]
fn with<R>(f: impl FnOnce(&mut Limit) -> R) -> R {
    // SAFETY: `run` has made it and never frees it; there is no other reference, as required of callers above.
    f(unsafe { &mut *LIMIT.get() })
}

// ---- Wakers ----

static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake_word, wake_word, |_| ());

fn wake_word(data: *const ()) {
    with(|limit| limit.wake(data.addr() as Word));
}

fn waker(word: Word) -> ManuallyDrop<Waker> {
    // SAFETY: the data is a number that is looked up, never dereferenced, so that it needs neither counts nor a thread.
    ManuallyDrop::new(unsafe { Waker::new(ptr::without_provenance(word as usize), &VTABLE) })
}

/// The word of the task that is polled.
fn word(cx: &Context<'_>) -> Word {
    cx.waker().data().addr() as Word
}

impl Limit {
    #[inline]
    fn wake(&mut self, word: Word) {
        let index = word as u32;
        match self.slots.get_mut(index as usize) {
            Some(slot) if slot.generation != (word >> 32) as u32 || slot.queued => return,
            Some(slot) => slot.queued = true,
            None => {} // Main.
        }
        self.queue.push_back(index);
    }
}

// ---- Tasks ----

/// The header of every task.
struct Header {
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> bool,
    /// Drops future or output, and frees the box.
    free: unsafe fn(NonNull<Header>),
    waiter: Cell<Word>,
    /// The number of owners: the slot and the handle.
    owners: Cell<u8>,
    state: Cell<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Future,
    Output,
    Gone,
}

#[repr(C)]
struct Task<F: Future> {
    header: Header,
    body: UnsafeCell<Body<F>>,
}

/// A handle knows the type of the output alone: see [`output`].
#[repr(C, align(8))]
union Body<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
}

/// The address of a task's output.
fn output<T>(task: NonNull<Header>) -> *mut T {
    const { assert!(align_of::<T>() <= 8, "as all that is measured here") };
    // SAFETY: behind the header, in the same box.
    unsafe { task.add(1).cast::<T>().as_ptr() }
}

impl<F: Future> Task<F> {
    fn body(task: NonNull<Header>) -> *mut Body<F> {
        const { assert!(align_of::<F>() <= 8, "as all that is measured here") };
        // SAFETY: `spawn` has put both functions that call this into the header of a `Task<F>`.
        UnsafeCell::raw_get(unsafe { &raw const (*task.cast::<Task<F>>().as_ptr()).body })
    }

    unsafe fn poll(task: NonNull<Header>, cx: &mut Context<'_>) -> bool {
        let body = Self::body(task);
        // SAFETY: the caller has checked that the future is there; the box does not move.
        let Poll::Ready(output) = unsafe { Pin::new_unchecked(&mut *(*body).future) }.poll(cx) else { return false };
        // SAFETY: the same future, dropped once; then the output is written over it.
        unsafe {
            ManuallyDrop::drop(&mut (*body).future);
            (&raw mut (*body).output).write(ManuallyDrop::new(output));
            task.as_ref().state.set(State::Output);
        }
        true
    }

    unsafe fn free(task: NonNull<Header>) {
        // SAFETY: the caller is the last owner, so that the state and the box are not accessed again.
        unsafe {
            match task.as_ref().state.get() {
                State::Future => ManuallyDrop::drop(&mut (*Self::body(task)).future),
                State::Output => ManuallyDrop::drop(&mut (*Self::body(task)).output),
                State::Gone => {}
            }
            drop(Box::from_raw(task.cast::<Task<F>>().as_ptr()));
        }
    }
}

/// Drops one of the two owners.
#[inline]
fn release(task: NonNull<Header>) {
    // SAFETY: an owner keeps the box, and there was one until now.
    unsafe {
        let header = task.as_ref();
        header.owners.set(header.owners.get() - 1);
        if header.owners.get() == 0 {
            (header.free)(task);
        }
    }
}

/// Awaits the output of a task.
pub struct JoinHandle<T>(NonNull<Header>, PhantomData<T>);

impl<T> Unpin for JoinHandle<T> {}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: `self` is an owner.
        let header = unsafe { self.0.as_ref() };
        if header.state.get() != State::Output {
            header.waiter.set(word(cx));
            return Poll::Pending;
        }
        header.state.set(State::Gone);
        // SAFETY: by the state it was there; from now on the state is that it is not.
        Poll::Ready(unsafe { output::<T>(self.0).read() })
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        release(self.0);
    }
}

/// Queues a task.
#[inline]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    let header = Header {
        poll: Task::<F>::poll,
        free: Task::<F>::free,
        waiter: Cell::new(NONE),
        owners: Cell::new(2),
        state: Cell::new(State::Future),
    };
    let task = Box::new(Task { header, body: UnsafeCell::new(Body { future: ManuallyDrop::new(future) }) });
    let task = NonNull::from(Box::leak(task)).cast::<Header>();
    with(|limit| {
        let index = limit.free.pop().unwrap_or_else(|| {
            limit.slots.push(Slot { task: None, generation: 0, queued: false });
            limit.slots.len() as u32 - 1
        });
        let slot = &mut limit.slots[index as usize];
        (slot.task, slot.queued) = (Some(task), true);
        limit.queue.push_back(index);
    });
    JoinHandle(task, PhantomData)
}

/// Runs `main` until it ends, and drops all other tasks.
pub fn run<F: Future>(main: F) -> F::Output {
    if LIMIT.get().is_null() {
        LIMIT.set(Box::into_raw(Box::default()));
    }
    let mut main = pin!(main);
    with(|limit| limit.queue.push_back(MAIN));
    let output = loop {
        let Some((index, slot)) = with(Limit::next) else {
            with(Limit::park);
            continue;
        };
        let waker = waker((Word::from(slot.generation) << 32) | Word::from(index));
        let mut cx = Context::from_waker(&waker);
        if index == MAIN {
            match main.as_mut().poll(&mut cx) {
                Poll::Ready(output) => break output,
                Poll::Pending => continue,
            }
        }
        let Some(task) = slot.task else { continue };
        // SAFETY: the task's slot owns it, and only the next lines empty the slot; so its future is there.
        if unsafe { (task.as_ref().poll)(task, &mut cx) } {
            // SAFETY: as above.
            let waiter = unsafe { task.as_ref() }.waiter.get();
            with(|limit| limit.end(index, waiter));
            release(task);
        }
    };
    // From the end: later tasks wait for earlier ones.
    while let Some(slot) = with(|limit| limit.slots.pop()) {
        slot.task.into_iter().for_each(release);
    }
    with(std::mem::take);
    output
}

impl Limit {
    /// The next ready task.
    #[inline]
    fn next(&mut self) -> Option<(u32, Slot)> {
        let index = self.queue.pop_front()?;
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return Some((index, Slot { task: None, generation: 0, queued: false }));
        };
        slot.queued = false;
        Some((index, *slot))
    }

    /// Ends a task.
    #[inline]
    fn end(&mut self, index: u32, waiter: Word) {
        let slot = &mut self.slots[index as usize];
        (slot.task, slot.generation) = (None, slot.generation.wrapping_add(1));
        self.free.push(index);
        if waiter != NONE {
            self.wake(waiter);
        }
    }

    fn park(&mut self) {
        let now = self.timers.now();
        while let Some(due) = self.timers.due(now) {
            due.iter().for_each(|timer| self.wake(timer.word));
        }
        if self.queue.is_empty() {
            std::thread::sleep(TICK);
        }
    }
}

// ---- Sharing ----

/// A join handle that several tasks can await.
pub struct Shared<T>(std::rc::Rc<Share<T>>);

struct Share<T> {
    handle: UnsafeCell<JoinHandle<T>>,
    output: UnsafeCell<Option<T>>,
    waiters: UnsafeCell<Vec<Word>>,
}

impl<T> Shared<T> {
    /// Shares a join handle.
    pub fn new(handle: JoinHandle<T>) -> Shared<T> {
        let (output, waiters) = (UnsafeCell::new(None), UnsafeCell::default());
        Shared(std::rc::Rc::new(Share { handle: UnsafeCell::new(handle), output, waiters }))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T: Clone> Future for Shared<T> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: on one thread; the measured outputs have a `clone` that does not access this again.
        let (output, waiters) = unsafe { (&mut *self.0.output.get(), &mut *self.0.waiters.get()) };
        if output.is_none() {
            // SAFETY: as above, and polling a handle calls no user code.
            let Poll::Ready(value) = Pin::new(unsafe { &mut *self.0.handle.get() }).poll(cx) else {
                waiters.push(word(cx));
                return Poll::Pending;
            };
            *output = Some(value);
            with(|limit| waiters.drain(..).for_each(|word| limit.wake(word)));
        }
        Poll::Ready(output.clone().expect("just put there"))
    }
}

// ---- An event ----

/// A flag that can be waited for.
#[derive(Clone, Default)]
pub struct Event(std::rc::Rc<EventState>);

#[derive(Default)]
struct EventState {
    set: Cell<bool>,
    waiters: UnsafeCell<Vec<Word>>,
}

impl Event {
    /// Waits until it is set.
    pub fn wait(self) -> impl Future<Output = ()> {
        std::future::poll_fn(move |cx| {
            if self.0.set.get() {
                return Poll::Ready(());
            }
            // SAFETY: on one thread; pushing calls no user code.
            unsafe { &mut *self.0.waiters.get() }.push(word(cx));
            Poll::Pending
        })
    }
}

// ---- Timers: a wheel of 1,024 slots of a millisecond ----

const TICK: Duration = Duration::from_millis(1);
const WHEEL: u64 = 1024;

struct Timers {
    start: Instant,
    /// All slots before it are empty.
    tick: u64,
    slots: Vec<Vec<Timer>>,
}

#[derive(Clone, Copy)]
struct Timer {
    tick: u64,
    /// Once the timer is cancelled, it wakes a task that is gone or does not wait for it.
    word: Word,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { start: Instant::now(), tick: 0, slots: vec![Vec::new(); WHEEL as usize] }
    }
}

impl Timers {
    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn insert(&mut self, after: Duration, word: Word) {
        let tick = ((self.start.elapsed() + after).as_nanos() as u64).div_ceil(1_000_000);
        self.slots[(tick % WHEEL) as usize].push(Timer { tick, word });
    }

    /// The timers that are due in the next tick that has passed.
    fn due(&mut self, now: u64) -> Option<Vec<Timer>> {
        (self.tick <= now).then(|| {
            let slot = &mut self.slots[(self.tick % WHEEL) as usize];
            let mut due = std::mem::take(slot);
            if due.iter().any(|timer| timer.tick > self.tick) {
                *slot = due.extract_if(.., |timer| timer.tick > self.tick).collect();
            }
            self.tick += 1;
            due
        })
    }
}

/// The future of [`sleep`].
pub struct Sleep {
    after: Duration,
    began: bool,
}

/// Sleeps for this long.
pub fn sleep(after: Duration) -> Sleep {
    Sleep { after, began: false }
}

impl Future for Sleep {
    type Output = ();

    /// Only the timer wakes it.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.began, true) {
            return Poll::Ready(());
        }
        with(|limit| limit.timers.insert(self.after, word(cx)));
        Poll::Pending
    }
}

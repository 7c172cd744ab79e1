//! `limit`: how fast an executor of the usual kind could be if it had nothing else to do.
//!
//! One box per task, slab slots, a queue of indices, wakers of generation and index without counts, join handles without
//! atomics. No panic is caught, nothing is named, nobody is cancelled in order, a long chain may recurse when it is dropped,
//! and a waker works on its own thread alone. It is the floor that the others are compared with.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::{Duration, Instant};

/// Generation and index of a slot.
type Word = u64;

const MAIN: u32 = u32::MAX;

#[derive(Default)]
struct Limit {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    queue: RefCell<VecDeque<u32>>,
    timers: RefCell<Timers>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    queued: bool,
    task: Option<Rc<dyn Run>>,
}

thread_local! {
    /// One for each thread, emptied after every run.
    static LIMIT: Cell<Option<&'static Limit>> = const { Cell::new(None) };
}

#[inline]
fn limit() -> &'static Limit {
    LIMIT.get().expect("inside `run`")
}

// ---- Wakers ----

static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| ());

fn wake(data: *const ()) {
    limit().wake(data.addr() as Word);
}

fn waker(word: Word) -> Waker {
    // SAFETY: the data is a number that is looked up, never dereferenced, so that it needs neither counts nor a thread.
    unsafe { Waker::new(std::ptr::without_provenance(word as usize), &VTABLE) }
}

/// The word of whoever is polled.
fn word(cx: &Context<'_>) -> Word {
    cx.waker().data().addr() as Word
}

impl Limit {
    fn wake(&self, word: Word) {
        let index = word as u32;
        if index != MAIN {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[index as usize];
            if slot.generation != (word >> 32) as u32 || slot.queued {
                return;
            }
            slot.queued = true;
        }
        self.queue.borrow_mut().push_back(index);
    }
}

// ---- Tasks ----

trait Run {
    fn run(&self, cx: &mut Context<'_>) -> bool;
}

trait Join<T> {
    fn output(&self, cx: &Context<'_>) -> Poll<T>;
}

struct Task<F: Future> {
    body: RefCell<Body<F>>,
    waiter: Cell<Option<Word>>,
}

enum Body<F: Future> {
    Future(F),
    Output(F::Output),
    Gone,
}

impl<F: Future> Run for Task<F> {
    fn run(&self, cx: &mut Context<'_>) -> bool {
        let mut body = self.body.borrow_mut();
        let Body::Future(future) = &mut *body else { return false };
        // SAFETY: the future is in a box that does not move, and is dropped in place.
        let Poll::Ready(output) = unsafe { Pin::new_unchecked(future) }.poll(cx) else { return false };
        *body = Body::Output(output);
        drop(body);
        if let Some(word) = self.waiter.take() {
            limit().wake(word);
        }
        true
    }
}

impl<F: Future> Join<F::Output> for Task<F> {
    fn output(&self, cx: &Context<'_>) -> Poll<F::Output> {
        let mut body = self.body.borrow_mut();
        if !matches!(*body, Body::Output(_)) {
            self.waiter.set(Some(word(cx)));
            return Poll::Pending;
        }
        let Body::Output(output) = std::mem::replace(&mut *body, Body::Gone) else { unreachable!("just seen") };
        Poll::Ready(output)
    }
}

/// Awaits the output of a task.
pub struct JoinHandle<T>(Rc<dyn Join<T>>);

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.output(cx)
    }
}

/// Queues a task.
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    let task = Rc::new(Task { body: RefCell::new(Body::Future(future)), waiter: Cell::new(None) });
    let limit = limit();
    let mut slots = limit.slots.borrow_mut();
    let index = limit.free.borrow_mut().pop().unwrap_or_else(|| {
        slots.push(Slot::default());
        slots.len() as u32 - 1
    });
    let slot = &mut slots[index as usize];
    slot.task = Some(task.clone());
    slot.queued = true;
    limit.queue.borrow_mut().push_back(index);
    JoinHandle(task)
}

/// Runs `main` until it ends, and drops everyone else.
pub fn run<F: Future>(main: F) -> F::Output {
    let limit = LIMIT.get().unwrap_or_else(|| Box::leak(Box::default()));
    LIMIT.set(Some(limit));
    let mut main = pin!(main);
    limit.queue.borrow_mut().push_back(MAIN);
    let output = loop {
        let Some(index) = limit.pop() else {
            limit.park();
            continue;
        };
        if index == MAIN {
            match main.as_mut().poll(&mut Context::from_waker(&waker(Word::from(MAIN)))) {
                Poll::Ready(output) => break output,
                Poll::Pending => continue,
            }
        }
        limit.step(index);
    };
    // From the end: there are those who wait for the ones before them.
    while let Some(slot) = { limit.slots.borrow_mut().pop() } {
        drop(slot);
    }
    limit.free.take();
    limit.queue.take();
    limit.timers.take();
    output
}

impl Limit {
    fn pop(&self) -> Option<u32> {
        self.queue.borrow_mut().pop_front()
    }

    fn step(&self, index: u32) {
        let (task, generation) = {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[index as usize];
            slot.queued = false;
            let Some(task) = slot.task.clone() else { return };
            (task, slot.generation)
        };
        let waker = waker((Word::from(generation) << 32) | Word::from(index));
        if task.run(&mut Context::from_waker(&waker)) {
            let slot = &mut self.slots.borrow_mut()[index as usize];
            slot.generation = slot.generation.wrapping_add(1);
            slot.task = None;
            self.free.borrow_mut().push(index);
        }
    }

    fn park(&self) {
        let due = self.timers.borrow_mut().due();
        if due.is_empty() {
            std::thread::sleep(TICK);
        }
        due.into_iter().for_each(|word| self.wake(word));
    }
}

// ---- Sharing ----

/// A join handle for many.
pub struct Shared<T>(Rc<Share<T>>);

struct Share<T> {
    handle: RefCell<JoinHandle<T>>,
    output: RefCell<Option<T>>,
    waiters: RefCell<Vec<Word>>,
}

impl<T> Shared<T> {
    /// Makes it one.
    pub fn new(handle: JoinHandle<T>) -> Shared<T> {
        Shared(Rc::new(Share { handle: RefCell::new(handle), output: RefCell::default(), waiters: RefCell::default() }))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T: Clone> Future for Shared<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let share = &*self.0;
        let mut output = share.output.borrow_mut();
        if output.is_none() {
            let Poll::Ready(value) = Pin::new(&mut *share.handle.borrow_mut()).poll(cx) else {
                share.waiters.borrow_mut().push(word(cx));
                return Poll::Pending;
            };
            *output = Some(value);
            for word in share.waiters.take() {
                limit().wake(word);
            }
        }
        Poll::Ready(output.clone().expect("just put there"))
    }
}

// ---- An event ----

/// Can be waited for.
#[derive(Clone, Default)]
pub struct Event(Rc<EventState>);

#[derive(Default)]
struct EventState {
    set: Cell<bool>,
    waiters: RefCell<Vec<Word>>,
}

impl Event {
    /// Waits until it is set.
    pub fn wait(self) -> impl Future<Output = ()> {
        std::future::poll_fn(move |cx| {
            if self.0.set.get() {
                return Poll::Ready(());
            }
            self.0.waiters.borrow_mut().push(word(cx));
            Poll::Pending
        })
    }
}

// ---- Timers: a wheel of 1,024 slots of a millisecond ----

const TICK: Duration = Duration::from_millis(1);
const WHEEL: u64 = 1024;
const NONE: u32 = u32::MAX;

struct Timers {
    start: Instant,
    /// All slots before it are done.
    tick: u64,
    heads: Vec<u32>,
    nodes: Vec<Node>,
    free: u32,
}

#[derive(Clone, Copy)]
struct Node {
    tick: u64,
    /// `None`: cancelled.
    word: Option<Word>,
    next: u32,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { start: Instant::now(), tick: 0, heads: vec![NONE; WHEEL as usize], nodes: Vec::new(), free: NONE }
    }
}

impl Timers {
    fn insert(&mut self, after: Duration, word: Word) -> u32 {
        let tick = ((self.start.elapsed() + after).as_nanos() as u64).div_ceil(1_000_000);
        let head = &mut self.heads[(tick % WHEEL) as usize];
        let node = Node { tick, word: Some(word), next: *head };
        let index = self.free;
        if index == NONE {
            self.nodes.push(node);
            *head = self.nodes.len() as u32 - 1;
        } else {
            self.free = std::mem::replace(&mut self.nodes[index as usize], node).next;
            *head = index;
        }
        *head
    }

    fn due(&mut self) -> Vec<Word> {
        let now = self.start.elapsed().as_millis() as u64;
        let mut due = Vec::new();
        while self.tick <= now {
            let mut next = std::mem::replace(&mut self.heads[(self.tick % WHEEL) as usize], NONE);
            while next != NONE {
                let index = next;
                let node = &mut self.nodes[index as usize];
                next = node.next;
                if node.word.is_some() && node.tick > self.tick {
                    node.next = std::mem::replace(&mut self.heads[(self.tick % WHEEL) as usize], index);
                } else {
                    due.extend(node.word);
                    node.next = std::mem::replace(&mut self.free, index);
                }
            }
            self.tick += 1;
        }
        due
    }
}

/// Sleeps for so long.
pub struct Sleep {
    after: Duration,
    timer: u32,
    polled: bool,
}

/// Sleeps for so long.
pub fn sleep(after: Duration) -> Sleep {
    Sleep { after, timer: NONE, polled: false }
}

impl Future for Sleep {
    type Output = ();

    /// It is woken by the timer alone.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.polled {
            self.timer = NONE;
            return Poll::Ready(());
        }
        self.polled = true;
        self.timer = limit().timers.borrow_mut().insert(self.after, word(cx));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.timer != NONE
            && let Ok(mut timers) = limit().timers.try_borrow_mut()
            && let Some(node) = timers.nodes.get_mut(self.timer as usize)
        {
            node.word = None;
        }
    }
}

//! Barriers: a number of coroutines wait for each other.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::executor::waits::On;
use crate::executor::{self, Executor};
use crate::failure::error::CancelledError;
use crate::observe::{ResKind, ResourceObserver};
use crate::sync::wait_list::{Locked, WaitEdge, WaitList, Waitable, Waiting};

/// A point at which a number of coroutines wait for each other. Clones are the same barrier; it can be reused.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let barrier = tinyio::Barrier::new(2);
/// let other = tinyio::spawn(barrier.wait());
/// let mine = barrier.wait().await?;
/// assert_eq!(mine + other.await?, 0 + 1); // each gets an index of its own
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Barrier(Arc<Meeting>);

struct Meeting {
    wait_list: WaitList<Meeting>,
    parties: usize,
}

impl Waitable for Meeting {
    type State = ();
    type Request = ();
    /// The index of the waiter among those that met.
    type Grant = usize;

    fn wait_list(&self) -> &WaitList<Meeting> {
        &self.wait_list
    }

    fn request(&self, list: &mut Locked<'_, Meeting>, (): ()) -> Option<usize> {
        let others = list.waiting();
        if others + 1 < self.parties {
            return None;
        }
        (0..others).for_each(|index| list.grant_first(index));
        Some(others)
    }

    fn register_wait(self: &Arc<Self>, executor: &Executor, edge: &mut WaitEdge) {
        edge.enter(executor, || On::Barrier);
    }
}

impl Barrier {
    /// Creates a barrier for this many coroutines.
    ///
    /// ```
    /// let three = tinyio::Barrier::new(3);
    /// ```
    ///
    /// # Panics
    ///
    /// If the number is 0.
    #[track_caller]
    pub fn new(parties: usize) -> Barrier {
        assert!(parties > 0, "tinyio::Barrier::new({parties}): there must be at least one coroutine to meet");
        Barrier(Arc::new(Meeting { wait_list: WaitList::new((), ResKind::Barrier, parties), parties }))
    }

    /// Gives the barrier a name, which the inspector shows. Set it before the first use, which records it; the first
    /// name stays.
    ///
    /// ```
    /// let start = tinyio::Barrier::new(3).named("start");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Barrier {
        self.0.wait_list.res.set_name(name.into());
        self
    }

    /// Waits until the barrier's number of coroutines wait. Each gets a different index, counted from 0.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let alone = tinyio::Barrier::new(1);
    /// assert_eq!(alone.wait().await?, 0);
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn wait(&self) -> BarrierWait {
        BarrierWait(Waiting::new(&self.0))
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Barrier({} of {} here)", self.0.wait_list.lock().waiting(), self.0.parties)
    }
}

/// The future of [`Barrier::wait`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let wait: tinyio::BarrierWait = tinyio::Barrier::new(1).wait();
/// assert_eq!(wait.await?, 0);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct BarrierWait(Waiting<Meeting>);

impl fmt::Debug for BarrierWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BarrierWait")
    }
}

impl Future for BarrierWait {
    type Output = Result<usize, CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        executor::with("Barrier::wait", |executor| self.0.poll(executor, cx, at, ()))
    }
}

//! The wait list under events, semaphores, locks and barriers.
//!
//! A primitive has a [`WaitList`]: its state and its waiters behind one mutex. A future of it has a [`Waiting`], which
//! enters the list, records the wait, and leaves the list when it is dropped. What distinguishes the primitives is
//! [`Waitable`]: how a request is answered.
//!
//! - Waiters are in the order in which they were first polled.
//! - A grant is final: it is stored in the waiter's entry, until its future is polled and takes it, or is dropped.
//! - No code of the program runs while a list is locked: waiters are woken after [`Locked::unlock`].

use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use crate::executor::waits::{On, Wait};
use crate::executor::waker_slot::Waiter;
use crate::executor::{self, Executor, Registration, wake};
use crate::failure::error::CancelledError;
use crate::observe::{Res, ResKind, ResourceObserver, Target};
use crate::sync::linked_slab::{Key, LinkedSlab};
use crate::task::WakeToken;
use crate::threading::{Mutex, MutexGuard};

/// What coroutines wait for in a list.
pub(crate) trait Waitable: Sized {
    /// What the mutex of the list guards beside the waiters.
    type State;
    type Request: Copy;
    type Grant: Copy;

    fn wait_list(&self) -> &WaitList<Self>;

    /// Answers a request that is polled for the first time. `None`: it has to wait.
    fn request(&self, list: &mut Locked<'_, Self>, request: Self::Request) -> Option<Self::Grant>;

    /// A waiter takes what it was granted since it was last polled.
    fn taken(_list: &mut Locked<'_, Self>, _request: Self::Request, _grant: Self::Grant) {}

    /// A waiter is dropped and has left the list. `unused`: what it was granted and has not taken.
    fn dropped(_list: &mut Locked<'_, Self>, _unused: Option<(Self::Request, Self::Grant)>) {}

    /// Registers the wait of the running coroutine for the search for deadlocks.
    fn register_wait(self: &Arc<Self>, executor: &Executor, edge: &mut WaitEdge);
}

/// The state and the waiters of a primitive, and its record.
pub(crate) struct WaitList<P: Waitable> {
    list: Mutex<List<P>>,
    pub(crate) res: Res,
}

struct List<P: Waitable> {
    state: P::State,
    /// In the order: waiters without a grant.
    waiters: LinkedSlab<Entry<P>>,
}

struct Entry<P: Waitable> {
    request: P::Request,
    /// Woken when the request is granted.
    wake_token: WakeToken,
    granted: Option<P::Grant>,
}

impl<P: Waitable> WaitList<P> {
    /// The list of a primitive that the caller makes. `size`: what the record shows.
    #[track_caller]
    pub(crate) fn new(state: P::State, what: ResKind, size: usize) -> WaitList<P> {
        WaitList { list: Mutex::new(List { state, waiters: LinkedSlab::default() }), res: Res::new(what, size as u64) }
    }

    pub(crate) fn lock(&self) -> Locked<'_, P> {
        // A panic while it is locked leaves it consistent: nothing panics between two changes.
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { list, granted: Granted::default() }
    }
}

/// A locked list. Derefs to the state of the primitive.
pub(crate) struct Locked<'a, P: Waitable> {
    list: MutexGuard<'a, List<P>>,
    granted: Granted,
}

impl<P: Waitable> Deref for Locked<'_, P> {
    type Target = P::State;

    fn deref(&self) -> &P::State {
        &self.list.state
    }
}

impl<P: Waitable> DerefMut for Locked<'_, P> {
    fn deref_mut(&mut self) -> &mut P::State {
        &mut self.list.state
    }
}

impl<P: Waitable> Locked<'_, P> {
    /// The number of waiters without a grant.
    pub(crate) fn waiting(&self) -> usize {
        self.list.waiters.len()
    }

    /// The request of the first waiter.
    pub(crate) fn first(&self) -> Option<P::Request> {
        self.list.waiters.first().map(|(_, entry)| entry.request)
    }

    /// Grants the request of the first waiter, if there is one, and removes it from the order.
    pub(crate) fn grant_first(&mut self, grant: P::Grant) {
        let Some((key, entry)) = self.list.waiters.first() else { return };
        self.granted.push(entry.wake_token);
        self.list.waiters.get_mut(key).granted = Some(grant);
        self.list.waiters.unlink(key);
    }

    /// Unlocks the list. Returns the waiters that were granted their requests while it was locked.
    pub(crate) fn unlock(self) -> Granted {
        self.granted
    }

    /// Removes a waiter. Returns its request and what it was granted.
    fn remove(&mut self, key: Key) -> (P::Request, Option<P::Grant>) {
        let Entry { request, granted, .. } = *self.list.waiters.get_mut(key);
        if granted.is_none() {
            self.list.waiters.unlink(key);
        }
        self.list.waiters.free(key);
        (request, granted)
    }
}

/// Waiters to be woken, in order.
#[must_use]
#[derive(Default)]
pub(crate) struct Granted {
    /// Beside the others, so that a single one takes no allocation.
    first: Option<WakeToken>,
    others: Vec<WakeToken>,
}

impl Granted {
    fn push(&mut self, wake_token: WakeToken) {
        match self.first {
            None => self.first = Some(wake_token),
            Some(_) => self.others.push(wake_token),
        }
    }

    pub(crate) fn wake(self) {
        self.first.into_iter().chain(self.others).for_each(wake::wake);
    }
}

/// The wait of a future for a primitive. Leaves the list when it is dropped.
pub(crate) struct Waiting<P: Waitable> {
    on: Arc<P>,
    /// Its entry, while it is in the list.
    key: Option<Key>,
    waiter: Waiter,
    edge: WaitEdge,
}

impl<P: Waitable> Waiting<P> {
    pub(crate) fn new(on: &Arc<P>) -> Waiting<P> {
        Waiting { on: on.clone(), key: None, waiter: Waiter::default(), edge: WaitEdge::default() }
    }

    pub(crate) fn on(&self) -> &Arc<P> {
        &self.on
    }

    /// The token by which it is woken, once it waits.
    pub(crate) fn wake_token(&self) -> WakeToken {
        self.waiter.current()
    }

    /// Polls once, awaited at `at`, and records the wait if the request has to wait.
    pub(crate) fn poll(
        &mut self,
        executor: &Executor,
        cx: &Context<'_>,
        at: &'static Location<'static>,
        request: P::Request,
    ) -> Poll<Result<P::Grant, CancelledError>> {
        self.poll_unrecorded(executor, cx, at, request).unwrap_or_else(|| {
            self.record(executor, at);
            Poll::Pending
        })
    }

    /// Polls once. `None`: it waits, and the caller has to call [`Waiting::record`].
    pub(crate) fn poll_unrecorded(
        &mut self,
        executor: &Executor,
        cx: &Context<'_>,
        at: &'static Location<'static>,
        request: P::Request,
    ) -> Option<Poll<Result<P::Grant, CancelledError>>> {
        if let Some(answer) = executor.cancelled(self.key.is_none(), at) {
            return Some(answer.map(Err));
        }
        let wake_token = self.waiter.wake_token(executor, cx);
        let mut list = self.on.wait_list().lock();
        let entry = Entry { request, wake_token, granted: None };
        let grant = match self.key {
            None => {
                let Some(grant) = self.on.request(&mut list, request) else {
                    self.key = Some(list.list.waiters.push(entry));
                    return None;
                };
                grant
            }
            Some(key) => {
                let Some(grant) = list.list.waiters.get_mut(key).granted else {
                    *list.list.waiters.get_mut(key) = entry;
                    return None;
                };
                list.remove(key);
                P::taken(&mut list, request, grant);
                self.key = None;
                grant
            }
        };
        list.unlock().wake();
        self.edge.leave();
        Some(Poll::Ready(Ok(grant)))
    }

    /// Records that the running coroutine waits.
    pub(crate) fn record(&mut self, executor: &Executor, at: &'static Location<'static>) {
        self.on.register_wait(executor, &mut self.edge);
        executor.waits(Target::Res(self.on.wait_list().res.id(executor)), at);
    }

    /// Leaves the list.
    pub(crate) fn leave(&mut self) {
        let Some(key) = self.key.take() else { return };
        let wait_list = self.on.wait_list();
        executor::edge_dropped(|executor| Target::Res(wait_list.res.id(executor)));
        let mut list = wait_list.lock();
        let (request, granted) = list.remove(key);
        P::dropped(&mut list, granted.map(|grant| (request, grant)));
        list.unlock().wake();
    }
}

impl<P: Waitable> Drop for Waiting<P> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An entry in the loop's list of waits that the search for deadlocks reads.
#[derive(Default)]
pub(crate) struct WaitEdge(Option<(u32, u32)>);

impl WaitEdge {
    pub(crate) fn enter(&mut self, executor: &Executor, on: impl FnOnce() -> On) {
        if self.0.is_none_or(|(number, _)| number != executor.number()) {
            self.leave();
            executor.suspect();
            let key = executor.deadlocks.waits.borrow_mut().insert(Wait::new(executor.here(), on()));
            self.0 = Some((executor.number(), key));
        }
    }

    fn leave(&mut self) {
        if let Some((number, key)) = self.0.take() {
            wake::unregister(number, Registration::Wait(key));
        }
    }
}

impl Drop for WaitEdge {
    fn drop(&mut self) {
        self.leave();
    }
}

//! Outputs in the order in which the coroutines end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::coroutine::coro::Coro;
use crate::coroutine::gather::sealed::Awaitable;
use crate::executor;
use crate::executor::waits::On;
use crate::failure::error::CancelledError;
use crate::sync::wait_list::WaitEdge;
use crate::sync::{Event, Wait};
use crate::task::{BoxError, Profile, WakeToken};

/// Schedules these in the background and gives their outputs in the order in which they end. Also a `Stream`.
///
/// When the outputs are dropped, the coroutines that have not ended are cancelled.
///
/// ```
/// # use std::time::Duration;
/// async fn nap(ms: u64) -> tinyio::Result<u64> {
///     tinyio::sleep(Duration::from_millis(ms)).await?;
///     Ok(ms)
/// }
///
/// # tinyio::Loop::new().run(async {
/// let mut naps = tinyio::as_completed([30, 1, 15].map(nap));
/// let mut order = vec![];
/// while let Some(ms) = naps.next().await? {
///     order.push(ms);
/// }
/// assert_eq!(order, [1, 15, 30]);
/// # tinyio::Ok(()) }).unwrap();
/// ```
///
/// # Panics
///
/// Outside of a loop.
#[track_caller]
pub fn as_completed<I>(coros: I) -> AsCompleted<<I::Item as Awaitable>::Value>
where
    I: IntoIterator,
    I::Item: Completing,
{
    let at = Location::caller();
    let shared =
        Rc::new(Shared { outputs: RefCell::default(), places: RefCell::default(), wake_tokens: Rc::default() });
    let handles = Handles::default();
    for (index, coro) in coros.into_iter().enumerate() {
        shared.places.borrow_mut().push_back(Event::internal());
        let complete = complete(coro, index, shared.clone());
        let coro = Coro::<()>::new::<_, _, Inner<I::Item>>(complete, at, 0);
        executor::with("as_completed", |executor| coro.schedule(executor));
        shared.wake_tokens.borrow_mut().push(coro.header().wake_token());
        handles.borrow_mut().push(Some(coro));
    }
    let events = shared.places.borrow().iter().cloned().enumerate().collect();
    AsCompleted { events, shared, handles, waiting: None }
}

/// What [`as_completed`] takes: a future, or a [`Coro`].
pub trait Completing: Awaitable<Value: 'static> + Future<Output = Result<Self::Value, Self::Error>> + 'static {
    #[doc(hidden)]
    type Error: Into<Box<dyn std::error::Error + Send + Sync>> + 'static;
}

impl<F, T, E> Completing for F
where
    F: Future<Output = Result<T, E>> + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    T: 'static,
{
    type Error = E;
}

async fn complete<C: Completing>(coro: C, index: usize, shared: Rc<Shared<C::Value>>) -> Result<(), C::Error> {
    let output = coro.await?;
    let place = shared.places.borrow_mut().pop_front().expect("as many places as coroutines");
    shared.outputs.borrow_mut().push(Some((index, output)));
    place.set();
    Ok(())
}

/// The profile, which shows the name of the wrapped future.
struct Inner<C>(PhantomData<C>);

impl<F, C, E: Into<BoxError>> Profile<F, (), E> for Inner<C> {
    fn type_name() -> &'static str {
        std::any::type_name::<C>()
    }

    fn describe((): &()) -> String {
        "()".to_owned()
    }
}

/// The coroutines in the order in which they were given, each until its output is taken.
type Handles = Rc<RefCell<Vec<Option<Coro<()>>>>>;

/// State that the coroutines and their outputs share. The coroutines own it too, so it must not own them.
struct Shared<T> {
    /// In order of completion, with the index of the coroutine.
    outputs: RefCell<Vec<Option<(usize, T)>>>,
    /// Set when the output at that position is stored; the first is the next to be filled.
    places: RefCell<VecDeque<Event>>,
    /// The coroutines.
    wake_tokens: Rc<RefCell<Vec<WakeToken>>>,
}

/// The outputs of [`as_completed`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let mut outputs: tinyio::AsCompleted<u32> = tinyio::as_completed([async { tinyio::Ok(7) }]);
/// assert_eq!(outputs.next().await?, Some(7));
/// assert_eq!(outputs.next().await?, None);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "it gives outputs through `next`"]
pub struct AsCompleted<T> {
    shared: Rc<Shared<T>>,
    handles: Handles,
    /// The events of the positions that `next` has not taken.
    events: VecDeque<(usize, Event)>,
    /// The pending `next` of the `Stream` implementation.
    waiting: Option<Next<T>>,
}

impl<T> AsCompleted<T> {
    /// The next output, `None` after the last. Each call stands for the next place in the order, so that several can be
    /// taken up front and awaited in any order.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let mut outputs = tinyio::as_completed([1, 2].map(|n| async move { tinyio::Ok(n) }));
    /// let (first, second) = (outputs.next(), outputs.next());
    /// assert_eq!((second.await?, first.await?), (Some(2), Some(1)));
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    #[expect(clippy::should_implement_trait, reason = "like the `next` of streams: the name is theirs")]
    pub fn next(&mut self) -> Next<T> {
        let (index, wait) = match self.events.pop_front() {
            Some((index, event)) => (index, Some(event.wait())),
            None => (0, None),
        };
        let (shared, handles) = (self.shared.clone(), self.handles.clone());
        Next { shared, handles, wait, index, edge: WaitEdge::default() }
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsCompleted({} to be taken)", self.events.len())
    }
}

/// The future of [`AsCompleted::next`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let mut outputs = tinyio::as_completed([async { tinyio::Ok(7) }]);
/// let next: tinyio::Next<u32> = outputs.next();
/// assert_eq!(next.await?, Some(7));
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Next<T> {
    shared: Rc<Shared<T>>,
    handles: Handles,
    wait: Option<Wait>,
    index: usize,
    edge: WaitEdge,
}

impl<T> Unpin for Next<T> {}

impl<T> fmt::Debug for Next<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Next(#{})", self.index)
    }
}

impl<T> Future for Next<T> {
    type Output = Result<Option<T>, CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(wait) = &mut self.wait else { return Poll::Ready(Ok(None)) };
        match Pin::new(wait).poll(cx) {
            Poll::Pending => {
                let on = On::Any(self.shared.wake_tokens.clone());
                executor::with("as_completed", |executor| self.edge.enter(executor, || on));
                Poll::Pending
            }
            Poll::Ready(Err(cancelled)) => Poll::Ready(Err(cancelled)),
            Poll::Ready(Ok(())) => {
                (self.wait, self.edge) = (None, WaitEdge::default());
                let output = self.shared.outputs.borrow_mut()[self.index].take();
                let (index, output) = output.expect("set before the event, and taken once");
                let handle = self.handles.borrow_mut()[index].take();
                drop(handle);
                Poll::Ready(Ok(Some(output)))
            }
        }
    }
}

impl<T> Stream for AsCompleted<T> {
    type Item = Result<T, CancelledError>;

    #[track_caller]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut next = match self.waiting.take() {
            Some(next) => next,
            None => self.next(),
        };
        match Pin::new(&mut next).poll(cx) {
            Poll::Pending => {
                self.waiting = Some(next);
                Poll::Pending
            }
            Poll::Ready(output) => Poll::Ready(output.transpose()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.events.len() + usize::from(self.waiting.is_some());
        (left, Some(left))
    }
}

//! Waiting for several coroutines.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::coroutine::coro::{Coro, coro_at};
use crate::executor::waker_slot;
use crate::executor::{self, Executor};
use crate::failure::error::CancelledError;
use crate::task::WakeToken;

/// Runs these concurrently and waits for all: `Vec`s give `Vec`s, arrays arrays, tuples of up to twelve tuples, in
/// order.
///
/// They are scheduled when the result is first polled, in order; a plain future becomes a coroutine. If one fails, all
/// coroutines of the loop are cancelled, and this gives `CancelledError` like any other await point.
///
/// ```
/// use std::time::Duration;
///
/// async fn slow_add_one(x: u32) -> tinyio::Result<u32> {
///     tinyio::sleep(Duration::from_millis(10)).await?;
///     Ok(x + 1)
/// }
///
/// let sums = tinyio::Loop::new().run(async {
///     let (four, five) = tinyio::gather((slow_add_one(3), slow_add_one(4))).await?;
///     let more = tinyio::gather((0..3).map(slow_add_one).collect::<Vec<_>>()).await?;
///     tinyio::Ok((four, five, more))
/// })?;
/// assert_eq!(sums, (4, 5, vec![1, 2, 3]));
/// # Ok::<_, tinyio::Crash>(())
/// ```
#[track_caller]
pub fn gather<G: Gather>(coros: G) -> Gathering<G> {
    Gathering { children: coros.into_children(), next: 0, phase: Phase::New }
}

/// What can be [gathered](gather): a `Vec`, an array or a tuple of futures or [`Coro`]s.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// async fn all<G: tinyio::Gather>(coros: G) -> tinyio::Result<()> {
///     tinyio::gather(coros).await?;
///     Ok(())
/// }
/// all((tinyio::yield_now(), tinyio::sleep(std::time::Duration::ZERO))).await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
pub trait Gather: sealed::Gather {}

impl<G: sealed::Gather> Gather for G {}

pub(crate) mod sealed {
    use std::panic::Location;

    use super::{Children, Coro};

    pub trait Gather {
        type Output;
        type Children: Children<Output = Self::Output>;

        #[track_caller]
        fn into_children(self) -> Self::Children;
    }

    /// A future or `Coro` with an output of type `Value`.
    pub trait Awaitable {
        type Value;

        /// The coroutine, made at this place if there is none yet.
        fn into_coro(self, at: &'static Location<'static>) -> Coro<Self::Value>;
    }
}

impl<F, T, E> sealed::Awaitable for F
where
    F: Future<Output = Result<T, E>> + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    T: 'static,
{
    type Value = T;

    fn into_coro(self, at: &'static Location<'static>) -> Coro<T> {
        coro_at(self, at)
    }
}

/// The coroutines of a gathering, and the outputs it has so far.
pub trait Children: Unpin {
    #[doc(hidden)]
    type Output;

    /// Calls `f` with each of them.
    #[doc(hidden)]
    fn each(&mut self, f: &mut dyn FnMut(&mut dyn Child));

    /// Polls number `index` and keeps its output; `None` if there are fewer.
    #[doc(hidden)]
    fn poll_child(&mut self, index: usize, poll: Poller<'_, '_>) -> Option<Poll<Result<(), CancelledError>>>;

    /// The outputs, once all are there.
    #[doc(hidden)]
    fn outputs(&mut self) -> Self::Output;
}

/// A coroutine with an output of any type.
pub trait Child {
    /// Schedules it and draws the edge from `waiter`.
    #[doc(hidden)]
    fn start(&mut self, start: &Start<'_>);
}

/// The loop, the waiting coroutine and the place.
#[doc(hidden)]
#[allow(missing_debug_implementations, reason = "passed down, never seen")]
pub struct Start<'a> {
    executor: &'a Executor,
    edge: WakeToken,
    at: &'static Location<'static>,
}

/// The context for polling a child.
#[doc(hidden)]
#[allow(missing_debug_implementations, reason = "passed down, never seen")]
pub struct Poller<'a, 'w> {
    executor: &'a Executor,
    cx: &'a mut Context<'w>,
    at: &'static Location<'static>,
}

impl<T> Child for Coro<T> {
    fn start(&mut self, start: &Start<'_>) {
        self.schedule(start.executor);
        if !self.header().is_done() && !self.header().is_gone() {
            waker_slot::release(self.registered());
            self.register(start.edge);
            start.executor.waits_for(self.header(), start.at);
        }
    }
}

/// The future of [`gather`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let gathering = tinyio::gather([1, 2].map(|n| async move { tinyio::Ok(n) }));
/// assert_eq!(gathering.await?, [1, 2]);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Gathering<G: Gather> {
    children: <G as sealed::Gather>::Children,
    /// The first child without an output. Only it wakes the waiter; the other children have an edge and no waker.
    next: usize,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Started,
}

impl<G: Gather> Unpin for Gathering<G> {}

impl<G: Gather> fmt::Debug for Gathering<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gathering({} done)", self.next)
    }
}

impl<G: Gather> Future for Gathering<G> {
    type Output = Result<<G as sealed::Gather>::Output, CancelledError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        let this = self.get_mut();
        executor::with("gather", |executor| {
            if let Some(answer) = executor.cancelled(this.phase == Phase::New, at) {
                return answer.map(Err);
            }
            if this.phase == Phase::New {
                this.phase = Phase::Started;
                let edge = executor.here().edge();
                let start = Start { executor, edge, at };
                let mut children = 0;
                this.children.each(&mut |child| {
                    child.start(&start);
                    children += 1;
                });
                if children == 0 {
                    executor.yields(at);
                    cx.waker().wake_by_ref(); // Still give the other coroutines one turn.
                    return Poll::Pending;
                }
            }
            loop {
                match this.children.poll_child(this.next, Poller { executor, cx, at }) {
                    None => return Poll::Ready(Ok(this.children.outputs())),
                    Some(Poll::Ready(Ok(()))) => this.next += 1,
                    Some(Poll::Ready(Err(cancelled))) => return Poll::Ready(Err(cancelled)),
                    Some(Poll::Pending) => return Poll::Pending,
                }
            }
        })
    }
}

/// Children of one type.
#[allow(missing_debug_implementations, reason = "hidden in `Gathering`")]
pub struct Many<T> {
    coros: std::vec::IntoIter<Coro<T>>,
    outputs: Vec<T>,
}

impl<T> Unpin for Many<T> {}

impl<T: 'static> Many<T> {
    #[track_caller]
    fn new<C: sealed::Awaitable<Value = T>>(coros: impl IntoIterator<Item = C>) -> Many<T> {
        let at = Location::caller();
        // For a `Vec`, this reuses its memory.
        let coros: Vec<_> = coros.into_iter().map(|coro| coro.into_coro(at)).collect();
        let outputs = Vec::with_capacity(coros.len());
        Many { coros: coros.into_iter(), outputs }
    }
}

impl<T> Children for Many<T> {
    type Output = Vec<T>;

    fn each(&mut self, f: &mut dyn FnMut(&mut dyn Child)) {
        self.coros.as_mut_slice().iter_mut().for_each(|coro| f(coro));
    }

    fn poll_child(&mut self, _: usize, poll: Poller<'_, '_>) -> Option<Poll<Result<(), CancelledError>>> {
        let coro = self.coros.as_mut_slice().first_mut()?;
        Some(coro.poll_in(poll.executor, poll.cx, poll.at).map_ok(|output| {
            self.outputs.push(output);
            self.coros.next();
        }))
    }

    fn outputs(&mut self) -> Vec<T> {
        std::mem::take(&mut self.outputs)
    }
}

impl<C: sealed::Awaitable<Value: 'static>> sealed::Gather for Vec<C> {
    type Output = Vec<C::Value>;
    type Children = Many<C::Value>;

    #[track_caller]
    fn into_children(self) -> Many<C::Value> {
        Many::new(self)
    }
}

/// As many children as the array had.
#[allow(missing_debug_implementations, reason = "hidden in `Gathering`")]
pub struct Array<T, const N: usize>(Many<T>);

impl<T, const N: usize> Children for Array<T, N> {
    type Output = [T; N];

    fn each(&mut self, f: &mut dyn FnMut(&mut dyn Child)) {
        self.0.each(f);
    }

    fn poll_child(&mut self, index: usize, poll: Poller<'_, '_>) -> Option<Poll<Result<(), CancelledError>>> {
        self.0.poll_child(index, poll)
    }

    fn outputs(&mut self) -> [T; N] {
        self.0.outputs().try_into().unwrap_or_else(|_| unreachable!("each child has given its output"))
    }
}

impl<C: sealed::Awaitable<Value: 'static>, const N: usize> sealed::Gather for [C; N] {
    type Output = [C::Value; N];
    type Children = Array<C::Value, N>;

    #[track_caller]
    fn into_children(self) -> Array<C::Value, N> {
        Array(Many::new(self))
    }
}

macro_rules! tuple {
    ($($name:ident $value:ident $index:tt),+) => {
        const _: () = {
            #[allow(missing_debug_implementations, reason = "hidden in `Gathering`")]
            pub struct Tuple<$($value),+>($((Coro<$value>, Option<$value>),)+);

            impl<$($value),+> Unpin for Tuple<$($value),+> {}

            impl<$($value),+> Children for Tuple<$($value),+> {
                type Output = ($($value,)+);

                fn each(&mut self, f: &mut dyn FnMut(&mut dyn Child)) {
                    $(f(&mut self.$index.0);)+
                }

                fn poll_child(&mut self, index: usize, poll: Poller<'_, '_>) -> Option<Poll<Result<(), CancelledError>>> {
                    match index {
                        $($index => Some(self.$index.0.poll_in(poll.executor, poll.cx, poll.at).map_ok(|output| {
                            self.$index.1 = Some(output);
                        })),)+
                        _ => None,
                    }
                }

                fn outputs(&mut self) -> Self::Output {
                    ($(self.$index.1.take().expect("each child has given its output"),)+)
                }
            }

            impl<$($name: sealed::Awaitable<Value: 'static>),+> sealed::Gather for ($($name,)+) {
                type Output = ($($name::Value,)+);
                type Children = Tuple<$($name::Value),+>;

                #[track_caller]
                fn into_children(self) -> Self::Children {
                    let at = Location::caller();
                    Tuple($((self.$index.into_coro(at), None),)+)
                }
            }
        };
    };
}

tuple!(A X0 0);
tuple!(A X0 0, B X1 1);
tuple!(A X0 0, B X1 1, C X2 2);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3, F X4 4);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3, F X4 4, G X5 5);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3, F X4 4, G X5 5, H X6 6);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3, F X4 4, G X5 5, H X6 6, I X7 7);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3, F X4 4, G X5 5, H X6 6, I X7 7, J X8 8);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3, F X4 4, G X5 5, H X6 6, I X7 7, J X8 8, K X9 9);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3, F X4 4, G X5 5, H X6 6, I X7 7, J X8 8, K X9 9, L X10 10);
tuple!(A X0 0, B X1 1, C X2 2, D X3 3, F X4 4, G X5 5, H X6 6, I X7 7, J X8 8, K X9 9, L X10 10, M X11 11);

//! The future around the program's.

use std::any::type_name;
use std::borrow::Cow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::task::Handle;

pin_project! {
    /// A future that records its polls and wakes: see [`observe`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited or spawned"]
    pub struct Observed<F> {
        #[pin]
        future: F,
        // After the future: what that drops, such as other observed futures, ends before it.
        task: Handle,
    }
}

/// Records the polls and wakes of a future, under the path of its function.
///
/// # Examples
///
/// ```
/// async fn double(number: u32) -> u32 {
///     number * 2
/// }
///
/// let future = tinyio_observe::observe(double(4));
/// # use std::{pin::pin, task::{Context, Poll, Waker}};
/// # assert_eq!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(8));
/// ```
#[track_caller]
pub fn observe<F: Future>(future: F) -> Observed<F> {
    Observed { future, task: Handle::new(type_name::<F>(), None, Location::caller()) }
}

/// Like [`observe`], and gives the future a name, which the screens show.
///
/// # Examples
///
/// ```
/// for page in 1..4 {
///     let future = tinyio_observe::observe_named(format!("page {page}"), async move { page });
///     # let _ = future;
/// }
/// ```
#[track_caller]
pub fn observe_named<F: Future>(name: impl Into<Cow<'static, str>>, future: F) -> Observed<F> {
    Observed { future, task: Handle::new(type_name::<F>(), Some(name.into()), Location::caller()) }
}

impl<F: Future> Future for Observed<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.task.is_off() {
            return this.future.poll(context);
        }
        this.task.poll(context, |context| this.future.poll(context))
    }
}

//! `Loop`: running everything.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;

use crate::cancel;
use crate::core::{Core, Stop, Turn};
use crate::coro::Coro;
use crate::crash::{Crash, Group};
use crate::record::LoopMode;
use crate::task::{self, Inbox, Profile};

/// An event loop.
///
/// It runs coroutines on the thread that calls it, one at a time, first in, first out. As soon as one of them fails, all the others
/// are cancelled, threads too, and the error comes out.
///
/// ```
/// let mut looped = tinyio::Loop::new();
/// let seven = looped.run(async { tinyio::Ok(7) })?;
/// assert_eq!(seven, 7);
/// # Ok::<_, tinyio::Crash>(())
/// ```
pub struct Loop {
    core: Rc<Core>,
    group: Group,
}

impl Loop {
    /// A loop with nothing in it.
    pub fn new() -> Loop {
        Loop { core: Core::new(), group: Group::default() }
    }

    /// What its crashes consist of.
    ///
    /// ```
    /// use tinyio::{Group, Loop};
    /// let crash = Loop::new().group(Group::Always).run(async {
    ///     tinyio::spawn(tinyio::sleep(std::time::Duration::from_secs(60)));
    ///     tinyio::yield_now().await?;
    ///     Err::<(), _>(tinyio::Error::msg("enough"))
    /// });
    /// assert_eq!(crash.unwrap_err().failures().len(), 2); // and who was cancelled
    /// ```
    #[must_use]
    pub fn group(mut self, group: Group) -> Loop {
        self.group = group;
        self
    }

    /// Runs `main` and everything that it schedules; returns what it returned when all have ended. `main` may borrow from the caller.
    ///
    /// A coroutine may run another loop:
    ///
    /// ```
    /// let (mut outer, mut inner) = (tinyio::Loop::new(), tinyio::Loop::new());
    /// let main = async { tinyio::Ok(inner.run(async { tinyio::Ok(7) })?) };
    /// assert_eq!(outer.run(main).unwrap(), 7);
    /// ```
    ///
    /// but not its own, which it would have to borrow twice:
    ///
    /// ```compile_fail,E0499
    /// let mut outer = tinyio::Loop::new();
    /// let main = async { tinyio::Ok(outer.run(async { tinyio::Ok(7) })?) };
    /// assert_eq!(outer.run(main).unwrap(), 7);
    /// ```
    ///
    /// # Errors
    ///
    /// The first error or panic of a coroutine or thread, after all others have been cancelled and have ended.
    ///
    /// # Panics
    ///
    /// Never because of what coroutines do: their panics are errors here.
    #[track_caller]
    pub fn run<F, T, E>(&mut self, main: F) -> Result<T, Crash>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        cancel::watch_panics();
        let main = Coro::new::<_, _, Opaque>(main, Location::caller(), 0);
        let session = Session::begin(self, LoopMode::Run);
        task::enter(&session.core, || {
            main.schedule(&session.core);
            loop {
                match session.core.turn() {
                    Turn::Ready => {}
                    Turn::Idle(until) => session.core.idle(until),
                    Turn::Done => return Ok(()),
                    Turn::Failed => return Err(session.core.cancel_all()),
                }
            }
        })
        .map(|()| session.output(main))
    }

    /// Something to stop the loop with, from anywhere.
    pub fn handle(&self) -> crate::Handle {
        crate::Handle::new(self.core.inbox().clone())
    }
}

impl Default for Loop {
    fn default() -> Self {
        Loop::new()
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loop({} coroutines)", self.core.live())
    }
}

/// Stops a loop from anywhere: another thread, a signal handler's thread, another loop.
///
/// ```
/// let mut looped = tinyio::Loop::new();
/// let handle = looped.handle();
/// std::thread::spawn(move || handle.cancel());
/// let crash = looped.run(tinyio::sleep(std::time::Duration::from_secs(60))).unwrap_err();
/// assert!(crash.downcast_ref::<tinyio::Interrupted>().is_some());
/// ```
#[derive(Clone)]
pub struct Handle(std::sync::Arc<Inbox>);

impl Handle {
    pub(crate) fn new(inbox: std::sync::Arc<Inbox>) -> Handle {
        Handle(inbox)
    }

    /// Cancels everything on the loop; its `run` gives a [`Crash`] whose error is [`Interrupted`](crate::Interrupted). If it is not running, its next run
    /// ends at once.
    pub fn cancel(&self) {
        self.0.post(|mail| mail.cancel = Some(Stop::Interrupted));
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// The profile of a main coroutine, whose output may borrow.
pub(crate) struct Opaque;

impl<F, T> Profile<F, T> for Opaque {
    fn describe(_: &T) -> String {
        format!("_: {}", std::any::type_name::<T>())
    }
}

/// One run of a loop. However it ends, nothing of it is left in the loop: that is what allows `main` to borrow.
struct Session {
    core: Rc<Core>,
}

impl Session {
    fn begin(looped: &mut Loop, mode: LoopMode) -> Session {
        if looped.core.live() > 0 {
            // A `drive` was forgotten (`mem::forget`): what its coroutines borrow may be gone, so they are left alone for ever.
            looped.core = Core::new();
        }
        looped.core.group.set(looped.group);
        looped.core.rec.loop_start(&looped.core, mode);
        Session { core: looped.core.clone() }
    }

    fn output<T>(&self, mut main: Coro<T>) -> T {
        main.take().expect("it has ended, and nobody else has its handle")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        task::enter(&self.core, || self.core.abandon());
        self.core.rec.loop_end(&self.core, false);
    }
}

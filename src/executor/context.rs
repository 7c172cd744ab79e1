//! The loops that a thread is in: nested ones, the innermost first.

use std::panic::Location;

use crate::executor::Executor;
use crate::observe::{Observer, Rec, Target};
use crate::task::{self, Context, Entered};

crate::threading::per_thread! {
    // Without a destructor, so that it can be used for as long as the thread runs code.
    static CONTEXT: Context<Executor> = const { Context::new() };
}

/// The loops of this thread.
pub(crate) const LOOPS: Entered<Executor> = Entered::new(&CONTEXT);

/// Runs `inside` with `executor` as the loop of this thread.
pub(crate) fn enter<R>(executor: &Executor, inside: impl FnOnce() -> R) -> R {
    LOOPS.enter(executor, || Rec::within(executor, || task::keep_memory(inside)))
}

/// Calls `f` with the loop of this number, if this thread is inside it, at any depth.
#[inline]
pub(crate) fn find<R>(number: u32, f: impl FnOnce(Option<&Executor>) -> R) -> R {
    LOOPS.find(|executor| executor.number() == number, f)
}

/// Like [`find`], with the loop that has this tag now.
#[inline]
pub(crate) fn find_tag<R>(tag: u32, f: impl FnOnce(Option<&Executor>) -> R) -> R {
    LOOPS.find(|executor| executor.tag() == tag, f)
}

/// Calls `f` with the loop of this thread.
///
/// # Panics
///
/// If there is none. The message names `what` and the caller's line.
#[inline]
#[track_caller]
pub(crate) fn with<R>(what: &str, f: impl FnOnce(&Executor) -> R) -> R {
    let at = Location::caller();
    LOOPS.current(|executor| match executor {
        Some(executor) => f(executor),
        None => no_loop(what, at),
    })
}

#[cold]
fn no_loop(what: &str, at: &'static Location<'static>) -> ! {
    panic!(
        "tinyio::{what} was awaited at {at}, where no tinyio loop is running. Run the future with `tinyio::Loop::run`, or drive a loop inside \
         another runtime with `tinyio::Loop::drive`"
    )
}

/// Records that the running coroutine dropped an await point that waited for this in the loop of this thread.
#[inline]
pub(crate) fn edge_dropped(on: impl FnOnce(&Executor) -> Target) {
    if cfg!(feature = "record") {
        LOOPS.current(|executor| {
            if let Some(executor) = executor.filter(|executor| executor.rec.is_on()) {
                executor.current_task.with(|coro| coro.map(|coro| executor.rec.edge_dropped(coro, on(executor))));
            }
        });
    }
}

/// Writes a warning to stderr and to the record.
pub(crate) fn warn(text: &str) {
    eprintln!("tinyio: warning: {text}");
    LOOPS.current(|executor| executor.map(|executor| executor.rec.diag(text)));
}

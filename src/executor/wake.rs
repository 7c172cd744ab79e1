//! Wakes tasks of any loop from any place, and has loops cancel tasks or remove what was registered in them.

use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use crate::executor::context::{self, LOOPS};
use crate::executor::inbox::{self, Host, Inbox, Loops, Registration};
use crate::executor::{Executor, watchdog};
use crate::observe::{Observer, Rec};
use crate::task::{self, Schedule, TypeName, WakeToken, WakerVtable, tag_of};

/// Wakes the target of a wake token, from any thread.
#[inline]
pub(crate) fn wake(wake_token: WakeToken) {
    if LOOPS.current(|executor| executor.is_some_and(|executor| executor.wake_current(wake_token))) {
        return;
    }
    if !here(wake_token, |executor| executor.wake(wake_token)) {
        wake_elsewhere(wake_token, |inbox| inbox.post(|mail| mail.wake_tokens.push(wake_token)));
    }
}

/// Removes what an await point has registered in the loop of this number: at once inside that loop, otherwise before
/// the loop next sleeps. A loop that is gone has nothing to remove. Returns `true` if it was there and was removed at
/// once.
pub(crate) fn unregister(number: u32, registration: Registration) -> bool {
    match context::find(number, |executor| executor.map(|executor| executor.unregister(registration))) {
        Some(was_there) => was_there,
        None => {
            if let Some(inbox) = inbox::find(tag_of(number)).filter(|inbox| inbox.number() == number) {
                inbox.post(|mail| mail.unregister.push(registration));
            }
            false
        }
    }
}

/// Calls `act` if the token is of the innermost loop of this thread.
#[inline]
fn here(wake_token: WakeToken, act: impl FnOnce(&Executor)) -> bool {
    LOOPS.current(|executor| executor.filter(|executor| executor.tag() == wake_token.tag()).map(act)).is_some()
}

#[cold]
fn wake_elsewhere(wake_token: WakeToken, post: impl FnOnce(&Inbox)) {
    watchdog::reached();
    elsewhere(wake_token, post);
}

/// Calls `act` with the inbox of the token's loop, if it still exists.
fn elsewhere(wake_token: WakeToken, act: impl FnOnce(&Inbox)) {
    if let Some(inbox) = inbox::find(wake_token.tag()) {
        act(&inbox);
    }
}

static WAKERS: WakerVtable = WakerVtable::of::<Loops>();

impl Schedule for Loops {
    fn wakers() -> &'static WakerVtable {
        &WAKERS
    }

    fn wake(wake_token: WakeToken) {
        wake(wake_token);
    }

    fn wake_owned(wake_token: WakeToken) {
        let woken = here(wake_token, |executor| {
            executor.wake(wake_token);
            executor.inbox().forget_waker();
        });
        if !woken {
            wake_elsewhere(wake_token, |inbox| inbox.post_last(wake_token));
        }
    }

    fn waker_cloned(wake_token: WakeToken) {
        LOOPS.current(|executor| executor.map(|executor| executor.waker_cloned(wake_token)));
        let count = |inbox: &Inbox| inbox.keep_waker();
        if !here(wake_token, |executor| count(executor.inbox())) {
            elsewhere(wake_token, count);
        }
    }

    fn waker_dropped(wake_token: WakeToken) {
        // A loop that is running checks before it sleeps.
        if !here(wake_token, |executor| _ = executor.inbox().forget_waker()) {
            elsewhere(wake_token, |inbox| {
                if inbox.forget_waker() {
                    inbox.post(|_| {});
                }
            });
        }
    }

    /// Has the loop of the task cancel it.
    fn abandoned(wake_token: WakeToken) {
        let by = LOOPS.current(|executor| executor?.current_task.with(|coro| Some(coro?.name())));
        context::find_tag(wake_token.tag(), |executor| match executor {
            Some(executor) => executor.cancel_later(wake_token, by),
            None => elsewhere(wake_token, |inbox| inbox.post(|mail| mail.abandoned.push((wake_token, by)))),
        });
    }

    fn never_scheduled(address: usize, place: &'static Location<'static>, name: TypeName) {
        Rec::never_scheduled(address, place, name);
    }
}

/// Sets the task that drives the loop of this inbox, by its waker.
pub(crate) fn set_host(inbox: &Inbox, waker: Option<&Waker>) {
    let host = match waker.map(|waker| (waker, task::wake_token::<Loops>(waker))) {
        None => None,
        Some((_, Some(wake_token))) => Some(Host::Coro(wake_token, wake)),
        Some((waker, None)) if inbox.is_driven_by(waker) => return,
        Some((waker, None)) => Some(Host::Task(Arc::new(waker.clone()))),
    };
    inbox.set_host(host);
}

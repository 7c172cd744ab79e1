//! What wakes an await point: the coroutine that polled it, or, inside `FuturesUnordered`, `select!` and the like, a
//! waker of theirs.

use std::task::{Context, Waker};

use crate::executor::foreign::Foreign;
use crate::executor::inbox::Loops;
use crate::executor::wake;
use crate::executor::{Executor, Registration};
use crate::task::{self, Header, Kind, WakeToken, flag};

impl Executor {
    /// The wake token of the running coroutine.
    #[inline]
    pub(crate) fn here(&self) -> WakeToken {
        self.current_task.with(|coro| coro.map_or(WakeToken::NONE, Header::wake_token))
    }

    /// The token by which an await point is woken: that of the running coroutine if the waker wakes it, or that of the
    /// waker, which is kept here until [`release`]. It replaces `old`, and is the same token again if that still fits.
    #[inline]
    pub(crate) fn wake_token_for(&self, cx: &Context<'_>, old: WakeToken, once: bool) -> WakeToken {
        let here = self.here();
        if task::wake_token::<Loops>(cx.waker()) == Some(here) {
            release(old);
            return here;
        }
        self.word_behind(cx.waker(), old, here, once)
    }

    #[cold]
    #[inline(never)]
    fn word_behind(&self, waker: &Waker, old: WakeToken, owner: WakeToken, once: bool) -> WakeToken {
        self.watch_turn(waker, old.kind() == Kind::Foreign && old.number() == self.number());
        self.keep(Foreign { waker: waker.clone(), owner, once }, old)
    }

    fn keep(&self, new: Foreign, old: WakeToken) -> WakeToken {
        let mut foreign = self.foreign.wakers.borrow_mut();
        if old.kind() == Kind::Foreign
            && old.number() == self.number()
            && let Some(entry) = foreign.get_mut(old.slot())
        {
            let before = std::mem::replace(entry, new);
            drop(foreign);
            self.contain(|| drop(before));
            return old;
        }
        let wake_token = WakeToken::foreign(self.number(), foreign.insert(new));
        drop(foreign);
        release(old);
        wake_token
    }

    /// Calls a foreign waker because the wait that it is registered for ended.
    #[cold]
    pub(crate) fn wake_behind(&self, wake_token: WakeToken) {
        if wake_token.number() != self.number() {
            return; // It belongs to a loop that is gone.
        }
        let slot = wake_token.slot();
        let once = |foreign: &Foreign| foreign.once;
        if !self.foreign.wakers.borrow().get(slot).is_some_and(once) {
            return self.poke(slot);
        }
        let foreign = self.foreign.wakers.borrow_mut().remove(slot);
        if let Some(foreign) = foreign {
            self.contain(|| foreign.waker.wake());
        }
    }

    /// Calls a foreign waker, which stays registered until the await point that registered it ends. The waker's code
    /// runs while nothing is borrowed.
    fn poke(&self, slot: u32) {
        let take = |foreign: &mut Foreign| std::mem::replace(&mut foreign.waker, Waker::noop().clone());
        let waker = self.foreign.wakers.borrow_mut().get_mut(slot).map(take);
        if let Some(mut waker) = waker {
            self.contain(|| waker.wake_by_ref());
            // Unless the slot holds another waker by now.
            if let Some(foreign) = self.foreign.wakers.borrow_mut().get_mut(slot)
                && foreign.waker.will_wake(Waker::noop())
            {
                std::mem::swap(&mut foreign.waker, &mut waker);
            }
            self.contain(|| drop(waker));
        }
    }

    /// The coroutine that a wake token stands for: itself, or the one that registered the foreign waker.
    pub(crate) fn owner(&self, wake_token: WakeToken) -> WakeToken {
        match wake_token.kind() {
            Kind::Foreign if wake_token.number() != self.number() => WakeToken::NONE,
            Kind::Foreign => {
                self.foreign.wakers.borrow().get(wake_token.slot()).map_or(WakeToken::NONE, |foreign| foreign.owner)
            }
            Kind::Task | Kind::Edge if wake_token.is_none() => WakeToken::NONE,
            Kind::Task | Kind::Edge => wake_token.woken(),
        }
    }

    /// Records that the waker of a coroutine was cloned: from now on the owner of the clone may wake it.
    pub(crate) fn waker_cloned(&self, wake_token: WakeToken) {
        self.current_task.with(|coro| {
            if let Some(coro) = coro.filter(|coro| coro.wake_token() == wake_token) {
                coro.set(flag::CLONED);
            }
        });
    }

    /// Wakes the foreign wakers that this coroutine has registered, or all: the futures behind them are polled again.
    pub(crate) fn wake_foreign(&self, owner: Option<WakeToken>) {
        let left_by = |foreign: &Foreign| owner.is_none_or(|owner| foreign.owner == owner);
        let slots: Vec<u32> =
            self.foreign.wakers.borrow().iter().filter(|(_, foreign)| left_by(foreign)).map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.poke(slot));
    }
}

/// Releases a wake token that is no longer to be woken.
#[inline]
pub(crate) fn release(wake_token: WakeToken) {
    #[cold]
    #[inline(never)]
    fn foreign(wake_token: WakeToken) {
        wake::unregister(wake_token.number(), Registration::Foreign(wake_token.slot()));
    }
    if wake_token.kind() == Kind::Foreign {
        foreign(wake_token);
    }
}

/// What wakes an await point: the running coroutine, or the foreign waker it was polled with.
#[derive(Default)]
pub(crate) struct Waiter(WakeToken);

impl Waiter {
    /// The token to be woken; the same as before if it still fits.
    #[inline]
    pub(crate) fn wake_token(&mut self, executor: &Executor, cx: &Context<'_>) -> WakeToken {
        self.0 = executor.wake_token_for(cx, self.0, false);
        self.0
    }

    /// The token that [`Waiter::wake_token`] gave last.
    #[inline]
    pub(crate) fn current(&self) -> WakeToken {
        self.0
    }
}

impl Drop for Waiter {
    #[inline]
    fn drop(&mut self) {
        release(self.0);
    }
}

//! How a reader asks the program for something: by a word of the mapped file, on which both sides can sleep.

use std::sync::atomic::Ordering;

use super::{Ring, W_REQUEST};
use crate::event::CoroId;

/// The recording has ended: whoever sleeps on the word is to go.
const ENDED: u64 = u64::MAX;
/// With the number of a coroutine: see [`Request::in_full`].
const IN_FULL: u64 = 1 << 63;

/// What a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whose frames.
    pub coro: CoroId,
    /// With more of each value than usual.
    pub in_full: bool,
}

impl From<CoroId> for Request {
    /// As much of each value as usual.
    fn from(coro: CoroId) -> Request {
        Request { coro, in_full: false }
    }
}

impl Request {
    pub(super) fn word(self) -> u64 {
        self.coro | if self.in_full { IN_FULL } else { 0 }
    }

    fn of(word: u64) -> Option<Request> {
        (word != 0 && word != ENDED).then_some(Request { coro: word & !IN_FULL, in_full: word & IN_FULL != 0 })
    }
}

impl Ring {
    /// What is asked for.
    #[inline]
    pub(crate) fn requested(&self) -> Option<Request> {
        Request::of(self.word(W_REQUEST).load(Ordering::Relaxed))
    }

    /// Takes the request for `coro` back.
    pub(crate) fn answered(&self, coro: CoroId) {
        let asked = self.word(W_REQUEST).load(Ordering::Relaxed);
        if Request::of(asked).is_some_and(|request| request.coro == coro)
            && self.word(W_REQUEST).compare_exchange(asked, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.wake();
        }
    }

    /// Nothing is answered any more.
    pub(crate) fn answers_no_more(&self) {
        self.word(W_REQUEST).store(ENDED, Ordering::Relaxed);
        self.wake();
    }

    /// Wakes whoever sleeps on the word, in whichever process.
    pub(crate) fn wake(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::futex::wake(
            self.map.lower_half(W_REQUEST),
            rustix::thread::futex::Flags::empty(),
            i32::MAX as u32,
        );
    }

    /// Sleeps as long as the word is `seen`. `false`: there is no sleeping here.
    fn sleep(&self, seen: u64) -> bool {
        #[cfg(target_os = "linux")]
        {
            use rustix::io::Errno;
            use rustix::thread::futex::{Flags, wait};
            let slept = wait(self.map.lower_half(W_REQUEST), Flags::empty(), seen as u32, None);
            matches!(slept, Ok(()) | Err(Errno::AGAIN | Errno::INTR))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = seen;
            false
        }
    }
}

/// What readers ask for, for a thread that waits for it: a loop that sleeps does not look.
#[derive(Debug)]
pub struct Requests {
    ring: Ring,
    seen: u64,
}

impl Requests {
    pub(crate) fn of(ring: Ring) -> Requests {
        Requests { ring, seen: 0 }
    }

    /// Sleeps until the frames of a coroutine are asked for, and this was not told yet. `false`: the recording has ended, or
    /// this system has no means to sleep on a word of a file; then a loop that sleeps answers when it wakes up.
    pub fn wait(&mut self) -> bool {
        loop {
            let asked = self.ring.word(W_REQUEST).load(Ordering::Acquire);
            if asked == ENDED {
                return false;
            }
            if std::mem::replace(&mut self.seen, asked) != asked && asked != 0 {
                return true;
            }
            if !self.ring.sleep(asked) {
                return false;
            }
        }
    }
}

//! Requests of a reader to the program: a word of the mapped file on which both sides can sleep.

use std::sync::atomic::Ordering;

use tinyio_events::event::CoroId;
use tinyio_events::source::Request;

use super::{Ring, W_REQUEST};

/// The recording has ended: a thread that sleeps on the word has to return.
const ENDED: u64 = u64::MAX;
/// With the number of a coroutine: see [`Request::in_full`].
const IN_FULL: u64 = 1 << 63;

/// A request as a word of the ring.
pub(super) fn to_word(request: Request) -> u64 {
    request.coro | if request.in_full { IN_FULL } else { 0 }
}

/// The request in a word of the ring.
fn from_word(word: u64) -> Option<Request> {
    (word != 0 && word != ENDED).then_some(Request { coro: word & !IN_FULL, in_full: word & IN_FULL != 0 })
}

impl Ring {
    /// The current request.
    #[inline]
    pub(crate) fn requested(&self) -> Option<Request> {
        from_word(self.word(W_REQUEST).load(Ordering::Relaxed))
    }

    /// Withdraws the request for `coro`.
    pub(crate) fn answered(&self, coro: CoroId) {
        let asked = self.word(W_REQUEST).load(Ordering::Relaxed);
        if from_word(asked).is_some_and(|request| request.coro == coro)
            && self.word(W_REQUEST).compare_exchange(asked, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.wake();
        }
    }

    /// Marks that no request is answered any more.
    pub(crate) fn answers_no_more(&self) {
        self.word(W_REQUEST).store(ENDED, Ordering::Relaxed);
        self.wake();
    }

    /// Wakes all threads that sleep on the word, in this and in other processes.
    pub(crate) fn wake(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::futex::wake(
            self.map.lower_half(W_REQUEST),
            rustix::thread::futex::Flags::empty(),
            i32::MAX as u32,
        );
    }

    /// Sleeps as long as the word is `seen`. `false`: the system cannot sleep on a word of a file.
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

/// The requests of readers, for a thread that waits for them: a sleeping loop does not check the word.
#[derive(Debug)]
pub struct Requests {
    ring: Ring,
    seen: u64,
}

impl Requests {
    pub(crate) fn of(ring: Ring) -> Requests {
        Requests { ring, seen: 0 }
    }

    /// Sleeps until the frames of a coroutine are requested that was not returned before. `false`: the recording has
    /// ended, or this system cannot sleep on a word of a file; then a sleeping loop answers when it wakes up.
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

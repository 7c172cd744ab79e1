//! Sources of events: a ring of a live or an ended program, or a JSON trace, all behind one trait.

use std::io;

use crate::event::{CoroId, Event, Header, Stack};
use crate::program_memory::ProgramMemory;

/// A stream of events that can be read without blocking.
pub trait Source: Send {
    /// The header of the recording.
    fn header(&self) -> &Header;

    /// Hands at most `limit` events to `sink`, in order, without waiting for more.
    ///
    /// # Errors
    ///
    /// When the stream cannot be read, or is not what it should be; the message names the file, the line or the
    /// position, and what was expected there.
    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress>;

    /// Requests the await stack of a coroutine: it arrives as [`Kind::Frames`](crate::event::Kind::Frames) once the
    /// program answers. No effect on a recording that is over.
    fn ask_frames(&mut self, request: Request) {
        let _ = request;
    }

    /// Requests the next picture of a program that is not recorded: it arrives as
    /// [`Kind::Picture`](crate::event::Kind::Picture) with what follows it. No effect while one is being taken.
    ///
    /// # Errors
    ///
    /// One sentence that says why there are no more pictures.
    fn take_picture(&mut self) -> Result<(), String> {
        Err("only a program that is not recorded has pictures; this is a recording".to_owned())
    }

    /// Returns where a coroutine can be read in the memory of the program, which may be stuck in a step and unable to
    /// answer; `None` if the program does not run, or the recording is of no running program. Reads none of it.
    ///
    /// # Errors
    ///
    /// When the program does not state it.
    fn memory(&mut self, coro: CoroId) -> Option<Result<ProgramMemory, String>> {
        let _ = coro;
        None
    }

    /// Replaces the numbers of coroutines in a stack that was read in [`memory`](Source::memory) of `coro` by those of
    /// this stream. No effect where they are the same.
    fn renumber(&mut self, coro: CoroId, stack: &mut Stack) {
        let _ = (coro, stack);
    }
}

/// A request of a reader to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The coroutine to read the frames of.
    pub coro: CoroId,
    /// Read more of each value than usual.
    pub in_full: bool,
}

impl From<CoroId> for Request {
    /// Makes a request with the usual bounds on values.
    fn from(coro: CoroId) -> Request {
        Request { coro, in_full: false }
    }
}

/// What there is after a [`Source::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is there already.
    More,
    /// Nothing more now; the program lives.
    Idle,
    /// The stream is complete: its last event has been read.
    Ended,
    /// The program is gone (killed) or the file was cut; what there is has been read.
    Died,
}

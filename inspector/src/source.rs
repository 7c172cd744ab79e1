//! Sources of events: a ring of a live or an ended program, or a JSON trace, all behind one trait.

use std::io;

use crate::event::{CoroId, Event, Header, Stack};
use crate::frames::Frames;
use crate::ring::Request;

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

    /// Reads the await stack of a coroutine in the memory of the program, which is stuck in a step and cannot answer.
    /// `None` if that is impossible, or if the program continued meanwhile.
    ///
    /// `frames` keeps what was read of the program's types: the caller owns it, because it stays on one thread.
    fn stack_from_outside(&mut self, frames: &mut Option<Frames>, coro: CoroId) -> Option<Result<Stack, String>> {
        let _ = (frames, coro);
        None
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

//! Records what the program prints.
//!
//! It follows output that goes to a regular file: the spool of a live view, the file to which `tinyio-inspector run` or
//! a shell has redirected it. With `TINYIO_OUTPUT=1` it also follows output to a terminal or a pipe, through a copier.
//! That is not the default: it starts a process, the terminal is another one than that of stdin, and after a signal
//! that ends the program, its last lines may reach the terminal after the next prompt. One recording of a process has
//! the output, the first that runs.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tinyio_events::event::Kind;
use tinyio_recorder::output::{self, AtExit, Follow, Line};

use super::stack_requests::Asked;

/// The process id whose output is followed by a recording.
static TAKEN_BY: AtomicU32 = AtomicU32::new(0);

/// The output of this process, for one recording.
pub(super) struct Output {
    streams: Vec<Stream>,
    pid: u32,
}

struct Stream {
    /// 1 for stdout, 2 for stderr.
    number: u8,
    follow: Follow,
    /// When the last line was printed.
    latest: Cell<u64>,
}

impl Output {
    /// Begins to follow the output, to terminals and pipes only if `copies`; `None` if another recording does. `asked`
    /// wakes the loops when there is something to record.
    ///
    /// # Errors
    ///
    /// When it cannot be followed.
    pub(super) fn follow(copies: bool, asked: &Asked) -> std::io::Result<Option<Output>> {
        let pid = std::process::id();
        if TAKEN_BY.swap(pid, Ordering::Relaxed) == pid {
            return Ok(None);
        }
        // Dropped on an error, it releases the output for another recording.
        let mut output = Output { streams: Vec::new(), pid };
        let asked = asked.clone();
        let streams = output::of_this_process(copies, move || asked.wake())?.into_iter();
        output.streams = streams.map(|(number, follow)| Stream { number, follow, latest: Cell::new(0) }).collect();
        Ok(Some(output))
    }

    pub(super) fn at_exit(&self) -> Vec<AtExit> {
        self.streams.iter().map(|stream| stream.follow.at_exit()).collect()
    }

    /// Takes the output to record: `take` gives the lines, each with the amount that was dropped before it. `now` reads
    /// the time of the stream.
    pub(super) fn take(&self, take: impl Fn(&Follow) -> Vec<Line>, now: impl FnOnce() -> u64) -> Vec<Kind> {
        let taken: Vec<_> = self.streams.iter().map(|stream| (stream, take(&stream.follow))).collect();
        // Afterwards: taking them may wait for the copier.
        let (now, read) = (now(), Instant::now());
        let mut events = Vec::new();
        for (stream, lines) in taken {
            for line in lines {
                let left_out = line.left_out;
                if left_out > 0 {
                    let text = format!(
                        "{left_out} bytes of output are left out here: at most 256 KiB per second are recorded"
                    );
                    events.push(Kind::Diag { coro: 0, text });
                }
                // 0 would be no time. In the order printed, whatever the clocks read.
                let printed = now.saturating_sub(line.age(read)).max(1).max(stream.latest.get());
                stream.latest.set(printed);
                events.push(Kind::Output { stream: stream.number, text: line.text, printed });
            }
        }
        events
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = TAKEN_BY.compare_exchange(self.pid, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

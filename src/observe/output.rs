//! Records what the program prints.
//!
//! It follows output that goes to a regular file: the spool of a live view, the file to which `tinyio-inspector run` or
//! a shell has redirected it. Output to a terminal or a pipe is not recorded: intercepting it would change the result
//! of `isatty`, or delay it. One recording of a process has it, the first that runs.

use std::sync::atomic::{AtomicU32, Ordering};

use tinyio_events::event::Kind;
use tinyio_recorder::output::{self, Follow, Line};

use super::stack_requests::Asked;

/// The process id whose output is followed by a recording.
static TAKEN_BY: AtomicU32 = AtomicU32::new(0);

/// The output of this process, for one recording.
pub(super) struct Output {
    streams: Vec<(u8, Follow)>,
    pid: u32,
}

impl Output {
    /// Begins to follow the output; `None` if another recording does. `asked` wakes the loops when there is something
    /// to record.
    ///
    /// # Errors
    ///
    /// When it cannot be followed.
    pub(super) fn follow(asked: &Asked) -> std::io::Result<Option<Output>> {
        let pid = std::process::id();
        if TAKEN_BY.swap(pid, Ordering::Relaxed) == pid {
            return Ok(None);
        }
        // Dropped on an error, it releases the output for another recording.
        let mut output = Output { streams: Vec::new(), pid };
        let asked = asked.clone();
        output.streams = output::of_this_process(move || asked.wake())?;
        Ok(Some(output))
    }

    /// Takes the output to record: `take` gives the lines, each with the amount that was dropped before it. `now` is
    /// the time of the stream.
    pub(super) fn take(&self, now: u64, take: impl Fn(&Follow) -> Vec<Line>) -> Vec<Kind> {
        let lines =
            self.streams.iter().flat_map(|(stream, follow)| take(follow).into_iter().map(move |line| (*stream, line)));
        let events = lines.flat_map(|(stream, Line { printed, text, left_out })| {
            let left_out = (left_out > 0).then(|| {
                let text =
                    format!("{left_out} bytes of output are left out here: at most 256 KiB per second are recorded");
                Kind::Diag { coro: 0, text }
            });
            // 0 would be no time.
            let printed = now.saturating_sub(printed.elapsed().as_nanos() as u64).max(1);
            left_out.into_iter().chain([Kind::Output { stream, text, printed }])
        });
        events.collect()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = TAKEN_BY.compare_exchange(self.pid, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

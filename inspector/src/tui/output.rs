//! The program's output, as far as it is captured here.

use std::collections::VecDeque;
use std::time::Instant;

use crate::model::{LOG, Level, LogLine};
use crate::output::Line;

/// Positions of lines that are no events begin here.
const OUTPUT: u64 = 1 << 62;

/// The latest lines that the program wrote to the terminal of the screens.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The level under which a recorder records the same lines: they are shown once, as captured here.
    pub level: Option<Level>,
    lines: VecDeque<LogLine>,
    written: u64,
}

impl Output {
    /// Adds lines; `now` is the time of the stream, whatever time is being shown.
    pub fn push(&mut self, now: u64, lines: Vec<Line>) {
        let read = Instant::now();
        for line in lines {
            // In the order written, whatever the clocks read.
            let at = now.saturating_sub(line.age(read)).max(self.lines.back().map_or(0, |last| last.at));
            // After all events of the same moment, in the order written.
            self.written += 1;
            let seq = OUTPUT + self.written;
            if self.lines.len() == LOG {
                self.lines.pop_front();
            }
            let level = self.level.unwrap_or(Level::Stdout);
            let (target, fields) = (String::new(), Vec::new());
            self.lines.push_back(LogLine { seq, at, coro: 0, level, target, text: line.text, fields });
        }
    }

    /// The lines, in the order written.
    pub fn lines(&self) -> impl Iterator<Item = &LogLine> {
        self.lines.iter()
    }
}

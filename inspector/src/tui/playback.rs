//! The recording, and the moment of it that is shown: now, or an earlier one.

use ratatui::style::Style;

use super::text::{clock, moment, one_line, span};
use super::theme::Theme;
use crate::event::{CoroId, Event, Header, LoopOutcome};
use crate::history::Tape;
use crate::model::{BLOCKED, Model, Picture};
use crate::report::{self, Ending};
use crate::source_text;

/// A stream of events, and a position in it.
pub struct Playback {
    /// All events.
    pub tape: Tape,
    /// The moment being looked at, unless it is now.
    past: Option<Past>,
    /// The status of the stream.
    pub status: Status,
    /// Now, in the stream's time, by the wall clock; 0 if there is none.
    pub clock: u64,
    /// Events per second, measured recently.
    pub rate: f64,
    /// What was recorded before the screens began is being read: whether the program lives is not known yet.
    pub reading: bool,
    /// All outermost loops have ended: the program waits for the user to leave.
    pub finished: bool,
    /// The file it comes from, if it is one.
    file: Option<String>,
}

/// A moment that is not now.
struct Past {
    /// Where on the tape.
    position: u64,
    /// The time asked for; that of the latest event before it is earlier or the same.
    time: Option<u64>,
    /// The model of that moment.
    model: Model,
}

/// The status of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The program lives.
    Live,
    /// The last event has been read.
    Ended,
    /// The program is gone, or the file was cut.
    Died,
    /// It cannot be read on.
    Broken(String),
}

impl Playback {
    /// A stream of which nothing has been read; `memory` is the size of its tape in bytes.
    pub fn new(header: &Header, memory: usize, file: Option<String>) -> Playback {
        Playback {
            tape: Tape::new(header, memory),
            past: None,
            status: Status::Live,
            clock: 0,
            rate: 0.0,
            reading: false,
            finished: false,
            file,
        }
    }

    /// Appends an event.
    pub fn push(&mut self, event: &Event) {
        self.tape.push(event);
    }

    /// The model of the moment that is shown.
    pub fn model(&self) -> &Model {
        self.past.as_ref().map_or(self.tape.latest(), |past| &past.model)
    }

    /// The time of that moment; of a living program, the time on the wall.
    pub fn now(&self) -> u64 {
        match (&self.past, &self.status) {
            // The program only waits for the user to leave: time has stopped.
            (None, Status::Live) if self.finished || self.tape.latest().picture().is_some() => self.tape.latest().now(),
            (None, Status::Live) => self.clock.max(self.tape.latest().now()),
            (Some(past), _) => past.time.unwrap_or(0).max(past.model.now()),
            (None, _) => self.model().now(),
        }
    }

    /// Whether the moment being looked at is now.
    pub fn is_live(&self) -> bool {
        self.past.is_none()
    }

    /// Whether it is now, and the program may still do something.
    pub fn is_running(&self) -> bool {
        self.is_live() && self.status == Status::Live
    }

    /// The position on the tape of the moment being looked at.
    pub fn position(&self) -> u64 {
        self.past.as_ref().map_or(self.tape.len(), |past| past.position)
    }

    /// Goes to a position of the tape.
    pub fn go_to(&mut self, position: u64) {
        let position = position.clamp(self.tape.first(), self.tape.len());
        match &mut self.past {
            // One event forward is the common step, and needs no copy.
            Some(past) if past.position <= position && position - past.position <= 1024 => {
                for (_, event) in self.tape.events(past.position).take((position - past.position) as usize) {
                    past.model.apply(&event);
                }
                past.position = position;
                past.time = None;
            }
            _ => self.past = Some(Past { position, time: None, model: self.tape.model_at(position) }),
        }
    }

    /// Goes to a time.
    pub fn go_to_time(&mut self, time: u64) {
        self.go_to(self.tape.position_of(time));
        if let Some(past) = &mut self.past {
            past.time = Some(time);
        }
    }

    /// Back to now.
    pub fn go_live(&mut self) {
        self.past = None;
    }

    /// The coroutine that keeps a loop from going on, and for how long it has.
    pub fn blocked(&self) -> Option<(CoroId, u64)> {
        if !self.is_running() {
            return None;
        }
        let (model, now) = (self.model(), self.now());
        let running = model.loops().filter(|one| one.ended.is_none()).filter_map(|one| one.running);
        // A coroutine with a loop inside it is as busy as that loop.
        let inner = running.filter(|(coro, _)| model.loops_in(*coro).next().is_none());
        let longest = inner.map(|(coro, since)| (coro, now.saturating_sub(since))).max_by_key(|(_, long)| *long);
        longest.filter(|(_, long)| *long >= BLOCKED)
    }

    /// The status of the program in a few words, with its style: for the header.
    pub fn headline(&self, theme: &Theme) -> (String, Style) {
        if let Some(picture) = self.model().picture() {
            return (self.pictured(picture), theme.text);
        }
        let latest = self.tape.latest();
        let root = latest.loops().rev().find(|one| one.parent == 0 && one.ended.is_some());
        let running = latest.loops().any(|one| one.parent == 0 && one.ended.is_none());
        let outcome = if running { None } else { root.and_then(|one| one.ended) };
        let at = moment;
        match (&self.status, outcome) {
            (Status::Broken(_), _) => ("BROKEN".to_owned(), theme.failed),
            (_, Some((time, LoopOutcome::Crashed))) => (format!("CRASHED at {}", at(time)), theme.failed),
            (Status::Died, _) if latest.lost().cut => (format!("CUT at {}", at(latest.now())), theme.warning),
            (Status::Died, _) => (format!("DIED at {}", at(latest.now())), theme.failed),
            (_, Some((time, LoopOutcome::Dropped))) => (format!("DROPPED at {}", at(time)), theme.warning),
            (_, Some((time, LoopOutcome::Ok))) => (format!("ENDED at {}", at(time)), theme.done),
            (Status::Ended, None) => (format!("STOPPED at {}", at(latest.now())), theme.warning),
            (Status::Live, None) if self.reading => (format!("READING {}", at(latest.now())), theme.dim),
            (Status::Live, None) if self.blocked().is_some() => {
                let (coro, long) = self.blocked().unwrap_or_default();
                (format!("BLOCKED {} by {}", span(long), latest.label(coro)), theme.failed)
            }
            (Status::Live, None) if latest.is_cancelling() => {
                (format!("CANCELLING {}", clock(self.clock.max(latest.now()), 1)), theme.failed)
            }
            (Status::Live, None) => {
                let now = if self.finished { latest.now() } else { self.clock.max(latest.now()) };
                (format!("LIVE {}", clock(now, 1)), theme.running)
            }
        }
    }

    /// Which picture of a program that is not recorded is shown.
    fn pictured(&self, picture: &Picture) -> String {
        let header = self.tape.latest().header();
        if header.started == 0 {
            return format!("core file of PID {}", header.pid);
        }
        let taken = time_of_day(header.started.saturating_add(picture.at));
        let stopped = match picture.stopped {
            Some(nanos) => format!("stopped for {}", span(nanos)),
            None => "not stopped".to_owned(),
        };
        let is_last = self.status == Status::Died && self.is_live();
        let number = format!("{}picture {}", if is_last { "ENDED, last " } else { "" }, picture.number);
        format!("{number} of PID {}, taken {taken}, {stopped}", header.pid)
    }

    /// Of a program that goes on when the screens are left, a sentence that says so, how it is shown again, and how it
    /// is ended: by Ctrl-C where it has `own_terminal`, that of the screens.
    pub fn goes_on(&self, own_terminal: bool) -> Option<String> {
        let header = self.tape.latest().header();
        let (pid, name) = (header.pid, one_line(&header.program));
        let end = if own_terminal { "Ctrl-C interrupts it".to_owned() } else { format!("`kill {pid}` ends it") };
        let again = format!("`tinyio-inspector attach {pid}` shows it again");
        let runs = self.status == Status::Live && !self.finished;
        runs.then(|| format!("tinyio: {name} goes on, PID {pid}: {again}, {end}\n"))
    }

    /// What is printed once the screens are left.
    pub fn farewell(&self, color: bool, width: usize) -> String {
        let latest = self.tape.latest();
        let ending = match self.status {
            Status::Live if latest.is_complete() => Ending::Ended,
            Status::Live | Status::Broken(_) => Ending::Living,
            Status::Ended => Ending::Ended,
            Status::Died => Ending::Died,
        };
        if latest.picture().is_some() {
            return String::new();
        }
        let over = latest.loops().any(|one| one.ended.is_some() && one.parent == 0);
        if latest.crash().is_none() && ending == Ending::Living && !over {
            return String::new();
        }
        let (file, read_source) = (self.file.clone(), source_text::read);
        report::text(latest, &report::Options { color, width, file, ending, read_source })
    }
}

/// The time of day of a moment, in nanoseconds since 1970: `12:03:04 UTC`.
fn time_of_day(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000 % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_script::crawl;

    #[test]
    fn of_a_program_that_goes_on_it_is_stated_how_it_is_shown_again_and_ended() {
        let script = crawl();
        let mut playback = Playback::new(&script.header, 1 << 20, None);
        script.events.iter().for_each(|event| playback.push(event));
        let again = "tinyio: crawl goes on, PID 4242: `tinyio-inspector attach 4242` shows it again";
        assert_eq!(playback.goes_on(false), Some(format!("{again}, `kill 4242` ends it\n")));
        assert_eq!(playback.goes_on(true), Some(format!("{again}, Ctrl-C interrupts it\n")));
        playback.finished = true;
        assert_eq!(playback.goes_on(false), None);
        (playback.finished, playback.status) = (false, Status::Died);
        assert_eq!(playback.goes_on(false), None);
    }
}

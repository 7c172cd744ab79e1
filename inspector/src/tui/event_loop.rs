//! The loop behind the screens: reads events, takes keys, draws.
//!
//! It draws only when something changed, at most every 33 ms; all pending keys are handled before it draws. Without
//! changes it blocks. It uses the terminal through [`Host`] only, so that tests can drive it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::app::{App, Effect};
use super::keys::Action;
use super::playback::Status;
use crate::model::Activity;
use crate::output::Line;
use crate::outside;
use crate::ring::Request;
use crate::source::{Progress, Source};

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);
/// How long events are read before keys are looked at again.
const READ: Duration = Duration::from_millis(12);
/// How often a quiet stream is polled, at first and after a while.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(80));
/// How often times on the screen are brought up to date while nothing else happens.
const TICK: Duration = Duration::from_millis(500);
/// How often the program is asked for the frames of the selected coroutine.
const ASK: Duration = Duration::from_millis(200);
/// How often a request is repeated without an answer before the memory of the program is read from outside.
const UNANSWERED: u32 = 2;
/// Events read between two looks at the clock.
const BATCH: usize = 4096;

/// An input of the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key, by its name in the table.
    Key(String),
    /// The mouse was pressed at a column and row.
    Click(u16, u16),
    /// The wheel was turned: down or up.
    Scroll(bool),
    /// The terminal has another size.
    Resize,
    /// Text was pasted.
    Paste(String),
    /// Whether all outermost loops of the program have ended.
    Finished(bool),
    /// The process was asked to stop, as by `kill -TSTP`.
    Suspend,
    /// It goes on after it was stopped.
    Continued,
    /// The screen is to be left at once: the process is about to end.
    Stop,
    /// Keys can be read no more.
    Gone(String),
}

/// How the screens were left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The user left.
    Quit,
    /// The user wants the program interrupted.
    Interrupt,
    /// The process is about to end, or the terminal is gone.
    Stopped,
}

/// The environment of the loop: the terminal, and the program.
pub trait Host {
    /// Draws.
    fn draw(&mut self, app: &mut App) -> std::io::Result<()>;
    /// Clears the screen and draws everything.
    fn redraw(&mut self, app: &mut App) -> std::io::Result<()>;
    /// Stops this process, or the whole `job` it belongs to, and comes back.
    fn suspend(&mut self, job: bool) -> std::io::Result<()>;
    /// Takes the terminal again after the process was stopped without warning.
    fn continued(&mut self) -> std::io::Result<()> {
        Ok(())
    }
    /// Opens the editor.
    fn edit(&mut self, file: &std::path::Path, line: u32) -> std::io::Result<()>;
    /// Takes the mouse, or leaves it to the terminal.
    fn mouse(&mut self, taken: bool) -> std::io::Result<()>;
    /// Asks the terminal to put a text on its clipboard.
    fn copy(&mut self, text: &str) -> std::io::Result<()>;
    /// Interrupts the program if the screens can stay while it ends; returns whether they can.
    fn interrupt(&mut self) -> bool {
        false
    }
    /// Lines that the program wrote since it was last asked.
    fn output(&mut self) -> Vec<Line> {
        Vec::new()
    }
}

/// Shows `source` until the user leaves.
///
/// # Errors
///
/// When the terminal fails.
pub fn drive(
    app: &mut App,
    source: &mut dyn Source,
    inputs: &Receiver<Input>,
    host: &mut dyn Host,
) -> std::io::Result<Exit> {
    let mut drawn: Option<Instant> = None;
    let mut pulse = Pulse::new();
    let mut quiet = 0_u32;
    let mut linted = Instant::now();
    let mut asked = Instant::now();
    let mut unanswered = (0, 0);
    let mut frames = None;
    app.session.playback.reading = true;
    loop {
        // Every key that is waiting, before anything is drawn.
        loop {
            match inputs.try_recv() {
                Ok(input) => {
                    if let Some(exit) = take(app, input, host)? {
                        return Ok(exit);
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(Exit::Stopped),
            }
        }
        if app.session.pictures.is_due()
            && let Err(why) = source.take_picture()
        {
            app.session.refuse_picture(why);
        }
        let more = read(app, source, &mut pulse);
        let lines = host.output();
        if !lines.is_empty() {
            let now = wall(app);
            app.session.output.push(now, lines);
            app.session.dirty = true;
        }
        if asked.elapsed() >= ASK {
            let wanted = app.wants_frames();
            if let Some((coro, in_full)) = wanted {
                source.ask_frames(Request { coro, in_full });
                unanswered = (coro, if unanswered.0 == coro { unanswered.1 + 1 } else { 0 });
                asked = Instant::now();
            }
            if let Some(coro) = app.session.wants_remote_frames(wanted.is_some() && unanswered.1 >= UNANSWERED) {
                if let Some(stack) = outside::stack(source, &mut frames, coro) {
                    app.session.take_remote_stack(coro, stack);
                }
                asked = Instant::now();
            }
        }
        quiet = if more { 0 } else { quiet.saturating_add(1) };
        // While there is more to read, the screens show the past: the time by which they lag behind is not a blocked
        // step.
        app.session.playback.clock = if more { app.session.playback.tape.latest().now() } else { wall(app) };

        if app.session.playback.status == Status::Live
            && drawn.is_some_and(|at| at.elapsed() >= TICK)
            && is_ticking(app)
        {
            app.session.dirty = true;
        }
        if linted.elapsed() >= TICK {
            let begin = Instant::now();
            app.session.lint();
            // Limited to a twentieth of the time.
            linted = Instant::now() + begin.elapsed() * 20;
        }
        let due = drawn.map_or(Duration::ZERO, |at| FRAME.saturating_sub(at.elapsed()));
        if app.session.dirty && due.is_zero() {
            app.session.dirty = false;
            host.draw(app)?;
            drawn = Some(Instant::now());
            continue;
        }
        let wait = match &app.session.playback.status {
            _ if app.session.dirty => due,
            _ if more => Duration::ZERO,
            Status::Live => {
                if quiet < 100 {
                    POLL.0
                } else {
                    POLL.1
                }
            }
            _ => Duration::from_secs(3600),
        };
        match inputs.recv_timeout(wait) {
            Ok(input) => {
                if let Some(exit) = take(app, input, host)? {
                    return Ok(exit);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Stopped),
        }
    }
}

fn take(app: &mut App, input: Input, host: &mut dyn Host) -> std::io::Result<Option<Exit>> {
    let effect = match input {
        Input::Key(key) => app.key(&key),
        Input::Click(column, row) => {
            app.click(column, row);
            Effect::None
        }
        Input::Scroll(down) => {
            for _ in 0..3 {
                app.act(if down { Action::Down } else { Action::Up });
            }
            Effect::None
        }
        Input::Resize => Effect::Redraw,
        Input::Paste(text) => {
            app.paste(&text);
            Effect::None
        }
        Input::Finished(finished) => {
            app.finished(finished);
            Effect::None
        }
        Input::Suspend => {
            host.suspend(false)?;
            Effect::Redraw
        }
        Input::Continued => {
            host.continued()?;
            Effect::Redraw
        }
        Input::Stop | Input::Gone(_) => return Ok(Some(Exit::Stopped)),
    };
    match effect {
        Effect::None => {}
        Effect::Quit => return Ok(Some(Exit::Quit)),
        Effect::Interrupt if host.interrupt() => app.session.note("the program was interrupted"),
        Effect::Interrupt => return Ok(Some(Exit::Interrupt)),
        Effect::Redraw => {
            app.session.dirty = false;
            host.redraw(app)?;
        }
        Effect::Suspend => {
            host.suspend(true)?;
            host.redraw(app)?;
        }
        Effect::Mouse(taken) => host.mouse(taken)?,
        Effect::Copy(text) => {
            if let Err(error) = host.copy(&text) {
                app.session.note(format!("not copied: {error}"));
            }
        }
        Effect::Edit { file, line } => {
            let edited = host.edit(&file, line);
            app.session.notice = edited.err().map(|error| error.to_string());
            app.session.sources = Default::default();
            host.redraw(app)?;
        }
    }
    Ok(None)
}

/// Reads for a while. Returns whether there is more.
fn read(app: &mut App, source: &mut dyn Source, pulse: &mut Pulse) -> bool {
    if app.session.playback.status != Status::Live {
        return false;
    }
    let begin = Instant::now();
    let progress = loop {
        match source.read(BATCH, &mut |event| app.push(&event)) {
            Ok(Progress::More) if begin.elapsed() < READ => {}
            Ok(progress) => break Ok(progress),
            Err(error) => break Err(error.to_string()),
        }
    };
    let status = match &progress {
        Ok(Progress::More | Progress::Idle) => Status::Live,
        Ok(Progress::Ended) => Status::Ended,
        Ok(Progress::Died) => Status::Died,
        Err(error) => Status::Broken(error.clone()),
    };
    app.session.playback.reading &= progress == Ok(Progress::More);
    app.settle(status);
    let playback = &mut app.session.playback;
    playback.rate = pulse.rate(playback.tape.len());
    progress == Ok(Progress::More)
}

/// Whether times on the screen go on while no event comes.
fn is_ticking(app: &App) -> bool {
    let model = app.session.model();
    app.session.playback.is_live()
        && model.picture().is_none()
        && model.counts().iter().any(|(activity, _)| activity.is_live() || activity == Activity::Running)
}

/// Now, in the stream's time.
fn wall(app: &App) -> u64 {
    let started = app.session.playback.tape.latest().header().started;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    if started == 0 { 0 } else { now.saturating_sub(started) }
}

/// Events per second, over the last second or so.
struct Pulse {
    at: Instant,
    events: u64,
    rate: f64,
}

impl Pulse {
    fn new() -> Pulse {
        Pulse { at: Instant::now(), events: 0, rate: 0.0 }
    }

    fn rate(&mut self, events: u64) -> f64 {
        let passed = self.at.elapsed();
        if passed >= Duration::from_millis(500) {
            let fresh = (events - self.events) as f64 / passed.as_secs_f64();
            self.rate = if self.rate == 0.0 { fresh } else { self.rate * 0.4 + fresh * 0.6 };
            (self.at, self.events) = (Instant::now(), events);
        }
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::super::{DARK, Options};
    use super::*;
    use crate::event::{Event, Header};
    use crate::test_script::crawl;

    /// A recording that is longer than what is read at once; how it ends is known at its end only.
    struct Long {
        header: Header,
        events: Vec<Event>,
        reads: u32,
        last: Progress,
    }

    impl Source for Long {
        fn header(&self) -> &Header {
            &self.header
        }

        fn read(&mut self, _limit: usize, sink: &mut dyn FnMut(Event)) -> std::io::Result<Progress> {
            self.events.drain(..).for_each(sink);
            self.reads += 1;
            std::thread::sleep(READ);
            Ok(if self.reads < 8 { Progress::More } else { self.last })
        }
    }

    /// Notes the headline of each frame, and leaves when all is read.
    struct Notes(Vec<String>, Sender<Input>);

    impl Host for Notes {
        fn draw(&mut self, app: &mut App) -> std::io::Result<()> {
            let playback = &app.session.playback;
            self.0.push(playback.headline(&app.session.theme).0);
            if playback.reading {
                app.session.dirty = true;
            } else {
                self.1.send(Input::Stop).unwrap();
            }
            Ok(())
        }

        fn redraw(&mut self, app: &mut App) -> std::io::Result<()> {
            self.draw(app)
        }

        fn suspend(&mut self, _job: bool) -> std::io::Result<()> {
            Ok(())
        }

        fn edit(&mut self, _file: &std::path::Path, _line: u32) -> std::io::Result<()> {
            Ok(())
        }

        fn mouse(&mut self, _taken: bool) -> std::io::Result<()> {
            Ok(())
        }

        fn copy(&mut self, _text: &str) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_recording_is_not_called_live_before_its_end_is_known() {
        // A step is running that began long before the test.
        for (last, word) in [(Progress::Died, "DIED"), (Progress::Idle, "BLOCKED"), (Progress::Ended, "STOPPED")] {
            let script = crawl();
            let mut app = App::new(&script.header, Options::of(DARK));
            let mut source = Long { header: script.header, events: script.events, reads: 0, last };
            let (send, inputs) = channel();
            let mut host = Notes(Vec::new(), send);
            drive(&mut app, &mut source, &inputs, &mut host).unwrap();
            let Notes(shown, _) = host;
            let (end, before) = shown.split_last().unwrap();
            assert!(end.starts_with(word), "{shown:?}");
            assert!(!before.is_empty() && before.iter().all(|one| one.starts_with("READING")), "{shown:?}");
        }
    }
}

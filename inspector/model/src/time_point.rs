//! A recording at a moment: which one, and the model there.

use std::io;
use std::str::FromStr;

use tinyio_events::event::{CoroId, Event, Kind, LoopId, Outcome};
use tinyio_events::source::{Progress, Source};

use crate::model::Model;
use crate::report::Ending;

/// Events taken from a source at once.
const BATCH: usize = 4096;

/// A moment of a recording: `12.3s`, `300ms`, `00:12.4`, `1:02:03`, or right after an event, `#1234`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// With every event up to that time, in nanoseconds since the recording started.
    Time(u64),
    /// With every event up to that number.
    Seq(u64),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<At, String> {
        parse(text.trim()).ok_or_else(|| {
            format!("{text:?} is no moment: expected a time such as 12.3s, 300ms or 00:12.4, or an event such as #1234")
        })
    }
}

fn parse(text: &str) -> Option<At> {
    if let Some(seq) = text.strip_prefix('#') {
        return seq.parse().ok().map(At::Seq);
    }
    if text.contains(':') {
        let mut seconds = 0_u64;
        let (front, last) = text.rsplit_once(':')?;
        for part in front.split(':') {
            seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
        }
        if front.split(':').count() > 2 {
            return None;
        }
        return Some(At::Time(seconds.checked_mul(60_000_000_000)?.checked_add(decimal(last, 9)?)?));
    }
    let units = [("ms", 6), ("us", 3), ("µs", 3), ("ns", 0), ("s", 9)];
    let (number, digits) = units.into_iter().find_map(|(unit, digits)| Some((text.strip_suffix(unit)?, digits)))?;
    decimal(number.trim_end(), digits).map(At::Time)
}

/// A decimal number, times ten to the `digits`.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let kept = &fraction[..fraction.len().min(digits)];
    let fraction: u64 = format!("{kept:0<digits$}").parse().unwrap_or(0);
    whole.parse::<u64>().ok()?.checked_mul(10_u64.pow(digits as u32))?.checked_add(fraction)
}

/// The model at a moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The state of the program.
    pub model: Model,
    /// How the recording ends, if the moment is its end.
    pub ending: Ending,
    /// If the program crashed, its state right before the cancellation, which leaves no coroutine alive.
    pub before_crash: Option<Model>,
}

impl Moment {
    /// The model to show the waits of: of a crashed program, the one before its cancellation.
    pub fn graph(&self) -> &Model {
        match &self.before_crash {
            Some(before) if self.model.live_count() == 0 => before,
            _ => &self.model,
        }
    }
}

/// Folds a recording up to a moment, or to its end. `each` sees every event, and the model with it.
///
/// # Errors
///
/// Those of the source and of `each`, and when the recording begins after that moment.
pub fn fold(
    source: &mut dyn Source,
    at: Option<At>,
    each: &mut dyn FnMut(&Model, &Event) -> io::Result<()>,
) -> io::Result<Moment> {
    let mut model = Model::new(source.header());
    let mut before: Option<(LoopId, Model)> = None;
    let mut failing: Option<(CoroId, Model)> = None;
    let mut is_cancelled = false;
    let mut result = Ok(());
    let mut passed = None;
    let ending = loop {
        let progress = source.read(BATCH, &mut |event| {
            if passed.is_some() || result.is_err() {
                return;
            }
            let is_later = match at {
                None => false,
                Some(At::Time(time)) => event.at > time,
                Some(At::Seq(seq)) => event.seq > seq,
            };
            if is_later {
                passed = Some(event);
                return;
            }
            let is_outermost = |id| model.get_loop(id).is_some_and(|one| one.parent == 0);
            match event.kind {
                // The one that failed ends, and its edges with it, before the cancellation begins.
                Kind::End { coro, outcome: Outcome::Error | Outcome::Panic }
                    if model.coro(coro).is_some_and(|coro| is_outermost(coro.in_loop)) =>
                {
                    let mut right_before = model.clone();
                    right_before.reenter_step(coro, event.at);
                    failing = Some((coro, right_before));
                }
                Kind::CancelBegin { id, origin, .. } if is_outermost(id) => {
                    let at_its_end = failing.take().filter(|(coro, _)| *coro == origin);
                    before = Some((id, at_its_end.map_or_else(|| model.clone(), |(_, model)| model)));
                    is_cancelled = false;
                }
                Kind::CancelDeliver { .. } => is_cancelled = true,
                // The stacks of those that are about to be cancelled are read after that.
                Kind::Frames { coro, ref stack } if !is_cancelled => {
                    if let Some((_, before)) = &mut before {
                        before.stack_of(coro, event.at, stack);
                    }
                }
                _ => {}
            }
            model.apply(&event);
            result = each(&model, &event);
        })?;
        std::mem::replace(&mut result, Ok(()))?;
        match progress {
            _ if passed.is_some() => break Ending::Living,
            Progress::More => {}
            Progress::Idle => break Ending::Living,
            Progress::Ended => break Ending::Ended,
            Progress::Died => break Ending::Died,
        }
    };
    if let (0, Some(first)) = (model.events(), passed) {
        let what = format!(
            "the recording begins later than that: with event #{}, at {}",
            first.seq,
            crate::format::clock(first.at)
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let crashed = |id: LoopId| model.crashes().iter().any(|crash| crash.in_loop == id && crash.is_over);
    let before_crash = before.filter(|(id, _)| crashed(*id)).map(|(_, model)| model);
    Ok(Moment { model, ending, before_crash })
}

#[cfg(test)]
mod tests {
    use tinyio_events::event::{Target, Waker};

    use super::*;
    use crate::model::Activity;
    use crate::test_script::{Script, crawl, verify};

    #[test]
    fn moments_are_read_as_they_are_written() {
        for (text, nanos) in [
            ("12.3s", 12_300_000_000),
            ("300ms", 300_000_000),
            ("5 us", 5_000),
            ("7ns", 7),
            ("00:12.4", 12_400_000_000),
            ("1:02:03.5", 3_723_500_000_000),
            ("0.0000000019s", 1),
        ] {
            assert_eq!(text.parse(), Ok(At::Time(nanos)), "{text}");
        }
        assert_eq!("#42".parse(), Ok(At::Seq(42)));
        for text in [
            "",
            "12",
            "s",
            "-1s",
            "1.s.",
            "1:2:3:4",
            "#",
            "#x",
            ":",
            "99999999999999999999s",
            "1e3s",
            "9999999999999999:00",
        ] {
            assert!(text.parse::<At>().unwrap_err().contains("expected a time such as"), "{text}");
        }
    }

    #[test]
    fn a_recording_is_folded_up_to_the_moment() {
        let script = crawl();
        let at = |at| fold(&mut script.source(), at, &mut |_, _| Ok(())).unwrap();
        assert_eq!(at(Some(At::Time(45_000))).model.live_count(), 4);
        assert_eq!(at(Some(At::Seq(1))).model.events(), 2);
        assert_eq!(at(None).model.events(), script.events.len() as u64);
        assert_eq!((at(None).ending, at(Some(At::Seq(1))).ending), (Ending::Ended, Ending::Living));
    }

    #[test]
    fn of_a_crash_the_graph_before_it_is_kept() {
        let end = fold(&mut verify().source(), None, &mut |_, _| Ok(())).unwrap();
        assert_eq!((end.model.live_count(), end.graph().live_count()), (0, 7));
        let early = fold(&mut verify().source(), Some(At::Time(20_000)), &mut |_, _| Ok(())).unwrap();
        assert_eq!(early.graph().live_count(), 7);
        assert!(early.before_crash.is_none());
    }

    #[test]
    fn the_failed_coroutine_is_in_the_graph_even_if_its_end_is_recorded_first() {
        let mut script = verify();
        let cancel = script.events.iter().position(|event| matches!(event.kind, Kind::CancelBegin { .. })).unwrap();
        let kind = script.events[cancel].kind.clone();
        script.events[cancel].kind = std::mem::replace(&mut script.events[cancel + 1].kind, kind);
        let end = fold(&mut script.source(), None, &mut |_, _| Ok(())).unwrap();
        assert!(end.graph().coro(780).is_some_and(|coro| coro.is_live()));
        assert_eq!(end.graph().live_count(), 7);
    }

    /// It waits for nothing, not for something that is not known either.
    #[test]
    fn a_coroutine_that_has_failed_in_its_step_is_running_right_before_the_crash() {
        let mut s = Script::new("failed");
        s.start().spawn(1, 0, "main", "a.rs:1:1").step(1, Target::Timer(1_000_000), "a.rs:2:1");
        s.at(2_000).wake(1, Waker::Timer).begin(1).push(Kind::Clear { coro: 1, on: Target::Timer(1_000_000) });
        s.pause(1).push(Kind::End { coro: 1, outcome: Outcome::Error });
        s.push(Kind::CancelBegin { id: 1, origin: 1, reason: "no".into(), failure: None });
        s.push(Kind::Crash { id: 1, failures: Vec::new() });
        let end = fold(&mut s.source(), None, &mut |_, _| Ok(())).unwrap();
        assert_eq!(end.graph().coro(1).map(|coro| coro.activity), Some(Activity::Running));
    }

    #[test]
    fn a_moment_before_the_recording_is_an_error() {
        let mut source = crawl().source();
        source.events.drain(..20);
        let error = fold(&mut source, Some(At::Seq(3)), &mut |_, _| Ok(())).unwrap_err();
        assert!(error.to_string().contains("the recording begins later than that: with event #20"), "{error}");
    }

    #[test]
    fn an_error_of_the_reader_ends_the_fold() {
        let mut seen = 0;
        let stop = |_: &Model, _: &Event| {
            seen += 1;
            if seen == 5 { Err(io::Error::from(io::ErrorKind::BrokenPipe)) } else { Ok(()) }
        };
        let mut stop = stop;
        assert!(fold(&mut crawl().source(), None, &mut stop).is_err());
        assert_eq!(seen, 5);
    }
}

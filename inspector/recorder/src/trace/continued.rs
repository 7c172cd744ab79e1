//! A trace that breaks off is continued from the ring of its recording, while that is there: a process that was killed,
//! or runs another program (`exec`), could not write its last quarter of a second to the trace.

use std::collections::VecDeque;
use std::io;

use tinyio_events::event::{Event, Header, Kind};
use tinyio_events::source::{Progress, Source};
use tinyio_events::trace::TraceReader;

use crate::discover::{self, Ring, State};
use crate::ring::RingReader;

/// Reads a trace, and then its ring.
pub(super) struct Continued {
    trace: TraceReader,
    stage: Stage,
    /// The position and time of the next event.
    next: u64,
    at: u64,
}

enum Stage {
    Trace,
    /// The file breaks off. The first event of the ring was not handed out yet, and this one is, if there is none.
    Begins(Box<(RingReader, Ring)>, Event),
    Ring(Box<RingReader>),
    /// Both have been read.
    Over(Progress),
}

impl Continued {
    pub(super) fn new(trace: TraceReader) -> Continued {
        Continued { trace, stage: Stage::Trace, next: 0, at: 0 }
    }

    fn read_trace(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress> {
        let mut cut = None;
        let (next, at) = (&mut self.next, &mut self.at);
        let progress = self.trace.read(limit, &mut |event| {
            let length = match &event.kind {
                Kind::Lost { events: 0, why } if why == "cut" => return cut = Some(event),
                Kind::Lost { events, .. } => *events,
                _ => 1,
            };
            (*next, *at) = ((*next).max(event.seq.saturating_add(length)), event.at);
            sink(event);
        })?;
        let Some(cut) = cut else { return Ok(progress) };
        match discover::of_recording(self.trace.header())
            .and_then(|ring| Some((RingReader::open(&ring.path).ok()?, ring)))
        {
            Some(ring) => self.stage = Stage::Begins(Box::new(ring), cut),
            None => {
                self.stage = Stage::Over(progress);
                sink(cut);
            }
        }
        Ok(Progress::More)
    }
}

impl Source for Continued {
    fn header(&self) -> &Header {
        self.trace.header()
    }

    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress> {
        let mut events = VecDeque::new();
        let next = self.next;
        let mut read = |ring: &mut RingReader| {
            ring.read(limit, &mut |event| {
                if event.seq >= next {
                    events.push_back(event);
                }
            })
        };
        let progress = match &mut self.stage {
            Stage::Trace => return self.read_trace(limit, sink),
            Stage::Over(progress) => return Ok(*progress),
            Stage::Begins(ring, _) => read(&mut ring.0)?,
            Stage::Ring(ring) => read(ring)?,
        };
        if let Stage::Begins(..) = self.stage
            && (!events.is_empty() || progress != Progress::More)
        {
            let Stage::Begins(ring, cut) = std::mem::replace(&mut self.stage, Stage::Trace) else { unreachable!() };
            let (reader, ring) = *ring;
            match events.front() {
                Some(first) => {
                    let exec = match ring.state {
                        State::Replaced => ": its process runs another program now (exec)",
                        _ => "",
                    };
                    let text = format!(
                        "the trace breaks off here{exec}; what follows is from its ring, {}",
                        ring.path.display()
                    );
                    sink(Event { seq: next, at: self.at, kind: Kind::Diag { coro: 0, text } });
                    if first.seq > next {
                        let lost = Kind::Lost { events: first.seq - next, why: "missing".into() };
                        sink(Event { seq: next, at: self.at, kind: lost });
                    }
                }
                None if progress == Progress::Ended => {}
                None => sink(cut),
            }
            self.stage = Stage::Ring(Box::new(reader));
        }
        events.into_iter().for_each(sink);
        match progress {
            Progress::More => {}
            Progress::Ended => self.stage = Stage::Over(Progress::Ended),
            // It may be alive, if it could not write to the trace any more.
            Progress::Idle | Progress::Died => self.stage = Stage::Over(Progress::Died),
        }
        Ok(Progress::More)
    }
}

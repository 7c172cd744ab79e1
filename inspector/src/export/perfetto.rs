//! Perfetto's own format: a sequence of `TracePacket`s with `TrackDescriptor`s and `TrackEvent`s.
//!
//! The numbers are those of the fields in `protos/perfetto/trace` of the Perfetto project. Packets need not be in order
//! of time: the reader sorts them, and keeps the order of those that have one time.

use std::io::{self, Write};

use super::proto::Message;
use super::spans::{AWAY, Mark, Sink, Span, Track};
use crate::event::Header;
use crate::model::Model;

/// Fields of `Trace`.
const PACKET: u32 = 1;
/// Fields of `TracePacket`.
mod packet {
    pub(super) const CLOCK_SNAPSHOT: u32 = 6;
    pub(super) const TIMESTAMP: u32 = 8;
    pub(super) const SEQUENCE: u32 = 10;
    pub(super) const TRACK_EVENT: u32 = 11;
    pub(super) const TRACK_DESCRIPTOR: u32 = 60;
}
/// Fields of `TrackDescriptor`.
mod track {
    pub(super) const UUID: u32 = 1;
    pub(super) const NAME: u32 = 2;
    pub(super) const PROCESS: u32 = 3;
    pub(super) const PARENT: u32 = 5;
}
/// Fields of `TrackEvent`, and values of its `type`.
mod event {
    pub(super) const ANNOTATION: u32 = 4;
    pub(super) const TYPE: u32 = 9;
    pub(super) const TRACK: u32 = 11;
    pub(super) const CATEGORY: u32 = 22;
    pub(super) const NAME: u32 = 23;
    pub(super) const FLOW: u32 = 47;
    pub(super) const LAST_FLOW: u32 = 48;

    pub(super) const BEGIN: u64 = 1;
    pub(super) const END: u64 = 2;
    pub(super) const INSTANT: u64 = 3;
}
/// Fields of `DebugAnnotation`.
mod annotation {
    pub(super) const TEXT: u32 = 6;
    pub(super) const NAME: u32 = 10;
}
/// Tracks of our own, beside those of coroutines and threads.
const PROGRAM: u64 = 1;
const THREADS: u64 = 5;

pub(super) struct Perfetto<'a> {
    out: &'a mut dyn Write,
    threads_announced: bool,
}

impl<'a> Perfetto<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Perfetto<'a> {
        Perfetto { out, threads_announced: false }
    }

    fn packet(&mut self, packet: Message) -> io::Result<()> {
        // All packets are of one writer.
        let packet = packet.uint(packet::SEQUENCE, 1);
        self.out.write_all(Message::default().message(PACKET, packet).bytes())
    }

    fn descriptor(&mut self, descriptor: Message) -> io::Result<()> {
        self.packet(Message::default().message(packet::TRACK_DESCRIPTOR, descriptor))
    }

    fn event(&mut self, at: u64, event: Message) -> io::Result<()> {
        self.packet(Message::default().uint(packet::TIMESTAMP, at).message(packet::TRACK_EVENT, event))
    }
}

impl Sink for Perfetto<'_> {
    fn begin(&mut self, header: &Header) -> io::Result<()> {
        // The clock of events is BOOTTIME (6) by default; what it was at by REALTIME (1) when ours was at 0.
        let clock = |id: u64, time: u64| Message::default().uint(1, id).uint(2, time);
        let clocks = Message::default().message(1, clock(6, 0)).message(1, clock(1, header.started));
        self.packet(Message::default().uint(packet::TIMESTAMP, 0).message(packet::CLOCK_SNAPSHOT, clocks))?;
        let process = Message::default().uint(1, u64::from(header.pid)).text(6, &header.program);
        self.descriptor(Message::default().uint(track::UUID, PROGRAM).message(track::PROCESS, process))
    }

    fn track(&mut self, track: Track, name: &str) -> io::Result<()> {
        let parent = match track {
            Track::Program => return Ok(()),
            Track::Coro(_) => PROGRAM,
            Track::Thread(_) => {
                if !std::mem::replace(&mut self.threads_announced, true) {
                    let threads = Message::default().uint(track::UUID, THREADS).text(track::NAME, "threads");
                    self.descriptor(threads.uint(track::PARENT, PROGRAM))?;
                }
                THREADS
            }
        };
        self.descriptor(
            Message::default().uint(track::UUID, uuid(track)).text(track::NAME, name).uint(track::PARENT, parent),
        )
    }

    fn span(&mut self, _: &Model, span: &Span<'_>) -> io::Result<()> {
        let mut begin = Message::default()
            .uint(event::TYPE, event::BEGIN)
            .uint(event::TRACK, uuid(span.track))
            .text(event::CATEGORY, span.kind.word())
            .text(event::NAME, span.name);
        for id in span.flows_out {
            begin = begin.fixed64(event::FLOW, *id);
        }
        if let Some(id) = span.flow_in {
            begin = begin.fixed64(event::LAST_FLOW, id);
        }
        let ended = span.outcome.map_or(String::new(), |outcome| format!("{outcome:?}").to_lowercase());
        for (name, value) in [("at", &span.place), ("woken by", &span.by), (AWAY, &span.away()), ("ended", &ended)] {
            if !value.is_empty() {
                let annotation = Message::default().text(annotation::NAME, name).text(annotation::TEXT, value);
                begin = begin.message(event::ANNOTATION, annotation);
            }
        }
        self.event(span.from, begin)?;
        let end = Message::default().uint(event::TYPE, event::END).uint(event::TRACK, uuid(span.track));
        self.event(span.to, end)
    }

    fn mark(&mut self, mark: &Mark<'_>) -> io::Result<()> {
        let instant = Message::default()
            .uint(event::TYPE, event::INSTANT)
            .uint(event::TRACK, uuid(mark.track))
            .text(event::CATEGORY, mark.kind)
            .text(event::NAME, mark.text);
        self.event(mark.at, instant)
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn uuid(track: Track) -> u64 {
    match track {
        Track::Program => PROGRAM,
        Track::Coro(id) => id << 2 | 2,
        Track::Thread(id) => id << 2 | 3,
    }
}

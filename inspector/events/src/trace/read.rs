//! Reading a trace line by line, in memory that does not grow with it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::line::Misfit;
use super::{LINE_LIMIT, line};
use crate::event::{Event, Header, Kind, VERSION};
use crate::lock::is_locked;
use crate::source::{Progress, Source};

/// Reads a JSON trace. One that is still being written is followed.
#[derive(Debug)]
pub struct TraceReader {
    file: BufReader<File>,
    path: PathBuf,
    header: Header,
    buffer: Vec<u8>,
    /// Lines read.
    lines: u64,
    /// Bytes read.
    bytes: u64,
    /// The next `seq`, if all is there; `None` before the first event.
    expected: Option<u64>,
    /// Time of the last event.
    at: u64,
    state: State,
    /// Events to hand out before the next line: a message on the last event, or a `Lost` event followed by the event
    /// itself.
    held: VecDeque<Event>,
    /// A regular file, which may be being written.
    may_grow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// What there is has been read; it is being written.
    Waiting,
    Ended,
    Cut,
}

/// A line, or what there is instead.
enum Line {
    Whole,
    /// The file ends, perhaps in the middle of a line: that is in the buffer.
    Last,
    TooLong,
}

impl TraceReader {
    /// Opens a trace.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or its first line is no header of this version.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: cannot open the trace: {error}", path.display()))
        })?;
        Self::of(file, path)
    }

    /// Reads the trace in an open file. The path is for messages.
    ///
    /// # Errors
    ///
    /// Those of [`open`](TraceReader::open).
    pub fn of(file: File, path: &Path) -> io::Result<Self> {
        let header = Header::default();
        let may_grow = file.metadata().is_ok_and(|meta| meta.is_file());
        let mut reader = TraceReader {
            file: BufReader::with_capacity(256 << 10, file),
            path: path.into(),
            header,
            buffer: vec![],
            lines: 0,
            bytes: 0,
            expected: None,
            at: 0,
            state: State::Open,
            held: VecDeque::new(),
            may_grow,
        };
        let wrong =
            "expected a recording: a ring, or a JSON trace, whose first line is {\"trace\":\"tinyio\",\"version\":1,…}";
        // A header is short, and what is not one, such as a program, may have no line at all.
        if !matches!(reader.line(64 << 10)?, Line::Whole | Line::Last) {
            return Err(reader.wrong(wrong));
        }
        if reader.buffer.is_empty() {
            return Err(reader.wrong("the file is empty; expected a recording"));
        }
        let mut header: serde_json::Value = serde_json::from_slice(&reader.buffer).map_err(|_| reader.wrong(wrong))?;
        if header.get("trace").and_then(serde_json::Value::as_str) != Some("tinyio") {
            return Err(reader.wrong(wrong));
        }
        let version = header.get("version").and_then(serde_json::Value::as_u64);
        if version != Some(VERSION as u64) {
            let has = version.map_or("no version".into(), |version| format!("version {version}"));
            return Err(reader.wrong(&format!(
                "a trace of {has}; this program reads version {VERSION}: use the tinyio-inspector that goes with it"
            )));
        }
        reader.header = serde_json::from_value(header.take())
            .map_err(|error| reader.wrong(&format!("the header does not read: {error}")))?;
        Ok(reader)
    }

    /// Bytes read so far: where the next line begins.
    pub fn position(&self) -> u64 {
        self.bytes
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    fn wrong(&self, what: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}:{}: {what}", self.path.display(), self.lines.max(1)))
    }

    /// Reads a line into the buffer, without its end.
    fn line(&mut self, limit: usize) -> io::Result<Line> {
        self.buffer.clear();
        let taken = (&mut self.file).take(limit as u64 + 1).read_until(b'\n', &mut self.buffer).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("{}: cannot read line {}: {error}", self.path.display(), self.lines + 1),
            )
        })?;
        self.bytes += taken as u64;
        self.lines += (taken > 0) as u64;
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
            return Ok(Line::Whole);
        }
        Ok(if taken > limit { Line::TooLong } else { Line::Last })
    }

    fn next(&mut self) -> io::Result<Option<Event>> {
        if let Some(event) = self.held.pop_front() {
            return Ok(Some(event));
        }
        // The writer had ended when the line that is being read was begun: it is as it will stay.
        let mut is_final = !self.may_grow;
        loop {
            if self.state != State::Open {
                return Ok(None);
            }
            let begin = self.bytes;
            let line = self.line(LINE_LIMIT)?;
            let last = match line {
                Line::Whole => false,
                Line::Last if !is_final => {
                    is_final = self.wait(begin)?;
                    continue;
                }
                Line::Last => true,
                Line::TooLong => {
                    self.state = State::Cut;
                    let what = format!(
                        "the line is longer than {} MiB, which no event is: the file is damaged",
                        LINE_LIMIT >> 20
                    );
                    return Err(self.wrong(&what));
                }
            };
            let (event, note) = match line::parse(&self.buffer) {
                Ok(event) => (event, None),
                Err(error) => match line::misfit(&self.buffer, &error) {
                    Some(misfit) => self.left_out(misfit),
                    None if last => return Ok(Some(self.cut())),
                    None if self.buffer.iter().all(u8::is_ascii_whitespace) => continue,
                    None => {
                        let text = String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(80)]).into_owned();
                        let error = error.to_string();
                        // Serde speaks of "line 1": it has seen no other.
                        let (what, column) = error.rsplit_once(" at line 1 column ").unwrap_or((&error, "1"));
                        return Err(self.wrong(&format!("column {column}: {what}; expected an event, found {text:?}")));
                    }
                },
            };
            // The writer takes an end marker back when the next loop starts.
            if matches!(event.kind, Kind::TraceEnd {}) && !is_final {
                is_final = self.wait(begin)?;
                continue;
            }
            // A big one is not kept in memory for good.
            if self.buffer.capacity() > 1 << 20 {
                self.buffer = vec![];
            }
            let Event { seq, at, ref kind } = event;
            let before = (self.expected, self.at);
            self.at = at;
            self.expected = Some(match kind {
                Kind::Lost { events, .. } => seq.saturating_add(*events),
                // Names that are repeated after a loss have no number of their own.
                _ => seq.saturating_add(1),
            });
            match kind {
                Kind::TraceEnd {} => self.state = State::Ended,
                Kind::Unknown => continue,
                _ => {}
            }
            if let (Some(expected), at) = before
                && seq > expected
                && (note.is_some() || !matches!(kind, Kind::Lost { .. }))
            {
                let lost = Kind::Lost { events: seq - expected, why: "missing".into() };
                self.held.push_back(Event { seq: expected, at, kind: lost });
            }
            self.held.push_back(event);
            self.held.extend(note);
            return Ok(self.held.pop_front());
        }
    }

    /// Goes back to the beginning of a line that may not be the last word, if the file is being written. Returns
    /// whether it is not.
    fn wait(&mut self, begin: u64) -> io::Result<bool> {
        let is_final = !is_locked(self.file.get_ref());
        self.file.seek(SeekFrom::Start(begin))?;
        self.lines -= u64::from(self.bytes > begin);
        self.bytes = begin;
        if !is_final {
            self.state = State::Waiting;
        }
        Ok(is_final)
    }

    /// What stands for an event that does not read: one that counts it, and one with the reason.
    fn left_out(&self, misfit: Misfit) -> (Event, Option<Event>) {
        let seq = misfit.seq.or(self.expected).unwrap_or(0);
        let at = misfit.at.unwrap_or(self.at);
        let text = format!("line {}: {}: this event was left out", self.lines, misfit.why);
        let lost = Kind::Lost { events: 1, why: "damaged".into() };
        (Event { seq, at, kind: lost }, Some(Event { seq, at, kind: Kind::Diag { coro: 0, text } }))
    }

    fn cut(&mut self) -> Event {
        self.state = State::Cut;
        let kind = Kind::Lost { events: 0, why: "cut".into() };
        Event { seq: self.expected.unwrap_or(0), at: self.at, kind }
    }
}

impl Source for TraceReader {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress> {
        if self.state == State::Waiting {
            self.state = State::Open;
        }
        for _ in 0..limit {
            match self.next()? {
                Some(event) => sink(event),
                None => break,
            }
        }
        Ok(match self.state {
            _ if !self.held.is_empty() => Progress::More,
            State::Open => Progress::More,
            State::Waiting => Progress::Idle,
            State::Ended => Progress::Ended,
            State::Cut => Progress::Died,
        })
    }
}

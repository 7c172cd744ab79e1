//! Trace Event JSON: what `chrome://tracing` and Perfetto read.

use std::io::{self, Write};

use super::spans::{AWAY, Mark, Sink, Span, Track, What};
use crate::event::Header;
use crate::format::escaped_json;
use crate::model::Model;

/// The process all coroutines are shown in.
const COROUTINES: u32 = 1;
/// The process all threads are shown in.
const THREADS: u32 = 2;

pub(super) struct Chrome<'a> {
    out: &'a mut dyn Write,
    program: String,
    first: bool,
    threads_announced: bool,
}

impl<'a> Chrome<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Chrome<'a> {
        Chrome { out, program: String::new(), first: true, threads_announced: false }
    }

    /// One event: what is in the braces.
    fn event(&mut self, body: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.out.write_all(if std::mem::take(&mut self.first) { b"\n" } else { b",\n" })?;
        self.out.write_fmt(format_args!("{{{body}}}"))
    }

    fn process(&mut self, pid: u32, name: &str) -> io::Result<()> {
        let name = json(name);
        self.event(format_args!(r#""ph":"M","pid":{pid},"tid":0,"name":"process_name","args":{{"name":{name}}}"#))?;
        self.event(format_args!(
            r#""ph":"M","pid":{pid},"tid":0,"name":"process_sort_index","args":{{"sort_index":{pid}}}"#
        ))
    }
}

impl Sink for Chrome<'_> {
    fn begin(&mut self, header: &Header) -> io::Result<()> {
        self.program = format!("{} (pid {})", header.program, header.pid);
        let (program, started) = (json(&header.program), header.started);
        let other = format!(r#"{{"program":{program},"pid":{},"started_unix_ns":"{started}"}}"#, header.pid);
        write!(self.out, r#"{{"displayTimeUnit":"ns","otherData":{other},"traceEvents":["#)?;
        let name = self.program.clone();
        self.process(COROUTINES, &name)
    }

    fn track(&mut self, track: Track, name: &str) -> io::Result<()> {
        if matches!(track, Track::Thread(_)) && !std::mem::replace(&mut self.threads_announced, true) {
            let name = format!("threads of {}", self.program);
            self.process(THREADS, &name)?;
        }
        let ((pid, tid), name) = (ids(track), json(name));
        self.event(format_args!(r#""ph":"M","pid":{pid},"tid":{tid},"name":"thread_name","args":{{"name":{name}}}"#))?;
        self.event(format_args!(
            r#""ph":"M","pid":{pid},"tid":{tid},"name":"thread_sort_index","args":{{"sort_index":{tid}}}"#
        ))
    }

    fn span(&mut self, _: &Model, span: &Span<'_>) -> io::Result<()> {
        let (pid, tid) = ids(span.track);
        let (ts, dur) = (micros(span.from), micros(span.to.saturating_sub(span.from)));
        // Colours by names that the viewer reserves for what a thread does.
        let color = match span.kind {
            What::Run => "thread_state_running",
            What::Ready => "thread_state_runnable",
            What::Wait => "thread_state_sleeping",
        };
        let mut args = Vec::new();
        for (name, value) in [("at", &span.place), ("woken by", &span.by), (AWAY, &span.away())] {
            if !value.is_empty() {
                args.push(format!("{}:{}", json(name), json(value)));
            }
        }
        if let Some(outcome) = span.outcome {
            args.push(format!(r#""ended":{}"#, serde_json::to_string(&outcome)?));
        }
        let (name, kind, args) = (json(span.name), span.kind.word(), args.join(","));
        self.event(format_args!(
            r#""ph":"X","pid":{pid},"tid":{tid},"ts":{ts},"dur":{dur},"name":{name},"cat":"{kind}","cname":"{color}","args":{{{args}}}"#
        ))?;
        // An arrow binds to the slice around its time, which has to be there already: the begin of this one.
        if let Some(id) = span.flow_in {
            self.event(format_args!(
                r#""ph":"f","bp":"e","id":{id},"pid":{pid},"tid":{tid},"ts":{ts},"name":"wake","cat":"wake""#
            ))?;
        }
        for id in span.flows_out {
            self.event(format_args!(
                r#""ph":"s","id":{id},"pid":{pid},"tid":{tid},"ts":{ts},"name":"wake","cat":"wake""#
            ))?;
        }
        Ok(())
    }

    fn mark(&mut self, mark: &Mark<'_>) -> io::Result<()> {
        let (pid, tid) = ids(mark.track);
        let scope = if mark.track == Track::Program { "g" } else { "t" };
        let (ts, name, kind) = (micros(mark.at), json(mark.text), mark.kind);
        self.event(format_args!(
            r#""ph":"i","s":"{scope}","pid":{pid},"tid":{tid},"ts":{ts},"name":{name},"cat":"{kind}""#
        ))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")
    }
}

fn ids(track: Track) -> (u32, u64) {
    match track {
        Track::Program => (COROUTINES, 0),
        Track::Coro(id) => (COROUTINES, id),
        Track::Thread(id) => (THREADS, id),
    }
}

/// Microseconds, exact to the nanosecond.
fn micros(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}

fn json(text: &str) -> String {
    escaped_json(&serde_json::Value::from(text).to_string()).into_owned()
}

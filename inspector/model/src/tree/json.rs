//! The graph as JSON, one coroutine a line: lists and no nesting, so that any reader takes any depth.
//! docs/JSON.md has its keys.

use std::io;

use serde::Serialize;
use tinyio_events::event::{CoroId, LoopId, LoopMode, ResId, ResKind, State, Target, ThreadId};

use crate::describe;
use crate::format::escaped_json;
use crate::model::Model;

/// The number of the schema: larger when a key was removed or got another meaning.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Head<'a> {
    schema: u32,
    program: &'a str,
    pid: u32,
    started: u64,
    now: u64,
    events: u64,
    sure: bool,
}

#[derive(Serialize)]
struct Loop {
    #[serde(rename = "loop")]
    id: LoopId,
    parent: CoroId,
    mode: LoopMode,
    since: Option<u64>,
}

#[derive(Serialize)]
struct Coro<'a> {
    coro: CoroId,
    #[serde(rename = "loop")]
    in_loop: LoopId,
    parent: CoroId,
    name: &'a str,
    label: String,
    state: State,
    activity: &'static str,
    since: Option<u64>,
    site: String,
    /// Where it waits.
    place: String,
    waits: Vec<Wait>,
    holds: &'a [ResId],
}

#[derive(Serialize)]
struct Wait {
    on: Target,
    since: Option<u64>,
    site: String,
}

#[derive(Serialize)]
struct Resource {
    res: ResId,
    what: ResKind,
    size: u64,
    set: bool,
    holders: Vec<CoroId>,
    waiters: Vec<CoroId>,
    site: String,
}

#[derive(Serialize)]
struct Thread<'a> {
    thread: ThreadId,
    coro: CoroId,
    name: &'a str,
    queued: u64,
    started: Option<u64>,
    asked: Option<u64>,
}

pub(super) fn write(model: &Model, out: &mut dyn io::Write) -> io::Result<()> {
    let header = model.header();
    let site = |id| model.site(id).map_or(String::new(), |site| site.to_string());
    let head = Head {
        schema: SCHEMA,
        program: &header.program,
        pid: header.pid,
        started: header.started,
        now: model.now(),
        events: model.events(),
        sure: model.is_sure(),
    };
    let head = serde_json::to_string(&head)?;
    // The head's fields, and the lists after them in the same object.
    write!(out, "{},", escaped_json(head.trim_end_matches('}')))?;
    let loops = model.loops().filter(|one| one.ended.is_none());
    list(
        out,
        "loops",
        loops.map(|one| Loop { id: one.id, parent: one.parent, mode: one.mode, since: model.known(one.since) }),
    )?;
    out.write_all(b",")?;
    let coros = model.live().map(|coro| Coro {
        coro: coro.id,
        in_loop: coro.in_loop,
        parent: coro.parent,
        name: model.full_name(coro.id),
        label: model.label(coro.id),
        state: coro.state(),
        activity: coro.activity.words(),
        since: model.known(coro.since),
        site: site(coro.site),
        place: describe::place(model, coro),
        waits: coro
            .waits()
            .map(|(on, edge)| Wait { on, since: model.known(edge.since), site: site(edge.site) })
            .collect(),
        holds: &coro.holds,
    });
    list(out, "coroutines", coros)?;
    out.write_all(b",")?;
    let resources = model.resources().map(|one| Resource {
        res: one.id,
        what: one.what,
        size: one.size,
        set: one.set,
        holders: one.holders.iter().map(|holder| holder.coro).collect(),
        waiters: one.waiters.ids().collect(),
        site: site(one.site),
    });
    list(out, "resources", resources)?;
    out.write_all(b",")?;
    let threads = model.threads().map(|one| Thread {
        thread: one.id,
        coro: one.coro,
        name: model.name(one.name),
        queued: one.queued,
        started: one.started,
        asked: one.asked,
    });
    list(out, "threads", threads)?;
    out.write_all(b"}\n")
}

fn list<T: Serialize>(out: &mut dyn io::Write, name: &str, items: impl Iterator<Item = T>) -> io::Result<()> {
    write!(out, "\n\"{name}\":[")?;
    for (index, item) in items.enumerate() {
        out.write_all(if index == 0 { b"\n  " } else { b",\n  " })?;
        out.write_all(escaped_json(&serde_json::to_string(&item)?).as_bytes())?;
    }
    out.write_all(b"]")
}

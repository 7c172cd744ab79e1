//! The report as one JSON object: docs/JSON.md has its keys.

use std::io;

use serde::Serialize;
use tinyio_events::event::{CoroId, Failure, LoopId, State, Target};

use super::end;
use super::group::{Group, Section};
use super::{Ending, notes, stack};
use crate::format::escaped_json;
use crate::model::{Crash, Model};

/// The number of the schema: larger when a key was removed or got another meaning.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    /// The program's name.
    program: &'a str,
    /// Its process id.
    pid: u32,
    /// Wall clock at the start, in nanoseconds since 1970 (UTC).
    started: u64,
    /// Nanoseconds from there to the last event.
    now: u64,
    /// `crashed`, `cancelling`, `ended`, `died` or `running`.
    state: &'static str,
    /// The crash of the program, if there is one.
    crash: Option<Crashed<'a>>,
    /// Crashes of isolated loops, which the program has handled.
    handled: Vec<Crashed<'a>>,
    /// The live coroutines.
    alive: Vec<Alive<'a>>,
    /// What is missing, a sentence each.
    notes: Vec<String>,
    /// Events that are missing.
    missing_events: u64,
}

#[derive(Serialize)]
struct Crashed<'a> {
    at: u64,
    #[serde(rename = "loop")]
    in_loop: LoopId,
    /// Whether all have ended. Else they are being cancelled, and the original failure alone is known.
    is_over: bool,
    /// The original first; each with the stack that is known of it.
    failures: Vec<Failure>,
    /// Those beside the origin and its trace, alike ones as one.
    groups: Vec<Alike<'a>>,
}

#[derive(Serialize)]
struct Alike<'a> {
    section: &'static str,
    name: &'a str,
    count: usize,
    was_at: String,
    /// The first of them.
    first: CoroId,
}

#[derive(Serialize)]
struct Alive<'a> {
    coro: CoroId,
    name: &'a str,
    state: State,
    activity: &'static str,
    /// Nanoseconds since the start.
    since: Option<u64>,
    waits: Vec<Wait>,
}

#[derive(Serialize)]
struct Wait {
    on: Target,
    label: String,
    site: String,
    since: Option<u64>,
}

pub(super) fn write(model: &Model, ending: Ending, out: &mut dyn io::Write) -> io::Result<()> {
    let header = model.header();
    let own = model.crash();
    let handled = end::handled(model);
    let state = match ending {
        _ if own.is_some_and(|crash| crash.is_over) => "crashed",
        _ if model.is_complete() => "ended",
        Ending::Ended => "ended",
        Ending::Died => "died",
        Ending::Living if model.is_cancelling() => "cancelling",
        Ending::Living => "running",
    };
    let report = Report {
        schema: SCHEMA,
        program: &header.program,
        pid: header.pid,
        started: header.started,
        now: model.now(),
        state,
        crash: own.map(|crash| crashed(model, crash)),
        handled: handled.into_iter().map(|crash| crashed(model, crash)).collect(),
        alive: model.live().map(|coro| alive(model, coro)).collect(),
        notes: notes(model),
        missing_events: model.lost().events(),
    };
    writeln!(out, "{}", escaped_json(&serde_json::to_string_pretty(&report)?))
}

fn crashed<'a>(model: &'a Model, crash: &'a Crash) -> Crashed<'a> {
    let with_stack = |failure: &Failure| {
        let mut failure = failure.clone();
        if failure.stack.is_none() {
            failure.stack = stack::stack_of(model, &failure).cloned();
        }
        failure
    };
    let groups = Group::of(model, crash).into_iter().map(|group| Alike {
        section: match group.section {
            Section::Failed => "failed",
            Section::Improper => "improper",
            Section::Cancelled => "cancelled",
            Section::NeverStarted => "never_started",
        },
        name: &group.first().name,
        count: group.members.len(),
        first: group.first().coro,
        was_at: group.was_at,
    });
    Crashed {
        at: crash.at,
        in_loop: crash.in_loop,
        is_over: crash.is_over,
        failures: crash.failures.iter().map(with_stack).collect(),
        groups: groups.collect(),
    }
}

fn alive<'a>(model: &'a Model, coro: &crate::model::Coro) -> Alive<'a> {
    let waits = coro.waits().map(|(on, edge)| Wait {
        on,
        label: model.target_label(on),
        site: model.site(edge.site).map_or(String::new(), |site| site.to_string()),
        since: model.known(edge.since),
    });
    Alive {
        coro: coro.id,
        name: model.full_name(coro.id),
        state: coro.state(),
        activity: coro.activity.words(),
        since: model.known(coro.since),
        waits: waits.collect(),
    }
}

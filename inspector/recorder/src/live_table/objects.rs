//! The live objects besides coroutines: loops, resources and their holders, threads, recorded fields, and names.

use tinyio_events::event::{CoroId, FIELD, Kind, LoopId, LoopMode, NameId, ResId, ResKind, SiteId, Target, ThreadId};
use tinyio_events::{ring_words, truncate};

use super::Out;
use super::ids::Ids;
use crate::ring::records_for;

struct Loop {
    parent: CoroId,
    /// The time at which it got its name, and that.
    name: Option<(u64, NameId)>,
    mode: LoopMode,
    since: u64,
    parked: Option<(u64, Option<u64>)>,
    cancelling: Option<Cancelling>,
}

/// The cancellation of a loop as JSON, with its failure and without, and when it began.
struct Cancelling {
    at: u64,
    whole: Vec<u8>,
    short: Vec<u8>,
}

struct Res {
    what: ResKind,
    size: u64,
    site: SiteId,
    name: NameId,
    at: u64,
    set: Option<u64>,
}

struct Thread {
    coro: CoroId,
    name: NameId,
    site: SiteId,
    queued: u64,
    started: Option<u64>,
    asked: Option<u64>,
    noticed: Option<u64>,
}

struct Field {
    at: u64,
    target: String,
    names: Vec<String>,
    json: Vec<u8>,
}

/// Fields kept for one coroutine.
const FIELDS: usize = 64;

/// All of it.
#[derive(Default)]
pub(crate) struct Objects {
    loops: Ids<LoopId, Loop>,
    resources: Ids<ResId, Res>,
    holds: Ids<(ResId, CoroId), Vec<(SiteId, u64)>>,
    held: u64,
    threads: Ids<ThreadId, Thread>,
    fields: Ids<CoroId, Vec<Field>>,
    /// The names of coroutines, each with the time at which it was given.
    names: Ids<CoroId, (u64, NameId)>,
    /// Records that loops' reasons and the fields take.
    json_records: u64,
}

impl Objects {
    pub(crate) fn hold(&mut self, at: u64, res: ResId, coro: CoroId, site: SiteId) {
        self.holds.entry((res, coro)).or_default().push((site, at));
        self.held += 1;
    }

    pub(crate) fn release(&mut self, res: ResId, coro: CoroId) {
        if let Some(holds) = self.holds.get_mut(&(res, coro)) {
            self.held -= holds.pop().is_some() as u64;
            if holds.is_empty() {
                self.holds.remove(&(res, coro));
            }
        }
    }

    pub(crate) fn parked(&mut self, at: u64, id: LoopId, until: Option<u64>) {
        if let Some(one) = self.loops.get_mut(&id) {
            one.parked = Some((at, until));
        }
    }

    pub(crate) fn unparked(&mut self, id: LoopId) {
        if let Some(one) = self.loops.get_mut(&id) {
            one.parked = None;
        }
    }

    /// All kinds that have no way of their own.
    pub(crate) fn apply(&mut self, at: u64, kind: &Kind, json: &[u8], room: u64) {
        match *kind {
            Kind::LoopStart { id, parent, mode } => {
                self.loops.insert(id, Loop { parent, name: None, mode, since: at, parked: None, cancelling: None });
            }
            Kind::LoopEnd { id, .. } => {
                if let Some(Loop { cancelling: Some(cancelling), .. }) = self.loops.remove(&id) {
                    self.json_records -= records_for(cancelling.whole.len());
                }
            }
            Kind::CancelBegin { id, origin, ref reason, .. } => {
                if let Some(one) = self.loops.get_mut(&id) {
                    let without = Kind::CancelBegin { id, origin, reason: reason.clone(), failure: None };
                    let (short, _) = truncate::fit(&without, json.len());
                    let old = one.cancelling.replace(Cancelling { at, whole: json.to_vec(), short });
                    self.json_records += records_for(json.len());
                    self.json_records -= old.map_or(0, |old| records_for(old.whole.len()));
                }
            }
            Kind::Named { what: Target::Coro(coro), name } => _ = self.names.insert(coro, (at, name)),
            Kind::Named { what: Target::Loop(id), name } => {
                if let Some(one) = self.loops.get_mut(&id) {
                    one.name = Some((at, name));
                }
            }
            Kind::ResNew { res, what, size, site, name } => {
                self.resources.insert(res, Res { what, size, site, name, at, set: None });
            }
            Kind::Set { res, set } => {
                if let Some(one) = self.resources.get_mut(&res) {
                    one.set = set.then_some(at);
                }
            }
            Kind::ResDrop { res } => {
                self.resources.remove(&res);
            }
            Kind::ThreadQueue { thread, coro, name, site } => {
                let one = Thread { coro, name, site, queued: at, started: None, asked: None, noticed: None };
                self.threads.insert(thread, one);
            }
            Kind::ThreadStart { thread } => self.thread(thread, |one| one.started = Some(at)),
            Kind::ThreadCancel { thread } => self.thread(thread, |one| one.asked = Some(at)),
            Kind::ThreadNotice { thread } => self.thread(thread, |one| one.noticed = Some(at)),
            Kind::ThreadEnd { thread, .. } => {
                self.threads.remove(&thread);
            }
            Kind::Log { coro, ref level, ref target, ref fields, .. } if level == FIELD && coro != 0 => {
                let names = fields.iter().map(|(name, _)| name.clone()).collect();
                self.field(coro, Field { at, target: target.clone(), names, json: json.to_vec() }, room);
            }
            _ => {}
        }
    }

    /// The recorded fields of all that live, `span.name` and value.
    pub(crate) fn recorded_fields(&self) -> impl Iterator<Item = (CoroId, Vec<(String, String)>)> {
        self.fields.keys().map(|coro| (*coro, self.recorded_fields_of(*coro)))
    }

    /// The recorded fields of one.
    pub(crate) fn recorded_fields_of(&self, coro: CoroId) -> Vec<(String, String)> {
        let fields = self.fields.get(&coro).into_iter().flatten();
        let kinds = fields.filter_map(|field| serde_json::from_slice::<Kind>(&field.json).ok());
        kinds.flat_map(|kind| kind.recorded_fields().collect::<Vec<_>>()).collect()
    }

    /// The names that the program gave to this coroutine, or to all.
    pub(crate) fn given_names(&self, only: Option<CoroId>) -> impl Iterator<Item = (CoroId, NameId)> {
        let asked = move |coro: &CoroId| only.is_none_or(|only| only == *coro);
        self.names.iter().filter(move |(coro, _)| asked(coro)).map(|(coro, (_, name))| (*coro, *name))
    }

    fn thread(&mut self, thread: ThreadId, change: impl FnOnce(&mut Thread)) {
        if let Some(one) = self.threads.get_mut(&thread) {
            change(one);
        }
    }

    /// Keeps the newest value of each field, in a part of the ring that leaves room for the rest.
    fn field(&mut self, coro: CoroId, field: Field, room: u64) {
        let need = records_for(field.json.len());
        if self.json_records + need > room {
            return;
        }
        let fields = self.fields.entry(coro).or_default();
        if let Some(old) = fields.iter_mut().find(|old| old.target == field.target && old.names == field.names) {
            self.json_records -= records_for(old.json.len());
            *old = field;
        } else if fields.len() < FIELDS {
            fields.push(field);
        } else {
            return;
        }
        self.json_records += need;
    }

    /// Whether there are fields or names of coroutines.
    #[inline(always)]
    pub(super) fn has_fields_or_names(&self) -> bool {
        !self.fields.is_empty() || !self.names.is_empty()
    }

    /// A coroutine has ended, and its fields and name with it.
    pub(super) fn ended(&mut self, coro: CoroId) {
        self.names.remove(&coro);
        for field in self.fields.remove(&coro).unwrap_or_default() {
            self.json_records -= records_for(field.json.len());
        }
    }

    /// Records that a checkpoint of it takes at most.
    pub(super) fn records(&self) -> u64 {
        4 * self.loops.len() as u64
            + self.names.len() as u64
            + 2 * self.resources.len() as u64
            + self.held
            + 4 * self.threads.len() as u64
            + self.json_records
    }

    /// Writes what coroutines may refer to; gives how much was left out.
    pub(super) fn write_before(&self, at: u64, whole: bool, out: &mut impl Out) -> u64 {
        let mut left_out = 0;
        let mut count = |written: bool| left_out += !written as u64;
        for (&id, one) in &self.loops {
            count(out.record(ring_words::loop_state(at, id, one.parent, one.mode, one.since)));
            if let Some((at, name)) = one.name {
                count(out.record(ring_words::named(at, Target::Loop(id), name)));
            }
            if let Some(Cancelling { at, whole: with_failure, short }) = &one.cancelling {
                count(out.json(*at, if whole { with_failure } else { short }));
            }
            if let Some((at, until)) = one.parked {
                count(ring_words::encode(at, &Kind::Park { id, until }).is_some_and(|words| out.record(words)));
            }
        }
        // When not all fits, resources and threads get a quarter each at most, so that no kind pushes out all others.
        let all = out.room();
        for (&res, one) in &self.resources {
            let made = Kind::ResNew { res, what: one.what, size: one.size, site: one.site, name: one.name };
            let room = whole || out.room() > all / 4 * 3;
            count(room && ring_words::encode(one.at, &made).is_some_and(|words| out.record(words)));
            if let Some(at) = one.set {
                count(room && out.record(ring_words::set(at, res, true)));
            }
        }
        for (&thread, one) in &self.threads {
            let queued = Kind::ThreadQueue { thread, coro: one.coro, name: one.name, site: one.site };
            let room = whole || out.room() > all / 2;
            count(room && ring_words::encode(one.queued, &queued).is_some_and(|words| out.record(words)));
            let more = [
                one.started.map(|at| ring_words::thread_start(at, thread)),
                one.asked.map(|at| ring_words::thread_cancel(at, thread)),
                one.noticed.map(|at| ring_words::thread_notice(at, thread)),
            ];
            for words in more.into_iter().flatten() {
                count(room && out.record(words));
            }
        }
        left_out
    }

    /// Writes what refers to coroutines; gives how much was left out.
    pub(super) fn write_after(&self, out: &mut impl Out) -> u64 {
        let mut left_out = 0;
        for (&coro, &(at, name)) in &self.names {
            left_out += !out.record(ring_words::named(at, Target::Coro(coro), name)) as u64;
        }
        // In the order taken.
        let mut holds: Vec<_> = (self.holds.iter())
            .flat_map(|(&(res, coro), holds)| holds.iter().map(move |&(site, at)| (at, res, coro, site)))
            .collect();
        holds.sort_unstable();
        for (at, res, coro, site) in holds {
            left_out += !out.record(ring_words::hold(at, res, coro, site)) as u64;
        }
        for field in self.fields.values().flatten() {
            left_out += !out.json(field.at, &field.json) as u64;
        }
        left_out
    }
}

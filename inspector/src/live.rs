//! What lives, as the recorder knows it: what checkpoints are written from.
//!
//! Coroutines lie in a table by slot, one cache line each. Nearly all wait on one thing, which is in that line; those that wait on more
//! have lists of their own. Nothing here takes longer than a few stores, counted over a run: edges on a coroutine that ended are
//! not looked for when it ends (a million may wait on it) but left behind, and swept out when enough has ended to pay for it.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::event::{CoroId, FIELD, Kind, LoopId, LoopMode, NameId, ResId, ResKind, SiteId, Target, ThreadId};
use crate::record::{self, Small, Step, Words, code};
use crate::ring::records_for;

/// No slot: the coroutine awaited is none of this recorder's.
pub const NO_SLOT: u32 = u32::MAX;

/// A hash for ids, which count up.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(*byte as u64);
        }
    }

    fn write_u8(&mut self, id: u8) {
        self.write_u64(id as u64);
    }

    fn write_u32(&mut self, id: u32) {
        self.write_u64(id as u64);
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0.wrapping_add(id)).wrapping_mul(0xf135_7aea_2e62_a9c5);
    }

    fn write_usize(&mut self, id: usize) {
        self.write_u64(id as u64);
    }
}

pub(crate) type Ids<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

// State of a coroutine, the low bits of `Slot::bits`.
const READY: u32 = 0;
const RUNNING: u32 = 1;
const WAITING: u32 = 2;
/// Running, and woken meanwhile: ready when the step ends.
const WOKEN: u32 = 3;
const STATE: u32 = 3;
/// Its cancellation has been delivered.
const TOLD: u32 = 4;
/// Where the tag of its edge is. 0: no edge; 1 to 7: that of a target; and these:
const EDGE: u32 = 8;
const MANY: u8 = 8;
/// A coroutine of another recorder, of whose end nothing is heard.
const FAR: u8 = 9;

#[derive(Clone, Copy, Default)]
struct Slot {
    /// 0: free.
    coro: CoroId,
    since: u64,
    bits: u32,
    edge_site: SiteId,
    /// What the edge is on, or which of `Live::many`.
    edge: u64,
    edge_since: u64,
    /// Slot of the coroutine the edge is on.
    edge_slot: u32,
    in_loop: LoopId,
    parent: CoroId,
    name: NameId,
    site: SiteId,
}

impl Slot {
    #[inline(always)]
    fn tag(&self) -> u8 {
        (self.bits >> EDGE) as u8
    }

    #[inline(always)]
    fn set_tag(&mut self, tag: u8) {
        self.bits = self.bits & ((1 << EDGE) - 1) | (tag as u32) << EDGE;
    }

    #[inline(always)]
    fn set_state(&mut self, state: u32, since: u64) {
        self.bits = self.bits & !STATE | state;
        self.since = since;
    }
}

#[derive(Clone, Copy)]
struct Edge {
    value: u64,
    since: u64,
    slot: u32,
    site: SiteId,
    /// Counts the edges of a list.
    serial: u32,
    tag: u8,
}

/// Edges of one coroutine.
#[derive(Default)]
struct Edges {
    list: Vec<Edge>,
    /// Edges that were cleared, lazily: those with a serial below this are gone.
    gone: Ids<(u8, u64), u32>,
    /// Serial of the next edge.
    next: u32,
    /// The highest id so far: what is above it is no duplicate, and coroutines are mostly awaited in the order they were made.
    highest: u64,
    repeated: bool,
    /// Length at which to look for duplicates and the dead.
    sweep: usize,
    /// How many coroutines had ended by the last sweep.
    swept: u64,
    /// No edge before this stands: what is awaited in order mostly ends in order, too.
    front: Cell<usize>,
}

impl Edges {
    fn stands(&self, edge: &Edge, slots: &[Slot]) -> bool {
        let alive = edge.tag != 1 || slots.get(edge.slot as usize).is_some_and(|slot| slot.coro == edge.value);
        alive
            && (self.gone.is_empty()
                || self.gone.get(&(edge.tag, edge.value)).is_none_or(|serial| edge.serial >= *serial))
    }

    fn push(&mut self, mut edge: Edge, slots: &[Slot], ended: u64) {
        if self.list.len() >= self.sweep {
            if self.repeated || ended - self.swept > self.list.len() as u64 / 4 || self.next > u32::MAX / 2 {
                self.sweep(slots, ended);
            }
            self.sweep = 64 + 2 * self.list.len();
        }
        self.repeated |= edge.value <= self.highest;
        self.highest = self.highest.max(edge.value);
        edge.serial = self.next;
        self.next += 1;
        self.list.push(edge);
    }

    fn remove(&mut self, tag: u8, value: u64, slots: &[Slot], ended: u64) {
        if self.list.len() <= 8 {
            self.list.retain(|edge| (edge.tag, edge.value) != (tag, value));
            self.front.set(0);
            return;
        }
        self.gone.insert((tag, value), self.next);
        if self.gone.len() > 32 + self.list.len() / 2 {
            self.sweep(slots, ended);
        }
    }

    fn sweep(&mut self, slots: &[Slot], ended: u64) {
        let mut list = std::mem::take(&mut self.list);
        list.retain(|edge| self.stands(edge, slots));
        if self.repeated {
            let mut seen: Ids<(u8, u64), ()> = HashMap::default();
            list.retain(|edge| seen.insert((edge.tag, edge.value), ()).is_none());
        }
        if list.capacity() > 64 + 4 * list.len() {
            list.shrink_to(2 * list.len());
        }
        list.iter_mut().zip(0..).for_each(|(edge, serial)| edge.serial = serial);
        self.next = list.len() as u32;
        self.list = list;
        self.gone = HashMap::default();
        self.repeated = false;
        self.front.set(0);
        self.swept = ended;
    }
}

#[derive(Default)]
struct Many {
    /// On coroutines: they stay until those have ended.
    near: Edges,
    /// On all else: they go when the next step begins.
    rest: Edges,
}

struct Loop {
    parent: CoroId,
    mode: LoopMode,
    since: u64,
    parked: Option<(u64, Option<u64>)>,
    cancelling: Option<(u64, Vec<u8>)>,
}

struct Res {
    what: ResKind,
    size: u64,
    site: SiteId,
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

/// Everything alive.
#[derive(Default)]
pub(crate) struct Live {
    slots: Vec<Slot>,
    /// A bit for each slot in use: what was a million coroutines once is walked over quickly.
    used: Vec<u64>,
    coros: u64,
    told: u64,
    many: Vec<Many>,
    many_free: Vec<u32>,
    /// Edges in `many`, those gone but not swept included.
    many_edges: u64,
    /// Coroutines that have ended, and how many had by the last sweep of all lists.
    ended: u64,
    swept: u64,
    loops: Ids<LoopId, Loop>,
    resources: Ids<ResId, Res>,
    holds: Ids<(ResId, CoroId), Vec<(SiteId, u64)>>,
    held: u64,
    threads: Ids<ThreadId, Thread>,
    fields: Ids<CoroId, Vec<Field>>,
    /// Records that loops' reasons and the fields take.
    json_records: u64,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("coros", &self.coros).field("records", &self.records()).finish_non_exhaustive()
    }
}

/// Where a checkpoint is written to. `false`: there is no room for it.
pub(crate) trait Out {
    fn record(&mut self, words: Words) -> bool;
    fn json(&mut self, at: u64, json: &[u8]) -> bool;
    /// Records there is room for.
    fn room(&self) -> u64;
}

impl Live {
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the fields of the event, on the hottest path there is")]
    pub(crate) fn spawn(
        &mut self,
        at: u64,
        slot: u32,
        coro: CoroId,
        in_loop: LoopId,
        parent: CoroId,
        name: NameId,
        site: SiteId,
    ) {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.grow(index);
        }
        let bits = READY;
        self.coros += (self.slots[index].coro == 0) as u64;
        self.used[index / 64] |= 1 << (index % 64);
        self.slots[index] = Slot {
            coro,
            since: at,
            bits,
            edge_site: 0,
            edge: 0,
            edge_since: 0,
            edge_slot: 0,
            in_loop,
            parent,
            name,
            site,
        };
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, index: usize) {
        self.slots.resize((index + 1).next_power_of_two().max(64), Slot::default());
        self.used.resize(self.slots.len() / 64, 0);
    }

    /// The slots in use, with their numbers.
    fn in_use(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.used.iter().enumerate().flat_map(move |(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits.checked_sub(1)?;
                Some((index, &self.slots[index]))
            })
        })
    }

    #[inline(always)]
    fn slot(&mut self, slot: u32, coro: CoroId) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize).filter(|slot| slot.coro == coro)
    }

    #[inline(always)]
    pub(crate) fn wait(&mut self, at: u64, slot: u32, coro: CoroId, on: Target, on_slot: u32, site: SiteId) {
        let (mut tag, value) = record::target(on);
        if tag == 1 && on_slot == NO_SLOT {
            tag = FAR;
        }
        let Some(one) = self.slot(slot, coro) else { return };
        if one.tag() == 0 {
            one.set_tag(tag);
            (one.edge, one.edge_since, one.edge_slot, one.edge_site) = (value, at, on_slot, site);
        } else {
            self.wait_more(slot, Edge { value, since: at, serial: 0, slot: on_slot, site, tag });
        }
    }

    #[inline(never)]
    fn wait_more(&mut self, slot: u32, edge: Edge) {
        let one = self.slots[slot as usize];
        let tag = one.tag();
        if tag == edge.tag && one.edge == edge.value {
            return;
        }
        let index = if tag == MANY {
            one.edge as usize
        } else {
            let index = self.many_free.pop().map_or(self.many.len(), |index| index as usize);
            if index == self.many.len() {
                self.many.push(Many::default());
            }
            let first = Edge {
                value: one.edge,
                since: one.edge_since,
                serial: 0,
                slot: one.edge_slot,
                site: one.edge_site,
                tag,
            };
            self.slots[slot as usize].edge = index as u64;
            self.slots[slot as usize].set_tag(MANY);
            self.push(index, first);
            index
        };
        self.push(index, edge);
    }

    fn push(&mut self, many: usize, edge: Edge) {
        let many = &mut self.many[many];
        let edges = if edge.tag == 1 { &mut many.near } else { &mut many.rest };
        self.many_edges -= edges.list.len() as u64;
        edges.push(edge, &self.slots, self.ended);
        self.many_edges += edges.list.len() as u64;
    }

    #[inline]
    pub(crate) fn clear(&mut self, slot: u32, coro: CoroId, on: Target) {
        let (tag, value) = record::target(on);
        let Some(one) = self.slot(slot, coro) else { return };
        match one.tag() {
            0 => {}
            MANY => {
                let index = one.edge as usize;
                for (tag, near) in [(tag, tag == 1), (FAR, false)].into_iter().take(1 + (tag == 1) as usize) {
                    let many = &mut self.many[index];
                    let edges = if near { &mut many.near } else { &mut many.rest };
                    self.many_edges -= edges.list.len() as u64;
                    edges.remove(tag, value, &self.slots, self.ended);
                    self.many_edges += edges.list.len() as u64;
                }
            }
            edge if one.edge == value && (edge == tag || edge == FAR && tag == 1) => one.set_tag(0),
            _ => {}
        }
    }

    #[inline(always)]
    pub(crate) fn wake(&mut self, at: u64, slot: u32, coro: CoroId) {
        let Some(one) = self.slot(slot, coro) else { return };
        match one.bits & STATE {
            WAITING => one.set_state(READY, at),
            RUNNING => one.bits |= WOKEN,
            _ => {}
        }
    }

    #[inline(always)]
    pub(crate) fn step_begin(&mut self, at: u64, slot: u32, coro: CoroId) {
        let Some(one) = self.slot(slot, coro) else { return };
        one.set_state(RUNNING, at);
        match one.tag() {
            // One on a coroutine stays until that has ended, which is looked up when it matters.
            0 | 1 => {}
            MANY => {
                let index = one.edge as usize;
                self.drop_rest(slot, index);
            }
            _ => one.set_tag(0),
        }
    }

    #[inline(never)]
    fn drop_rest(&mut self, slot: u32, index: usize) {
        let many = &mut self.many[index];
        self.many_edges -= many.rest.list.len() as u64;
        many.rest.list.clear();
        many.rest.front.set(0);
        many.rest.gone.clear();
        if many.near.list.is_empty() {
            self.slots[slot as usize].set_tag(0);
            self.free_many(index);
        }
    }

    fn free_many(&mut self, index: usize) {
        let many = std::mem::take(&mut self.many[index]);
        self.many_edges -= (many.near.list.len() + many.rest.list.len()) as u64;
        self.many_free.push(index as u32);
    }

    #[inline(always)]
    pub(crate) fn step_end(&mut self, at: u64, slot: u32, coro: CoroId) {
        let Some(one) = self.slot(slot, coro) else { return };
        let state = if one.bits & STATE == WOKEN { READY } else { WAITING };
        one.set_state(state, at);
    }

    #[inline(always)]
    pub(crate) fn end(&mut self, slot: u32, coro: CoroId) {
        let Some(one) = self.slot(slot, coro) else { return };
        one.coro = 0;
        let (bits, edge) = (one.bits, one.edge);
        self.used[slot as usize / 64] &= !(1 << (slot % 64));
        self.coros -= 1;
        self.ended += 1;
        if bits & TOLD != 0 || (bits >> EDGE) as u8 == MANY || !self.fields.is_empty() {
            self.end_more(coro, bits, edge);
        }
    }

    #[inline(never)]
    fn end_more(&mut self, coro: CoroId, bits: u32, edge: u64) {
        self.told -= (bits & TOLD != 0) as u64;
        if (bits >> EDGE) as u8 == MANY {
            self.free_many(edge as usize);
        }
        for field in self.fields.remove(&coro).unwrap_or_default() {
            self.json_records -= records_for(field.json.len());
        }
    }

    /// All that [`Step`] stands for.
    #[inline(always)]
    pub(crate) fn step(&mut self, at: u64, step: &Step) {
        if step.has & Step::TURN != 0 {
            self.wait(at, step.slot, step.coro, Target::Turn, NO_SLOT, step.site);
        }
        if step.has & Step::END != 0 {
            self.end(step.slot, step.coro);
        } else if let Some(one) = self.slot(step.slot, step.coro) {
            let woken = one.bits & STATE == WOKEN || step.has & Step::OWN != 0;
            one.set_state(if woken { READY } else { WAITING }, at);
        }
        if step.has & Step::WAKES != 0 {
            self.wake(at, step.next_slot, step.next);
        }
        if step.has & Step::BEGINS != 0 {
            self.step_begin(at, step.next_slot, step.next);
        }
    }

    pub(crate) fn told(&mut self, slot: u32, coro: CoroId) {
        let Some(one) = self.slot(slot, coro) else { return };
        if one.bits & TOLD == 0 {
            one.bits |= TOLD;
            self.told += 1;
        }
    }

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
                self.loops.insert(id, Loop { parent, mode, since: at, parked: None, cancelling: None });
            }
            Kind::LoopEnd { id, .. } => {
                if let Some(Loop { cancelling: Some((_, json)), .. }) = self.loops.remove(&id) {
                    self.json_records -= records_for(json.len());
                }
            }
            Kind::CancelBegin { id, .. } => {
                if let Some(one) = self.loops.get_mut(&id) {
                    let old = one.cancelling.replace((at, json.to_vec()));
                    self.json_records += records_for(json.len());
                    self.json_records -= old.map_or(0, |(_, json)| records_for(json.len()));
                }
            }
            Kind::ResNew { res, what, size, site } => {
                self.resources.insert(res, Res { what, size, site, at, set: None });
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

    /// Records a checkpoint of everything takes at most.
    pub(crate) fn records(&self) -> u64 {
        2 + 3 * self.loops.len() as u64
            + 2 * self.coros
            + self.many_edges
            + self.told
            + 2 * self.resources.len() as u64
            + self.held
            + 4 * self.threads.len() as u64
            + self.json_records
    }

    /// Forgets edges on what has ended, if so much has that it is worth while.
    pub(crate) fn sweep(&mut self) {
        if self.many_edges <= 64 || self.ended - self.swept < self.many_edges / 2 {
            return;
        }
        self.many_edges = 0;
        for many in &mut self.many {
            for edges in [&mut many.near, &mut many.rest] {
                edges.sweep(&self.slots, self.ended);
                self.many_edges += edges.list.len() as u64;
            }
        }
        self.swept = self.ended;
    }

    /// Writes everything, as far as there is room; `whole` says that there is room for all. Gives the coroutines written, and how
    /// many things were left out.
    pub(crate) fn write(&self, at: u64, whole: bool, out: &mut impl Out) -> (u64, u64) {
        let mut left_out = 0;
        let mut count = |written: bool| left_out += !written as u64;
        for (&id, one) in &self.loops {
            let words =
                [record::head(at, code::LOOP_STATE), one.parent << 8 | one.mode.byte() as u64, id as u64, one.since];
            count(out.record(words));
            if let Some((at, json)) = &one.cancelling {
                count(out.json(*at, json));
            }
            if let Some((at, until)) = one.parked {
                count(record::encode(at, &Kind::Park { id, until }).is_some_and(|words| out.record(words)));
            }
        }
        // When not all fits, resources and threads get a quarter each at most, so that no kind pushes out all others.
        let all = out.room();
        for (&res, one) in &self.resources {
            let made = Kind::ResNew { res, what: one.what, size: one.size, site: one.site };
            let room = whole || out.room() > all / 4 * 3;
            count(room && record::encode(one.at, &made).is_some_and(|words| out.record(words)));
            if let Some(at) = one.set {
                count(room && out.record(record::plain(at, code::SET, res, 1, 0)));
            }
        }
        for (&thread, one) in &self.threads {
            let queued = Kind::ThreadQueue { thread, coro: one.coro, name: one.name, site: one.site };
            let room = whole || out.room() > all / 2;
            count(room && record::encode(one.queued, &queued).is_some_and(|words| out.record(words)));
            let more = [
                (one.started, code::THREAD_START),
                (one.asked, code::THREAD_CANCEL),
                (one.noticed, code::THREAD_NOTICE),
            ];
            for (at, code) in more {
                if let Some(at) = at {
                    count(room && out.record(record::plain(at, code, thread, 0, 0)));
                }
            }
        }

        // Coroutines first, then their edges, so that no edge is on one that is not known yet. Half of what is left is for each.
        let stop = if whole { 0 } else { out.room() / 2 };
        let mut end = self.slots.len();
        let mut coros = 0;
        for (index, slot) in self.in_use() {
            if out.room() <= stop + 1 && !whole {
                end = index;
                break;
            }
            let code = match slot.bits & STATE {
                READY => code::CORO_READY,
                WAITING => code::CORO_WAITING,
                _ => code::CORO_RUNNING,
            };
            let [a, b, c] = record::coro_words(slot.coro, slot.in_loop, slot.parent, slot.name, slot.site);
            out.record([record::head(slot.since, code), a, b, c]);
            coros += 1;
            if slot.bits & STATE == WOKEN {
                // Who did it is in the past.
                out.record(record::wake(at, slot.coro, crate::event::Waker::External));
            }
            if slot.bits & TOLD != 0 {
                out.record(record::plain(at, code::CANCEL_DELIVER, slot.coro, 0, 0));
            }
        }
        left_out += self.coros - coros;
        // An edge on a coroutine that was left out goes with it.
        let known = |tag: u8, slot: u32| tag != 1 || (slot as usize) < end;
        for (_, slot) in self.in_use().take_while(|(index, _)| *index < end) {
            match slot.tag() {
                0 => {}
                MANY => {
                    let many = &self.many[slot.edge as usize];
                    for edges in [&many.near, &many.rest] {
                        let first = (edges.front.get()..edges.list.len())
                            .find(|at| edges.stands(&edges.list[*at], &self.slots));
                        let first = first.unwrap_or(edges.list.len());
                        edges.front.set(first);
                        // Where not all fits anyway, a look at some is enough: there may be millions.
                        let look = if whole { usize::MAX } else { 4 * out.room() as usize };
                        for (at, edge) in edges.list[first..].iter().enumerate() {
                            if out.room() == 0 || at >= look {
                                left_out += (edges.list.len() - first - at) as u64;
                                break;
                            }
                            if known(edge.tag, edge.slot) && edges.stands(edge, &self.slots) {
                                out.record(edge_words(slot.coro, edge.tag, edge.value, edge.since, edge.site));
                            }
                        }
                    }
                }
                1 if self.slots.get(slot.edge_slot as usize).is_none_or(|other| other.coro != slot.edge) => {}
                tag => {
                    let words = edge_words(slot.coro, tag, slot.edge, slot.edge_since, slot.edge_site);
                    left_out += (known(tag, slot.edge_slot) && !out.record(words)) as u64;
                }
            }
        }
        // In the order taken.
        let mut holds: Vec<_> = (self.holds.iter())
            .flat_map(|(&(res, coro), holds)| holds.iter().map(move |&(site, at)| (at, res, coro, site)))
            .collect();
        holds.sort_unstable();
        for (at, res, coro, site) in holds {
            left_out += !out.record(record::hold(at, res, coro, site)) as u64;
        }
        for field in self.fields.values().flatten() {
            left_out += !out.json(field.at, &field.json) as u64;
        }
        (coros, left_out)
    }
}

fn edge_words(coro: CoroId, tag: u8, value: u64, since: u64, site: SiteId) -> Words {
    let tag = if tag == FAR { 1 } else { tag };
    [record::head(since, code::WAIT), coro << 8 | tag as u64, value, site as u64]
}

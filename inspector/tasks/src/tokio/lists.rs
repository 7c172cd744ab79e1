//! The lists of all tasks of a runtime: each scheduler has one, or several with a lock each.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tinyio_frames::{Frames, TypeRef};

use super::kinds::{Kinds, Layout};
use super::scan::{Hit, at};
use crate::kinds::word;

const OWNED: &str = "tokio::runtime::task::list::OwnedTasks";
const LOCAL: &str = "tokio::runtime::task::list::LocalOwnedTasks";
const SHARDED: &str = "tokio::util::sharded_list::ShardedList";
const LINKED: &str = "tokio::util::linked_list::LinkedList";
/// More lists, or more tasks in one, than a runtime can have.
const MOST_LISTS: u64 = 1 << 16;
const MOST_TASKS: usize = 1 << 24;

/// The list of a scheduler.
#[derive(Debug)]
pub struct List {
    /// `multi_thread`, `current_thread` or `local_set`.
    pub flavor: &'static str,
    /// Its number, which its tasks have as their owner.
    pub id: u64,
    /// All its tasks; some of them, if the program was about to change the list.
    pub tasks: Vec<Hit>,
    /// The program was not about to change it.
    pub is_whole: bool,
}

/// Where in a scheduler its list is.
struct Shape {
    flavor: &'static str,
    /// The list of lists, or else the one list.
    place: Place,
    /// The number.
    id: u64,
    /// References to the scheduler.
    strong: u64,
}

enum Place {
    /// One, without a lock of its own or with one: its offset.
    One { at: u64, lock: Option<Lock>, list: Ends },
    /// A slice: where its pointer and its length are, bytes of an element, and what is in it.
    Many { pointer: u64, length: u64, size: u64, at: u64, lock: Option<Lock>, list: Ends },
}

/// Where a list has its first and last task.
#[derive(Clone, Copy)]
struct Ends {
    head: u64,
    tail: u64,
}

/// Where a lock has the word that says whether it is locked.
#[derive(Clone, Copy)]
struct Lock {
    at: u64,
    mask: u64,
}

impl List {
    /// The lists that these tasks refer to, by number, and the types of schedulers for which the layout is not known.
    pub fn all(kinds: &Kinds, frames: &mut Frames, hits: &[Hit]) -> (Vec<List>, BTreeSet<String>) {
        let (mut found, mut unknown) = (Vec::new(), BTreeSet::new());
        let Some(layout) = &kinds.layout else { return (found, unknown) };
        // Several kinds have one scheduler. Each names its type as its own unit describes it: not all of them wholly.
        let mut schedulers: BTreeMap<u64, (BTreeSet<TypeRef>, HashSet<u64>)> = BTreeMap::new();
        for hit in hits {
            let kind = &kinds.all[hit.vtable.kind];
            let scheduler = frames.word(hit.header.wrapping_add(hit.vtable.offsets.scheduler)).unwrap_or(0);
            if !kind.own.is_blocking && scheduler != 0 && hit.owner != 0 {
                let known = schedulers.entry(scheduler).or_default();
                known.0.insert(kind.own.scheduler);
                known.1.insert(hit.owner);
            }
        }
        let mut shapes: HashMap<TypeRef, Option<Shape>> = HashMap::new();
        for (address, (types, owners)) in schedulers {
            for ty in &types {
                shapes.entry(*ty).or_insert_with(|| shape(frames, *ty));
            }
            let Some(shape) = types.iter().find_map(|ty| shapes[ty].as_ref()) else {
                unknown.extend(types.iter().map(|ty| frames.type_name(*ty)));
                continue;
            };
            let value = |offset: u64| frames.word(address.wrapping_add(offset));
            // Memory of one that is gone may still be there.
            let Some(id) = value(shape.id).filter(|id| owners.contains(id)) else { continue };
            if value(shape.strong).is_none_or(|strong| strong == 0 || strong > 1 << 32) {
                continue;
            }
            let mut tasks = Vec::new();
            let is_whole = walk_all(kinds, layout, frames, address, shape, id, &mut tasks).is_some();
            found.push(List { flavor: shape.flavor, id, tasks, is_whole });
        }
        found.sort_by_key(|list| list.id);
        (found, unknown)
    }
}

/// Where the list is in a scheduler that is an `Arc` of something.
fn shape(frames: &mut Frames, scheduler: TypeRef) -> Option<Shape> {
    let inner = frames.pointee(scheduler)?;
    let strong = frames.member(inner, "strong")?.1;
    let (owned, at) = frames.inside(inner, OWNED).or_else(|| frames.inside(inner, LOCAL))?;
    let id = at + frames.member(owned, "id")?.1;
    let name = frames.type_name(scheduler);
    let flavor = match () {
        () if name.contains("::multi_thread") => "multi_thread",
        () if name.contains("::current_thread") => "current_thread",
        () if name.contains("::local::") => "local_set",
        () => return None,
    };
    let place = match frames.inside(owned, SHARDED) {
        Some((sharded, within)) => {
            let (slice, offset) = frames.member(sharded, "lists")?;
            let base = at + within + offset;
            let (element, pointer) = frames.member(slice, "data_ptr")?;
            let (_, length) = frames.member(slice, "length")?;
            let element = frames.pointee(element)?;
            let (linked, list_at) = frames.inside(element, LINKED)?;
            let size = frames.size(element)?;
            let lock = lock(frames, element);
            let list = ends(frames, linked)?;
            Place::Many { pointer: base + pointer, length: base + length, size, at: list_at, lock, list }
        }
        None => {
            let (linked, within) = frames.inside(owned, LINKED)?;
            let lock = lock(frames, owned).map(|lock| Lock { at: at + lock.at, ..lock });
            Place::One { at: at + within, lock, list: ends(frames, linked)? }
        }
    };
    Some(Shape { flavor, place, id, strong })
}

fn ends(frames: &mut Frames, linked: TypeRef) -> Option<Ends> {
    Some(Ends { head: word(frames, linked, "head")?, tail: word(frames, linked, "tail")? })
}

/// The lock around a list.
fn lock(frames: &mut Frames, ty: TypeRef) -> Option<Lock> {
    if let Some((_, at)) = frames.inside(ty, "std::sys::sync::mutex::futex::Mutex") {
        return Some(Lock { at, mask: 0xffff_ffff });
    }
    frames.inside(ty, "parking_lot::raw_mutex::RawMutex").map(|(_, at)| Lock { at, mask: 1 })
}

/// Finds the tasks of a scheduler; `None` if a list is not whole.
fn walk_all(
    kinds: &Kinds,
    layout: &Layout,
    frames: &Frames,
    scheduler: u64,
    shape: &Shape,
    owner: u64,
    found: &mut Vec<Hit>,
) -> Option<()> {
    let mut one = |base: u64, at: u64, lock: Option<Lock>, ends: Ends| {
        let is_locked = lock.map(|lock| Some(number(frames, base.wrapping_add(lock.at), lock.mask)? != 0));
        walk(kinds, layout, frames, base.wrapping_add(at), ends, owner, found)?;
        (is_locked != Some(Some(true))).then_some(())
    };
    match shape.place {
        Place::One { at, lock, list } => one(scheduler, at, lock, list),
        Place::Many { pointer, length, size, at, lock, list } => {
            let first = frames.word(scheduler.wrapping_add(pointer))?;
            let length = frames.word(scheduler.wrapping_add(length)).filter(|length| *length <= MOST_LISTS)?;
            // What one of them lacks is not a reason to leave the others out.
            let mut is_whole = true;
            for index in 0..length {
                is_whole &= one(first.wrapping_add(index * size), at, lock, list).is_some();
            }
            is_whole.then_some(())
        }
    }
}

/// Four bytes, as far as a mask says.
fn number(frames: &Frames, address: u64, mask: u64) -> Option<u64> {
    let bytes = frames.bytes(address, if mask > 0xff { 4 } else { 1 })?;
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(&bytes);
    Some(u64::from_le_bytes(wide) & mask)
}

/// Follows a list from its head to its tail. Each task has to refer back to the one before it, and to the list.
fn walk(
    kinds: &Kinds,
    layout: &Layout,
    frames: &Frames,
    list: u64,
    ends: Ends,
    owner: u64,
    found: &mut Vec<Hit>,
) -> Option<()> {
    let mut header = frames.word(list.wrapping_add(ends.head))?;
    let tail = frames.word(list.wrapping_add(ends.tail))?;
    let mut before = 0;
    while header != 0 {
        let hit = at(kinds, layout, frames, header).filter(|hit| hit.owner == owner && hit.state.is_possible())?;
        let link = |offset: u64| frames.word(header.wrapping_add(hit.vtable.offsets.trailer).wrapping_add(offset));
        if link(layout.previous)? != before || found.len() >= MOST_TASKS {
            return None;
        }
        found.push(hit);
        before = header;
        header = link(layout.next)?;
    }
    (tail == before).then_some(())
}

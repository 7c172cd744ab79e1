//! The kinds of tasks of a runtime: one for each type of future. The runtime has a function for each that polls it, and
//! a vtable that holds the address of that function; which function and what else is there, the runtime's own module
//! says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use tinyio_frames::{Frames, Signature, TypeRef};

use crate::names::content;
use crate::regions::words_in;

/// Larger offsets are no offsets in a task.
const LARGEST: u64 = 1 << 30;

/// A kind of task.
#[derive(Clone, Debug)]
pub struct Kind<K> {
    /// The function that polls it.
    pub function: u64,
    /// The type of the program's future.
    pub future: TypeRef,
    /// The name of its future.
    pub name: Arc<str>,
    /// Where optimisation has merged types: the names of others that may be meant.
    pub or: Vec<String>,
    /// Bytes of the future that the task has.
    pub size: Option<u64>,
    /// The name of the type that schedules it, where a future has a function for each; empty elsewhere.
    pub scheduler: String,
    /// What only this runtime has.
    pub own: K,
}

/// The type of a future that a program may have tasks of.
pub struct Described {
    /// As in a [`Kind`].
    pub future: TypeRef,
    pub size: Option<u64>,
    pub scheduler: String,
}

/// A vtable of tasks.
#[derive(Clone, Copy, Debug)]
pub struct Vtable<V> {
    /// An index of [`Kinds::all`].
    pub kind: usize,
    /// The offsets that it leads to.
    pub offsets: V,
}

/// All kinds of tasks of a runtime, and its vtables by address.
#[derive(Debug)]
pub struct Kinds<K, V, L> {
    pub all: Vec<Kind<K>>,
    pub vtables: HashMap<u64, Vtable<V>>,
    /// Where in a task its members are.
    pub layout: Option<L>,
    /// What is not known, one sentence each.
    pub notes: Vec<String>,
}

impl<K, V, L> Default for Kinds<K, V, L> {
    fn default() -> Kinds<K, V, L> {
        Kinds { all: Vec::new(), vtables: HashMap::new(), layout: None, notes: Vec::new() }
    }
}

impl<K, V, L> Kinds<K, V, L> {
    /// Adds the kinds of these functions, each through `add`, which is given the types of the function.
    ///
    /// # Errors
    ///
    /// When there are functions and none of them can be read: a sentence that says what to do.
    pub fn add_all(
        &mut self,
        frames: &mut Frames,
        runtime: &str,
        functions: Vec<u64>,
        mut add: impl FnMut(&mut Kinds<K, V, L>, &mut Frames, u64, &Signature) -> Result<(), String>,
    ) -> Result<(), String> {
        let (mut problem, mut unknown) = (None, 0);
        for function in functions {
            let signature = frames.signature(function);
            if let Err(why) = signature.and_then(|signature| add(self, frames, function, &signature)) {
                unknown += 1;
                problem.get_or_insert(why);
            }
        }
        match problem {
            Some(why) if self.all.is_empty() => return Err(why),
            Some(why) => self.notes.push(format!("{unknown} functions of {runtime} are not known: {why}")),
            None => {}
        }
        Ok(())
    }

    /// Searches the constants of the program for vtables. `function_at` is the offset of the function that polls;
    /// `read` is given the constants and the address of what may be a vtable.
    pub fn find_vtables(
        &mut self,
        frames: &mut Frames,
        function_at: u64,
        read: impl Fn(&Frames, &[Range<u64>], u64) -> Option<V>,
    ) {
        let by_function: HashMap<u64, usize> =
            self.all.iter().enumerate().map(|(index, kind)| (kind.function, index)).collect();
        let (Some(low), Some(high)) = (by_function.keys().min(), by_function.keys().max()) else { return };
        let mut ranges: Vec<_> = self.all.iter().flat_map(|kind| frames.data_beside(kind.function)).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        for range in &ranges {
            let mut found = Vec::new();
            words_in(frames, range, |address, word| {
                if (low..=high).contains(&&word)
                    && let Some(kind) = by_function.get(&word)
                {
                    found.push((address.wrapping_sub(function_at), *kind));
                }
            });
            for (address, kind) in found {
                if let Some(offsets) = read(frames, &ranges, address) {
                    self.vtables.insert(address, Vtable { kind, offsets });
                }
            }
        }
    }

    /// Addresses between which all vtables are; `None` if there is none.
    pub fn vtable_addresses(&self) -> Option<RangeInclusive<u64>> {
        Some(*self.vtables.keys().min()?..=*self.vtables.keys().max()?)
    }

    /// Names the types that have no function of their own, because another's has the same code: each may be meant where
    /// one of its size is.
    pub fn name_merged(&mut self, frames: &mut Frames, described: Vec<Described>) {
        let known: HashSet<(String, &str)> =
            self.all.iter().map(|kind| (frames.type_name(kind.future), &*kind.scheduler)).collect();
        let mut lost: BTreeMap<String, Described> = BTreeMap::new();
        for one in described.into_iter().filter(|one| one.size.is_some()) {
            let name = frames.type_name(one.future);
            if !known.contains(&(name.clone(), &one.scheduler)) {
                lost.entry(format!("{name} {}", one.scheduler)).or_insert(one);
            }
        }
        for Described { future, size, scheduler } in lost.into_values() {
            let named = content(frames, future);
            let name = frames.future_name(named);
            for kind in self.all.iter_mut().filter(|kind| kind.size == size && kind.scheduler == scheduler) {
                kind.or.push(name.clone());
            }
        }
        self.all.iter_mut().for_each(|kind| kind.or.sort());
    }
}

/// An offset in a task that stands at an address.
pub fn offset(frames: &Frames, address: u64) -> Option<u64> {
    frames.word(address).filter(|offset| (8..LARGEST).contains(offset))
}

/// The offset of a member that is a word.
pub fn word(frames: &mut Frames, ty: TypeRef, path: &str) -> Option<u64> {
    member_of(frames, ty, path, 8)
}

/// The offset of a member that has so many bytes.
pub fn member_of(frames: &mut Frames, ty: TypeRef, path: &str, size: u64) -> Option<u64> {
    let (member, offset) = frames.member(ty, path)?;
    (frames.size(member) == Some(size)).then_some(offset)
}

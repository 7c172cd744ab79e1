//! Searches memory for headers of tasks.

use tinyio_frames::{Copied, Frames};

use super::kinds::{Kinds, Layout, Vtable};
use super::state::StateWord;
use crate::search::{STEP, search};

/// What looks like the header of a task.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// Its address.
    pub header: u64,
    /// Its vtable.
    pub vtable: Vtable,
    /// Its state.
    pub state: StateWord,
    /// The list it is in, 0 if it is in none.
    pub owner: u64,
    /// It is in memory that also has the stack of a thread.
    pub is_on_stack: bool,
}

/// All hits in the memory that was copied. `stacks`: addresses in the stacks of threads.
pub fn scan(kinds: &Kinds, copied: &Copied, stacks: &[u64]) -> Vec<Hit> {
    let Some(layout) = &kinds.layout else { return Vec::new() };
    let Some(vtables) = kinds.vtable_addresses() else { return Vec::new() };
    let mut found = Vec::new();
    search(copied, layout.vtable, &vtables, |place| {
        let Some(vtable) = kinds.vtables.get(&place.vtable) else { return };
        let (Some(state), Some(owner)) = (place.word(layout.state), place.word(layout.owner)) else { return };
        let (Some(next), state) = (place.word(layout.queue_next), StateWord(state)) else { return };
        // Where memory was freed, an allocator keeps what is no pointer to a task.
        if state.is_possible() && next.is_multiple_of(STEP) {
            let is_on_stack = stacks.iter().any(|stack| place.region.contains(stack));
            found.push(Hit { header: place.address, vtable: *vtable, state, owner, is_on_stack });
        }
    });
    // What two parts have in common was seen twice.
    found.dedup_by_key(|hit| hit.header);
    found
}

/// The header at an address.
pub fn at(kinds: &Kinds, layout: &Layout, frames: &Frames, header: u64) -> Option<Hit> {
    let word = |offset: u64| frames.word(header.checked_add(offset)?);
    let vtable = *kinds.vtables.get(&word(layout.vtable)?)?;
    let (state, owner) = (StateWord(word(layout.state)?), word(layout.owner)?);
    Some(Hit { header, vtable, state, owner, is_on_stack: false })
}

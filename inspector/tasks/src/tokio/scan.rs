//! Searches memory for headers of tasks.

use tinyio_frames::{Copied, Frames};

use super::kinds::{Kinds, Layout, Vtable};
use super::state::StateWord;

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

/// Allocators place a task at a multiple of this.
const STEP: usize = 16;
/// Bytes of a header, or more.
const OVERLAP: u64 = 256;

/// All hits in the memory that was copied. `stacks`: addresses in the stacks of threads.
pub fn scan(kinds: &Kinds, copied: &Copied, stacks: &[u64]) -> Vec<Hit> {
    let Some(layout) = &kinds.layout else { return Vec::new() };
    let (Some(low), Some(high)) = (kinds.vtables.keys().min(), kinds.vtables.keys().max()) else { return Vec::new() };
    let mut found = Vec::new();
    for region in copied.regions() {
        let range = region.range();
        let is_on_stack = stacks.iter().any(|stack| range.contains(stack));
        region.parts(OVERLAP, |start, bytes| {
            let first = (start.next_multiple_of(STEP as u64) - start) as usize;
            for at in (first..bytes.len()).step_by(STEP) {
                let word = |offset: u64| {
                    let at = at.checked_add(usize::try_from(offset).ok()?)?;
                    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
                };
                let Some(vtable) = word(layout.vtable).filter(|word| (low..=high).contains(&word)) else { continue };
                let Some(vtable) = kinds.vtables.get(&vtable) else { continue };
                let (Some(state), Some(owner)) = (word(layout.state), word(layout.owner)) else { continue };
                let (Some(next), state) = (word(layout.queue_next), StateWord(state)) else { continue };
                // Where memory was freed, an allocator keeps what is no pointer to a task.
                if state.is_possible() && next.is_multiple_of(STEP as u64) {
                    found.push(Hit { header: start + at as u64, vtable: *vtable, state, owner, is_on_stack });
                }
            }
        });
    }
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

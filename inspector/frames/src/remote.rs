//! Reads await stacks from outside: from another thread or process, while the loop is stuck in a step and cannot
//! answer.
//!
//! Nothing is called in the program. Its loops' tables lead to the blocks of coroutines, a block to the vtable of its
//! type, and the vtable to the address of the function that identifies the type. A suspended coroutine does not change
//! while the loop is stuck; the caller checks that the loop was stuck all the time.

use tinyio_events::event::{CoroId, Stack};
use tinyio_events::program_memory::{Blocks, ProgramMemory};

use super::future_type::FutureMark;
use super::hash::FastMap;
use super::memory::Memory;
use super::{Frames, FutureType};

/// More coroutines than a loop can have.
const MOST: u64 = 1 << 26;

impl Frames {
    /// Reads the await stack of a coroutine of one of the loops. The table of a loop is a vector of pointers to blocks,
    /// in which odd values are no pointers.
    ///
    /// # Errors
    ///
    /// When the memory may not be read, or the coroutine is in none of the loops.
    pub fn stack_from_outside(&mut self, program: &ProgramMemory) -> Result<Stack, String> {
        let ProgramMemory { ref blocks, ref loops, coro, .. } = *program;
        let memory = &self.types.memory;
        memory.forget();
        let mut numbers: FastMap<u64, CoroId> = FastMap::default();
        for table in loops {
            memory.reach(*table)?;
            numbers.extend(numbered(memory, blocks, *table).into_iter().flatten());
        }
        let found = numbers.iter().find(|(_, id)| **id == coro).map(|(block, _)| *block);
        let block = found.ok_or("it is not in its loop any more")?;
        let (future, address, running) =
            self.future(blocks, block).ok_or("its block in the memory of the program cannot be read")?;
        let Some(future) = future else { return Err("its future has ended".into()) };
        let coro_at = |address: u64| (numbers.get(&address).copied().unwrap_or(0), "");
        Ok(self.stack_with_links(&future, address, running, &coro_at))
    }

    /// The future in a block, its address, and whether it is being polled. No future: it has ended.
    fn future(&self, blocks: &Blocks, block: u64) -> Option<(Option<FutureType>, usize, bool)> {
        let memory = &self.types.memory;
        let at = |offset: usize| block.checked_add(offset as u64);
        let flags = u16::from_le_bytes(memory.bytes(at(blocks.flags)?, 2)?.try_into().ok()?);
        let running = memory.bytes(at(blocks.running)?, 1)? != [0];
        let vtable = memory.word(at(blocks.vtable)?)?;
        let body = at(memory.word(vtable.checked_add(blocks.body as u64)?)? as usize)?;
        let mark = memory.bytes(vtable.checked_add(blocks.future as u64)?, FutureMark::OUTSIDE)?;
        let mut words = mark.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word) as usize);
        let [function, drop, size, align] = std::array::from_fn(|_| words.next().unwrap_or(0));
        let future = FutureType { function, drop, size, align, name: "" };
        Some(((flags & blocks.ended == 0).then_some(future), body as usize, running))
    }
}

/// Those in a table, by the address of their block.
fn numbered(memory: &Memory, blocks: &Blocks, table: u64) -> Option<impl Iterator<Item = (u64, CoroId)> + use<>> {
    // Three words in an order chosen by the compiler: the length is at most the capacity, and where the capacity is
    // that large, the pointer is at no lower address.
    let mut vector = [0, 8, 16].map(|offset| memory.word(table.wrapping_add(offset)));
    vector.sort_unstable();
    let [length, _, pointer] = vector;
    let (length, pointer) = (length?.min(MOST), pointer?);
    let mut found = Vec::new();
    const AT_ONCE: u64 = 1 << 16;
    for first in (0..length).step_by(AT_ONCE as usize) {
        let bytes = AT_ONCE.min(length - first) as usize * 8;
        let bytes = memory.bytes(pointer.checked_add(first * 8)?, bytes)?;
        let pointers = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let here: Vec<u64> = pointers.filter(|block| block & 1 == 0 && *block != 0).collect();
        let ids: Vec<u64> = here.iter().map(|block| block.wrapping_add(blocks.id as u64)).collect();
        found.extend(here.into_iter().zip(memory.words(&ids)));
    }
    Some(found.into_iter().filter_map(|(block, id)| Some((block, id?))))
}

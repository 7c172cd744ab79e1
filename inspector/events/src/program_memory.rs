//! Where the coroutines of a running program are in its memory, as the program states it.

use crate::event::CoroId;

/// Where things are in the blocks of coroutines, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// In a block: the pointer to the vtable.
    pub vtable: usize,
    /// In a block: the coroutine's number.
    pub id: usize,
    /// In a block: a byte, not 0 while it is polled.
    pub running: usize,
    /// In a block: 16 bits of flags.
    pub flags: usize,
    /// The flags of which one is set when there is no future any more.
    pub ended: u16,
    /// In a vtable: where in a block the future begins.
    pub body: usize,
    /// In a vtable: the mark of the future's type (`FutureMark` of `tinyio-frames`).
    pub future: usize,
}

impl Blocks {
    /// As words of a ring.
    pub fn words(&self) -> [u64; 7] {
        let Blocks { vtable, id, running, flags, ended, body, future } = *self;
        [vtable, id, running, flags, usize::from(ended), body, future].map(|word| word as u64)
    }

    /// Reads the words of a ring.
    pub fn of(words: [u64; 7]) -> Blocks {
        let [vtable, id, running, flags, ended, body, future] = words.map(|word| word as usize);
        Blocks { vtable, id, running, flags, ended: ended as u16, body, future }
    }
}

/// Where a coroutine can be read from outside: from another thread or process, while the loop is stuck in a step and
/// cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramMemory {
    /// The process.
    pub pid: u32,
    /// How a coroutine lies in memory.
    pub blocks: Blocks,
    /// The addresses of the tables of the loops that run, the outermost first.
    pub loops: Vec<u64>,
    /// The coroutine's number in that process.
    pub coro: CoroId,
    /// Whether values may be read.
    pub values: bool,
    /// Further names of secrets, with commas between them.
    pub secrets: String,
    /// Records written so far. Between two steps something is recorded, always: while this stays the same, the program
    /// is stuck, and what is read is whole.
    pub recorded: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_things_are_goes_through_words() {
        let blocks = Blocks { vtable: 1, id: 2, running: 3, flags: 4, ended: 5, body: 6, future: 7 };
        assert_eq!(Blocks::of(blocks.words()), blocks);
    }
}

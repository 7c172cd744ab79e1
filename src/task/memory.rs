//! The memory of the blocks of a thread.

use super::arena::Memory;

crate::threading::per_thread! {
    // Without a destructor, so that it can be used for as long as the thread runs code.
    static MEMORY: Memory = const { Memory::new() };
}

/// Calls `f` with the memory of this thread.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(&Memory) -> R) -> R {
    MEMORY.with(f)
}

/// Runs `inside`, which runs a loop: memory that tasks no longer use is kept for others until the outermost call of
/// this has ended.
pub(crate) fn keep_memory<R>(inside: impl FnOnce() -> R) -> R {
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            with(Memory::close);
        }
    }
    let _close = with(Memory::open).then_some(Close);
    inside()
}

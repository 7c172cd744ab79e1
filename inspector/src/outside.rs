//! Reads await stacks from outside: in the memory of a program that is stuck in a step and cannot answer.

use crate::event::{CoroId, Stack};
use crate::frames::{Frames, Limits};
use crate::source::Source;

/// Reads the await stack of a coroutine. `None` if the program's memory cannot be read, or if the program continued
/// meanwhile: then it answers by itself, and what was read may be a mixture.
///
/// `frames` keeps what was read of the program's types: the caller owns it, because it stays on one thread.
pub fn stack(source: &mut dyn Source, frames: &mut Option<Frames>, coro: CoroId) -> Option<Result<Stack, String>> {
    let memory = match source.memory(coro)? {
        Ok(memory) => memory,
        Err(why) => return Some(Err(why)),
    };
    let frames = frames.get_or_insert_with(|| {
        let mut limits = Limits::from_env();
        limits.values &= memory.values;
        limits.secrets.extend(&memory.secrets);
        Frames::of_process(memory.pid).with_limits(limits)
    });
    let mut stack = frames.stack_from_outside(&memory);
    if !source.memory(coro)?.is_ok_and(|now| now.recorded == memory.recorded) {
        return None;
    }
    if let Ok(stack) = &mut stack {
        source.renumber(coro, stack);
    }
    Some(stack)
}

//! Finds out which locals of a suspended coroutine are alive: those that its drop glue would drop.
//!
//! Debug info lists locals that were moved away as if they were there, and nothing in the coroutine tells them apart:
//! drop flags have no names. But the code that drops the coroutine contains this information. So that code is
//! *interpreted*, never run: memory is read from the process, writes go to a shadow, calls are noted and not made. What
//! it reads of the frame or passes to a call is alive; a local with a drop effect that it does not touch was moved.
//!
//! Anything unknown, such as an unsupported instruction, ends the attempt, and the locals are marked as maybe moved.

use std::collections::HashSet;

use iced_x86::{Decoder, DecoderOptions};

use super::memory::Memory;
use super::x86_interpreter::{Machine, Next, Touched};

/// Instructions in one attempt; the glue of a large state machine takes some hundred.
const STEPS: usize = 20_000;

/// Interprets the drop glue at `function`, with the code `code`, for the value at `value`.
///
/// A jump out of the code counts as a call. None if it cannot be followed to its end.
pub(super) fn interpret(memory: &Memory, function: u64, code: &[u8], value: u64) -> Option<Touched> {
    let body = function..function.checked_add(code.len() as u64)?;
    let machine = Machine::calling(memory, value);
    let mut touched = Touched::default();
    // Where a branch depends on what a call returned (how many elements a map still has), both ways are followed, each
    // once: what either touches is alive.
    let mut open = vec![(body.start, machine)];
    let mut taken = HashSet::new();
    let mut left = STEPS;
    while let Some((mut at, mut machine)) = open.pop() {
        loop {
            left = left.checked_sub(1)?;
            let offset = usize::try_from(at.checked_sub(body.start)?).ok()?;
            let instruction = Decoder::with_ip(64, code.get(offset..)?, at, DecoderOptions::NONE).decode();
            let next = match machine.step(&instruction, &mut touched)? {
                Next::Go(next) => next,
                Next::Either(ways) => {
                    for way in ways {
                        if taken.insert((at, way)) {
                            open.push((way, machine.clone()));
                        }
                    }
                    break;
                }
                Next::Return => break,
            };
            if !body.contains(&next) {
                // A tail call.
                machine.call(Some(next), &mut touched);
                break;
            }
            at = next;
        }
    }
    Some(touched)
}

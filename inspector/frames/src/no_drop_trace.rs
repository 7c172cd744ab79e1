//! Replaces the [trace of the drop glue](super::drop_trace) on processors with instructions it cannot read: nothing is
//! known to be alive.

use std::ops::Range;

use super::memory::Memory;

/// What drop glue touched.
pub(super) struct Touched {
    /// Memory it read.
    pub reads: Vec<Range<u64>>,
    /// Functions it would call.
    pub calls: Vec<Call>,
}

/// A call that was not made.
pub(super) struct Call {
    /// The function, if it is known.
    pub target: Option<u64>,
    /// Its first argument, if it is known.
    pub argument: Option<u64>,
}

/// Always None: locals are marked as maybe moved.
pub(super) fn interpret(_memory: &Memory, _function: u64, _code: &[u8], _value: u64) -> Option<Touched> {
    None
}

//! Locals that still look alive.
pub fn run(_cases: &mut crate::Cases) {}

//! The behaviours of tinyio, one test per row of the table of behaviours, named after the row, by its sections.

#![allow(
    clippy::redundant_async_block,
    clippy::unit_arg,
    reason = "a block is another coroutine than the future in it, and the shortest way to return nothing is `Ok(f())`"
)]

mod check;
mod coroutines;
mod errors;
mod fairness;
mod nesting;
mod ours;
mod random;
mod stress;
mod sync;
mod threads;

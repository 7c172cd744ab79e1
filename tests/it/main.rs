//! The behaviours of tinyio, one test per row of the table of behaviours, named after the row, by its sections.

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

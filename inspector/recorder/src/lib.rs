//! The recorder of [tinyio](https://docs.rs/tinyio): writes the events of loops into a ring, a memory-mapped file that
//! remains readable after the program ended in any way, and reads them from there.
//!
//! | module | |
//! |---|---|
//! | [`recorder`] | the writing side: what a loop calls |
//! | `live` | what is alive, for checkpoints |
//! | [`ring`], `map` | the mapped file: making it, reading it, requests to the program |
//! | [`discover`] | the rings of programs that run, and of those that ended |
//! | [`trace`] | writing a trace beside the program; opening a ring or a trace |
//! | [`switch`], [`exit`] | the variables that turn recording on; ending recordings when the process exits |
//! | [`output`], [`clock`] | lines that a program prints into a file; time of the recorder |
//!
//! It depends on `tinyio-events` for the events, and on `memmap2`, `rustix`, `nix` and
//! `shutdown_hooks` (where there is no glibc) for the system. It must not know
//! debug info, the memory of coroutines, the model of a program, or a terminal.

#![deny(unsafe_code)]

// Reads the counter of the processor.
#[expect(unsafe_code)]
pub mod clock;
pub mod discover;
pub mod exit;
mod live_table;
// Memory that other processes write to, and the handler for a file that is truncated under the mapping.
#[expect(unsafe_code)]
mod mmap;
pub mod output;
pub mod recorder;
pub mod ring;
pub mod switch;
pub mod trace;

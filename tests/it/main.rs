//! The behaviours of `CONFORMANCE`, one test per row, named after it.

mod coroutines;

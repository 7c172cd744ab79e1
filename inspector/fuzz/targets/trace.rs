#![no_main]

#[allow(dead_code)]
#[path = "../../tests/corpus/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::trace(bytes));

#![no_main]

#[allow(dead_code, reason = "each target uses a part")]
#[path = "../../tests/corpus/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::trace(bytes));

#![no_main]

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../frames/tests/frames/damage.rs"]
mod damage;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../frames/tests/frames/program.rs"]
mod program;

use std::sync::LazyLock;

libfuzzer_sys::fuzz_target!(
    init: {
        // They are built, which takes longer than an input may.
        LazyLock::force(&damage::DEBUG);
        LazyLock::force(&damage::RELEASE);
    },
    |bytes: &[u8]| damage::of_input(bytes)
);

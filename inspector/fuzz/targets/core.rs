#![no_main]

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tasks/tests/tasks/damage.rs"]
mod damage;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tasks/tests/tasks/program.rs"]
mod program;

use std::sync::LazyLock;

libfuzzer_sys::fuzz_target!(
    init: {
        // Its program is built, which takes longer than an input may.
        LazyLock::force(&damage::WHOLE);
    },
    |bytes: &[u8]| damage::of_input(bytes)
);

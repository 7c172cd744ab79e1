#![no_main]

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/frames/damage.rs"]
mod damage;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/frames/program.rs"]
mod program;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, damages)) = bytes.split_first() else { return };
    let whole = if which % 4 == 0 { &damage::DEBUG } else { &damage::RELEASE };
    whole.survive(damages);
});

//! Instructions and stores, counted by callgrind (`--counts`): each measurement runs in a process of its own under it,
//! which clears the counters where time would begin to be measured, and dumps them where it would end.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The line and the executor that a process under callgrind measures.
const ASKED: &str = "TINYIO_BENCH_COUNT";
/// The file that callgrind writes dumps beside.
const DUMPS: &str = "TINYIO_BENCH_DUMPS";

/// The requests of callgrind, from `valgrind/callgrind.h`.
const DUMP_STATS: usize = 0x4354_0000;
const ZERO_STATS: usize = DUMP_STATS + 1;

/// What was measured in this process: instructions and stores per operation.
static MEASURED: Mutex<Vec<[f64; 2]>> = Mutex::new(Vec::new());

/// The line, from 1, and the executor that this process measures for its parent.
pub fn asked() -> Option<(usize, String)> {
    let asked = std::env::var(ASKED).ok()?;
    let (line, entry) = asked.split_once(' ')?;
    Some((line.parse().ok()?, entry.to_owned()))
}

/// Begins a measurement, if they are counted.
pub fn begin() {
    if asked().is_some() {
        request(ZERO_STATS);
    }
}

/// Ends it: the instructions per operation, if they are counted.
pub fn end(operations: u64) -> Option<f64> {
    asked()?;
    request(DUMP_STATS);
    let mut measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner);
    let dumps = std::env::var(DUMPS).expect("set by the parent");
    let path = format!("{dumps}.{}", measured.len() + 1);
    let dump = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let field = |key: &str| {
        let line = dump.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{path}: no {key}"));
        line.split_whitespace().collect::<Vec<_>>()
    };
    let (events, totals) = (field("events:"), field("totals:"));
    let per_operation = |event| {
        let column = events.iter().position(|name| *name == event).expect("one of callgrind's events");
        totals[column].parse::<f64>().expect("a number") / operations as f64
    };
    measured.push([per_operation("Ir"), per_operation("Dw")]);
    measured.last().map(|[instructions, _]| *instructions)
}

/// Prints, for the parent, the measurement that gave this number of instructions: a line may make several.
pub fn print(instructions: f64) {
    let measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner);
    let [_, stores] = measured.iter().find(|[other, _]| *other == instructions).expect("it was measured here");
    println!("{instructions} {stores}");
}

/// Instructions and stores per operation of an executor in a line.
///
/// # Errors
///
/// If callgrind is not installed, or the executor does not run under it.
pub fn in_callgrind(line: usize, entry: &str) -> Result<[f64; 2], String> {
    let folder = std::env::temp_dir().join(format!("tinyio-bench-counts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let counted = count(line, entry, folder.join("dump"));
    // What is left over lies in the folder of temporary files.
    drop(std::fs::remove_dir_all(&folder));
    counted
}

fn count(line: usize, entry: &str, dumps: PathBuf) -> Result<[f64; 2], String> {
    let this = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(&dumps);
    let mut command = Command::new("valgrind");
    // Simulated caches make it count stores.
    command.args(["--tool=callgrind", "--cache-sim=yes"]).arg(out).arg(this);
    let output = command.env(ASKED, format!("{line} {entry}")).env(DUMPS, dumps).output();
    let output = output.map_err(|error| format!("cannot start valgrind, which has callgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [instructions, stores] if output.status.success() => Ok([instructions, stores]),
        _ => Err(format!("it does not run under callgrind ({})", output.status)),
    }
}

/// Asks callgrind for something; does nothing outside of it.
#[cfg(target_arch = "x86_64")]
fn request(number: usize) {
    let request = [number, 0, 0, 0, 0, 0];
    // SAFETY: valgrind treats this sequence as a request. Elsewhere it rotates `rdi` by 128 bits in all, and exchanges
    // `rbx` with itself.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") request.as_ptr(), inout("rdx") 0_usize => _,
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn request(_: usize) {
    panic!("counts are made on x86-64 alone");
}

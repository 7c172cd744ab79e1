//! The environment variables that turn recording on, in programs with and without the feature `record`.

#[cfg(not(feature = "record"))]
use std::env::var_os; // For a message only: without the feature, nothing obeys these variables.
use std::sync::Once;

#[cfg(feature = "record")]
pub(super) use tinyio_recorder::switch::{Printed, Switch};

/// What the environment asks for, as far as the message needs it.
#[cfg(not(feature = "record"))]
pub(super) struct Switch {
    view: bool,
    record: bool,
}

#[cfg(not(feature = "record"))]
impl Switch {
    pub(super) fn read() -> Switch {
        let [inspect, trace] = ["TINYIO_INSPECT", "TINYIO_TRACE"].map(|name| var_os(name).unwrap_or_default());
        Switch { view: inspect == "1", record: inspect == "1" || inspect == "record" || !trace.is_empty() }
    }
}

/// Prints one line, once, in programs that were built without the requested feature.
pub(super) fn warn_of_missing(switch: &Switch) {
    static ONCE: Once = Once::new();
    if let Some(missing) = missing(switch) {
        ONCE.call_once(|| eprintln!("{missing}"));
    }
}

fn missing(switch: &Switch) -> Option<&'static str> {
    if switch.view && !cfg!(feature = "inspect") {
        Some(
            "tinyio: TINYIO_INSPECT=1 has no effect: this program was built without the feature `inspect` of tinyio \
             (Cargo.toml: tinyio-rt = { …, features = [\"inspect\"] })",
        )
    } else if switch.record && !cfg!(feature = "record") {
        Some(
            "tinyio: TINYIO_INSPECT and TINYIO_TRACE have no effect: this program was built without the feature `record` of \
             tinyio (Cargo.toml: tinyio-rt = { …, features = [\"record\"] })",
        )
    } else {
        None
    }
}

//! The environment variables that turn recording on, and what they start.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Once;

use tinyio_events::environment::var_os;

use crate::recorder::Recorder;
use crate::ring::Options;
use crate::trace::NamedTrace;

/// What the environment asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// `TINYIO_INSPECT=1`: the live view.
    pub view: bool,
    /// `TINYIO_INSPECT=record`, or anything below.
    pub record: bool,
    /// `TINYIO_TRACE=FILE`.
    pub trace: Option<PathBuf>,
    /// `TINYIO_OUTPUT`: what of the program's output is recorded, too.
    pub output: Printed,
}

/// What of the program's output is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Printed {
    /// `TINYIO_OUTPUT=0`: nothing.
    #[default]
    Nothing,
    /// What goes to regular files, which are only read.
    Files,
    /// `TINYIO_OUTPUT=1`: also what goes to terminals and pipes.
    Everything,
}

impl Switch {
    /// Reads the environment. Invalid values are reported on stderr, once, and ignored.
    pub fn read() -> Switch {
        let [inspect, trace, output] = ["TINYIO_INSPECT", "TINYIO_TRACE", "TINYIO_OUTPUT"].map(var_os);
        Switch::from(inspect, trace, output).unwrap_or_else(|error| {
            static ONCE: Once = Once::new();
            ONCE.call_once(|| eprintln!("tinyio: {error}"));
            Switch::default()
        })
    }

    /// Starts the recording that the environment asks for, and its trace. `None` if there can be none, which is
    /// reported on stderr, as is a trace that cannot be written.
    pub fn start(&self) -> Option<(Recorder, Option<NamedTrace>)> {
        match Options::from_env().and_then(|options| Recorder::start(&options)) {
            Ok(mut recorder) => {
                let trace = self.trace.as_deref().and_then(|path| NamedTrace::start(&mut recorder, path));
                Some((recorder, trace))
            }
            Err(error) => {
                eprintln!("tinyio: nothing is recorded: {error}");
                None
            }
        }
    }

    fn from(inspect: Option<OsString>, trace: Option<OsString>, output: Option<OsString>) -> Result<Switch, String> {
        let output = match output.as_ref().map(|value| value.to_string_lossy()).as_deref() {
            None | Some("") => Printed::Files,
            Some("0") => Printed::Nothing,
            Some("1") => Printed::Everything,
            Some(other) => {
                return Err(format!(
                    "TINYIO_OUTPUT={other} is not understood, so nothing is recorded: 0 leaves what the program prints \
                     out of the recording, 1 has it there also if it goes to a terminal or a pipe"
                ));
            }
        };
        let trace = trace.filter(|file| !file.is_empty()).map(PathBuf::from);
        let view = match inspect.as_ref().map(|value| value.to_string_lossy()).as_deref() {
            None | Some("" | "0") => false,
            Some("1") => true,
            Some("record") => return Ok(Switch { view: false, record: true, trace, output }),
            Some(other) => {
                return Err(format!(
                    "TINYIO_INSPECT={other} is not understood, so nothing is recorded: 1 shows the live view, `record` only records"
                ));
            }
        };
        Ok(Switch { view, record: view || trace.is_some(), trace, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_understood() {
        let read = |inspect: Option<&str>, trace: Option<&str>| {
            Switch::from(inspect.map(Into::into), trace.map(Into::into), None)
        };
        let file = || Some(PathBuf::from("t.jsonl"));
        let off = || Switch { output: Printed::Files, ..Switch::default() };
        let on = || Switch { record: true, ..off() };
        assert_eq!(read(None, None), Ok(off()));
        assert_eq!(read(Some("0"), Some("")), Ok(off()));
        assert_eq!(read(Some("1"), None), Ok(Switch { view: true, ..on() }));
        assert_eq!(read(Some("record"), None), Ok(on()));
        assert_eq!(read(None, Some("t.jsonl")), Ok(Switch { trace: file(), ..on() }));
        let output = |value: &str| Switch::from(None, None, Some(value.into()));
        assert_eq!(output("1"), Ok(Switch { output: Printed::Everything, ..off() }));
        assert_eq!(output("0"), Ok(Switch::default()));
        assert!(output("no").unwrap_err().contains("TINYIO_OUTPUT=no"));
        assert!(read(Some("yes"), None).unwrap_err().contains("TINYIO_INSPECT=yes"));
    }
}

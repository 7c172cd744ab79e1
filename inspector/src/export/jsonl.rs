//! The events as a trace: what a ring holds, kept in a file.

use std::io::{self, Write};

use crate::format::escaped_json;
use crate::source::Source;
use crate::time_point::{self, At};
use crate::trace::write_event;

pub(super) fn write(source: &mut dyn Source, at: Option<At>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", escaped_json(&serde_json::to_string(source.header())?))?;
    let mut line = Vec::new();
    time_point::fold(source, at, &mut |_, event| {
        line.clear();
        write_event(event, &mut line);
        writeln!(out, "{}", escaped_json(&String::from_utf8_lossy(&line)))
    })?;
    Ok(())
}

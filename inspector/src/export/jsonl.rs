//! The events as a trace: what a ring holds, kept in a file.

use std::io::{self, Write};

use crate::moment::{self, At};
use crate::source::Source;
use crate::trace::write_event;

pub(super) fn write(source: &mut dyn Source, at: Option<At>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, source.header())?;
    out.write_all(b"\n")?;
    let mut line = Vec::new();
    moment::fold(source, at, &mut |_, event| {
        line.clear();
        write_event(event, &mut line);
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        out.write_all(&line)
    })?;
    Ok(())
}

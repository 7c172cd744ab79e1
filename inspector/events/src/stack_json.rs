//! Writes await stacks as JSON, byte for byte what `serde_json` writes.
//!
//! Most of what is recorded of a crash is the stacks of its coroutines, some kilobytes each. `serde_json` looks at each
//! byte of a text by several calls; where it is not optimised, in a debug build of the program that is recorded, that
//! takes as long as reading the values.

use std::io::Write;

use crate::event::{Branch, Frame, Kind, Local, Stack, Value};

/// The JSON of an event that is a stack, if it is one. It may be longer than `limit`, but not by more than a frame.
pub(crate) fn write(kind: &Kind, limit: usize) -> Option<Vec<u8>> {
    let Kind::Frames { coro, stack } = kind else { return None };
    let mut out = Out { json: Vec::with_capacity(4096), limit };
    out.raw(b"{\"kind\":\"frames\",\"coro\":");
    out.number(*coro);
    out.raw(b",\"stack\":");
    out.stack(stack);
    out.raw(b"}");
    Some(out.json)
}

struct Out {
    json: Vec<u8>,
    limit: usize,
}

impl Out {
    fn raw(&mut self, bytes: &[u8]) {
        self.json.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        // It is a vector, to which writing cannot fail.
        let _ = write!(self.json, "{number}");
    }

    fn stack(&mut self, stack: &Stack) {
        self.raw(b"{\"frames\":");
        self.list(&stack.frames, Out::frame);
        if let Some(missing) = &stack.missing {
            self.raw(b",\"missing\":");
            self.text(missing);
        }
        self.flag(b",\"mid_step\":true", stack.mid_step);
        self.raw(b"}");
    }

    fn frame(&mut self, frame: &Frame) {
        // What is too long is not used.
        if self.json.len() > self.limit {
            return;
        }
        self.raw(b"{\"function\":");
        self.text(&frame.function);
        self.raw(b",\"file\":");
        self.text(&frame.file);
        self.raw(b",\"line\":");
        self.number(frame.line.into());
        self.raw(b",\"column\":");
        self.number(frame.column.into());
        self.filled(b",\"source\":", &frame.source, |out, (line, text)| {
            out.raw(b"[");
            out.number((*line).into());
            out.raw(b",");
            out.text(text);
            out.raw(b"]");
        });
        self.filled(b",\"locals\":", &frame.locals, Out::local);
        self.filled(b",\"branches\":", &frame.branches, |out, Branch { name, frames }| {
            out.raw(b"{\"name\":");
            out.text(name);
            out.raw(b",\"frames\":");
            out.list(frames, Out::frame);
            out.raw(b"}");
        });
        self.flag(b",\"hidden\":true", frame.hidden);
        self.text_unless_empty(b",\"note\":", &frame.note);
        self.raw(b"}");
    }

    fn local(&mut self, Local { name, value, mark }: &Local) {
        self.raw(b"{\"name\":");
        self.text(name);
        self.raw(b",\"value\":");
        self.value(value);
        self.text_unless_empty(b",\"mark\":", mark);
        self.raw(b"}");
    }

    fn value(&mut self, value: &Value) {
        self.raw(b"{\"text\":");
        self.text(&value.text);
        self.text_unless_empty(b",\"type\":", &value.type_name);
        self.filled(b",\"children\":", &value.children, |out, (name, child)| {
            out.raw(b"[");
            out.text(name);
            out.raw(b",");
            out.value(child);
            out.raw(b"]");
        });
        if value.coro != 0 {
            self.raw(b",\"coro\":");
            self.number(value.coro);
        }
        self.raw(b"}");
    }

    fn list<T>(&mut self, items: &[T], each: impl Fn(&mut Out, &T)) {
        self.raw(b"[");
        let mut is_first = true;
        for item in items {
            if !is_first {
                self.raw(b",");
            }
            is_first = false;
            each(self, item);
        }
        self.raw(b"]");
    }

    fn filled<T>(&mut self, name: &[u8], items: &[T], each: impl Fn(&mut Out, &T)) {
        if !items.is_empty() {
            self.raw(name);
            self.list(items, each);
        }
    }

    fn text_unless_empty(&mut self, name: &[u8], text: &str) {
        if !text.is_empty() {
            self.raw(name);
            self.text(text);
        }
    }

    fn flag(&mut self, written: &[u8], is_set: bool) {
        if is_set {
            self.raw(written);
        }
    }

    fn text(&mut self, text: &str) {
        self.raw(b"\"");
        let bytes = text.as_bytes();
        let (chunks, rest) = bytes.as_chunks::<8>();
        // Text that is written, and text that is looked at: what is between has nothing to escape.
        let (mut written, mut at) = (0, 0);
        let mut chunk = 0;
        while chunk < chunks.len() {
            if has_escape(chunks[chunk]) {
                self.escape(bytes, &mut written, at..at + 8);
            }
            chunk += 1;
            at += 8;
        }
        self.escape(bytes, &mut written, at..at + rest.len());
        self.raw(&bytes[written..]);
        self.raw(b"\"");
    }

    /// Escapes what has to be in a range, and writes what is before it.
    fn escape(&mut self, bytes: &[u8], written: &mut usize, range: std::ops::Range<usize>) {
        for at in range {
            let short = match bytes[at] {
                b'"' => b'"',
                b'\\' => b'\\',
                0x08 => b'b',
                b'\t' => b't',
                b'\n' => b'n',
                0x0c => b'f',
                b'\r' => b'r',
                0..0x20 => 0,
                _ => continue,
            };
            self.raw(&bytes[*written..at]);
            *written = at + 1;
            match short {
                0 => _ = write!(self.json, "\\u{:04x}", bytes[at]),
                short => self.raw(&[b'\\', short]),
            }
        }
    }
}

/// Whether one of eight bytes is a quote, a backslash or a control character; true at times where none is.
fn has_escape(bytes: [u8; 8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_ne_bytes(bytes);
    let (quote, backslash) = (word ^ (EACH * b'"' as u64), word ^ (EACH * b'\\' as u64));
    // A byte that is less than what is subtracted borrows from its high bit.
    let less = word.wrapping_sub(EACH * 0x20) & !word;
    let zero = (quote.wrapping_sub(EACH) & !quote) | (backslash.wrapping_sub(EACH) & !backslash);
    (less | zero) & HIGH != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Event;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![".{0,40}", "[a-z\"\\\\\u{0}-\u{20}\u{7f}äß]{0,40}", "[ -~]{0,40}"]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = (text(), text(), 0..3_u64);
        let leaf = leaf.prop_map(|(text, type_name, coro)| Value { text, type_name, children: Vec::new(), coro });
        leaf.prop_recursive(3, 8, 3, |inner| {
            (text(), proptest::collection::vec((text(), inner), 0..3)).prop_map(|(text, children)| Value {
                text,
                children,
                ..Value::default()
            })
        })
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let local = (text(), value(), text()).prop_map(|(name, value, mark)| Local { name, value, mark });
        let source = proptest::collection::vec((any::<u32>(), text()), 0..3);
        let locals = proptest::collection::vec(local, 0..3);
        let frame = (text(), text(), any::<u32>(), any::<u32>(), source, locals, any::<bool>(), text());
        let frame = frame.prop_map(|(function, file, line, column, source, locals, hidden, note)| Frame {
            function,
            file,
            line,
            column,
            source,
            locals,
            branches: Vec::new(),
            hidden,
            note,
        });
        frame.prop_recursive(2, 6, 2, |inner| {
            let branch = (text(), proptest::collection::vec(inner, 0..2));
            let branch = branch.prop_map(|(name, frames)| Branch { name, frames });
            (text(), proptest::collection::vec(branch, 0..3)).prop_map(|(function, branches)| Frame {
                function,
                branches,
                ..Frame::default()
            })
        })
    }

    proptest! {
        #[test]
        fn a_stack_is_written_as_serde_writes_it(
            coro: u64,
            frames in proptest::collection::vec(frame(), 0..3),
            missing in proptest::option::of(text()),
            mid_step: bool,
        ) {
            let kind = Kind::Frames { coro, stack: Stack { frames, missing, mid_step } };
            let json = serde_json::to_vec(&kind).expect("JSON");
            let written = write(&kind, usize::MAX).expect("it is a stack");
            prop_assert_eq!(String::from_utf8(written).expect("text"), String::from_utf8(json).expect("text"));
            let event = Event { seq: coro, at: 7, kind };
            let mut line = Vec::new();
            crate::trace::write_event(&event, &mut line);
            prop_assert_eq!(line, serde_json::to_vec(&event).expect("JSON"));
        }
    }

    #[test]
    fn other_events_are_not_written_here() {
        assert!(write(&Kind::Diag { coro: 0, text: String::new() }, usize::MAX).is_none());
    }
}

//! Text: strings, paths, and what the system calls so.

use super::{Look, Place, Printed, plain};
use crate::event::Value;
use crate::frames::types::TypeRef;
use crate::secrets::mask_urls;

impl Look<'_> {
    /// The bytes of the `Vec<u8>` at a path, as many as are shown.
    pub(super) fn bytes(&mut self, ty: TypeRef, place: Place<'_>, path: &str) -> Result<(Vec<u8>, bool), String> {
        let (pointer, length, capacity) = self.buffer(ty, path, place)?;
        if length > capacity {
            return Err(format!("a length of {length} with a capacity of {capacity}"));
        }
        self.read_text(pointer, length)
    }

    pub(super) fn read_text(&mut self, pointer: u64, length: u64) -> Result<(Vec<u8>, bool), String> {
        // With room for the quotes and the dots.
        let shown = length.min(self.limits.text.saturating_sub(3) as u64);
        let bytes = self.types.memory.bytes(pointer, shown as usize);
        Ok((bytes.ok_or_else(|| format!("memory at {pointer:#x} cannot be read"))?, shown < length))
    }

    pub(super) fn string(&mut self, (bytes, more): (Vec<u8>, bool)) -> Printed {
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) if more && error.error_len().is_none() => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return Err("not UTF-8".into()),
        };
        Ok(quoted(format!("{text:?}"), more))
    }

    /// Text of the system, which need not be UTF-8.
    pub(super) fn lossy(&mut self, (bytes, more): (Vec<u8>, bool)) -> Printed {
        #[cfg(unix)]
        let text = format!("{:?}", <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&bytes));
        #[cfg(not(unix))]
        let text = format!("{:?}", String::from_utf8_lossy(&bytes));
        Ok(quoted(text, more))
    }
}

/// A text in quotes, with a mark where it was cut, and without passwords in URLs.
fn quoted(text: String, more: bool) -> Value {
    let text = if more { format!("{}…\"", text.trim_end_matches('"')) } else { text };
    plain(mask_urls(&text).into_owned())
}

/// Cuts a text that is too long.
pub(super) fn cut(text: String, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) if text.len() > at + '…'.len_utf8() => format!("{}…", &text[..at]),
        _ => text,
    }
}

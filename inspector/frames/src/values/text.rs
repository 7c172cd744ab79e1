//! Text: strings, paths, and strings of the operating system.

use tinyio_events::event::Value;
use tinyio_events::secrets::mask_urls;

use super::{Place, Printed, ValueReader, plain};
use crate::shape::{Shape, TypeRef};

impl ValueReader<'_> {
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

    /// The bytes that an unsized type ends with.
    pub(super) fn unsized_bytes(
        &mut self,
        ty: TypeRef,
        path: &str,
        place: Place<'_>,
    ) -> Result<(Vec<u8>, bool), String> {
        let (bytes, offset) = self.find(ty, path).ok_or("unknown layout")?;
        let length = match self.types.get(bytes).shape {
            Shape::Array { element, count: Some(count) } if self.types.size(element) == Some(1) => count,
            Shape::TextOrBytes { count, .. } => count,
            _ => return Err("unknown layout".into()),
        };
        self.read_text(place.address.wrapping_add(offset), length)
    }

    pub(super) fn owned_c_string(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let (pointer, offset) = self.find(ty, "inner").ok_or("unknown layout")?;
        let size = self.types.size(pointer).ok_or("unknown layout")?;
        let target = self.target(pointer, place.part(offset, size).ok_or("unknown layout")?)?;
        let Shape::Array { count: Some(count), .. } = self.types.get(target.ty).shape else {
            return Err("unknown layout".into());
        };
        let bytes = self.read_text(target.address, count)?;
        self.c_string(bytes)
    }

    /// Text that ends with a byte of zero, which is not shown.
    pub(super) fn c_string(&mut self, (mut bytes, more): (Vec<u8>, bool)) -> Printed {
        if !more && bytes.pop() != Some(0) {
            return Err("it does not end with zero".into());
        }
        let text = std::ffi::CString::new(bytes).map_err(|_| "a zero within it")?;
        Ok(quoted(format!("{text:?}"), more))
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

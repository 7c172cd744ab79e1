//! Bytes: text, hashes and keys among them, and the types of the crates `bytes` and `http` that hold text.

use std::fmt::Write as _;

use tinyio_events::event::Value;
use tinyio_events::secrets::{MASKED, mask_urls};

use super::{Place, Printed, ValueReader, plain};
use crate::shape::{Shape, TypeRef};

/// Lengths of hashes and keys.
const HASHES: [u64; 7] = [16, 20, 24, 28, 32, 48, 64];

/// A shorter array is hardly text: colours, addresses.
const SHORTEST: u64 = 4;

impl ValueReader<'_> {
    /// What is of the crates `bytes` and `http`, by the path of its type.
    pub(super) fn of_bytes(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize) -> Option<Printed> {
        Some(match path {
            "bytes::bytes::Bytes" | "bytes::bytes_mut::BytesMut" => self.byte_buffer(ty, place, depth),
            "http::byte_str::ByteStr" => self.within(ty, "bytes", place, depth),
            "http::uri::Uri" => self.uri(ty, place),
            "http::uri::scheme::Scheme" => self.scheme(ty, place).map(|scheme| plain(format!("{scheme:?}"))),
            "http::header::name::HeaderName" => self.header_name(ty, place).map(|name| plain(format!("{name:?}"))),
            "http::header::value::HeaderValue" => self.within(ty, "inner", place, depth),
            // The further values of a header, without its name: it may be that of a secret.
            "http::header::map::ExtraValue" => Ok(plain(MASKED.into())),
            _ => return None,
        })
    }

    fn byte_buffer(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Printed {
        let (pointer, offset) =
            self.find(ty, "ptr.pointer").or_else(|| self.find(ty, "ptr")).ok_or("unknown layout")?;
        let Shape::Pointer(Some(byte)) = self.types.get(pointer).shape else { return Err("unknown layout".into()) };
        let address = place.word(offset).ok_or("unknown layout")?;
        match self.word(ty, "len", place)? {
            _ if !self.is_byte(byte) => Err("unknown layout".into()),
            0 => Ok(plain("b\"\"".into())),
            length => self.elements(byte, address, length, depth),
        }
    }

    /// `http://host/path?query`, as it is written.
    fn uri(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let (known, offset) = self.find(ty, "scheme").ok_or("unknown layout")?;
        let size = self.types.size(known).ok_or("unknown layout")?;
        let scheme = self.scheme(known, place.part(offset, size).ok_or("unknown layout")?)?;
        let (authority, _) = self.byte_str(ty, "authority.data", place)?;
        let (path, is_cut) = self.byte_str(ty, "path_and_query.data", place)?;
        let before = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
        let root = if path.starts_with('?') || path.is_empty() && !scheme.is_empty() { "/" } else { "" };
        let end = if is_cut { "…" } else { "" };
        // Without a scheme it has a password all the same.
        let rest = format!("x://{authority}{root}{path}");
        let rest = mask_urls(&rest);
        Ok(plain(format!("{before}{}{end}", rest.strip_prefix("x://").unwrap_or(&rest))))
    }

    /// The variant that the field `inner` is in: its name, its type, and where it is.
    fn inner_variant<'p>(&mut self, ty: TypeRef, place: Place<'p>) -> Result<(String, TypeRef, Place<'p>), String> {
        let (inner, offset) = self.find(ty, "inner").ok_or("unknown layout")?;
        let (known, size) = (self.types.get(inner), self.types.size(inner).ok_or("unknown layout")?);
        let place = place.part(offset, size).ok_or("unknown layout")?;
        let variant = self.variant(&known, place)?;
        let size = self.types.size(variant.ty).ok_or("unknown layout")?;
        let place = place.part(variant.offset, size).ok_or("unknown layout")?;
        Ok((variant.name, variant.ty, place))
    }

    /// The name of a header, as it is written: `set-cookie`.
    fn header_name(&mut self, ty: TypeRef, place: Place<'_>) -> Result<String, String> {
        let (variant, ty, place) = self.inner_variant(ty, place)?;
        if variant != "Standard" {
            return Ok(self.byte_str(ty, "__0.__0", place)?.0);
        }
        let (inner, offset) = self.find(ty, "__0").ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        let standard = self.value(inner, place.part(offset, size).ok_or("unknown layout")?, 0).text;
        if !standard.chars().all(char::is_alphanumeric) {
            return Err("unknown layout".into());
        }
        let mut name = String::new();
        for one in standard.chars() {
            if one.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(one.to_ascii_lowercase());
        }
        Ok(name.replace("web-socket", "websocket"))
    }

    /// A scheme; empty where a URI has none.
    fn scheme(&mut self, ty: TypeRef, place: Place<'_>) -> Result<String, String> {
        let (variant, ty, place) = self.inner_variant(ty, place)?;
        if variant == "None" {
            return Ok(String::new());
        }
        let (inner, offset) = self.find(ty, "__0").ok_or("unknown layout")?;
        if variant == "Standard" {
            let size = self.types.size(inner).ok_or("unknown layout")?;
            let protocol = self.value(inner, place.part(offset, size).ok_or("unknown layout")?, 0);
            return Ok(protocol.text.to_lowercase());
        }
        let Shape::Pointer(Some(text)) = self.types.get(inner).shape else { return Err("unknown layout".into()) };
        let (size, address) = (self.types.size(text).ok_or("unknown layout")?, place.word(offset));
        let address = address.ok_or("unknown layout")?;
        let bytes = usize::try_from(size).ok().and_then(|size| self.types.memory.bytes(address, size));
        let bytes = bytes.ok_or_else(|| format!("memory at {address:#x} cannot be read"))?;
        Ok(self.byte_str(text, "", Place { address, bytes: &bytes })?.0)
    }

    /// The text of a `ByteStr` at a path, and whether it is cut.
    fn byte_str(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Result<(String, bool), String> {
        let (inner, offset) = self.find(ty, path).ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        let place = place.part(offset, size).ok_or("unknown layout")?;
        let (address, length) = (self.word(inner, "bytes.ptr", place)?, self.word(inner, "bytes.len", place)?);
        if length == 0 {
            return Ok((String::new(), false));
        }
        let (bytes, is_cut) = self.read_text(address, length)?;
        let text = readable(&bytes, is_cut).ok_or("it is no text")?;
        Ok((text.to_owned(), is_cut))
    }

    /// Bytes of memory as text, if they are text.
    pub(super) fn text_at(&mut self, pointer: u64, length: u64) -> Option<Value> {
        // A character has a byte or more.
        let shown = length.min(self.limits.text as u64);
        let bytes = self.types.memory.bytes(pointer, usize::try_from(shown).ok()?)?;
        text(&bytes, length, self.limits.text)
    }

    /// An array as text, or in hex if it is as long as a hash or a key.
    pub(super) fn byte_array(&mut self, place: Place<'_>) -> Option<Value> {
        let length = place.bytes.len() as u64;
        let shown = place.bytes.len().min(self.limits.text);
        let text = text(&place.bytes[..shown], length, self.limits.text).filter(|_| length >= SHORTEST);
        text.or_else(|| HASHES.contains(&length).then(|| plain(hex(place.bytes))))
    }

    pub(super) fn is_byte(&mut self, ty: TypeRef) -> bool {
        self.types.get(ty).name == "u8"
    }
}

/// So many bytes, of which these are the first, as `b"…"` in at most `limit` characters, if they are text.
fn text(bytes: &[u8], length: u64, limit: usize) -> Option<Value> {
    let is_cut = length > bytes.len() as u64;
    let text = readable(bytes, is_cut).filter(|text| !text.is_empty())?;
    let whole = format!("b{text:?}");
    if !is_cut && whole.chars().count() <= limit {
        return Some(plain(mask_urls(&whole).into_owned()));
    }
    let end = format!("…\" ({} bytes)", length);
    let mut room = limit.saturating_sub(end.chars().count() + 2);
    let mut out = "b\"".to_owned();
    for one in text.chars() {
        let shown = if one == '\'' { one.to_string() } else { one.escape_debug().to_string() };
        let Some(left) = room.checked_sub(shown.chars().count()) else { break };
        room = left;
        out += &shown;
    }
    // A URL ends where the text is cut.
    Some(plain(format!("{}{end}", mask_urls(&out))))
}

/// Bytes as text: UTF-8, the only control characters of which are those of lines. With `is_cut` the last character may
/// be incomplete.
fn readable(bytes: &[u8], is_cut: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    text.chars().all(|one| !one.is_control() || "\n\r\t".contains(one)).then_some(text)
}

/// `hex"00ff"`.
fn hex(bytes: &[u8]) -> String {
    let mut out = "hex\"".to_owned();
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_only_if_all_that_is_read_is() {
        let of = |bytes: &[u8], length| text(bytes, length, 40).map(|value| value.text);
        assert_eq!(of(b"GET /\r\n", 7).unwrap(), r#"b"GET /\r\n""#);
        assert_eq!(of("größe".as_bytes(), 7).unwrap(), "b\"größe\"");
        for not in [&b"\x89PNG\r\n"[..], b"a\0b", b"\x1b[0m", b"", b"gr\xc3"] {
            assert_eq!(of(not, not.len() as u64), None, "{not:?}");
        }
        assert_eq!(of(b"gr\xc3", 9).unwrap(), "b\"gr…\" (9 bytes)");
    }

    #[test]
    fn what_is_cut_ends_with_its_length_within_the_limit() {
        let long = "line's\n".repeat(40);
        let shown = text(&long.as_bytes()[..40], long.len() as u64, 40).unwrap().text;
        assert_eq!(shown, r#"b"line's\nline's\nline's\n…" (280 bytes)"#);
        assert!(shown.chars().count() <= 40);
        // The bytes fit and their escapes do not.
        assert!(text(&b"\n".repeat(30), 30, 40).unwrap().text.ends_with("…\" (30 bytes)"));
        assert!(
            text(b"http://user:hunter2@host/path/and/so/on/", 99, 40).is_some_and(|one| !one.text.contains("hunter"))
        );
    }
}

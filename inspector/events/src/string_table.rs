//! The table of names and places in a ring: only ever appended to, so that a name is still known when the event that
//! brought it has long been overwritten.
//!
//! ```text
//! word 0   id (32 bits) │ bytes of text (24) │ 1 for a name, 2 for a place (8)
//! word 1   column (32) │ line (32)                             (places only)
//! …        the text, or the file
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::Kind;

const NAME: u64 = 1;
const SITE: u64 = 2;

/// Bytes of one text. A longer one is cut.
pub const LIMIT: usize = 4096;

/// `text`, cut to at most `limit` bytes, with a mark where it was cut.
pub fn cut(text: &str, limit: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= limit {
        return text.into();
    }
    let end = text.floor_char_boundary(limit.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end]).into()
}

/// Appends `kind`, a name or a place, at word `at`. Gives the words it took; `None` if there is no room.
pub fn write(table: &[AtomicU64], at: usize, kind: &Kind) -> Option<usize> {
    let (tag, id, text, place) = match kind {
        Kind::Name { id, text } => (NAME, *id, text, None),
        Kind::Site { id, file, line, column } => (SITE, *id, file, Some((*column as u64) << 32 | *line as u64)),
        _ => return None,
    };
    let text = cut(text, LIMIT);
    let words = 1 + place.is_some() as usize + text.len().div_ceil(8);
    let mut room = table.get(at..at + words)?.iter();
    let mut put = |word: u64| {
        if let Some(one) = room.next() {
            one.store(word, Ordering::Relaxed);
        }
    };
    put((id as u64) << 32 | (text.len() as u64) << 8 | tag);
    if let Some(place) = place {
        put(place);
    }
    for part in text.as_bytes().chunks(8) {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        put(u64::from_ne_bytes(bytes));
    }
    Some(words)
}

/// Reads the entry at word `at` and the words it takes; `None` if there is none that makes sense.
pub fn read(table: &[AtomicU64], at: usize) -> Option<(Kind, usize)> {
    let word = |at: usize| table.get(at).map(|word| word.load(Ordering::Relaxed));
    let head = word(at)?;
    let (id, bytes) = ((head >> 32) as u32, (head >> 8 & 0xff_ffff) as usize);
    let place = match head & 255 {
        NAME => None,
        SITE => Some(word(at + 1)?),
        _ => return None,
    };
    if bytes > LIMIT {
        return None;
    }
    let first = at + 1 + place.is_some() as usize;
    let words = table.get(first..first + bytes.div_ceil(8))?;
    let mut text: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
    text.truncate(bytes);
    let text = String::from_utf8_lossy(&text).into_owned();
    let kind = match place {
        None => Kind::Name { id, text },
        Some(place) => Kind::Site { id, file: text, line: place as u32, column: (place >> 32) as u32 },
    };
    Some((kind, first + words.len() - at))
}

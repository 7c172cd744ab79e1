//! Walks the entries of a unit in their order, without a look at what is not wanted of them.
//!
//! The parser finds out for each attribute of each entry anew how long it is, which takes 40 ns a byte of debug info
//! where the parser is not optimised: in a debug build that reads itself. Here that is found out once for each kind of
//! entry.

use gimli::{
    Abbreviations, AttributeValue, DebugAddrIndex, DebugLineStrOffset, DebugStrOffset, DebugStrOffsetsIndex, DwAt,
    DwForm, DwTag, Encoding, Expression, Format, Reader, RunTimeEndian, Section, UnitOffset,
};

use super::sections::{Dwarf, Slice};
use super::unit::Unit;

/// An entry, as far as it was looked at.
pub(super) struct Entry {
    /// From the start of the unit.
    pub offset: usize,
    /// How many entries it is inside of.
    pub depth: usize,
    pub tag: DwTag,
    pub has_children: bool,
}

/// The entries of a unit. It ends where the unit does, or at what is damaged.
pub(super) struct Entries<'u, 'a> {
    cursor: Cursor<'a>,
    depth: usize,
    abbreviations: &'u Abbreviations,
    /// The attributes to read of an entry with this tag in this depth.
    wanted: fn(DwTag, usize) -> &'static [DwAt],
    /// By their code, and whether they are in the depth of what is not inside of anything but the unit.
    kinds: [Vec<Option<Kind>>; 2],
    /// The attributes of the last entry that are wanted and have a form that such an attribute has.
    pub found: Vec<(DwAt, AttributeValue<Slice<'a>>)>,
}

/// What entries with one abbreviation have in common.
struct Kind {
    tag: DwTag,
    has_children: bool,
    parts: Box<[Part]>,
}

enum Part {
    /// Attributes of a known length.
    Bytes(usize),
    Skipped(DwForm),
    Wanted(DwAt, DwForm),
}

/// Codes are numbered from 1; what is higher is damaged, or of another compiler.
const CODES: u64 = 1 << 16;

impl<'u, 'a> Entries<'u, 'a> {
    /// `wanted` may tell entries at depth 1 from deeper ones.
    pub fn of(dwarf: &Dwarf<'a>, unit: &'u Unit<'a>, wanted: fn(DwTag, usize) -> &'static [DwAt]) -> Self {
        let start = unit.header.debug_info_offset().map_or(0, |start| start.0);
        let section = dwarf.debug_info.reader();
        let end = start.saturating_add(unit.header.length_including_self()).min(section.slice().len());
        let cursor = Cursor {
            bytes: section.slice().get(start..end).unwrap_or_default(),
            at: unit.header.size_of_header().min(end.saturating_sub(start)),
            encoding: unit.encoding(),
            endian: section.endian(),
        };
        let kinds = [Vec::new(), Vec::new()];
        Entries { cursor, depth: 0, abbreviations: &unit.abbreviations, wanted, kinds, found: Vec::new() }
    }

    /// The next entry.
    ///
    /// Indices and no iterators, matches and no `?`: where this is not optimised each of those is a call, and there are
    /// tens of thousands of entries.
    pub fn next(&mut self) -> Option<Entry> {
        let (offset, code) = loop {
            let offset = self.cursor.at;
            match self.cursor.code() {
                None => return None,
                Some(0) => self.depth = self.depth.saturating_sub(1),
                Some(code) => break (offset, code),
            }
        };
        let kinds = &mut self.kinds[if self.depth > 1 { 1 } else { 0 }];
        if code >= kinds.len() {
            kinds.resize_with(code + 1, || None);
        }
        let kind = &mut kinds[code];
        if kind.is_none() {
            *kind = Kind::of(self.abbreviations, code, self.cursor.encoding, self.depth, self.wanted);
        }
        let Some(kind) = kind else { return None };
        if !self.found.is_empty() {
            self.found.clear();
        }
        let parts: &[Part] = &kind.parts;
        let mut number = 0;
        while number < parts.len() {
            match parts[number] {
                Part::Bytes(length) => {
                    if length > self.cursor.bytes.len() - self.cursor.at {
                        return None;
                    }
                    self.cursor.at += length;
                }
                Part::Skipped(form) => match self.cursor.pass(form) {
                    Some(()) => {}
                    None => return None,
                },
                Part::Wanted(name, form) => match self.cursor.value(form) {
                    None => return None,
                    Some(None) => {}
                    Some(Some(value)) => self.found.push((name, value)),
                },
            }
            number += 1;
        }
        let entry = Entry { offset, depth: self.depth, tag: kind.tag, has_children: kind.has_children };
        if kind.has_children {
            self.depth += 1;
        }
        Some(entry)
    }
}

impl Kind {
    fn of(
        abbreviations: &Abbreviations,
        code: usize,
        encoding: Encoding,
        depth: usize,
        wanted: fn(DwTag, usize) -> &'static [DwAt],
    ) -> Option<Kind> {
        let abbreviation = abbreviations.get(code as u64)?;
        let wanted = wanted(abbreviation.tag(), depth);
        let mut parts = Vec::new();
        for attribute in abbreviation.attributes() {
            let (name, form) = (attribute.name(), attribute.form());
            match (length(form, encoding), parts.last_mut()) {
                _ if wanted.contains(&name) => parts.push(Part::Wanted(name, form)),
                (Some(more), Some(Part::Bytes(length))) => *length += more,
                (Some(length), _) => parts.push(Part::Bytes(length)),
                (None, _) => parts.push(Part::Skipped(form)),
            }
        }
        Some(Kind { tag: abbreviation.tag(), has_children: abbreviation.has_children(), parts: parts.into() })
    }
}

/// A place in a unit.
struct Cursor<'a> {
    /// Those of the unit, its header included.
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
    endian: RunTimeEndian,
}

impl<'a> Cursor<'a> {
    /// The code of an entry, or 0 where those inside of another end. `None` at the end of the unit.
    fn code(&mut self) -> Option<usize> {
        match self.bytes.get(self.at) {
            None => None,
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Some(*byte as usize)
            }
            Some(_) => match self.number() {
                Some(number) if number < CODES => Some(number as usize),
                _ => None,
            },
        }
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        if length > self.bytes.len() - self.at {
            return None;
        }
        self.at += length;
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let start = self.at;
        self.skip(length)?;
        self.bytes.get(start..self.at)
    }

    /// An unsigned number of so many bytes, 8 at most.
    fn fixed(&mut self, length: usize) -> Option<u64> {
        let mut number = 0;
        let bytes = self.take(length)?;
        let mut at = 0;
        while at < bytes.len() {
            let next = match self.endian {
                RunTimeEndian::Little => bytes[bytes.len() - 1 - at],
                RunTimeEndian::Big => bytes[at],
            };
            number = number << 8 | next as u64;
            at += 1;
        }
        Some(number)
    }

    /// An unsigned number of as many bytes as it needs.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        let mut shift = 0;
        while self.at < self.bytes.len() && shift < u64::BITS {
            let byte = self.bytes[self.at];
            self.at += 1;
            number |= ((byte & 0x7f) as u64) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// Skips an attribute of a form without a fixed length.
    fn pass(&mut self, form: DwForm) -> Option<()> {
        match form {
            gimli::DW_FORM_block | gimli::DW_FORM_exprloc => {
                let length = self.length()?;
                self.skip(length)
            }
            gimli::DW_FORM_block1 | gimli::DW_FORM_block2 | gimli::DW_FORM_block4 => {
                let length = self.block(form)?;
                self.skip(length)
            }
            gimli::DW_FORM_string => self.text().map(drop),
            gimli::DW_FORM_indirect => {
                let form = DwForm(u16::try_from(self.number()?).ok()?);
                match length(form, self.encoding) {
                    Some(length) => self.skip(length),
                    None if form == gimli::DW_FORM_indirect => None,
                    None => self.pass(form),
                }
            }
            gimli::DW_FORM_udata
            | gimli::DW_FORM_sdata
            | gimli::DW_FORM_ref_udata
            | gimli::DW_FORM_strx
            | gimli::DW_FORM_addrx
            | gimli::DW_FORM_loclistx
            | gimli::DW_FORM_rnglistx
            | gimli::DW_FORM_GNU_str_index
            | gimli::DW_FORM_GNU_addr_index => self.number().map(drop),
            _ => None,
        }
    }

    fn block(&mut self, form: DwForm) -> Option<usize> {
        let length = match form {
            gimli::DW_FORM_block1 => 1,
            gimli::DW_FORM_block2 => 2,
            _ => 4,
        };
        usize::try_from(self.fixed(length)?).ok()
    }

    /// Text that is in the entry itself.
    fn text(&mut self) -> Option<&'a [u8]> {
        let text = std::ffi::CStr::from_bytes_until_nul(self.bytes.get(self.at..)?).ok()?.to_bytes();
        self.skip(text.len() + 1)?;
        Some(text)
    }

    /// The value of an attribute that is wanted; `None` inside for a form that none of these has.
    fn value(&mut self, form: DwForm) -> Option<Option<AttributeValue<Slice<'a>>>> {
        let offset_length = usize::from(self.encoding.format.word_size());
        let index = |number: u64| usize::try_from(number).ok();
        Some(Some(match form {
            gimli::DW_FORM_addr => AttributeValue::Addr(self.fixed(self.encoding.address_size.into())?),
            gimli::DW_FORM_strp => AttributeValue::DebugStrRef(DebugStrOffset(index(self.fixed(offset_length)?)?)),
            gimli::DW_FORM_line_strp => {
                AttributeValue::DebugLineStrRef(DebugLineStrOffset(index(self.fixed(offset_length)?)?))
            }
            gimli::DW_FORM_string => AttributeValue::String(Slice::new(self.text()?, self.endian)),
            gimli::DW_FORM_exprloc | gimli::DW_FORM_block => {
                let length = self.length()?;
                AttributeValue::Exprloc(Expression(Slice::new(self.take(length)?, self.endian)))
            }
            gimli::DW_FORM_block1 | gimli::DW_FORM_block2 | gimli::DW_FORM_block4 => {
                let length = self.block(form)?;
                AttributeValue::Exprloc(Expression(Slice::new(self.take(length)?, self.endian)))
            }
            gimli::DW_FORM_ref1 | gimli::DW_FORM_ref2 | gimli::DW_FORM_ref4 | gimli::DW_FORM_ref8 => {
                let offset = self.fixed(length(form, self.encoding)?)?;
                AttributeValue::UnitRef(UnitOffset(index(offset)?))
            }
            gimli::DW_FORM_ref_udata => AttributeValue::UnitRef(UnitOffset(self.length()?)),
            gimli::DW_FORM_strx | gimli::DW_FORM_GNU_str_index => {
                AttributeValue::DebugStrOffsetsIndex(DebugStrOffsetsIndex(self.length()?))
            }
            gimli::DW_FORM_strx1 | gimli::DW_FORM_strx2 | gimli::DW_FORM_strx3 | gimli::DW_FORM_strx4 => {
                let number = self.fixed(length(form, self.encoding)?)?;
                AttributeValue::DebugStrOffsetsIndex(DebugStrOffsetsIndex(index(number)?))
            }
            gimli::DW_FORM_addrx | gimli::DW_FORM_GNU_addr_index => {
                AttributeValue::DebugAddrIndex(DebugAddrIndex(self.length()?))
            }
            gimli::DW_FORM_addrx1 | gimli::DW_FORM_addrx2 | gimli::DW_FORM_addrx3 | gimli::DW_FORM_addrx4 => {
                let number = self.fixed(length(form, self.encoding)?)?;
                AttributeValue::DebugAddrIndex(DebugAddrIndex(index(number)?))
            }
            _ => {
                match length(form, self.encoding) {
                    Some(length) => self.skip(length)?,
                    None => self.pass(form)?,
                }
                return Some(None);
            }
        }))
    }
}

/// How many bytes an attribute of a form has, if that is the same for all.
fn length(form: DwForm, encoding: Encoding) -> Option<usize> {
    let offset = match encoding.format {
        Format::Dwarf32 => 4,
        Format::Dwarf64 => 8,
    };
    Some(match form {
        gimli::DW_FORM_implicit_const | gimli::DW_FORM_flag_present => 0,
        gimli::DW_FORM_data1
        | gimli::DW_FORM_flag
        | gimli::DW_FORM_strx1
        | gimli::DW_FORM_ref1
        | gimli::DW_FORM_addrx1 => 1,
        gimli::DW_FORM_data2 | gimli::DW_FORM_ref2 | gimli::DW_FORM_addrx2 | gimli::DW_FORM_strx2 => 2,
        gimli::DW_FORM_addrx3 | gimli::DW_FORM_strx3 => 3,
        gimli::DW_FORM_data4
        | gimli::DW_FORM_ref_sup4
        | gimli::DW_FORM_ref4
        | gimli::DW_FORM_strx4
        | gimli::DW_FORM_addrx4 => 4,
        gimli::DW_FORM_data8 | gimli::DW_FORM_ref8 | gimli::DW_FORM_ref_sig8 | gimli::DW_FORM_ref_sup8 => 8,
        gimli::DW_FORM_data16 => 16,
        gimli::DW_FORM_sec_offset
        | gimli::DW_FORM_GNU_ref_alt
        | gimli::DW_FORM_strp
        | gimli::DW_FORM_strp_sup
        | gimli::DW_FORM_GNU_strp_alt
        | gimli::DW_FORM_line_strp => offset,
        gimli::DW_FORM_addr => encoding.address_size.into(),
        gimli::DW_FORM_ref_addr if encoding.version == 2 => encoding.address_size.into(),
        gimli::DW_FORM_ref_addr => offset,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Images;
    use crate::memory::Memory;

    const NAME: &[DwAt] = &[gimli::DW_AT_name, gimli::DW_AT_low_pc, gimli::DW_AT_location, gimli::DW_AT_type];

    /// The program that runs this test has all that the compiler writes.
    #[test]
    fn the_entries_are_those_that_the_parser_reads() {
        let memory = Memory::of(std::process::id());
        let mut images = Images::of(&memory);
        let image = images.find(&memory, the_entries_are_those_that_the_parser_reads as *const () as u64).unwrap();
        let dwarf = images.dwarf(image);
        let mut headers = dwarf.units();
        let (mut compared, mut values) = (0, 0);
        while let Some(header) = headers.next().unwrap() {
            let unit = dwarf.unit(header).unwrap();
            let mut entries = Entries::of(&dwarf, &unit, |_, _| NAME);
            let mut parsed = unit.entries_raw(None).unwrap();
            while !parsed.is_empty() {
                let (offset, depth) = (parsed.next_offset().0, parsed.next_depth() as usize);
                let Some(abbreviation) = parsed.read_abbreviation().unwrap() else { continue };
                let entry = entries.next().expect("there is another entry");
                let is = (entry.offset, entry.depth, entry.tag, entry.has_children);
                assert_eq!(is, (offset, depth, abbreviation.tag(), abbreviation.has_children()));
                let mut found = entries.found.iter();
                for &attribute in abbreviation.attributes() {
                    let value = parsed.read_attribute(attribute).unwrap();
                    // A location may also be a place in a list of them, and a type one of another unit.
                    let is_other =
                        matches!(value.value(), AttributeValue::LocationListsRef(_) | AttributeValue::DebugInfoRef(_));
                    if NAME.contains(&value.name()) && !is_other {
                        assert_eq!(found.next(), Some(&(value.name(), value.value())));
                        values += 1;
                    }
                }
                assert!(found.next().is_none());
                compared += 1;
            }
            assert!(entries.next().is_none());
            if compared > 300_000 {
                break;
            }
        }
        assert!(compared > 10_000 && values > 10_000, "{compared} {values}");
    }
}

//! Which unit describes the code at an address.

use gimli::{Encoding, Reader, RunTimeEndian, Section};

use super::sections::{Dwarf, Slice};

/// A program of a gigabyte has some hundred thousand; what promises more is damaged.
const MOST: usize = 1 << 22;
/// Ranges that may begin between the one around an address and the address: only where ranges lie inside each other,
/// which damage makes.
const NESTED: usize = 64;

/// The ranges of code of all units, sorted.
#[derive(Debug, Default)]
pub(super) struct Code(Vec<Range>);

#[derive(Debug)]
struct Range {
    begin: u64,
    end: u64,
    unit: usize,
}

impl Code {
    /// Reads the table of ranges of a file. `unit`: the unit around an offset into the debug info.
    pub fn of_table(dwarf: &Dwarf<'_>, unit: impl Fn(usize) -> Option<usize>) -> Code {
        let mut code = Code::default();
        let section = dwarf.debug_aranges.reader();
        let mut headers = dwarf.debug_aranges.headers();
        while let Ok(Some(header)) = headers.next() {
            let Some(unit) = unit(header.debug_info_offset().0) else { continue };
            let encoding = header.encoding();
            let wide = encoding.address_size == 8 && section.endian() == RunTimeEndian::Little;
            let Some(rows) = rows(section.slice(), &header).filter(|_| wide) else {
                let mut entries = header.entries();
                while let Ok(Some(entry)) = entries.next() {
                    code.add(entry.address(), entry.address().saturating_add(entry.length()), unit);
                }
                continue;
            };
            // The parser takes ten times as long for a row where it is not optimised, and there are a hundred thousand.
            for &[a, b, c, d, e, f, g, h, ref length @ ..] in rows {
                let begin = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                code.add(begin, begin.saturating_add(u64::from_le_bytes(*length)), unit);
            }
        }
        code
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a range; false if there are too many.
    ///
    /// The functions of a unit follow each other, at most aligned: a range that begins where the last one ends
    /// lengthens it. In the gap is no code, or code of a range that begins later and is found first.
    ///
    /// What the linker has left out begins at 0, where no code is, or at the highest addresses.
    pub fn add(&mut self, begin: u64, end: u64, unit: usize) -> bool {
        if begin >= end || begin == 0 || end == u64::MAX {
            return true;
        }
        let has_room = self.0.len() < MOST;
        match self.0.last_mut() {
            Some(last) if last.unit == unit && last.end <= begin && begin <= aligned(last.end) => last.end = end,
            _ if has_room => self.0.push(Range { begin, end, unit }),
            _ => {}
        }
        has_room
    }

    /// The look-up goes backwards: of ranges that begin at one address the first unit has to come last.
    pub fn sort(&mut self) {
        self.0.sort_unstable_by(|a, b| a.begin.cmp(&b.begin).then(b.unit.cmp(&a.unit)));
    }

    /// The unit with the code at an address of the file.
    pub fn unit(&self, address: u64) -> Option<usize> {
        let after = self.0.partition_point(|range| range.begin <= address);
        let mut before = self.0[..after].iter().rev().take(NESTED);
        before.find(|range| address < range.end).map(|range| range.unit)
    }
}

/// The rows of one unit: pairs of eight bytes each.
fn rows<'a>(section: &'a [u8], header: &gimli::ArangeHeader<Slice<'_>>) -> Option<&'a [[u8; 16]]> {
    const ROW: usize = 16;
    let Encoding { format, .. } = header.encoding();
    let (initial, offset) = (format.initial_length_size(), format.word_size());
    let start = header.offset().0;
    let end = start.checked_add(header.length())?.checked_add(initial.into())?;
    // Behind version, offset and two sizes the rows are aligned as if the table began at 0.
    let rows = (usize::from(initial + 2 + offset + 2)).next_multiple_of(ROW);
    Some(section.get(start.checked_add(rows)?..end)?.as_chunks::<ROW>().0)
}

/// Where the next function begins, unless something else is between.
fn aligned(end: u64) -> u64 {
    const ALIGNMENT: u64 = 16;
    end.saturating_add(ALIGNMENT - 1) & !(ALIGNMENT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_unit_around_it() {
        let mut code = Code::default();
        for (begin, end, unit) in
            [(10, 20, 1), (1, 5, 0), (0, 9, 8), (20, 21, 2), (10, 12, 7), (30, 60, 4), (40, 45, 5), (8, 8, 9)]
        {
            code.add(begin, end, unit);
        }
        code.sort();
        let found: Vec<_> = [1, 5, 8, 10, 19, 20, 21, 44, 59, 60].map(|address| code.unit(address)).into();
        assert_eq!(found, [Some(0), None, None, Some(1), Some(1), Some(2), None, Some(5), Some(4), None]);
    }
    #[test]
    fn functions_of_a_unit_that_follow_each_other_are_one_range() {
        let mut code = Code::default();
        for (begin, end, unit) in [(0x10, 0x1d, 1), (0x20, 0x30, 1), (0x30, 0x38, 2), (0x50, 0x58, 2), (0x1e, 0x1f, 3)]
        {
            code.add(begin, end, unit);
        }
        assert_eq!(code.0.len(), 4, "{code:?}");
        code.sort();
        let found: Vec<_> = [0x10, 0x1e, 0x20, 0x2f, 0x30, 0x37, 0x40, 0x50].map(|address| code.unit(address)).into();
        assert_eq!(found, [Some(1), Some(3), Some(1), Some(1), Some(2), Some(2), None, Some(2)]);
    }

    /// The rows are taken from the section itself: they have to be those that the parser reads.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_table_has_the_ranges_that_the_parser_reads() {
        let memory = crate::memory::Memory::of(std::process::id());
        let mut images = crate::image::Images::of(&memory);
        let image = images.find(&memory, aligned as *const () as u64).expect("this program");
        let dwarf = images.dwarf(image);
        let read = Code::of_table(&dwarf, Some);
        let mut parsed = Code::default();
        let mut headers = dwarf.debug_aranges.headers();
        while let Ok(Some(header)) = headers.next() {
            let mut entries = header.entries();
            while let Ok(Some(entry)) = entries.next() {
                parsed.add(entry.address(), entry.address() + entry.length(), header.debug_info_offset().0);
            }
        }
        let ranges = |code: &Code| code.0.iter().map(|range| (range.begin, range.end, range.unit)).collect::<Vec<_>>();
        assert!(parsed.0.len() > 100);
        assert!(ranges(&read) == ranges(&parsed));
    }
}

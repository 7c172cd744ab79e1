//! Which unit describes the code at an address.

use super::sections::Dwarf;

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
        let mut headers = dwarf.debug_aranges.headers();
        while let Ok(Some(header)) = headers.next() {
            let Some(unit) = unit(header.debug_info_offset().0) else { continue };
            let mut entries = header.entries();
            while let Ok(Some(entry)) = entries.next() {
                code.add(entry.address(), entry.address().saturating_add(entry.length()), unit);
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
    pub fn add(&mut self, begin: u64, end: u64, unit: usize) -> bool {
        if begin >= end {
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
            [(10, 20, 1), (0, 5, 0), (20, 21, 2), (10, 12, 7), (30, 60, 4), (40, 45, 5), (8, 8, 9)]
        {
            code.add(begin, end, unit);
        }
        code.sort();
        let found: Vec<_> = [0, 5, 8, 10, 19, 20, 21, 44, 59, 60].map(|address| code.unit(address)).into();
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
}

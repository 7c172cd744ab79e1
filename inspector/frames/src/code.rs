//! Which unit describes the code at an address.

use super::sections::Dwarf;

/// A program of a gigabyte has some hundred thousand; what promises more is damaged.
const MOST: usize = 1 << 22;
/// Ranges that may begin between the one around an address and the address: only where ranges lie inside each other,
/// which damage makes.
const NESTED: usize = 64;

/// The ranges of code of all units, sorted.
#[derive(Default)]
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
    pub fn add(&mut self, begin: u64, end: u64, unit: usize) -> bool {
        if begin < end && self.0.len() < MOST {
            self.0.push(Range { begin, end, unit });
        }
        self.0.len() < MOST
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
}

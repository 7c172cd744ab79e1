//! Compilation units: which one describes an address, and what is in it.
//!
//! Debug info is one long run of entries without an index. The units touched are scanned once each, and what the scan
//! finds is kept: parents of types (for their paths), functions by address, vtables by address, types with drop glue.

use std::collections::HashMap;
use std::io::BufRead;
use std::ops::Range;
use std::sync::Arc;

use gimli::{Abbreviations, DebugInfoOffset, Reader, RunTimeEndian, Section};

use super::code::Code;
use super::index::{self, Index};
use super::sections::Dwarf;
use super::split::Skeleton;
use super::unit::{self, First, Unit, first_is_in_frame};

/// The units of one file, in the order they have in it.
pub(super) struct Units {
    list: Vec<Entry>,
    /// Implementations by their path in debug info, and a linkage name in each.
    implementations: HashMap<String, Option<(usize, String)>>,
    /// Which unit describes the code at an address, once that was asked for.
    code: Option<Code>,
    /// The parts of these units that stayed in the program when they were split off.
    skeleton: Option<Skeleton>,
    /// Bytes of debug info that may still be scanned to find better names, and scopes.
    patience: usize,
}

/// How much debug info was read, of how much.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Touched {
    /// All units, and their bytes.
    pub units: usize,
    pub bytes: usize,
    /// Units of which more than the first entry was read.
    pub opened: usize,
    /// Units of which all entries were looked at, and their bytes.
    pub scanned: usize,
    pub scanned_bytes: usize,
}

struct Entry {
    start: usize,
    end: usize,
    first: First,
    abbreviations: Option<Arc<Abbreviations>>,
    index: Option<Index>,
    /// Whether its code was compiled without optimisation, once that was asked for.
    is_plain: Option<bool>,
    crate_name: Option<Option<Box<str>>>,
}

/// The names of implementations and the scopes of functions are worth a tenth of a second; counted in bytes, they are
/// the same on a busy machine.
const PATIENCE: usize = 8 << 20;

/// So many functions of a unit are looked at to tell optimised code, and with fewer than [`ENOUGH`] that alone does not
/// decide.
const SAMPLED: usize = 32;
const ENOUGH: usize = 4;

impl Units {
    pub fn of(dwarf: &Dwarf<'_>, skeleton: Option<Skeleton>) -> Units {
        let mut list = Vec::new();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let Some(start) = header.debug_info_offset() else { continue };
            let end = start.0.saturating_add(header.length_including_self());
            list.push(Entry {
                start: start.0,
                end,
                first: First::new(),
                abbreviations: None,
                index: None,
                is_plain: None,
                crate_name: None,
            });
        }
        Units { list, implementations: HashMap::new(), code: None, skeleton, patience: PATIENCE }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds what was read of these units.
    pub fn add_to(&self, touched: &mut Touched) {
        touched.units += self.len();
        for entry in &self.list {
            touched.bytes += entry.end - entry.start;
            touched.opened += usize::from(entry.abbreviations.is_some());
            if entry.index.is_some() {
                touched.scanned += 1;
                touched.scanned_bytes += entry.end - entry.start;
            }
        }
    }

    /// The unit around an offset into the section.
    pub fn around(&self, offset: usize) -> Option<usize> {
        let after = self.list.partition_point(|entry| entry.start <= offset);
        let index = after.checked_sub(1)?;
        (offset < self.list[index].end).then_some(index)
    }

    /// The functions that run coroutines and may be the body of a function of this path, in the units read so far but
    /// one: the unit and the entry of each.
    pub fn async_bodies(&self, but: usize, function: &[&str]) -> Vec<(usize, usize)> {
        let read = self.list.iter().enumerate().filter(|(unit, _)| *unit != but);
        let read = read.filter_map(|(unit, entry)| Some((unit, entry.index.as_ref()?)));
        read.flat_map(|(unit, index)| index.async_bodies(function).map(move |body| (unit, body))).collect()
    }

    /// Reads the units of the same crate as one, as far as that is worth its time.
    pub fn read_crate(&mut self, dwarf: &Dwarf<'_>, unit: usize) {
        let name = self.crate_of(dwarf, unit);
        for other in 0..self.len() {
            if name.is_some() && self.crate_of(dwarf, other) == name && self.is_worth_reading(other) {
                let _ = self.index(dwarf, other);
            }
        }
    }

    /// The types of a unit with a path that begins with a text: their offsets in the section.
    pub fn types_in(&mut self, dwarf: &Dwarf<'_>, unit: usize, path: &str) -> Vec<usize> {
        let start = self.start(unit);
        let (Ok(opened), Ok(index)) = (self.open(dwarf, unit), self.index(dwarf, unit)) else { return Vec::new() };
        let found = index.types(dwarf, &opened, path);
        found.into_iter().map(|offset| start + offset).collect()
    }

    /// The same of all units that were read.
    pub fn types_read(&mut self, dwarf: &Dwarf<'_>, path: &str) -> Vec<usize> {
        let read: Vec<usize> = (0..self.len()).filter(|unit| self.list[*unit].index.is_some()).collect();
        read.into_iter().flat_map(|unit| self.types_in(dwarf, unit, path)).collect()
    }

    /// Whether a unit was read, or may be read to find something that other units do not say.
    fn is_worth_reading(&mut self, unit: usize) -> bool {
        if self.list[unit].index.is_none() {
            let Some(left) = self.patience.checked_sub(self.size(unit)) else { return false };
            self.patience = left;
        }
        true
    }

    /// The units in a part of the section with entries that may describe a variable at an address (of the file), mostly
    /// found without reading their entries.
    pub fn mentioning(&self, dwarf: &Dwarf<'_>, address: u64, part: Range<usize>) -> Vec<usize> {
        // Where addresses have a table of their own, entries have indices instead.
        if !dwarf.debug_addr.reader().is_empty() {
            let in_part = |unit: &usize| self.list[*unit].start < part.end && self.list[*unit].end > part.start;
            return (0..self.len()).filter(in_part).collect();
        }
        let mut wanted = vec![gimli::DW_OP_addr.0];
        wanted.extend(match dwarf.debug_info.reader().endian() {
            RunTimeEndian::Little => address.to_le_bytes(),
            RunTimeEndian::Big => address.to_be_bytes(),
        });
        let section = dwarf.debug_info.reader().slice();
        let start = part.start.min(section.len());
        let found = occurrences(&section[start..part.end.clamp(start, section.len())], &wanted);
        let mut units: Vec<usize> = found.into_iter().filter_map(|offset| self.around(start + offset)).collect();
        units.dedup();
        units
    }

    pub fn start(&self, unit: usize) -> usize {
        self.list[unit].start
    }

    /// Bytes of a unit.
    pub fn size(&self, unit: usize) -> usize {
        self.list[unit].end - self.list[unit].start
    }

    /// Opens a unit for its first entry alone, which takes less.
    pub fn root<'a>(&self, dwarf: &Dwarf<'a>, unit: usize) -> gimli::Result<Unit<'a>> {
        let entry = &self.list[unit];
        let mut unit = unit::root(dwarf, dwarf.unit_header(DebugInfoOffset(entry.start))?, &entry.first)?;
        if let Some(skeleton) = &self.skeleton {
            skeleton.complete(&mut unit);
        }
        Ok(unit)
    }

    /// Opens a unit. Its table of lines is apart: see [`unit::lines`].
    pub fn open<'a>(&mut self, dwarf: &Dwarf<'a>, unit: usize) -> gimli::Result<Unit<'a>> {
        let entry = &mut self.list[unit];
        let header = dwarf.unit_header(DebugInfoOffset(entry.start))?;
        let abbreviations = match &entry.abbreviations {
            Some(known) => known.clone(),
            None => entry.abbreviations.insert(dwarf.abbreviations(&header)?).clone(),
        };
        let mut unit = unit::root(dwarf, header, &entry.first)?;
        unit.abbreviations = abbreviations;
        if let Some(skeleton) = &self.skeleton {
            skeleton.complete(&mut unit);
        }
        Ok(unit)
    }

    pub fn index(&mut self, dwarf: &Dwarf<'_>, unit: usize) -> gimli::Result<&Index> {
        if self.list[unit].index.is_none() {
            let opened = self.open(dwarf, unit)?;
            self.list[unit].index = Some(index::scan(dwarf, &opened));
        }
        Ok(self.list[unit].index.get_or_insert_default())
    }

    /// Whether the code of a unit was compiled without optimisation: then each function has its first parameter in its
    /// frame, and optimised code has most of them in registers. That functions are inlined says less, since parts of
    /// the standard library are inlined everywhere.
    pub fn is_plain(&mut self, dwarf: &Dwarf<'_>, unit: usize) -> bool {
        if let Some(known) = self.list[unit].is_plain {
            return known;
        }
        let is_plain = self.open(dwarf, unit).is_ok_and(|opened| {
            self.index(dwarf, unit).is_ok_and(|index| {
                let firsts = index.functions.values().filter_map(|function| first_is_in_frame(&opened, *function));
                let sampled: Vec<bool> = firsts.take(SAMPLED).collect();
                match sampled.len() {
                    0..ENOUGH => index.inlined * 10 <= index.functions.len() && sampled.iter().all(|first| *first),
                    // A few shims of the compiler have theirs elsewhere.
                    count => sampled.iter().filter(|first| **first).count() * 4 >= count * 3,
                }
            })
        });
        self.list[unit].is_plain = Some(is_plain);
        is_plain
    }

    /// The instance of `drop_in_place` for a type, among the units scanned so far: its address in the file if it has
    /// code.
    pub fn dropped(&self, name: &str) -> Option<Option<u64>> {
        let mut found = None;
        for index in self.list.iter().filter_map(|entry| entry.index.as_ref()) {
            match index.dropped.get(name.as_bytes()) {
                Some(Some(address)) => return Some(Some(*address)),
                Some(None) => found = Some(None),
                None => {}
            }
        }
        found
    }

    /// Whether any drop glue was met: if not, it has names that are not known here.
    pub fn knows_glue(&self) -> bool {
        self.list.iter().any(|entry| entry.index.as_ref().is_some_and(|index| !index.dropped.is_empty()))
    }

    /// A function inside the implementation of this path (`a::b::{impl#3}`), described in another unit of the same
    /// crate: how many levels below it is, and its linkage name.
    pub fn implementation(&mut self, dwarf: &Dwarf<'_>, unit: usize, path: &str) -> Option<(usize, String)> {
        if let Some(known) = self.implementations.get(path) {
            return known.clone();
        }
        let name = self.crate_of(dwarf, unit);
        let mut found = None;
        // Units of one crate are mostly beside each other, and the names of all take 13 ms in a debug build of 190 MB.
        let around = (0..self.len())
            .flat_map(|distance| [unit.checked_sub(distance), unit.checked_add(distance).filter(|_| distance > 0)]);
        for other in around.flatten().filter(|other| *other < self.len()).collect::<Vec<_>>() {
            if name.is_none() || self.crate_of(dwarf, other) != name || !self.is_worth_reading(other) {
                continue;
            }
            let Ok(opened) = self.open(dwarf, other) else { continue };
            let Ok(index) = self.index(dwarf, other) else { continue };
            if let Some(here) = index.implementation(dwarf, &opened, path) {
                found = Some(here);
                break;
            }
        }
        self.implementations.insert(path.to_owned(), found.clone());
        found
    }

    /// What units of one crate have in common: `src/main.rs/@/3f2a…` up to the number of the unit.
    fn crate_of(&mut self, dwarf: &Dwarf<'_>, unit: usize) -> Option<Box<str>> {
        if let Some(known) = &self.list[unit].crate_name {
            return known.clone();
        }
        let name = self.root(dwarf, unit).ok().and_then(|opened| {
            let name = opened.name?.to_string_lossy().into_owned();
            let root = opened.comp_dir.map(|directory| directory.to_string_lossy().into_owned());
            Some(format!("{} {}", name.split("/@/").next()?, root.unwrap_or_default()).into())
        });
        self.list[unit].crate_name = Some(name.clone());
        name
    }

    /// Reads the table of ranges, or asks the units themselves where there is none (another linker, another compiler).
    fn read_code(&mut self, dwarf: &Dwarf<'_>) -> Code {
        let mut code = Code::of_table(dwarf, |offset| self.around(offset));
        if code.is_empty() {
            for unit in 0..self.len() {
                let Ok(opened) = self.open(dwarf, unit) else { continue };
                let Ok(mut ranges) = dwarf.unit_ranges(&opened) else { continue };
                while let Ok(Some(range)) = ranges.next()
                    && code.add(range.begin, range.end, unit)
                {}
            }
        }
        code.sort();
        code
    }

    /// The unit that holds the code at an address (of the file, not of memory).
    pub fn with_code(&mut self, dwarf: &Dwarf<'_>, address: u64) -> Option<usize> {
        if self.code.is_none() {
            self.code = Some(self.read_code(dwarf));
        }
        self.code.as_ref()?.unit(address)
    }
}

/// Where a sequence of bytes occurs.
///
/// A search that this build compiles takes 240 ms for 60 MB where it is not optimised. The standard library is, so it
/// looks for one byte: the one that occurs least at the beginning of what is searched.
fn occurrences(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    const SAMPLE: usize = 4096;
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let count = |byte: u8| sample.iter().filter(|one| **one == byte).count();
    let rarest = (0..wanted.len()).min_by_key(|at| count(wanted[*at]));
    let Some(at) = rarest else { return Vec::new() };
    let mut found = Vec::new();
    let mut rest = bytes;
    // Ends at the byte, or at the end: `rest` is then behind it.
    while let Ok(1..) = rest.skip_until(wanted[at]) {
        let start = (bytes.len() - rest.len()).checked_sub(at + 1);
        if let Some(start) = start
            && bytes[start..].starts_with(wanted)
        {
            found.push(start);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_wherever_they_occur() {
        let bytes: Vec<u8> = (0..50_000_u32).flat_map(|n| (n.wrapping_mul(0x9E37_79B9) >> 12).to_le_bytes()).collect();
        for wanted in
            [&bytes[..9], &bytes[70_001..70_010], &bytes[bytes.len() - 9..], &[0, 0], &[7], &[1, 2, 3, 4, 5, 6]]
        {
            let naive: Vec<usize> =
                bytes.windows(wanted.len()).enumerate().filter(|(_, part)| *part == wanted).map(|(at, _)| at).collect();
            assert_eq!(occurrences(&bytes, wanted), naive, "{wanted:?}");
        }
        assert!(occurrences(&[], &[3]).is_empty());
    }
}

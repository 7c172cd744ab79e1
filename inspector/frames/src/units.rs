//! Compilation units: which one describes an address, and what is in it.
//!
//! Debug info is one long run of entries without an index. The units touched are scanned once each, and what the scan
//! finds is kept: parents of types (for their paths), functions by address, vtables by address, types with drop glue.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use gimli::{Abbreviations, AttributeValue, DebugInfoOffset, Reader, RunTimeEndian, Section, UnitOffset};

use super::code::Code;
use super::image::Skeleton;
use super::sections::{Dwarf, Slice};

/// A unit, opened.
pub(super) type Unit<'a> = gimli::Unit<Slice<'a>>;

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

struct Entry {
    start: usize,
    end: usize,
    abbreviations: Option<Arc<Abbreviations>>,
    index: Option<Index>,
    /// Whether its code was compiled without optimisation, once that was asked for.
    is_plain: Option<bool>,
    crate_name: Option<Option<Box<str>>>,
}

/// The result of scanning a unit. Offsets are from the start of the unit.
#[derive(Default)]
pub(super) struct Index {
    /// Types, namespaces and functions, by offset.
    nodes: Vec<Node>,
    /// Functions by the address they begin at.
    pub functions: HashMap<u64, usize>,
    /// Functions that run coroutines.
    async_bodies: Vec<usize>,
    /// Vtables by address; the entries of their types. Several types may share one vtable, if their vtables are equal.
    pub vtables: HashMap<u64, Vec<usize>>,
    /// Vtables without an address: they were left out, or are the same as one that has an address.
    pub unplaced: Vec<usize>,
    /// Types that drop glue was made for, by name, and the address of the glue if it was not inlined.
    pub dropped: HashMap<Box<[u8]>, Option<u64>>,
    /// Calls that were inlined: hardly any without optimisation.
    pub inlined: usize,
}

/// An entry that has a name and may contain others.
#[derive(Clone, Copy)]
struct Node {
    offset: u32,
    parent: u32,
    /// Of an `{impl#N}` namespace: a function in it that has a linkage name.
    sample: u32,
    is_impl: bool,
    is_function: bool,
}

const NONE: u32 = u32::MAX;

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

    /// The unit around an offset into the section.
    pub fn around(&self, offset: usize) -> Option<usize> {
        let after = self.list.partition_point(|entry| entry.start <= offset);
        let index = after.checked_sub(1)?;
        (offset < self.list[index].end).then_some(index)
    }

    /// The functions that run coroutines, in the units read so far but one: the unit and the entry of each.
    pub fn async_bodies(&self, but: usize) -> Vec<(usize, usize)> {
        let read = self.list.iter().enumerate().filter(|(unit, _)| *unit != but);
        let read = read.filter_map(|(unit, entry)| Some((unit, entry.index.as_ref()?)));
        read.flat_map(|(unit, index)| index.async_bodies.iter().map(move |body| (unit, *body))).collect()
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

    /// The units that may describe a variable at an address (of the file), mostly found without reading their entries.
    pub fn mentioning(&self, dwarf: &Dwarf<'_>, address: u64) -> Vec<usize> {
        // Where addresses have a table of their own, entries have indices instead.
        if !dwarf.debug_addr.reader().is_empty() {
            return (0..self.len()).collect();
        }
        let mut wanted = vec![gimli::DW_OP_addr.0];
        wanted.extend(match dwarf.debug_info.reader().endian() {
            RunTimeEndian::Little => address.to_le_bytes(),
            RunTimeEndian::Big => address.to_be_bytes(),
        });
        let found = occurrences(dwarf.debug_info.reader().slice(), &wanted);
        let mut units: Vec<usize> = found.into_iter().filter_map(|offset| self.around(offset)).collect();
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

    pub fn open<'a>(&mut self, dwarf: &Dwarf<'a>, unit: usize) -> gimli::Result<Unit<'a>> {
        let entry = &mut self.list[unit];
        let header = dwarf.unit_header(DebugInfoOffset(entry.start))?;
        let abbreviations = match &entry.abbreviations {
            Some(known) => known.clone(),
            None => entry.abbreviations.insert(dwarf.abbreviations(&header)?).clone(),
        };
        let mut unit = gimli::Unit::new_with_abbreviations(dwarf, header, abbreviations)?;
        if let Some(skeleton) = &self.skeleton {
            skeleton.complete(&mut unit);
        }
        Ok(unit)
    }

    pub fn index(&mut self, dwarf: &Dwarf<'_>, unit: usize) -> gimli::Result<&Index> {
        if self.list[unit].index.is_none() {
            let opened = self.open(dwarf, unit)?;
            // A unit that is damaged in the middle still has a beginning.
            let mut index = Index::default();
            let _ = scan(dwarf, &opened, &mut index);
            self.list[unit].index = Some(index);
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
        for other in 0..self.len() {
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
        let name = self.open(dwarf, unit).ok().and_then(|opened| {
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

impl Index {
    /// The path of an entry, outermost first, as offsets; itself last.
    pub fn path(&self, offset: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut at = self.nodes.binary_search_by_key(&(offset as u32), |node| node.offset).ok();
        while let Some(index) = at {
            let node = self.nodes[index];
            path.push(node.offset as usize);
            at = (node.parent != NONE).then_some(node.parent as usize);
        }
        path.reverse();
        path
    }

    /// The types with a path that begins with a text, which has at least one `::`.
    fn types(&self, dwarf: &Dwarf<'_>, unit: &Unit<'_>, path: &str) -> Vec<usize> {
        let Some((above, last)) = path.rsplit_once("::") else { return Vec::new() };
        let mut namespaces: HashMap<u32, bool> = HashMap::new();
        let mut found = Vec::new();
        for node in self.nodes.iter().filter(|node| node.parent != NONE && !node.is_function) {
            let is_in = *namespaces.entry(node.parent).or_insert_with(|| {
                let parent = self.nodes[node.parent as usize].offset as usize;
                joined(dwarf, unit, &self.path(parent)) == above
            });
            if is_in && joined(dwarf, unit, &[node.offset as usize]).starts_with(last) {
                found.push(node.offset as usize);
            }
        }
        found
    }

    /// The functions that are in the same namespace as an entry.
    pub fn beside(&self, offset: usize) -> Vec<usize> {
        let at = self.nodes.binary_search_by_key(&(offset as u32), |node| node.offset).ok();
        let Some(outer) = at.map(|at| self.nodes[at].parent).filter(|outer| *outer != NONE) else {
            return Vec::new();
        };
        let functions = self.nodes.iter().filter(|node| node.parent == outer && node.is_function);
        functions.map(|node| node.offset as usize).collect()
    }

    /// A function inside the implementation of this path: how many levels below it is, and its linkage name.
    fn implementation(&self, dwarf: &Dwarf<'_>, unit: &Unit<'_>, path: &str) -> Option<(usize, String)> {
        for node in self.nodes.iter().filter(|node| node.sample != NONE) {
            let above = self.path(node.offset as usize);
            if joined(dwarf, unit, &above) == path {
                let sample = node.sample as usize;
                return Some((self.path(sample).len().checked_sub(above.len())?, linkage_name(dwarf, unit, sample)?));
            }
        }
        None
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

/// The crate of a unit, by the unit's name: `src/lib.rs/@/tinyio.3f2a…-cgu.0`.
pub(super) fn crate_name(unit: &Unit<'_>) -> Option<String> {
    let name = unit.name?.to_string_lossy();
    let (_, name) = name.split_once("/@/")?;
    Some(name.split('.').next()?.to_owned())
}

/// Names along a path of entries, joined.
pub(super) fn joined(dwarf: &Dwarf<'_>, unit: &Unit<'_>, path: &[usize]) -> String {
    let names = path.iter().map(|&offset| {
        let entry = unit.entry(within(offset)).ok();
        entry.and_then(|entry| text(dwarf, unit, entry.attr_value(gimli::DW_AT_name))).unwrap_or_default()
    });
    names.collect::<Vec<_>>().join("::")
}

/// The name of a function for the linker.
fn linkage_name(dwarf: &Dwarf<'_>, unit: &Unit<'_>, function: usize) -> Option<String> {
    let entry = unit.entry(within(function)).ok()?;
    let name = entry.attr_value(gimli::DW_AT_linkage_name).or_else(|| entry.attr_value(gimli::DW_AT_MIPS_linkage_name));
    text(dwarf, unit, name)
}

fn scan(dwarf: &Dwarf<'_>, unit: &Unit<'_>, index: &mut Index) -> gimli::Result<()> {
    // The node each level of nesting is in.
    let mut parents: Vec<u32> = Vec::new();
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let offset = entries.next_offset();
        let depth = entries.next_depth();
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        let level = usize::try_from(depth).unwrap_or(0);
        parents.truncate(level);
        let parent = parents.last().copied().unwrap_or(NONE);
        let mut node = NONE;
        match abbreviation.tag() {
            gimli::DW_TAG_namespace
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_subprogram => {
                node = index.nodes.len() as u32;
                let mut found = Node {
                    offset: u32::try_from(offset.0).unwrap_or(NONE),
                    parent,
                    sample: NONE,
                    is_impl: false,
                    is_function: abbreviation.tag() == gimli::DW_TAG_subprogram,
                };
                let (mut low, mut linked, mut dropped) = (None, false, None);
                for &spec in abbreviation.attributes() {
                    let wanted = match spec.name() {
                        gimli::DW_AT_low_pc => abbreviation.tag() == gimli::DW_TAG_subprogram,
                        gimli::DW_AT_name => {
                            matches!(abbreviation.tag(), gimli::DW_TAG_namespace | gimli::DW_TAG_subprogram)
                        }
                        gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                            linked = true;
                            false
                        }
                        _ => false,
                    };
                    if !wanted {
                        entries.skip_attributes(&[spec])?;
                        continue;
                    }
                    let value = entries.read_attribute(spec)?.value();
                    match spec.name() {
                        gimli::DW_AT_low_pc => low = dwarf.attr_address(unit, value)?,
                        _ => {
                            let Ok(name) = dwarf.attr_string(unit, value) else { continue };
                            found.is_impl = name.slice().starts_with(b"{impl#");
                            if found.is_function && name.slice().starts_with(b"{async_") {
                                index.async_bodies.push(offset.0);
                            }
                            dropped = dropped_by(name.slice()).map(Box::from);
                        }
                    }
                }
                if let Some(low) = low {
                    index.functions.insert(low, offset.0);
                }
                if let Some(name) = dropped {
                    let instance = index.dropped.entry(name).or_default();
                    *instance = instance.or(low);
                }
                index.nodes.push(found);
                if linked {
                    sample(&mut index.nodes, node);
                }
            }
            gimli::DW_TAG_variable if depth == 1 => vtable(dwarf, unit, index, &mut entries, abbreviation)?,
            tag => {
                index.inlined += usize::from(tag == gimli::DW_TAG_inlined_subroutine);
                entries.skip_attributes(abbreviation.attributes())?;
            }
        }
        if abbreviation.has_children() {
            parents.resize(level, NONE);
            parents.push(if node == NONE { parent } else { node });
        }
    }
    Ok(())
}

/// The type that a function of this name drops: `drop_glue<T>`, which older compilers have in `drop_in_place<T>`.
pub(super) fn dropped_by(function: &[u8]) -> Option<&[u8]> {
    let named = [b"drop_in_place<".as_slice(), b"drop_glue<"].iter().find_map(|start| function.strip_prefix(*start));
    named.and_then(|rest| rest.strip_suffix(b">"))
}

/// Notes a function as the example of the implementation it is in.
fn sample(nodes: &mut [Node], function: u32) {
    let offset = nodes[function as usize].offset;
    let mut at = nodes[function as usize].parent;
    while let Some(node) = nodes.get_mut(at as usize) {
        if node.is_impl && node.sample == NONE {
            node.sample = offset;
        }
        at = node.parent;
    }
}

/// A variable at the top of a unit: a vtable if it has a fixed address and is called so.
fn vtable(
    dwarf: &Dwarf<'_>,
    unit: &Unit<'_>,
    index: &mut Index,
    entries: &mut gimli::EntriesRaw<'_, Slice<'_>>,
    abbreviation: &gimli::Abbreviation,
) -> gimli::Result<()> {
    let (mut is_vtable, mut address, mut kind) = (false, None, None);
    for &spec in abbreviation.attributes() {
        let value = entries.read_attribute(spec)?.value();
        match (spec.name(), value) {
            (gimli::DW_AT_name, value) => {
                is_vtable = dwarf.attr_string(unit, value).is_ok_and(|name| name.slice().ends_with(b"::{vtable}"));
            }
            (gimli::DW_AT_location, AttributeValue::Exprloc(expression)) => {
                address = fixed_address(dwarf, unit, expression);
            }
            (gimli::DW_AT_type, AttributeValue::UnitRef(target)) => kind = Some(target.0),
            _ => {}
        }
    }
    if let (true, Some(kind)) = (is_vtable, kind) {
        match address {
            Some(address) => index.vtables.entry(address).or_default().push(kind),
            None => index.unplaced.push(kind),
        }
    }
    Ok(())
}

/// The address, of a location that is nothing but one.
fn fixed_address(dwarf: &Dwarf<'_>, unit: &Unit<'_>, expression: gimli::Expression<Slice<'_>>) -> Option<u64> {
    let mut operations = expression.operations(unit.encoding());
    let address = match operations.next().ok()?? {
        gimli::Operation::Address { address } => address,
        gimli::Operation::AddressIndex { index } => dwarf.address(unit, index).ok()?,
        _ => return None,
    };
    operations.next().ok()?.is_none().then_some(address)
}

/// An attribute that refers to another entry: the offset in the section.
pub(super) fn reference(unit: &Unit<'_>, value: AttributeValue<Slice<'_>>) -> Option<usize> {
    match value {
        AttributeValue::UnitRef(offset) => Some(offset.to_debug_info_offset(&unit.header)?.0),
        AttributeValue::DebugInfoRef(offset) => Some(offset.0),
        _ => None,
    }
}

/// The entry that declares the function at an offset from the start of a unit, and is in the scope that names it:
/// itself or another.
pub(super) fn declaration(unit: &Unit<'_>, function: usize) -> Option<usize> {
    let entry = unit.entry(within(function)).ok()?;
    let origin = [gimli::DW_AT_specification, gimli::DW_AT_abstract_origin].map(|name| entry.attr_value(name));
    match origin.into_iter().flatten().next() {
        Some(value) => reference(unit, value),
        None => Some(within(function).to_debug_info_offset(&unit.header)?.0),
    }
}

/// Whether the first parameter of a function has its place in the frame for as long as the function runs. None if it
/// has no parameter, or one without a place.
fn first_is_in_frame(unit: &Unit<'_>, function: usize) -> Option<bool> {
    let mut tree = unit.entries_tree(Some(within(function))).ok()?;
    let mut children = tree.root().ok()?.children();
    while let Some(child) = children.next().ok()? {
        if child.entry().tag() != gimli::DW_TAG_formal_parameter {
            continue;
        }
        return match child.entry().attr_value(gimli::DW_AT_location)? {
            AttributeValue::Exprloc(expression) => {
                let first = expression.operations(unit.encoding()).next().ok()??;
                Some(matches!(first, gimli::Operation::FrameOffset { .. }))
            }
            _ => Some(false),
        };
    }
    None
}

/// The type of the first entry of a kind in a function.
pub(super) fn type_of_first(unit: &Unit<'_>, function: usize, kind: gimli::DwTag) -> Option<usize> {
    types_of_all(unit, function, kind).first().copied()
}

/// The types of all entries of a kind in a function.
pub(super) fn types_of_all(unit: &Unit<'_>, function: usize, kind: gimli::DwTag) -> Vec<usize> {
    let mut found = Vec::new();
    let Ok(mut tree) = unit.entries_tree(Some(within(function))) else { return found };
    let Ok(root) = tree.root() else { return found };
    // Where optimisation made copies of a function, arguments are described once, in the original.
    let origin = root.entry().attr_value(gimli::DW_AT_abstract_origin);
    let mut children = root.children();
    while let Ok(Some(child)) = children.next() {
        let ty = child.entry().attr_value(gimli::DW_AT_type).filter(|_| child.entry().tag() == kind);
        found.extend(ty.and_then(|ty| reference(unit, ty)));
    }
    match origin {
        Some(gimli::AttributeValue::UnitRef(origin)) if found.is_empty() && origin.0 != function => {
            types_of_all(unit, origin.0, kind)
        }
        _ => found,
    }
}

/// The attribute's text.
pub(super) fn text(dwarf: &Dwarf<'_>, unit: &Unit<'_>, value: Option<AttributeValue<Slice<'_>>>) -> Option<String> {
    let text = dwarf.attr_string(unit, value?).ok()?;
    Some(text.to_string_lossy().into_owned())
}

/// An offset from the start of a unit.
pub(super) fn within(offset: usize) -> UnitOffset {
    UnitOffset(offset)
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

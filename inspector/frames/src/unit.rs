//! One compilation unit, opened, and what its entries say.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebugAbbrev, DebugAbbrevOffset, IncompleteLineProgram, Reader, Section, UnitHeader,
    UnitOffset,
};

use super::sections::{Dwarf, Slice};

/// A unit, opened.
pub(super) type Unit<'a> = gimli::Unit<Slice<'a>>;

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
pub(super) fn linkage_name(dwarf: &Dwarf<'_>, unit: &Unit<'_>, function: usize) -> Option<String> {
    let entry = unit.entry(within(function)).ok()?;
    let name = entry.attr_value(gimli::DW_AT_linkage_name).or_else(|| entry.attr_value(gimli::DW_AT_MIPS_linkage_name));
    text(dwarf, unit, name)
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
pub(super) fn first_is_in_frame(unit: &Unit<'_>, function: usize) -> Option<bool> {
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
    Some(String::from_utf8_lossy(string(dwarf, unit, value?)?).into_owned())
}

/// The attribute's text as bytes. The parser looks for its end byte by byte, the standard library with the instructions
/// made for it, also where the program is not optimised.
pub(super) fn string<'a>(dwarf: &Dwarf<'a>, unit: &Unit<'a>, value: AttributeValue<Slice<'a>>) -> Option<&'a [u8]> {
    let (section, offset) = match value {
        AttributeValue::DebugStrRef(offset) => (dwarf.debug_str.reader(), offset.0),
        AttributeValue::DebugLineStrRef(offset) => (dwarf.debug_line_str.reader(), offset.0),
        other => return Some(dwarf.attr_string(unit, other).ok()?.slice()),
    };
    Some(CStr::from_bytes_until_nul(section.slice().get(offset..)?).ok()?.to_bytes())
}

/// What [`root`] finds out of a unit, if it was opened before.
pub(super) type First = OnceCell<Option<Arc<Abbreviations>>>;

/// Opens a unit for its first entry alone, and without its table of lines: these and all abbreviations take a hundred
/// times as long.
pub(super) fn root<'a>(dwarf: &Dwarf<'a>, header: UnitHeader<Slice<'a>>, first: &First) -> gimli::Result<Unit<'a>> {
    match first.get_or_init(|| first_abbreviation(dwarf, &header)) {
        Some(first) => Unit::new_with_abbreviations(dwarf, header, first.clone()),
        None => dwarf.unit(header),
    }
}

/// Opens a unit, without its table of lines.
pub(super) fn whole<'a>(dwarf: &Dwarf<'a>, header: UnitHeader<Slice<'a>>) -> gimli::Result<Unit<'a>> {
    let mut unit = root(dwarf, header, &First::new())?;
    unit.abbreviations = dwarf.abbreviations(&unit.header)?;
    Ok(unit)
}

/// The table of lines of a unit, which was not opened for its first entry alone.
pub(super) fn lines<'a>(dwarf: &Dwarf<'a>, unit: &Unit<'a>) -> Option<IncompleteLineProgram<Slice<'a>>> {
    let root = unit.entry(within(unit.header.size_of_header())).ok()?;
    let AttributeValue::DebugLineRef(at) = root.attr_value(gimli::DW_AT_stmt_list)? else { return None };
    dwarf.debug_line.program(at, unit.header.address_size(), unit.comp_dir, unit.name).ok()
}

/// The abbreviation of the first entry of a unit, if it is the first of all, without the attribute for the table of
/// lines. The parser opens that together with a unit.
fn first_abbreviation(dwarf: &Dwarf<'_>, header: &UnitHeader<Slice<'_>>) -> Option<Arc<Abbreviations>> {
    let section = dwarf.debug_abbrev.reader();
    let bytes = section.slice().get(header.debug_abbrev_offset().0..)?;
    let endian = section.endian();
    let mut rest = Slice::new(bytes, endian);
    let code = rest.read_uleb128().ok()?;
    let start = header.debug_info_offset()?.0.checked_add(header.size_of_header())?;
    let mut entry = Slice::new(dwarf.debug_info.reader().slice().get(start..)?, endian);
    if entry.read_uleb128().ok()? != code {
        return None;
    }
    let (_tag, _has_children) = (rest.read_uleb128().ok()?, rest.read_u8().ok()?);
    let mut first = bytes[..bytes.len() - rest.len()].to_vec();
    loop {
        let before = rest.slice();
        let (name, form) = (rest.read_uleb128().ok()?, rest.read_uleb128().ok()?);
        if form == u64::from(gimli::DW_FORM_implicit_const.0) {
            rest.read_sleb128().ok()?;
        }
        let attribute = first.len();
        first.extend_from_slice(&before[..before.len() - rest.len()]);
        if name == u64::from(gimli::DW_AT_stmt_list.0) {
            // Both names are of one byte.
            first[attribute] = gimli::DW_AT_sibling.0 as u8;
        }
        if (name, form) == (0, 0) {
            break;
        }
    }
    // No other follows.
    first.push(0);
    DebugAbbrev::new(&first, endian).abbreviations(DebugAbbrevOffset(0)).ok().map(Arc::new)
}

/// An offset from the start of a unit.
pub(super) fn within(offset: usize) -> UnitOffset {
    UnitOffset(offset)
}

//! Turns entries of debug info into types.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use gimli::{AttributeValue, DebuggingInformationEntry, EntriesTreeNode, IncompleteLineProgram};

use super::names;
use super::sections::{Dwarf, Slice};
use super::shape::{Base, Member, Shape, Type, TypeRef, Variant};
use super::types::Types;
use super::unit::{self, Unit};
use super::units::Units;

impl Types {
    pub(super) fn parse(&mut self, ty: TypeRef) -> Option<Type> {
        let (dwarf, units) = self.units(ty.image);
        let unit = units.around(ty.offset)?;
        let within = ty.offset - units.start(unit);
        let opened = units.open(&dwarf, unit).ok()?;
        let name = path(&dwarf, units, &opened, unit, within);
        self.parsing(ty.image, unit, |parser| {
            let mut tree = parser.unit.entries_tree(Some(unit::within(within))).ok()?;
            parser.parse(tree.root().ok()?, name)
        })
    }

    /// Opens a unit and reads something in it.
    pub(super) fn parsing<T>(
        &mut self,
        image: usize,
        unit: usize,
        read: impl FnOnce(&mut Parser<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        self.units(image);
        let dwarf = self.images.dwarf(image);
        let opened = self.units.get_mut(&image)?.open(&dwarf, unit).ok()?;
        // The table of files stays behind when a unit is split off.
        let lines = match &self.images.get(image).split {
            None => None,
            Some(split) => {
                let dwarf = self.images.dwarf(split.parent);
                let header = dwarf.unit_header(gimli::DebugInfoOffset(split.skeleton.offset));
                header.and_then(|header| unit::whole(&dwarf, header)).ok().map(|unit| (dwarf, unit))
            }
        };
        let lines = lines.as_ref().map_or((&dwarf, &opened), |lines| (&lines.0, &lines.1));
        let files = &mut self.files;
        read(&mut Parser { dwarf: &dwarf, unit: &opened, lines, program: None, image, number: unit, files })
    }
}

/// The path of an entry.
fn path(dwarf: &Dwarf<'_>, units: &mut Units, opened: &Unit<'_>, unit: usize, offset: usize) -> String {
    let mut offsets = match units.index(dwarf, unit) {
        Ok(index) => index.path(offset),
        Err(_) => Vec::new(),
    };
    if offsets.is_empty() {
        offsets.push(offset);
    }
    let mut segments: Vec<String> = Vec::new();
    for (level, &at) in offsets.iter().enumerate() {
        let name = unit::joined(dwarf, opened, &[at]);
        if name.starts_with("{impl#") {
            let full = unit::joined(dwarf, opened, &offsets[..=level]);
            let found = units.implementation(dwarf, unit, &full);
            if let Some(path) = found.and_then(|(below, linkage)| names::implementation(&linkage, below)) {
                segments = vec![path];
                continue;
            }
        }
        segments.push(name);
    }
    segments.join("::")
}

/// A place in the sources. The line 0 is not known.
#[derive(Clone, Debug, Default)]
pub(super) struct Position {
    pub file: Option<Rc<PathBuf>>,
    pub line: u32,
    pub column: u32,
}

/// Turns entries of one unit into types.
pub(super) struct Parser<'p, 'a> {
    dwarf: &'p Dwarf<'a>,
    pub unit: &'p Unit<'a>,
    /// What describes its files.
    lines: (&'p Dwarf<'a>, &'p Unit<'a>),
    /// Its table of lines, once it was needed.
    program: Option<Option<IncompleteLineProgram<Slice<'a>>>>,
    image: usize,
    number: usize,
    files: &'p mut HashMap<(usize, usize, u64), Option<Rc<PathBuf>>>,
}

impl<'a> Parser<'_, 'a> {
    fn parse(&mut self, node: EntriesTreeNode<'_, '_, Slice<'a>>, name: String) -> Option<Type> {
        let entry = node.entry();
        let size = number(entry, gimli::DW_AT_byte_size);
        let align = number(entry, gimli::DW_AT_alignment);
        let target = self.reference(entry, gimli::DW_AT_type);
        let mut params = Vec::new();
        let shape = match entry.tag() {
            gimli::DW_TAG_base_type => base(&name, size, entry),
            gimli::DW_TAG_pointer_type => Shape::Pointer(target),
            gimli::DW_TAG_subroutine_type => Shape::Function,
            gimli::DW_TAG_union_type => {
                let mut children = node.children();
                while let Ok(Some(child)) = children.next() {
                    if child.entry().tag() == gimli::DW_TAG_template_type_parameter {
                        params.extend(self.param(child.entry()));
                    }
                }
                Shape::Union
            }
            gimli::DW_TAG_array_type => {
                let mut count = None;
                let mut children = node.children();
                while let Ok(Some(child)) = children.next() {
                    if child.entry().tag() == gimli::DW_TAG_subrange_type {
                        let upper = number(child.entry(), gimli::DW_AT_upper_bound);
                        count = number(child.entry(), gimli::DW_AT_count).or_else(|| upper?.checked_add(1));
                    }
                }
                Shape::Array { element: target?, count }
            }
            gimli::DW_TAG_enumeration_type => {
                let mut names = Vec::new();
                let mut children = node.children();
                while let Ok(Some(child)) = children.next() {
                    let entry = child.entry();
                    let value = constant(entry.attr_value(gimli::DW_AT_const_value), size);
                    if let (gimli::DW_TAG_enumerator, Some(value)) = (entry.tag(), value) {
                        names.push((value, self.text(entry, gimli::DW_AT_name)));
                    }
                }
                Shape::CLike(names)
            }
            gimli::DW_TAG_structure_type => {
                let mut members = Vec::new();
                let mut variants = None;
                let mut children = node.children();
                while let Ok(Some(child)) = children.next() {
                    match child.entry().tag() {
                        gimli::DW_TAG_member => members.extend(self.member(child.entry())),
                        gimli::DW_TAG_template_type_parameter => params.extend(self.param(child.entry())),
                        gimli::DW_TAG_variant_part => variants = Some(self.variants(child)),
                        _ => {}
                    }
                }
                match variants {
                    None => Shape::Struct(members),
                    Some((tag, variants)) => Shape::Enum { tag, variants },
                }
            }
            _ => Shape::Unknown,
        };
        Some(Type { shown: names::shorten(&name), name, size, align, shape, params, function: OnceCell::new() })
    }

    fn variants(&mut self, node: EntriesTreeNode<'_, '_, Slice<'a>>) -> (Option<Member>, Vec<Variant>) {
        let (mut tag, mut tag_size) = (None, None);
        let mut variants = Vec::new();
        let mut children = node.children();
        while let Ok(Some(child)) = children.next() {
            match child.entry().tag() {
                gimli::DW_TAG_member => {
                    tag = self.member(child.entry());
                    tag_size = tag.as_ref().and_then(|tag| self.plain_size(tag.ty));
                }
                gimli::DW_TAG_variant => {
                    let value = child.entry().attr_value(gimli::DW_AT_discr_value);
                    let value = constant(value, tag_size);
                    let mut inner = child.children();
                    while let Ok(Some(member)) = inner.next() {
                        if member.entry().tag() == gimli::DW_TAG_member {
                            variants.extend(self.member(member.entry()).map(|member| Variant { tag: value, member }));
                        }
                    }
                }
                _ => {}
            }
        }
        (tag, variants)
    }

    /// Size of a number, read beside the type that is being parsed.
    fn plain_size(&self, ty: TypeRef) -> Option<u64> {
        let offset = gimli::DebugInfoOffset(ty.offset).to_unit_offset(&self.unit.header)?;
        number(&self.unit.entry(offset).ok()?, gimli::DW_AT_byte_size)
    }

    pub fn member(&mut self, entry: &DebuggingInformationEntry<Slice<'a>>) -> Option<Member> {
        let ty = self.reference(entry, gimli::DW_AT_type)?;
        let offset = number(entry, gimli::DW_AT_data_member_location).unwrap_or(0);
        let line = number(entry, gimli::DW_AT_decl_line).unwrap_or(0);
        let file = match entry.attr_value(gimli::DW_AT_decl_file) {
            Some(AttributeValue::FileIndex(index)) => self.file(index),
            Some(other) => other.udata_value().and_then(|index| self.file(index)),
            None => None,
        };
        Some(Member {
            name: self.text(entry, gimli::DW_AT_name),
            ty,
            offset,
            file,
            line: u32::try_from(line).unwrap_or(0),
        })
    }

    fn param(&self, entry: &DebuggingInformationEntry<Slice<'a>>) -> Option<(String, TypeRef)> {
        Some((self.text(entry, gimli::DW_AT_name), self.reference(entry, gimli::DW_AT_type)?))
    }

    /// Whether an entry's code contains an address of the file.
    pub fn contains(&self, entry: &DebuggingInformationEntry<Slice<'a>>, address: u64) -> bool {
        let Ok(mut ranges) = self.dwarf.die_ranges(self.unit, entry) else { return false };
        std::iter::from_fn(|| ranges.next().ok()?).any(|range| (range.begin..range.end).contains(&address))
    }

    /// A call that was inlined: the declaration of the function, and where it is called.
    pub fn call(&mut self, entry: &DebuggingInformationEntry<Slice<'a>>) -> Option<(usize, Position)> {
        let AttributeValue::UnitRef(origin) = entry.attr_value(gimli::DW_AT_abstract_origin)? else { return None };
        let position = self.call_position(entry)?;
        Some((unit::declaration(self.unit, origin.0)?, position))
    }

    /// Where a function that was inlined is called.
    pub fn call_position(&mut self, entry: &DebuggingInformationEntry<Slice<'a>>) -> Option<Position> {
        let file = match entry.attr_value(gimli::DW_AT_call_file)? {
            AttributeValue::FileIndex(index) => self.file(index),
            other => self.file(other.udata_value()?),
        };
        let line = u32::try_from(number(entry, gimli::DW_AT_call_line)?).ok()?;
        let column = number(entry, gimli::DW_AT_call_column).and_then(|column| u32::try_from(column).ok());
        Some(Position { file, line, column: column.unwrap_or(0) })
    }

    /// The source of the code at an address of the file.
    pub fn position(&mut self, address: u64) -> Option<Position> {
        let mut rows = self.program()?.clone().rows();
        let mut before = None;
        while let Ok(Some((_, row))) = rows.next_row() {
            if let Some((begin, file, line, column)) = before
                && (begin..row.address()).contains(&address)
            {
                return Some(Position { file: self.file(file), line, column });
            }
            let column = match row.column() {
                gimli::ColumnType::LeftEdge => 0,
                gimli::ColumnType::Column(column) => u32::try_from(column.get()).unwrap_or(0),
            };
            let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
            let line = line.filter(|_| !row.end_sequence());
            before = line.map(|line| (row.address(), row.file_index(), line, column));
        }
        None
    }

    fn program(&mut self) -> Option<&IncompleteLineProgram<Slice<'a>>> {
        let (dwarf, unit) = self.lines;
        self.program.get_or_insert_with(|| unit::lines(dwarf, unit)).as_ref()
    }

    fn file(&mut self, index: u64) -> Option<Rc<PathBuf>> {
        let key = (self.image, self.number, index);
        if let Some(known) = self.files.get(&key) {
            return known.clone();
        }
        let (dwarf, unit) = self.lines;
        let found = self.program().and_then(|program| file_path(dwarf, unit, program, index)).map(Rc::new);
        self.files.insert(key, found.clone());
        found
    }

    fn text(&self, entry: &DebuggingInformationEntry<Slice<'a>>, name: gimli::DwAt) -> String {
        unit::text(self.dwarf, self.unit, entry.attr_value(name)).unwrap_or_default()
    }

    fn reference(&self, entry: &DebuggingInformationEntry<Slice<'a>>, name: gimli::DwAt) -> Option<TypeRef> {
        let offset = unit::reference(self.unit, entry.attr_value(name)?)?;
        Some(TypeRef { image: self.image, offset })
    }
}

/// A file of the unit's line table: absolute, or as far as the compiler wrote it.
fn file_path(
    dwarf: &Dwarf<'_>,
    unit: &Unit<'_>,
    program: &IncompleteLineProgram<Slice<'_>>,
    index: u64,
) -> Option<PathBuf> {
    let header = program.header();
    let file = header.file(index)?;
    let text = |value| unit::text(dwarf, unit, Some(value)).map(PathBuf::from);
    let mut path = PathBuf::new();
    if let Some(directory) = unit.comp_dir {
        path.push(directory.to_string_lossy().as_ref());
    }
    // `push` replaces the path when what it is given is absolute.
    if file.directory_index() != 0
        && let Some(directory) = file.directory(header).and_then(text)
    {
        path.push(directory);
    }
    path.push(text(file.path_name())?);
    Some(path)
}

/// A size, an offset, a count. Larger ones are damage; without them sums of a few cannot overflow.
fn number(entry: &DebuggingInformationEntry<Slice<'_>>, name: gimli::DwAt) -> Option<u64> {
    entry.attr_value(name)?.udata_value().filter(|value| *value < 1 << 40)
}

/// A constant as an unsigned number of `size` bytes.
fn constant(value: Option<AttributeValue<Slice<'_>>>, size: Option<u64>) -> Option<u128> {
    let value = match value? {
        AttributeValue::Data1(value) => value.into(),
        AttributeValue::Data2(value) => value.into(),
        AttributeValue::Data4(value) => value.into(),
        AttributeValue::Data8(value) => value.into(),
        AttributeValue::Udata(value) => value.into(),
        AttributeValue::Sdata(value) => i128::from(value) as u128,
        AttributeValue::Block(bytes) => {
            let mut wide = [0; 16];
            wide.get_mut(..bytes.len())?.copy_from_slice(bytes.slice());
            u128::from_le_bytes(wide)
        }
        AttributeValue::Exprloc(expression) => {
            let mut wide = [0; 16];
            wide.get_mut(..expression.0.len())?.copy_from_slice(expression.0.slice());
            u128::from_le_bytes(wide)
        }
        _ => return None,
    };
    Some(match size {
        Some(size @ 1..16) => value & ((1 << (size * 8)) - 1),
        _ => value,
    })
}

fn base(name: &str, size: Option<u64>, entry: &DebuggingInformationEntry<Slice<'_>>) -> Shape {
    let Some(AttributeValue::Encoding(encoding)) = entry.attr_value(gimli::DW_AT_encoding) else {
        return Shape::Unknown;
    };
    Shape::Base(match encoding {
        _ if name == "!" => Base::Never,
        _ if size == Some(0) => Base::Unit,
        gimli::DW_ATE_boolean => Base::Bool,
        gimli::DW_ATE_UTF => Base::Char,
        gimli::DW_ATE_signed | gimli::DW_ATE_signed_char => Base::Signed,
        gimli::DW_ATE_unsigned | gimli::DW_ATE_unsigned_char => Base::Unsigned,
        gimli::DW_ATE_float => Base::Float,
        _ => return Shape::Unknown,
    })
}

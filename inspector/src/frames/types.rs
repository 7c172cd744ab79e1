//! Types, as debug info describes them, each parsed once.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use gimli::{AttributeValue, DebuggingInformationEntry, EntriesTreeNode};

use super::alive::Glue;
use super::hash::FastMap;
use super::image::{Dwarf, Images, Skeleton, Slice};
use super::memory::Memory;
use super::names;
use super::units::{self, Unit, Units};
use super::work::worked;

/// A type: the image it is described in, and where in its debug info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TypeRef {
    pub image: usize,
    pub offset: usize,
}

/// What is known of a type.
#[derive(Debug)]
pub(super) struct Type {
    /// Its path with generics, such as `alloc::vec::Vec<u8, alloc::alloc::Global>`.
    pub name: String,
    /// The name as it is shown: see [`names::shorten`].
    pub shown: String,
    /// Size in bytes, where the type has one of its own.
    pub size: Option<u64>,
    /// Alignment, where it is given.
    pub align: Option<u64>,
    /// What it consists of.
    pub shape: Shape,
    /// Type parameters by name.
    pub params: Vec<(String, TypeRef)>,
}

/// What a type consists of.
#[derive(Debug)]
pub(super) enum Shape {
    Base(Base),
    /// A thin pointer: reference, raw pointer or box; the name tells which.
    Pointer(Option<TypeRef>),
    /// A function, behind a pointer.
    Function,
    Array {
        element: TypeRef,
        count: Option<u64>,
    },
    Struct(Vec<Member>),
    /// An enum with values, or a coroutine.
    Enum {
        tag: Option<Member>,
        variants: Vec<Variant>,
    },
    /// An enum without values.
    CLike(Vec<(u128, String)>),
    Union,
    /// Something this reader does not know.
    Unknown,
}

/// Numbers and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Unit,
    Bool,
    Char,
    Signed,
    Unsigned,
    Float,
    Never,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub name: String,
    pub ty: TypeRef,
    pub offset: u64,
    /// Where it was declared; of a coroutine's variant: the place of the await.
    pub file: Option<Rc<PathBuf>>,
    pub line: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// The value of the tag, as an unsigned number of the tag's size; `None` is the variant of all other values.
    pub tag: Option<u128>,
    pub member: Member,
}

impl Type {
    /// The path without generics: `alloc::vec::Vec`.
    pub fn path(&self) -> &str {
        names::without_generics(&self.name)
    }

    pub fn members(&self) -> &[Member] {
        match &self.shape {
            Shape::Struct(members) => members,
            _ => &[],
        }
    }

    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members().iter().find(|member| member.name == name)
    }

    pub fn param(&self, name: &str) -> Option<TypeRef> {
        self.params.iter().find(|param| param.0 == name).map(|param| param.1)
    }

    /// A suspended async function, block or closure: nothing else calls its tag `__state`.
    pub fn is_coroutine(&self) -> bool {
        matches!(&self.shape, Shape::Enum { tag: Some(tag), .. } if tag.name == "__state")
    }
}

/// Code of a function, and whether it was compiled without optimisation.
pub(super) type Code = (Rc<[u8]>, bool);

/// All types that were looked at, and the images they come from.
pub(super) struct Types {
    pub memory: Memory,
    pub images: Images,
    /// Time spent on reading debug info, and whether it is being read.
    learnt: Duration,
    learning: bool,
    units: HashMap<usize, Units>,
    known: FastMap<TypeRef, Rc<Type>>,
    files: HashMap<(usize, usize, u64), Option<Rc<PathBuf>>>,
    /// Types of vtables, by address in memory.
    vtables: FastMap<u64, Option<TypeRef>>,
    /// Types named by type parameters of functions, by address in memory.
    functions: FastMap<u64, Option<TypeRef>>,
    /// Types dropped by instances of `drop_in_place`, by address in memory.
    drops: FastMap<u64, Option<TypeRef>>,
    glue: FastMap<TypeRef, Glue>,
    /// Code of drop glue by its address, and whether it was compiled without optimisation.
    bodies: FastMap<u64, Option<Code>>,
}

impl Types {
    pub fn of(memory: Memory) -> Types {
        let images = Images::of(&memory);
        Types {
            memory,
            images,
            learnt: Duration::ZERO,
            learning: false,
            units: HashMap::new(),
            known: FastMap::default(),
            files: HashMap::new(),
            vtables: FastMap::default(),
            functions: FastMap::default(),
            drops: FastMap::default(),
            glue: FastMap::default(),
            bodies: FastMap::default(),
        }
    }

    /// Time spent on reading debug info so far.
    pub fn learnt(&self) -> Duration {
        self.learnt
    }

    /// Reads debug info: what that takes is not held against whoever wants to know.
    fn learn<T>(&mut self, read: impl FnOnce(&mut Types) -> T) -> T {
        if self.learning {
            return read(self);
        }
        let start = worked();
        self.learning = true;
        let learnt = read(self);
        self.learning = false;
        self.learnt += worked().saturating_sub(start);
        learnt
    }

    /// The first type parameter of the function at an address.
    pub fn of_function(&mut self, address: u64) -> Result<TypeRef, String> {
        if let Some(Some(known)) = self.functions.get(&address) {
            return Ok(*known);
        }
        let image = self.images.find(&self.memory, address)?;
        let found = self.learn(|types| types.function(image, address));
        self.functions.insert(address, found);
        found.ok_or_else(|| {
            let image = self.images.get(image);
            image.missing.clone().unwrap_or_else(|| {
                format!(
                    "the debug info of {} does not describe the types of its functions, so there are no frames and no locals; \
                     `debug = true` in the profile of Cargo.toml brings them",
                    image.path.display()
                )
            })
        })
    }

    fn function(&mut self, image: usize, address: u64) -> Option<TypeRef> {
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        let (image, unit) = self.with_code(image, file_address)?;
        let (dwarf, units) = self.units(image);
        let function = *units.index(&dwarf, unit).ok()?.functions.get(&file_address)?;
        let opened = units.open(&dwarf, unit).ok()?;
        let target = type_parameter(&opened, function)?;
        Some(TypeRef { image, offset: target })
    }

    /// The code of the function that begins at an address, and whether it was compiled without optimisation.
    pub fn function_body(&mut self, address: u64) -> Option<Code> {
        if let Some(known) = self.bodies.get(&address) {
            return known.clone();
        }
        let found = self.learn(|types| types.find_body(address));
        self.bodies.insert(address, found.clone());
        found
    }

    fn find_body(&mut self, address: u64) -> Option<Code> {
        let image = self.images.find(&self.memory, address).ok()?;
        let image = self.images.get(image);
        let found = image.unwind.function(address.wrapping_sub(image.bias))?;
        if found.start.wrapping_add(image.bias) != address {
            return None;
        }
        let code = self.memory.bytes(address, usize::try_from(found.end.checked_sub(found.start)?).ok()?)?;
        Some((code.into(), self.is_plain(address)))
    }

    /// The type dropped by the function at an address, if it is an instance of `drop_in_place`.
    pub fn drops_type(&mut self, address: u64) -> Option<TypeRef> {
        if let Some(known) = self.drops.get(&address) {
            return *known;
        }
        let found = self.learn(|types| types.find_dropped(address));
        self.drops.insert(address, found);
        found
    }

    fn find_dropped(&mut self, address: u64) -> Option<TypeRef> {
        let image = self.images.find(&self.memory, address).ok()?;
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        let (image, unit) = self.with_code(image, file_address)?;
        let (dwarf, units) = self.units(image);
        let function = *units.index(&dwarf, unit).ok()?.functions.get(&file_address)?;
        let opened = units.open(&dwarf, unit).ok()?;
        let entry = opened.entry(units::within(function)).ok()?;
        let name = units::text(&dwarf, &opened, entry.attr_value(gimli::DW_AT_name))?;
        let target = type_parameter(&opened, function).filter(|_| name.starts_with("drop_in_place<"))?;
        Some(TypeRef { image, offset: target })
    }

    /// The instance of `drop_in_place` for a type, as far as it was met.
    pub fn drop_function(&mut self, ty: TypeRef) -> Option<u64> {
        let known = self.get(ty);
        let bias = self.images.get(ty.image).bias;
        let (_, units) = self.units(ty.image);
        Some(units.dropped(&known.name)??.wrapping_add(bias))
    }

    /// Whether dropping a value of a type does anything.
    pub fn glue(&mut self, ty: TypeRef) -> Glue {
        if let Some(known) = self.glue.get(&ty) {
            return *known;
        }
        // A type that holds itself does so through a pointer, which answers for it.
        self.glue.insert(ty, Glue::No);
        let found = self.learn(|types| types.find_glue(ty));
        self.glue.insert(ty, found);
        found
    }

    fn find_glue(&mut self, ty: TypeRef) -> Glue {
        let known = self.get(ty);
        let inner = match &known.shape {
            _ if known.name.starts_with("alloc::boxed::Box<") => match known.shape {
                // A box of nothing has no memory to give back.
                Shape::Pointer(Some(target)) if self.size(target) == Some(0) => self.glue(target),
                _ => Glue::Yes,
            },
            Shape::Base(_) | Shape::Pointer(_) | Shape::Function | Shape::Union | Shape::Unknown => return Glue::No,
            Shape::CLike(_) => Glue::No,
            Shape::Array { count: Some(0), .. } => Glue::No,
            Shape::Array { element, .. } => self.glue(*element),
            Shape::Enum { variants, .. } => self.most(variants.iter().map(|variant| variant.member.ty)),
            Shape::Struct(members) => match known.path() {
                "core::mem::manually_drop::ManuallyDrop" => return Glue::No,
                "alloc::vec::Vec" | "alloc::collections::vec_deque::VecDeque"
                    if known.param("T").is_some_and(|element| self.size(element) == Some(0)) =>
                {
                    known.param("T").map_or(Glue::No, |element| self.glue(element))
                }
                "alloc::raw_vec::RawVec"
                | "alloc::raw_vec::RawVecInner"
                | "alloc::rc::Rc"
                | "alloc::rc::Weak"
                | "alloc::sync::Arc"
                | "alloc::sync::Weak"
                | "hashbrown::raw::RawTable"
                | "alloc::collections::btree::map::BTreeMap"
                | "core::cell::BorrowRef"
                | "core::cell::BorrowRefMut"
                | "std::sync::poison::mutex::MutexGuard"
                | "std::os::fd::owned::OwnedFd"
                | "core::task::wake::Waker" => Glue::Yes,
                _ => self.most(members.iter().map(|member| member.ty)),
            },
        };
        if inner != Glue::No {
            return inner;
        }
        // A destructor of its own shows only in the code that calls it.
        let (_, units) = self.units(ty.image);
        if units.dropped(&known.name).is_some() { Glue::Own } else { Glue::No }
    }

    fn most(&mut self, types: impl Iterator<Item = TypeRef>) -> Glue {
        types.map(|ty| self.glue(ty)).max().unwrap_or(Glue::No)
    }

    /// Whether the function at an address was compiled without optimisation.
    fn is_plain(&mut self, address: u64) -> bool {
        let Ok(image) = self.images.find(&self.memory, address) else { return false };
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        let Some((image, unit)) = self.with_code(image, file_address) else { return false };
        let (dwarf, units) = self.units(image);
        units.index(&dwarf, unit).is_ok_and(|index| index.inlined * 10 <= index.functions.len())
    }

    fn units(&mut self, image: usize) -> (Dwarf<'_>, &mut Units) {
        let dwarf = self.images.dwarf(image);
        let skeleton = self.images.get(image).split.as_ref().map(|split| &split.skeleton);
        let units = self.units.entry(image).or_insert_with(|| Units::of(&dwarf, skeleton.cloned()));
        (dwarf, units)
    }

    /// The unit that describes the code at an address of the file; it may have been split off into an image of its own.
    fn with_code(&mut self, image: usize, address: u64) -> Option<(usize, usize)> {
        let (dwarf, units) = self.units(image);
        let unit = units.with_code(&dwarf, address)?;
        self.whole(image, unit)
    }

    /// The unit itself, or what was split off it.
    fn whole(&mut self, image: usize, unit: usize) -> Option<(usize, usize)> {
        let (dwarf, units) = self.units(image);
        let opened = units.open(&dwarf, unit).ok()?;
        match Skeleton::of(&dwarf, &opened) {
            Some(skeleton) if self.images.get(image).split.is_none() => Some((self.images.split(image, skeleton)?, 0)),
            _ => Some((image, unit)),
        }
    }

    /// What is known of a type. A type that cannot be parsed is [`Shape::Unknown`].
    pub fn get(&mut self, ty: TypeRef) -> Rc<Type> {
        if let Some(known) = self.known.get(&ty) {
            return known.clone();
        }
        let parsed = self.learn(|types| types.parse(ty)).unwrap_or_else(|| Type {
            name: "?".into(),
            shown: "?".into(),
            size: None,
            align: None,
            shape: Shape::Unknown,
            params: Vec::new(),
        });
        let parsed = Rc::new(parsed);
        self.known.insert(ty, parsed.clone());
        parsed
    }

    /// Size of a type in bytes.
    pub fn size(&mut self, ty: TypeRef) -> Option<u64> {
        let mut count = 1_u64;
        let mut ty = ty;
        // Damaged debug info may have an array of itself.
        for _ in 0..16 {
            let known = self.get(ty);
            let size = match &known.shape {
                Shape::Array { element, count: length } => {
                    count = count.checked_mul((*length)?)?;
                    ty = *element;
                    continue;
                }
                Shape::Pointer(_) => known.size.unwrap_or(8),
                _ => known.size?,
            };
            return count.checked_mul(size).filter(|size| *size < 1 << 40);
        }
        None
    }

    fn parse(&mut self, ty: TypeRef) -> Option<Type> {
        self.units(ty.image);
        let dwarf = self.images.dwarf(ty.image);
        let units = self.units.get_mut(&ty.image)?;
        let unit = units.around(ty.offset)?;
        let within = ty.offset - units.start(unit);
        let opened = units.open(&dwarf, unit).ok()?;
        let name = path(&dwarf, units, &opened, unit, within);
        // The table of files stays behind when a unit is split off.
        let lines = match &self.images.get(ty.image).split {
            None => None,
            Some(split) => {
                let dwarf = self.images.dwarf(split.parent);
                let header = dwarf.unit_header(gimli::DebugInfoOffset(split.skeleton.offset));
                header.and_then(|header| dwarf.unit(header)).ok().map(|unit| (dwarf, unit))
            }
        };
        let lines = lines.as_ref().map_or((&dwarf, &opened), |lines| (&lines.0, &lines.1));
        let mut parser =
            Parser { dwarf: &dwarf, unit: &opened, lines, image: ty.image, number: unit, files: &mut self.files };
        let mut tree = opened.entries_tree(Some(units::within(within))).ok()?;
        parser.parse(tree.root().ok()?, name)
    }

    /// The concrete type behind a vtable.
    pub fn of_vtable(&mut self, address: u64) -> Option<TypeRef> {
        if let Some(known) = self.vtables.get(&address) {
            return *known;
        }
        let found = self.learn(|types| types.find_vtable(address));
        self.vtables.insert(address, found);
        found
    }

    fn find_vtable(&mut self, address: u64) -> Option<TypeRef> {
        let image = self.images.find(&self.memory, address).ok()?;
        let bias = self.images.get(image).bias;
        // The unit that made the vtable is most often the one of a function in it: look there before looking everywhere.
        let likely: Vec<u64> =
            [24, 0].iter().filter_map(|slot| self.memory.word(address.wrapping_add(*slot))).collect();
        let (dwarf, units) = self.units(image);
        let mut order: Vec<usize> =
            likely.iter().filter_map(|code| units.with_code(&dwarf, code.wrapping_sub(bias))).collect();
        order.extend(0..units.len());
        let mut looked = HashSet::new();
        order.retain(|unit| looked.insert(*unit));
        let found = order.into_iter().find_map(|unit| {
            let (image, unit) = self.whole(image, unit)?;
            let (dwarf, units) = self.units(image);
            let vtable = *units.index(&dwarf, unit).ok()?.vtables.get(&address.wrapping_sub(bias))?;
            let opened = units.open(&dwarf, unit).ok()?;
            let entry = opened.entry(units::within(vtable)).ok()?;
            let offset = units::reference(&opened, entry.attr_value(gimli::DW_AT_containing_type)?)?;
            Some(TypeRef { image, offset })
        })?;
        // A vtable says size and alignment itself: what disagrees is not its type.
        let (size, align) = (self.memory.word(address.wrapping_add(8))?, self.memory.word(address.wrapping_add(16))?);
        let agrees = self.size(found) == Some(size) && self.get(found).align.is_none_or(|known| known == align);
        agrees.then_some(found)
    }
}

/// The type of a function's first type parameter.
fn type_parameter(unit: &Unit<'_>, function: usize) -> Option<usize> {
    let mut tree = unit.entries_tree(Some(units::within(function))).ok()?;
    let mut children = tree.root().ok()?.children();
    while let Ok(Some(child)) = children.next() {
        if child.entry().tag() == gimli::DW_TAG_template_type_parameter {
            return units::reference(unit, child.entry().attr_value(gimli::DW_AT_type)?);
        }
    }
    None
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
        let name = units::joined(dwarf, opened, &[at]);
        if name.starts_with("{impl#") {
            let full = units::joined(dwarf, opened, &offsets[..=level]);
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

/// Turns entries of one unit into types.
struct Parser<'p, 'a> {
    dwarf: &'p Dwarf<'a>,
    unit: &'p Unit<'a>,
    /// What describes its files.
    lines: (&'p Dwarf<'a>, &'p Unit<'a>),
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
        Some(Type { shown: names::shorten(&name), name, size, align, shape, params })
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

    fn member(&mut self, entry: &DebuggingInformationEntry<Slice<'a>>) -> Option<Member> {
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

    fn file(&mut self, index: u64) -> Option<Rc<PathBuf>> {
        let (dwarf, unit) = self.lines;
        self.files
            .entry((self.image, self.number, index))
            .or_insert_with(|| file_path(dwarf, unit, index).map(Rc::new))
            .clone()
    }

    fn text(&self, entry: &DebuggingInformationEntry<Slice<'a>>, name: gimli::DwAt) -> String {
        units::text(self.dwarf, self.unit, entry.attr_value(name)).unwrap_or_default()
    }

    fn reference(&self, entry: &DebuggingInformationEntry<Slice<'a>>, name: gimli::DwAt) -> Option<TypeRef> {
        let offset = units::reference(self.unit, entry.attr_value(name)?)?;
        Some(TypeRef { image: self.image, offset })
    }
}

/// A file of the unit's line table: absolute, or as far as the compiler said.
fn file_path(dwarf: &Dwarf<'_>, unit: &Unit<'_>, index: u64) -> Option<PathBuf> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(index)?;
    let text = |value| units::text(dwarf, unit, Some(value)).map(PathBuf::from);
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

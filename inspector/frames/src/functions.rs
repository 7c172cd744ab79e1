//! What a function or a vtable says of types: by its address in memory.

use std::ops::Range;

use super::index;
use super::shape::{Glue, Shape, Type, TypeRef};
use super::types::{Code, Types};
use super::unit::{self, Unit};

/// So many bytes of entries before and after a unit are mostly of its crate.
const NEAR: usize = 4 << 20;

impl Types {
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
                    "the debug info of {} has lines but no types: no locals, and no frames but where coroutines await; `debug = true` in the \
                     profile of Cargo.toml brings them",
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
        let image = self.images.find(&self.memory, address).ok()?;
        let found = self.learn(|types| types.find_body(image, address));
        self.bodies.insert(address, found.clone());
        found
    }

    fn find_body(&mut self, image: usize, address: u64) -> Option<Code> {
        let image = self.images.get(image);
        let found = image.unwind.function(address.wrapping_sub(image.bias))?;
        if found.start.wrapping_add(image.bias) != address {
            return None;
        }
        let code = self.memory.bytes(address, usize::try_from(found.end.checked_sub(found.start)?).ok()?)?;
        Some((code.into(), self.is_plain(address)))
    }

    /// The type dropped by the function at an address, if it is drop glue.
    pub fn drops_type(&mut self, address: u64) -> Option<TypeRef> {
        if let Some(known) = self.drops.get(&address) {
            return *known;
        }
        let image = self.images.find(&self.memory, address).ok()?;
        let found = self.learn(|types| types.find_dropped(image, address));
        self.drops.insert(address, found);
        found
    }

    fn find_dropped(&mut self, image: usize, address: u64) -> Option<TypeRef> {
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        let (image, unit) = self.with_code(image, file_address)?;
        let (dwarf, units) = self.units(image);
        let function = *units.index(&dwarf, unit).ok()?.functions.get(&file_address)?;
        let opened = units.open(&dwarf, unit).ok()?;
        let entry = opened.entry(unit::within(function)).ok()?;
        let name = unit::text(&dwarf, &opened, entry.attr_value(gimli::DW_AT_name))?;
        let target = type_parameter(&opened, function).filter(|_| index::dropped_by(name.as_bytes()).is_some())?;
        Some(TypeRef { image, offset: target })
    }

    /// The drop glue of a type, as far as it was met, or has a symbol that leads to it.
    pub fn drop_function(&mut self, ty: TypeRef) -> Option<u64> {
        if let Some(known) = self.glue_of.get(&ty) {
            return Some(*known);
        }
        let found = self.find_drop_function(ty)?;
        self.glue_of.insert(ty, found);
        Some(found)
    }

    fn find_drop_function(&mut self, ty: TypeRef) -> Option<u64> {
        let known = self.get(ty);
        let met = self.met_glue(ty, &known.name);
        if met.is_some() || !known.is_coroutine() || !self.sought.insert(ty) {
            return met;
        }
        // Units that have glue of that path say of which type it is.
        const MOST: usize = 16;
        let program = self.images.program(ty.image);
        let found: Vec<u64> =
            self.images.get(program).symbols.glue_of(&known.name).iter().copied().take(MOST).collect();
        self.learn(|types| {
            for address in found {
                if let Some((image, unit)) = types.with_code(program, address) {
                    let (dwarf, units) = types.units(image);
                    let _ = units.index(&dwarf, unit);
                }
            }
        });
        self.met_glue(ty, &known.name)
    }

    fn met_glue(&mut self, ty: TypeRef, name: &str) -> Option<u64> {
        let bias = self.images.get(ty.image).bias;
        let (_, units) = self.units(ty.image);
        Some(units.dropped(name)??.wrapping_add(bias))
    }

    /// Whether the function at an address was compiled without optimisation.
    fn is_plain(&mut self, address: u64) -> bool {
        let Ok(image) = self.images.find(&self.memory, address) else { return false };
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        let (dwarf, units) = self.units(image);
        units.with_code(&dwarf, file_address).is_some_and(|unit| self.is_plain_unit(image, unit))
    }

    fn is_plain_unit(&mut self, image: usize, unit: usize) -> bool {
        let Some((image, unit)) = self.whole(image, unit) else { return false };
        let (dwarf, units) = self.units(image);
        units.is_plain(&dwarf, unit)
    }

    /// The concrete type behind a vtable; [`Shape::OneOf`] if several types share it.
    pub fn of_vtable(&mut self, address: u64) -> Option<TypeRef> {
        if let Some(known) = self.vtables.get(&address) {
            return *known;
        }
        // What is not loaded may be loaded later.
        let image = self.images.find(&self.memory, address).ok()?;
        let found = self.learn(|types| types.find_vtable(image, address));
        self.vtables.insert(address, found);
        found
    }

    /// The part of the section with entries in which a vtable is mostly described: around the unit with the code of its
    /// drop glue, as units of one crate are beside each other. None if it has none, or the linker may have made one
    /// function of several, and so one vtable.
    fn near_vtable(&mut self, image: usize, address: u64) -> Option<Range<usize>> {
        let glue = self.memory.word(address).filter(|glue| *glue != 0)?;
        let file_address = glue.wrapping_sub(self.images.get(image).bias);
        if !self.images.get(image).symbols.has_one(file_address) {
            return None;
        }
        let (dwarf, units) = self.units(image);
        let unit = units.with_code(&dwarf, file_address)?;
        let start = units.start(unit);
        Some(start.saturating_sub(NEAR)..start.saturating_add(units.size(unit)).saturating_add(NEAR))
    }

    fn find_vtable(&mut self, image: usize, address: u64) -> Option<TypeRef> {
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        // A vtable says size and alignment itself: what disagrees is not its type.
        let (size, align) = (self.memory.word(address.wrapping_add(8))?, self.memory.word(address.wrapping_add(16))?);
        let near = self.near_vtable(image, address);
        let mut found: Vec<TypeRef> = Vec::new();
        for part in near.into_iter().chain(std::iter::once(0..usize::MAX)) {
            let (dwarf, units) = self.units(image);
            let mut all_plain = true;
            for unit in units.mentioning(&dwarf, file_address, part) {
                for ty in self.vtable_types(image, unit, address, file_address) {
                    let agrees = self.size(ty) == Some(size) && self.align(ty).is_none_or(|known| known == align);
                    // Each unit that uses a type describes it.
                    if agrees && !found.iter().any(|known| self.same(*known, ty)) {
                        found.push(ty);
                    }
                    all_plain &= self.is_plain_unit(image, unit);
                }
            }
            // Besides the linker only what optimises the program as a whole makes one vtable of those of several units.
            if all_plain && !found.is_empty() {
                break;
            }
        }
        if found.len() < 2 {
            return found.pop();
        }
        found.sort_by_cached_key(|ty| self.get(*ty).name.clone());
        let names: Vec<String> = found.iter().map(|ty| self.get(*ty).shown.clone()).collect();
        let name = format!("one of {}", names.join(", "));
        let known = Type {
            shown: name.clone(),
            name,
            size: Some(size),
            align: Some(align),
            shape: Shape::OneOf(found),
            params: Vec::new(),
            function: Default::default(),
        };
        // No entry is that far into debug info.
        let shared = TypeRef { image, offset: !(file_address as usize) };
        self.describe(shared, known);
        Some(shared)
    }

    /// The types that the vtable at an address may be of, as a unit says. Of equal vtables that the compiler writes
    /// once, of whatever traits, one has the address in debug info, the others have none. A function is of one type
    /// alone, so equal are those that hold none, neither methods nor drop glue. Vtables that become equal later, when
    /// functions are merged, keep their addresses in debug info.
    fn vtable_types(&mut self, image: usize, unit: usize, address: u64, file_address: u64) -> Vec<TypeRef> {
        let Some((image, unit)) = self.whole(image, unit) else { return Vec::new() };
        let (dwarf, units) = self.units(image);
        let Ok(index) = units.index(&dwarf, unit) else { return Vec::new() };
        let placed = index.vtables.get(&file_address).cloned().unwrap_or_default();
        let unplaced = index.unplaced.clone();
        let Ok(opened) = units.open(&dwarf, unit) else { return Vec::new() };
        let described = |kind: usize| {
            let entry = opened.entry(unit::within(kind)).ok()?;
            let offset = unit::reference(&opened, entry.attr_value(gimli::DW_AT_containing_type)?)?;
            let size = entry.attr_value(gimli::DW_AT_byte_size)?.udata_value()?;
            Some((size, TypeRef { image, offset }))
        };
        let placed: Vec<_> = placed.into_iter().filter_map(described).collect();
        let unplaced: Vec<_> = unplaced.into_iter().filter_map(described).collect();
        let Some((size, _)) = placed.first().copied() else { return Vec::new() };
        let mut types: Vec<_> = placed.into_iter().map(|(_, ty)| ty).collect();
        if !self.holds_functions(address, size) {
            let equal = unplaced.into_iter().filter(|(other, ty)| *other == size && self.glue(*ty) != Glue::Yes);
            types.extend(equal.map(|(_, ty)| ty));
        }
        types
    }

    /// Whether a vtable of so many bytes holds drop glue or methods. It may hold other vtables, too, and nothing where
    /// a method cannot be called.
    fn holds_functions(&mut self, vtable: u64, size: u64) -> bool {
        const METHODS: u64 = 24;
        let methods = (METHODS..size.min(1 << 16)).step_by(8);
        std::iter::once(0).chain(methods).any(|at| match self.memory.word(vtable.wrapping_add(at)) {
            Some(entry) => entry != 0 && self.is_function(entry),
            None => true,
        })
    }

    /// Whether a function begins at an address; if nothing is known of what is there, it may.
    fn is_function(&mut self, address: u64) -> bool {
        let Ok(image) = self.images.find(&self.memory, address) else { return true };
        let image = self.images.get(image);
        image.unwind.function(address.wrapping_sub(image.bias)).is_some()
    }
}

/// The types that debug info states of a function.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Its type parameters.
    pub parameters: Vec<TypeRef>,
    /// Its arguments.
    pub arguments: Vec<TypeRef>,
}

impl Types {
    /// The types of the function that begins at an address.
    pub(super) fn signature(&mut self, address: u64) -> Option<Signature> {
        let image = self.images.find(&self.memory, address).ok()?;
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        self.learn(|types| {
            let (image, unit) = types.with_code(image, file_address)?;
            let (dwarf, units) = types.units(image);
            let function = *units.index(&dwarf, unit).ok()?.functions.get(&file_address)?;
            let opened = units.open(&dwarf, unit).ok()?;
            let all = |kind| {
                unit::types_of_all(&opened, function, kind)
                    .into_iter()
                    .map(|offset| TypeRef { image, offset })
                    .collect()
            };
            let parameters = all(gimli::DW_TAG_template_type_parameter);
            Some(Signature { parameters, arguments: all(gimli::DW_TAG_formal_parameter) })
        })
    }

    /// The types with a path that begins with a text, of the unit that describes the function at an address, or of its
    /// crate.
    pub(super) fn types_beside(&mut self, address: u64, path: &str, in_crate: bool) -> Vec<TypeRef> {
        let Ok(image) = self.images.find(&self.memory, address) else { return Vec::new() };
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        self.learn(|types| {
            let Some((image, unit)) = types.with_code(image, file_address) else { return Vec::new() };
            types.types_of_unit(image, unit, path, in_crate)
        })
    }

    /// The types with a path that begins with a text, of the unit that describes another type.
    pub(super) fn types_with(&mut self, ty: TypeRef, path: &str) -> Vec<TypeRef> {
        self.learn(|types| match types.units(ty.image).1.around(ty.offset) {
            Some(unit) => types.types_of_unit(ty.image, unit, path, false),
            None => Vec::new(),
        })
    }

    /// The types of a unit, or of its crate, with a path that begins with a text.
    fn types_of_unit(&mut self, image: usize, unit: usize, path: &str, in_crate: bool) -> Vec<TypeRef> {
        let sought = (image, unit, in_crate, path.to_owned());
        if let Some(known) = self.beside.get(&sought) {
            return known.clone();
        }
        let (dwarf, units) = self.units(image);
        let found = if in_crate {
            units.read_crate(&dwarf, unit);
            units.types_read(&dwarf, path)
        } else {
            units.types_in(&dwarf, unit, path)
        };
        let found: Vec<TypeRef> = found.into_iter().map(|offset| TypeRef { image, offset }).collect();
        self.beside.insert(sought, found.clone());
        found
    }
}

/// The type of a function's first type parameter.
fn type_parameter(unit: &Unit<'_>, function: usize) -> Option<usize> {
    unit::type_of_first(unit, function, gimli::DW_TAG_template_type_parameter)
}

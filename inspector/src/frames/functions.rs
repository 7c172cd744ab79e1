//! What a function or a vtable says of types: by its address in memory.

use std::collections::HashSet;

use super::types::{Code, TypeRef, Types};
use super::units::{self, Unit};

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

    /// The type dropped by the function at an address, if it is drop glue.
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
        let target = type_parameter(&opened, function).filter(|_| units::dropped_by(name.as_bytes()).is_some())?;
        Some(TypeRef { image, offset: target })
    }

    /// The drop glue of a type, as far as it was met.
    pub fn drop_function(&mut self, ty: TypeRef) -> Option<u64> {
        let known = self.get(ty);
        let bias = self.images.get(ty.image).bias;
        let (_, units) = self.units(ty.image);
        Some(units.dropped(&known.name)??.wrapping_add(bias))
    }

    /// Whether the function at an address was compiled without optimisation.
    fn is_plain(&mut self, address: u64) -> bool {
        let Ok(image) = self.images.find(&self.memory, address) else { return false };
        let file_address = address.wrapping_sub(self.images.get(image).bias);
        let Some((image, unit)) = self.with_code(image, file_address) else { return false };
        let (dwarf, units) = self.units(image);
        units.index(&dwarf, unit).is_ok_and(|index| index.is_plain())
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
    first(unit, function, gimli::DW_TAG_template_type_parameter)
}

/// The type of the first entry of a kind in a function.
pub(super) fn first(unit: &Unit<'_>, function: usize, kind: gimli::DwTag) -> Option<usize> {
    let mut tree = unit.entries_tree(Some(units::within(function))).ok()?;
    let mut children = tree.root().ok()?.children();
    while let Ok(Some(child)) = children.next() {
        if child.entry().tag() == kind {
            return units::reference(unit, child.entry().attr_value(gimli::DW_AT_type)?);
        }
    }
    None
}

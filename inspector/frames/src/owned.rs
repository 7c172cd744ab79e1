//! Looks for parts of a value: in its fields, boxes and collections, and so on down. What others may own too (`Rc`,
//! `Arc`, references) and futures of async functions are not looked into.

use super::Frames;
use super::hash::{FastMap, FastSet};
use super::limits::Limits;
use super::shape::{Shape, Type, TypeRef};
use super::types::Types;
use super::values::{Place, ValueReader};

/// Values that are looked at in one, and in all.
const VALUES: usize = 4096;
const IN_ALL: usize = 4_000_000;
/// Elements of a collection among them.
const ELEMENTS: usize = 1024;
/// How deep they are nested.
const DEPTH: usize = 24;
/// Types that are looked at to find out whether one may have such parts.
const TYPES: usize = 20_000;
/// Larger values are not looked into.
const LARGEST: u64 = 1 << 20;

/// Looks for the parts that a value owns of types with certain paths.
pub struct OwnedParts {
    is_wanted: fn(&str) -> bool,
    /// Whether a type may own such parts.
    may_own: FastMap<TypeRef, bool>,
    limits: Limits,
    /// Values that may still be looked at.
    left: usize,
}

impl OwnedParts {
    /// Looks for parts of types with a path without parameters for which `is_wanted` is true. What is in such a part is
    /// not looked at.
    pub fn of(is_wanted: fn(&str) -> bool) -> OwnedParts {
        let limits = Limits { elements: ELEMENTS, total: VALUES, ..Limits::default() };
        OwnedParts { is_wanted, may_own: FastMap::default(), limits, left: IN_ALL }
    }

    /// The parts of a value of a type at an address, which may be one itself: their types and addresses. The value must
    /// be alive. Collections that keep their elements in raw memory are known if they are of the standard library or of
    /// hashbrown. There is a bound to how many values are looked at in one and in all calls: parts may be missing, see
    /// [`is_over`](OwnedParts::is_over).
    pub fn find(&mut self, frames: &mut Frames, ty: TypeRef, address: u64) -> Vec<(TypeRef, u64)> {
        let mut reader = ValueReader::new(&mut frames.types, &self.limits, None);
        let (is_wanted, may_own) = (self.is_wanted, &mut self.may_own);
        let most = self.left.min(VALUES);
        let mut look = Look { is_wanted, may_own, left: most, found: Vec::new() };
        look.visit(&mut reader, ty, address, 0);
        self.left -= most - look.left;
        look.found
    }

    /// Whether so many values were looked at that nothing is found any more.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }
}

struct Look<'o> {
    is_wanted: fn(&str) -> bool,
    may_own: &'o mut FastMap<TypeRef, bool>,
    left: usize,
    found: Vec<(TypeRef, u64)>,
}

impl Look<'_> {
    fn visit(&mut self, reader: &mut ValueReader<'_>, ty: TypeRef, address: u64, depth: usize) {
        if depth > DEPTH || self.left == 0 || !self.may_own(reader, ty) || reader.out_of_time() {
            return;
        }
        self.left -= 1;
        let known = reader.types.get(ty);
        if (self.is_wanted)(known.path()) {
            self.found.push((ty, address));
            return;
        }
        match &known.shape {
            Shape::Pointer(Some(target)) => {
                if let Some(to) = reader.types.memory.word(address).filter(|to| *to != 0) {
                    self.visit(reader, *target, to, depth + 1);
                }
            }
            Shape::Array { element, count: Some(count) } => self.row(reader, *element, address, *count, depth),
            Shape::Enum { .. } => {
                let variant = self.with_bytes(reader, ty, address, |reader, place| reader.variant(&known, place));
                if let Some(variant) = variant {
                    self.visit(reader, variant.ty, address.wrapping_add(variant.offset), depth + 1);
                }
            }
            Shape::Struct(_) if is_wide_box(&known) => {
                let target = self.with_bytes(reader, ty, address, |reader, place| reader.target(ty, place));
                if let Some(target) = target {
                    self.visit(reader, target.ty, target.address, depth + 1);
                }
            }
            Shape::Struct(members) => {
                if self.elements(reader, ty, &known, address, depth).is_some() {
                    return;
                }
                for member in members {
                    self.visit(reader, member.ty, address.wrapping_add(member.offset), depth + 1);
                }
            }
            _ => {}
        }
    }

    /// Looks at the elements of a collection. `None` if it is none, or not a valid one.
    fn elements(
        &mut self,
        reader: &mut ValueReader<'_>,
        ty: TypeRef,
        known: &Type,
        address: u64,
        depth: usize,
    ) -> Option<()> {
        let is_row = match known.path() {
            "alloc::vec::Vec" | "alloc::vec::into_iter::IntoIter" | "core::array::iter::IntoIter" => true,
            "alloc::collections::vec_deque::VecDeque"
            | "alloc::collections::linked_list::LinkedList"
            | "alloc::collections::btree::map::BTreeMap"
            | "hashbrown::raw::RawTable" => false,
            _ => return None,
        };
        if is_row {
            let row = self.with_bytes(reader, ty, address, |reader, place| match known.path() {
                "alloc::vec::Vec" => reader.in_vec(ty, known, place),
                "alloc::vec::into_iter::IntoIter" => reader.in_rest(ty, known, place),
                _ => reader.in_rest_of_array(ty, known, place),
            })?;
            self.row(reader, row.element, row.start, row.length, depth);
        } else if known.path() == "alloc::collections::btree::map::BTreeMap" {
            let entries = self.with_bytes(reader, ty, address, |reader, place| reader.in_tree(ty, place))??;
            for (key, value) in entries.at {
                self.visit(reader, entries.key.ty, key.wrapping_add(entries.key.offset), depth + 1);
                self.visit(reader, entries.value.ty, value.wrapping_add(entries.value.offset), depth + 1);
            }
        } else {
            let elements = self.with_bytes(reader, ty, address, |reader, place| match known.path() {
                "alloc::collections::vec_deque::VecDeque" => reader.in_deque(ty, known, place),
                "alloc::collections::linked_list::LinkedList" => reader.in_list(ty, known, place),
                _ => reader.in_table(ty, place),
            })?;
            for at in elements.at {
                self.visit(reader, elements.element, at, depth + 1);
            }
        }
        Some(())
    }

    fn row(&mut self, reader: &mut ValueReader<'_>, element: TypeRef, start: u64, length: u64, depth: usize) {
        let Some(size) = reader.types.size(element) else { return };
        for index in 0..length.min(ELEMENTS as u64) {
            self.visit(reader, element, start.wrapping_add(index.wrapping_mul(size)), depth + 1);
        }
    }

    /// What `read` makes of the bytes of a value.
    fn with_bytes<T>(
        &mut self,
        reader: &mut ValueReader<'_>,
        ty: TypeRef,
        address: u64,
        read: impl FnOnce(&mut ValueReader<'_>, Place<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let size = reader.types.size(ty).filter(|size| *size <= LARGEST)?;
        let bytes = reader.types.memory.bytes(address, usize::try_from(size).ok()?)?;
        read(reader, Place { address, bytes: &bytes }).ok()
    }

    fn may_own(&mut self, reader: &mut ValueReader<'_>, ty: TypeRef) -> bool {
        // Another type may have its number later.
        if Types::is_made(ty) {
            return self.owns(reader, ty, 0, &mut FastSet::default());
        }
        if let Some(known) = self.may_own.get(&ty) {
            return *known;
        }
        let may_own = self.owns(reader, ty, 0, &mut FastSet::default());
        self.may_own.insert(ty, may_own);
        may_own
    }

    fn owns(&self, reader: &mut ValueReader<'_>, ty: TypeRef, depth: usize, seen: &mut FastSet<TypeRef>) -> bool {
        if depth > DEPTH || seen.len() > TYPES || !seen.insert(ty) {
            return false;
        }
        let known = reader.types.get(ty);
        if (self.is_wanted)(known.path()) {
            return true;
        }
        // A value in a `ManuallyDrop` is not dropped with what it is in.
        let is_left_out = matches!(
            known.path(),
            "alloc::rc::Rc"
                | "alloc::sync::Arc"
                | "alloc::rc::Weak"
                | "alloc::sync::Weak"
                | "core::mem::manually_drop::ManuallyDrop"
        );
        if is_left_out || known.is_coroutine() || known.is_unknown_coroutine() {
            return false;
        }
        let mut owns = |ty: TypeRef| self.owns(reader, ty, depth + 1, seen);
        match &known.shape {
            Shape::Pointer(Some(target)) => known.path() == "alloc::boxed::Box" && owns(*target),
            Shape::Struct(_) if is_wide_box(&known) => true,
            Shape::Struct(members) => {
                // Collections refer to their elements by pointers alone.
                members.iter().any(|member| owns(member.ty)) || known.params.iter().any(|(_, of)| owns(*of))
            }
            Shape::Enum { variants, .. } => variants.iter().any(|variant| owns(variant.member.ty)),
            Shape::Array { element, .. } => owns(*element),
            _ => false,
        }
    }
}

/// Whether it is a box of something unsized: a slice, or a value of a type that its vtable tells.
fn is_wide_box(known: &Type) -> bool {
    known.name.starts_with("alloc::boxed::Box<")
        && known.members().len() == 2
        && (known.member("vtable").is_some() || known.member("data_ptr").is_some())
}

//! Whether dropping a value of a type does anything.

use super::shape::{Glue, Shape, TypeRef};
use super::types::Types;
use super::units::Units;

impl Types {
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
        // Debug info has wide pointers as structs.
        if known.name.starts_with(['&', '*']) {
            return Glue::No;
        }
        let inner = match &known.shape {
            _ if known.name.starts_with("alloc::boxed::Box<") => match known.shape {
                // A box of nothing has no memory to give back.
                Shape::Pointer(Some(target)) if self.size(target) == Some(0) => self.glue(target),
                _ => Glue::Yes,
            },
            Shape::Base(_) | Shape::Pointer(_) | Shape::Function | Shape::Union | Shape::Unknown => return Glue::No,
            Shape::CLike(_) | Shape::Text(_) | Shape::TextOrBytes { .. } => Glue::No,
            Shape::OneOf(types) => self.most(types.iter().copied()),
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
                | "tokio::sync::mutex::MutexGuard"
                | "tokio::sync::rwlock::read_guard::RwLockReadGuard"
                | "tokio::sync::rwlock::write_guard::RwLockWriteGuard"
                | "tokio::sync::semaphore::SemaphorePermit"
                | "async_lock::mutex::MutexGuard"
                | "async_lock::semaphore::SemaphoreGuard"
                | "std::os::fd::owned::OwnedFd"
                | "core::task::wake::Waker" => Glue::Yes,
                _ => self.most(members.iter().map(|member| member.ty)),
            },
        };
        if inner != Glue::No {
            return inner;
        }
        // A destructor of its own shows only in the code that calls it: the glue has a symbol, or an entry where it was
        // inlined.
        let bare = matches!(known.shape, Shape::Struct(_) | Shape::Enum { .. });
        let program = self.images.program(ty.image);
        // Glue that was inlined has no symbol.
        if bare && !self.family(program).any(Units::knows_glue) {
            self.read_unit(ty);
        }
        let has = self.images.get(program).symbols.is_dropped(&known.name)
            || self.family(program).any(|units| units.dropped(&known.name).is_some());
        if has || bare && !self.knows_glue(ty) { Glue::UserDrop } else { Glue::No }
    }

    /// Whether drop glue is known by its name in what describes a type.
    pub fn knows_glue(&self, ty: TypeRef) -> bool {
        let program = self.images.program(ty.image);
        self.images.get(program).symbols.knows_glue() || self.family(program).any(Units::knows_glue)
    }

    /// Reads the unit that describes a type: one that uses it has mostly glue of other types, too.
    fn read_unit(&mut self, ty: TypeRef) {
        let (dwarf, units) = self.units(ty.image);
        if let Some(unit) = units.around(ty.offset) {
            let _ = units.index(&dwarf, unit);
        }
    }

    /// All units of a program that were opened, those split off too.
    fn family(&self, program: usize) -> impl Iterator<Item = &Units> {
        self.units.iter().filter(move |(image, _)| self.images.program(**image) == program).map(|(_, units)| units)
    }

    fn most(&mut self, types: impl Iterator<Item = TypeRef>) -> Glue {
        types.map(|ty| self.glue(ty)).max().unwrap_or(Glue::No)
    }
}

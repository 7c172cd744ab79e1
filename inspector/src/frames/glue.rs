//! Whether dropping a value of a type does anything.

use super::alive::Glue;
use super::types::{Shape, TypeRef, Types};

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
}

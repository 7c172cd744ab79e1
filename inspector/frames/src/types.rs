//! All types that were looked at, each parsed once, and what is known by address.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tinyio_events::event::TraceSite;

use super::hash::{FastMap, FastSet};
use super::image::Images;
use super::memory::Memory;
use super::scopes::Bindings;
use super::secret_names::SecretNames;
use super::sections::Dwarf;
use super::shape::{Base, Glue, Shape, Type, TypeRef};
use super::split::Skeleton;
use super::unit;
use super::units::Units;
use super::work::worked;

/// How deep members are looked for in members.
const DEPTH: usize = 16;
/// How many of them are looked at.
const TYPES: usize = 20_000;
/// The image of types that no image describes.
const MADE: usize = usize::MAX;

/// Code of a function, and whether it was compiled without optimisation.
pub(super) type Code = (Rc<[u8]>, bool);

/// What a frame of a native stack is.
#[derive(Clone)]
pub(super) enum Named {
    /// The function, and those inlined into it, innermost first.
    Functions(Rc<[TraceSite]>),
    /// A function of tinyio, of which only the file may be asked for: unit and address in the file.
    Ours { image: usize, unit: usize, address: u64 },
    /// Of the standard library, of the C library, or the first of a thread.
    Std,
    /// Neither debug info nor a symbol describes it.
    Unknown,
}

/// All types that were looked at, and the images they come from.
pub(super) struct Types {
    pub memory: Memory,
    pub images: Images,
    /// Set while several stacks are read as of one moment: what was read of memory is not forgotten between them.
    is_still: Rc<Cell<bool>>,
    /// Time spent on reading debug info, and whether it is being read.
    learnt: Duration,
    learning: bool,
    pub(super) units: HashMap<usize, Units>,
    known: FastMap<TypeRef, Rc<Type>>,
    /// Types that were made for what is behind a wide pointer; see [`Types::add`].
    made: Vec<Rc<Type>>,
    pub(super) files: HashMap<(usize, usize, u64), Option<Rc<PathBuf>>>,
    /// Types of vtables, by address in memory.
    pub(super) vtables: FastMap<u64, Option<TypeRef>>,
    /// Types named by type parameters of functions, by address in memory.
    pub(super) functions: FastMap<u64, Option<TypeRef>>,
    /// Types dropped by instances of `drop_in_place`, by address in memory.
    pub(super) drops: FastMap<u64, Option<TypeRef>>,
    /// Types that were looked for by their path in a unit or its crate: image, unit, whether in the crate, path.
    pub(super) beside: HashMap<(usize, usize, bool, String), Vec<TypeRef>>,
    pub(super) glue: FastMap<TypeRef, Glue>,
    /// The addresses of drop glue that was found.
    pub(super) glue_of: FastMap<TypeRef, u64>,
    /// Coroutines for which the drop glue was searched for by symbol.
    pub(super) sought: FastSet<TypeRef>,
    /// Code of drop glue by its address, and whether it was compiled without optimisation.
    pub(super) bodies: FastMap<u64, Option<Code>>,
    /// What is at addresses of native stacks.
    pub(super) symbolized: FastMap<u64, Named>,
    /// Scopes of the functions that run coroutines.
    pub(super) bindings: FastMap<TypeRef, Option<Rc<Bindings>>>,
    pub(super) secret_names: SecretNames,
}

/// Ends the moment when it is dropped.
pub(super) struct Still(Rc<Cell<bool>>);

impl Drop for Still {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Types {
    pub fn of(memory: Memory) -> Types {
        let images = Images::of(&memory);
        Types::with(memory, images)
    }

    /// Reads memory in which these files are loaded.
    pub fn with(memory: Memory, images: Images) -> Types {
        Types {
            memory,
            images,
            is_still: Rc::default(),
            learnt: Duration::ZERO,
            learning: false,
            units: HashMap::new(),
            known: FastMap::default(),
            made: Vec::new(),
            files: HashMap::new(),
            vtables: FastMap::default(),
            functions: FastMap::default(),
            drops: FastMap::default(),
            beside: HashMap::new(),
            glue: FastMap::default(),
            glue_of: FastMap::default(),
            sought: FastSet::default(),
            bodies: FastMap::default(),
            symbolized: FastMap::default(),
            bindings: FastMap::default(),
            secret_names: SecretNames::default(),
        }
    }

    /// Forgets what was read of the process's memory, and what was at an address of a library that is not loaded any
    /// more. Call it when the process may have run.
    pub fn renew(&mut self) {
        if self.memory.is_held() || self.is_still.get() && self.memory.has_room() {
            return;
        }
        self.memory.forget();
        if self.images.renew(&self.memory) {
            self.vtables.clear();
            self.functions.clear();
            self.drops.clear();
            self.bodies.clear();
            self.symbolized.clear();
        }
    }

    /// What is read of memory until the result is dropped is of one moment: of when it is read first.
    pub fn keep_still(&self) -> Still {
        self.is_still.set(true);
        Still(self.is_still.clone())
    }

    /// Time spent on reading debug info so far.
    pub fn learnt(&self) -> Duration {
        self.learnt
    }

    /// Reads debug info; the time for it is not counted against the time limit of the stack.
    pub(super) fn learn<T>(&mut self, read: impl FnOnce(&mut Types) -> T) -> T {
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

    pub(super) fn units(&mut self, image: usize) -> (Dwarf<'_>, &mut Units) {
        let dwarf = self.images.dwarf(image);
        let skeleton = self.images.get(image).split.as_ref().map(|split| &split.skeleton);
        let units = self.units.entry(image).or_insert_with(|| Units::of(&dwarf, skeleton.cloned()));
        (dwarf, units)
    }

    /// The unit that describes the code at an address of the file; it may have been split off into an image of its own.
    pub(super) fn with_code(&mut self, image: usize, address: u64) -> Option<(usize, usize)> {
        let (dwarf, units) = self.units(image);
        let unit = units.with_code(&dwarf, address)?;
        self.whole(image, unit)
    }

    /// The unit itself, or what was split off it.
    pub(super) fn whole(&mut self, image: usize, unit: usize) -> Option<(usize, usize)> {
        let (dwarf, units) = self.units(image);
        let opened = units.root(&dwarf, unit).ok()?;
        match Skeleton::of(&dwarf, &opened) {
            Some(skeleton) if self.images.get(image).split.is_none() => Some((self.images.split(image, skeleton)?, 0)),
            _ => Some((image, unit)),
        }
    }

    /// Adds a type that debug info does not describe: an unsized one with the size that a wide pointer gives it. It
    /// lasts until [`Types::forget_made`].
    pub fn add(&mut self, made: Type) -> TypeRef {
        self.made.push(Rc::new(made));
        TypeRef { image: MADE, offset: self.made.len() - 1 }
    }

    /// Whether a type was added, and lasts only until [`Types::forget_made`].
    pub fn is_made(ty: TypeRef) -> bool {
        ty.image == MADE
    }

    /// Forgets the types added. None of them may be in use.
    pub fn forget_made(&mut self) {
        self.made.clear();
    }

    /// Describes a type by what is known of it, under a reference that debug info does not use.
    pub fn describe(&mut self, ty: TypeRef, known: Type) {
        self.known.insert(ty, Rc::new(known));
    }

    /// Returns the description of a type. A type that cannot be parsed is [`Shape::Unknown`].
    pub fn get(&mut self, ty: TypeRef) -> Rc<Type> {
        if ty.image == MADE {
            return self.made[ty.offset].clone();
        }
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
            function: Default::default(),
        });
        let parsed = Rc::new(parsed);
        self.known.insert(ty, parsed.clone());
        parsed
    }

    /// Whether two descriptions may be of one type, as far as their own entries say. The whole path of a type may be
    /// that of an implementation, which to name takes reading other units.
    pub fn may_be_same(&mut self, one: TypeRef, other: TypeRef) -> bool {
        match (self.own(one), self.own(other)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }

    /// Name and size that the entry of a type states, without the path of what it is in.
    fn own(&mut self, ty: TypeRef) -> Option<(String, Option<u64>)> {
        if ty.image == MADE {
            return None;
        }
        let (dwarf, units) = self.units(ty.image);
        let unit = units.around(ty.offset)?;
        let within = unit::within(ty.offset - units.start(unit));
        let opened = units.open(&dwarf, unit).ok()?;
        let entry = opened.entry(within).ok()?;
        let size = entry.attr_value(gimli::DW_AT_byte_size).and_then(|size| size.udata_value());
        Some((unit::text(&dwarf, &opened, entry.attr_value(gimli::DW_AT_name))?, size))
    }

    /// Whether two descriptions are of one type: each unit that uses a type describes it.
    pub fn same(&mut self, one: TypeRef, other: TypeRef) -> bool {
        one == other || self.get(one).name == self.get(other).name && self.size(one) == self.size(other)
    }

    /// The type that a pointer leads to, or an `Option`, `NonNull`, `Arc` and the like that consists of one.
    pub fn pointee(&mut self, ty: TypeRef) -> Option<TypeRef> {
        let mut ty = ty;
        for _ in 0..DEPTH {
            let known = self.get(ty);
            ty = match &known.shape {
                Shape::Pointer(target) => return *target,
                Shape::Struct(members) => {
                    let mut words = members.iter().filter(|member| self.size(member.ty) == Some(8));
                    let only = words.next()?;
                    if words.next().is_some() {
                        return None;
                    }
                    only.ty
                }
                Shape::Enum { variants, .. } if known.path() == "core::option::Option" => {
                    let some = variants.iter().find(|variant| variant.member.name == "Some")?;
                    self.get(some.member.ty).member("__0")?.ty
                }
                _ => return None,
            };
        }
        None
    }

    /// Whether a type has no values, so that an enum is never in a variant that holds one.
    pub fn is_uninhabited(&mut self, ty: TypeRef) -> bool {
        self.uninhabited(ty, 0)
    }

    fn uninhabited(&mut self, ty: TypeRef, depth: usize) -> bool {
        // A type that holds itself does so through a pointer; what is nested deeper is damaged debug info.
        if depth > 32 {
            return false;
        }
        let known = self.get(ty);
        match &known.shape {
            Shape::Base(Base::Never) => true,
            Shape::CLike(names) => names.is_empty(),
            Shape::Array { element, count } => *count != Some(0) && self.uninhabited(*element, depth + 1),
            Shape::Struct(members) => members.iter().any(|member| self.uninhabited(member.ty, depth + 1)),
            Shape::Enum { variants, .. } => {
                variants.iter().all(|variant| self.uninhabited(variant.member.ty, depth + 1))
            }
            _ => false,
        }
    }

    /// Alignment of a type, where it is known: debug info does not give that of numbers, pointers and arrays.
    pub fn align(&mut self, ty: TypeRef) -> Option<u64> {
        let mut ty = ty;
        for _ in 0..16 {
            let known = self.get(ty);
            match &known.shape {
                _ if known.align.is_some() => return known.align,
                Shape::Array { element, .. } => ty = *element,
                Shape::Base(_) => return known.size.map(|size| size.max(1)),
                Shape::Pointer(_) => return Some(8),
                _ => return None,
            }
        }
        None
    }

    /// The part of a type that has a type of this path, searched through members: its type, and its offset in the
    /// whole. Of several it is the one in the fewest others: what a lock keeps may have locks of its own. `None` if
    /// there is none, or several are in as few.
    pub fn inside(&mut self, ty: TypeRef, path: &str) -> Option<(TypeRef, u64)> {
        let mut level = vec![(ty, 0_u64)];
        let mut left = TYPES;
        for _ in 0..=DEPTH {
            let mut found = level.iter().filter(|part| self.get(part.0).path() == path);
            if let Some(first) = found.next() {
                return found.next().is_none().then_some(*first);
            }
            let mut next = Vec::new();
            for (ty, offset) in level {
                if let Shape::Struct(members) = &self.get(ty).shape {
                    left = left.checked_sub(members.len())?;
                    next.extend(members.iter().map(|member| (member.ty, offset.saturating_add(member.offset))));
                }
            }
            level = next;
        }
        None
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
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::memory::{KEPT, PAGE};

    #[test]
    fn what_was_read_for_one_stack_is_not_read_again_for_another_of_the_same_moment() {
        let mut types = Types::of(Memory::of(std::process::id()));
        let (word, pages) = (Box::new(AtomicU64::new(1)), vec![7_u8; (KEPT + 2) * PAGE as usize]);
        let read = |types: &mut Types| {
            types.renew();
            types.memory.word(word.as_ptr().addr() as u64)
        };
        let still = types.keep_still();
        assert_eq!(read(&mut types), Some(1));
        word.store(2, Ordering::Relaxed);
        assert_eq!(read(&mut types), Some(1), "of the same moment");
        drop(still);
        assert_eq!(read(&mut types), Some(2), "of another");
        let _still = types.keep_still();
        assert_eq!(read(&mut types), Some(2));
        word.store(3, Ordering::Relaxed);
        for page in pages.chunks(PAGE as usize) {
            types.memory.word(page.as_ptr().addr() as u64);
        }
        assert_eq!(read(&mut types), Some(3), "what is kept has a bound");
    }
}

//! What a reader of other structures than futures needs: functions by their linker names, types by their paths, members
//! by their names, memory.

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use tinyio_events::event::{Stack, Value};

use super::copied::{Copied, Region};
use super::functions::Signature;
use super::hash::FastSet;
use super::image::Images;
use super::loaded_file::MappedFile;
use super::memory::Memory;
use super::scopes::AWAITEE;
use super::shape::{Member, Shape, TypeRef};
use super::types::Types;
use super::values::{Place, ValueReader};
use super::{CoroAt, Frames, Parts};

/// How deep members are looked for in members.
const DEPTH: usize = 16;
/// How many async functions are followed that await each other.
const LEVELS: usize = 4096;
/// How many types are looked at for that.
const TYPES: usize = 20_000;

impl Frames {
    /// Reads a process that is gone: what is known of its memory, and the files that were mapped. Parts of those that
    /// are not in `regions` are read from the files, if they are the ones that were loaded.
    ///
    /// `debug_folders`: see [`with_debug_folders`](Frames::with_debug_folders). A program that is not at its place any
    /// more is looked for there, too.
    pub fn of_core(regions: Vec<Region>, files: Vec<MappedFile>, debug_folders: Vec<std::path::PathBuf>) -> Frames {
        // No process has this number.
        let memory = Memory::of(0);
        memory.hold(Rc::new(Copied::of(regions.clone())));
        let mut images = Images::of_files(files);
        images.debug_folders = debug_folders;
        let mut all = regions;
        let known: Vec<Range<u64>> = all.iter().map(Region::range).collect();
        for (range, file, offset) in images.parts(&memory) {
            for rest in without(range.clone(), &known) {
                let offset = offset.wrapping_add(rest.start - range.start);
                all.push(Region::of_file(rest, file.clone(), offset));
            }
        }
        memory.hold(Rc::new(Copied::of(all)));
        let types = Types::with(memory, images);
        Frames::with(types)
    }

    /// Reads a copy of the memory from now on, in place of the process.
    pub fn hold(&mut self, copied: Rc<Copied>) {
        self.types.memory.hold(copied);
    }

    /// Forgets what was read of the process, which may have run since.
    pub fn renew(&mut self) {
        self.types.renew();
    }

    /// Addresses of the functions with a linker name that contains a text, in all files that are loaded.
    ///
    /// # Errors
    ///
    /// When the mappings of the process cannot be read, or the program has no symbols: a sentence that says what to do.
    pub fn functions(&mut self, part: &str) -> Result<Vec<u64>, String> {
        let code = self.types.images.files(&self.types.memory)?;
        let mut found = Vec::new();
        for (number, address) in code.into_iter().enumerate() {
            let image = self.types.images.find(&self.types.memory, address)?;
            match self.types.images.functions(image, part) {
                Some(here) => found.extend(here),
                // Libraries of the system have none.
                None if number > 0 => {}
                None => {
                    let image = self.types.images.get(image);
                    let path = image.path.display();
                    return Err(image.missing.clone().unwrap_or_else(|| {
                        format!("{path} has no symbols; `strip = false` in the profile of Cargo.toml keeps them")
                    }));
                }
            }
        }
        Ok(found)
    }

    /// Where the program has the variables of threads with a linker name that contains a text: how far before the
    /// address that the thread register holds.
    pub fn thread_locals(&mut self, part: &str) -> Vec<u64> {
        let Ok(code) = self.types.images.files(&self.types.memory) else { return Vec::new() };
        let Some(first) = code.first() else { return Vec::new() };
        match self.types.images.find(&self.types.memory, *first) {
            Ok(image) => self.types.images.thread_locals(image, part),
            Err(_) => Vec::new(),
        }
    }

    /// The file that the program was started from.
    pub fn program(&mut self) -> Option<String> {
        let code = *self.types.images.files(&self.types.memory).ok()?.first()?;
        let image = self.types.images.find(&self.types.memory, code).ok()?;
        Some(self.types.images.get(image).path.display().to_string())
    }

    /// The types of the function that begins at an address.
    ///
    /// # Errors
    ///
    /// When debug info does not describe it: a sentence that says what to do.
    pub fn signature(&mut self, function: u64) -> Result<Signature, String> {
        // Says why there is none.
        self.types.of_function(function)?;
        self.types.signature(function).ok_or_else(|| format!("no debug info describes the function at {function:#x}"))
    }

    /// The name of the folder in which the code of the function around an address was compiled: of a package of a
    /// registry its name and version, such as `tokio-1.54.1`.
    pub fn package(&mut self, function: u64) -> Option<String> {
        let image = self.types.images.find(&self.types.memory, function).ok()?;
        let address = function.wrapping_sub(self.types.images.get(image).bias);
        let (image, unit) = self.types.with_code(image, address)?;
        let (dwarf, units) = self.types.units(image);
        let folder = units.open(&dwarf, unit).ok()?.comp_dir?.to_string_lossy().into_owned();
        Some(Path::new(&folder).file_name()?.to_string_lossy().into_owned())
    }

    /// The types with a path that begins with a text, such as `tokio::runtime::task::core::Cell<`, that are described
    /// in the unit of the function at an address; if it has none, in its crate.
    pub fn types_beside(&mut self, function: u64, path: &str) -> Vec<TypeRef> {
        let found = self.types.types_beside(function, path, false);
        if found.is_empty() { self.types.types_beside(function, path, true) } else { found }
    }

    /// The parts in memory of the file around an address that are not code.
    pub fn data_beside(&mut self, address: u64) -> Vec<Range<u64>> {
        match self.types.images.find(&self.types.memory, address) {
            Ok(image) => self.types.images.data(image),
            Err(_) => Vec::new(),
        }
    }

    /// The path of a type with its parameters.
    pub fn type_name(&mut self, ty: TypeRef) -> String {
        self.types.get(ty).name.clone()
    }

    /// The path of a type without its parameters.
    pub fn type_path(&mut self, ty: TypeRef) -> String {
        self.types.get(ty).path().to_owned()
    }

    /// The name to show for a future of a type: the path of the function, or of the type.
    pub fn future_name(&mut self, ty: TypeRef) -> String {
        self.types.get(ty).function().to_owned()
    }

    /// Whether an async function of a type at an address is suspended at an await, as are those that it awaits in turn.
    /// It was polled then, and not moved since.
    pub fn is_suspended(&mut self, ty: TypeRef, address: u64) -> bool {
        self.suspended(ty, address).is_some()
    }

    /// Whether what is at an address looks like an async function of a type that is suspended: besides
    /// [`is_suspended`](Frames::is_suspended), its pointers lead to memory.
    pub fn looks_suspended(&mut self, ty: TypeRef, address: u64) -> bool {
        let parts = self.suspended(ty, address);
        parts.is_some_and(|parts| parts.into_iter().all(|(ty, address)| self.looks_sound(ty, address, 0)))
    }

    /// Whether a value of a type may hold futures that it owns, as [`stack_of_type`](Frames::stack_of_type) finds them.
    pub fn may_hold_futures(&mut self, ty: TypeRef) -> bool {
        self.holds_futures(ty, 0, &mut FastSet::default())
    }

    fn holds_futures(&mut self, ty: TypeRef, depth: usize, seen: &mut FastSet<TypeRef>) -> bool {
        if depth > DEPTH || seen.len() > TYPES || !seen.insert(ty) {
            return false;
        }
        let known = self.types.get(ty);
        if known.is_coroutine() {
            return true;
        }
        // What others own too is not followed.
        if matches!(known.path(), "alloc::rc::Rc" | "alloc::sync::Arc") {
            return false;
        }
        let mut holds = |ty: TypeRef| self.holds_futures(ty, depth + 1, seen);
        let inside = match &known.shape {
            Shape::Pointer(Some(target)) => known.path() == "alloc::boxed::Box" && holds(*target),
            Shape::Struct(_) if known.member("vtable").is_some() => {
                known.path() == "alloc::boxed::Box" && (known.name.contains("Future") || known.name.contains("Stream"))
            }
            Shape::Struct(members) => members.iter().any(|member| holds(member.ty)),
            Shape::Enum { variants, .. } => variants.iter().any(|variant| holds(variant.member.ty)),
            Shape::Array { element, .. } => holds(*element),
            _ => false,
        };
        // Collections refer to their elements by pointers alone.
        inside || known.params.iter().any(|(_, parameter)| holds(*parameter))
    }

    /// What an async function that is suspended, and those that it awaits in turn, keep; `None` if it is not.
    fn suspended(&mut self, mut ty: TypeRef, mut address: u64) -> Option<Vec<(TypeRef, u64)>> {
        let mut parts = Vec::new();
        for level in 0..LEVELS {
            if !self.types.get(ty).is_coroutine() {
                parts.push((ty, address));
                return (level > 0).then_some(parts);
            }
            let (state, variant, offset) = self.variant(ty, address).ok()?;
            if matches!(&*state, "0" | "1" | "2") {
                return None;
            }
            let start = address.wrapping_add(offset);
            let variant = self.types.get(variant);
            let members = variant.members().iter().filter(|member| member.name != AWAITEE);
            parts.extend(members.map(|member| (member.ty, start.wrapping_add(member.offset))));
            let awaited = variant.member(AWAITEE)?;
            (ty, address) = (awaited.ty, start.wrapping_add(awaited.offset));
        }
        None
    }

    /// Whether the pointers in a value lead to memory, and its enums are in one of their variants.
    fn looks_sound(&mut self, ty: TypeRef, address: u64, depth: usize) -> bool {
        // Nothing is mapped there; empty collections have such pointers.
        const LOW: u64 = 1 << 16;
        let known = self.types.get(ty);
        if depth > DEPTH || known.size == Some(0) {
            return true;
        }
        match &known.shape {
            Shape::Pointer(_) => {
                let target = self.word(address);
                target.is_some_and(|target| target < LOW || self.bytes(target, 1).is_some())
            }
            Shape::Struct(members) => {
                let at = |member: &Member| (member.ty, address.wrapping_add(member.offset));
                members.iter().map(at).all(|(ty, address)| self.looks_sound(ty, address, depth + 1))
            }
            Shape::Enum { .. } => match self.variant(ty, address) {
                Ok((_, inner, offset)) => self.looks_sound(inner, address.wrapping_add(offset), depth + 1),
                Err(_) => false,
            },
            _ => true,
        }
    }

    /// Bytes of a type.
    pub fn size(&mut self, ty: TypeRef) -> Option<u64> {
        self.types.size(ty)
    }

    /// A type parameter of a type.
    pub fn parameter(&mut self, ty: TypeRef, name: &str) -> Option<TypeRef> {
        self.types.get(ty).param(name)
    }

    /// The member at a path of names such as `raw.ptr`: its type, and its offset in the whole.
    pub fn member(&mut self, ty: TypeRef, path: &str) -> Option<(TypeRef, u64)> {
        ValueReader::new(&mut self.types, &self.limits, None).find(ty, path)
    }

    /// The type of a member that an async function has in one of its states.
    pub fn member_in_a_state(&mut self, ty: TypeRef, name: &str) -> Option<TypeRef> {
        let known = self.types.get(ty);
        let Shape::Enum { variants, .. } = &known.shape else { return None };
        variants.iter().find_map(|variant| Some(self.types.get(variant.member.ty).member(name)?.ty))
    }

    /// The part of a type that has a type of this path, searched through members: its type, and its offset in the
    /// whole. Of several it is the one in the fewest others. `None` if there is none, or several are in as few.
    pub fn inside(&mut self, ty: TypeRef, path: &str) -> Option<(TypeRef, u64)> {
        self.types.inside(ty, path)
    }

    /// The type that a pointer in a guard of a lock leads to, which one of async-lock declares as one to another type.
    pub fn guarded(&mut self, guard: TypeRef, pointer: TypeRef) -> Option<TypeRef> {
        self.types.guarded(guard, pointer)
    }

    /// The type that a pointer leads to, or an `Option`, `NonNull`, `Arc` and the like that consists of one.
    pub fn pointee(&mut self, ty: TypeRef) -> Option<TypeRef> {
        self.types.pointee(ty)
    }

    /// The variant that the enum of a type at an address is in: its name, its type, and its offset in the whole.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is in none.
    pub fn variant(&mut self, ty: TypeRef, address: u64) -> Result<(String, TypeRef, u64), String> {
        let known = self.types.get(ty);
        let size = known.size.and_then(|size| usize::try_from(size).ok()).ok_or("its size is not known")?;
        let bytes = self.types.memory.bytes(address, size).ok_or("its memory cannot be read")?;
        let mut reader = ValueReader::new(&mut self.types, &self.limits, None);
        let found = reader.variant(&known, Place { address, bytes: &bytes })?;
        Ok((found.name, found.ty, found.offset))
    }

    /// The value of a type at an address.
    pub fn value(&mut self, ty: TypeRef, address: u64) -> Value {
        ValueReader::new(&mut self.types, &self.limits, None).at(ty, address, 0)
    }

    /// The word at an address.
    pub fn word(&self, address: u64) -> Option<u64> {
        self.types.memory.word(address)
    }

    /// Bytes at an address.
    pub fn bytes(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        self.types.memory.bytes(address, length)
    }

    /// Whether the memory of the process may be read, by the example of an address.
    ///
    /// # Errors
    ///
    /// A sentence that says why not, and what to do.
    pub fn reach(&self, address: u64) -> Result<(), String> {
        self.types.memory.reach(address)
    }

    /// The await stack of a future of a type at an address, as [`stack_with_links`](Frames::stack_with_links) gives it,
    /// and what it consists of.
    pub fn stack_of_type(&mut self, ty: TypeRef, address: u64, mid_step: bool, coro_at: &CoroAt<'_>) -> (Stack, Parts) {
        self.types.renew();
        self.walk_type(ty, address, 0, mid_step, Some(coro_at), &[])
    }
}

/// The parts of a range that are in none of others.
fn without(range: Range<u64>, others: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut inside: Vec<&Range<u64>> =
        others.iter().filter(|other| other.start < range.end && range.start < other.end).collect();
    inside.sort_by_key(|other| other.start);
    let mut rest = Vec::new();
    let mut at = range.start;
    for other in inside {
        if at < other.start {
            rest.push(at..other.start);
        }
        at = at.max(other.end);
    }
    if at < range.end {
        rest.push(at..range.end);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_range_is_taken_out_of_it() {
        let others = [30..40, 10..20, 15..25, 90..95];
        assert_eq!(without(12..50, &others), [25..30, 40..50]);
        assert_eq!(without(0..10, &others).len(), 1);
        assert_eq!(without(31..39, &others).len(), 0);
    }
}

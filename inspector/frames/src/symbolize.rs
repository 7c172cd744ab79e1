//! The native stack of the calling thread, its functions named by debug info.
//!
//! The standard library names them too, but reads the debug info of all that is loaded for it: a tenth of a second for
//! a hundred megabytes. Here the units are read that the stack runs through, most of which the await stack needs too.

use std::path::Path;

use gimli::{DebuggingInformationEntry, EntriesTreeNode};
use tinyio_events::event::TraceSite;
use tinyio_events::place::is_library;

use super::parser::{Parser, Position};
use super::registers::{self, Registers};
use super::sections::Slice;
use super::types::{Named, Types};
use super::{Frames, backtrace, names, unit};

/// Deeper stacks are left to the standard library, as are functions with more scopes, or with scopes nested deeper.
const FRAMES: usize = 1 << 16;
const SCOPES: usize = 20_000;
const DEEPEST: usize = 200;
/// An entry refers to its declaration over at most so many others.
const ORIGINS: usize = 4;

impl Frames {
    /// The native stack of the calling thread, innermost frame first; frames of tinyio, of the standard library, of the
    /// C library and of what starts a program are left out. Without debug info files and lines are unknown.
    ///
    /// Where debug info does not describe the whole stack, the standard library names its frames.
    pub fn native_stack(&mut self) -> Vec<TraceSite> {
        self.native_stack_by_debug_info().unwrap_or_else(backtrace::native_stack)
    }

    /// The same without the help of the standard library: for tests.
    #[doc(hidden)]
    pub fn native_stack_by_debug_info(&mut self) -> Option<Vec<TraceSite>> {
        registers::here(|registers| {
            let types = &mut self.types;
            types.renew();
            let sites = types.learn(|types| types.native_stack(registers?));
            // What is on the stack is over with this function.
            types.memory.forget();
            sites.map(backtrace::of_program)
        })
    }
}

impl Types {
    /// All functions on the stack with these registers, as far as they are not of the standard library. None if
    /// something on it is unknown.
    fn native_stack(&mut self, mut registers: Registers) -> Option<Vec<TraceSite>> {
        let mut frames = Vec::new();
        for _ in 0..FRAMES {
            let image = self.images.find(&self.memory, registers.code()).ok()?;
            frames.push(self.named(image, &registers));
            let known = self.images.get(image);
            match known.unwind.caller(&registers, known.bias, &self.memory) {
                // Each frame is above the one that it called.
                Some(caller) if caller.get(Registers::STACK) > registers.get(Registers::STACK) => registers = caller,
                _ if known.unwind.is_outermost(&registers, known.bias) => return self.sites(frames),
                _ => return None,
            }
        }
        None
    }

    fn named(&mut self, image: usize, registers: &Registers) -> Named {
        let code = registers.code();
        if let Some(known) = self.symbolized.get(&code) {
            return known.clone();
        }
        let bias = self.images.get(image).bias;
        let named = match self.symbolize(image, code.wrapping_sub(bias)) {
            Some(named) => named,
            None => {
                let known = self.images.get(image);
                match known.symbol(code.wrapping_sub(bias)) {
                    _ if is_c_library(&known.path) || known.unwind.is_outermost(registers, bias) => Named::Std,
                    // What the compiler makes is in no unit: `main`, which calls that of the program, for one.
                    Some(symbol) => Named::Functions([site(&symbol, &Position::default())].into()),
                    None => Named::Unknown,
                }
            }
        };
        self.symbolized.insert(code, named.clone());
        named
    }

    /// The functions at an address of the file, if debug info describes them.
    fn symbolize(&mut self, image: usize, address: u64) -> Option<Named> {
        let begin = self.images.get(image).unwind.function(address)?.start;
        let (image, unit) = self.with_code(image, address)?;
        let (dwarf, units) = self.units(image);
        let root = units.root(&dwarf, unit).ok()?;
        let crate_name = unit::crate_name(&root).unwrap_or_default();
        let is_std = root.comp_dir.is_some_and(|directory| is_library(&format!("{}/", directory.to_string_lossy())));
        if is_std || matches!(&*crate_name, "std" | "core" | "alloc") {
            return Some(Named::Std);
        }
        if crate_name == "tinyio" || names::is_ours(&crate_name) {
            return Some(Named::Ours { image, unit, address });
        }
        let &function = units.index(&dwarf, unit).ok()?.functions.get(&begin)?;
        let start = units.start(unit);
        let (calls, mut position) = self.parsing(image, unit, |parser| {
            let mut calls = Calls { address, scopes: 0, found: vec![(start + function, Position::default())] };
            let mut tree = parser.unit.entries_tree(Some(unit::within(function))).ok()?;
            calls.read(parser, tree.root().ok()?, 0)?;
            Some((calls.found, parser.position(address).unwrap_or_default()))
        })?;
        // Each function is where it calls the next one.
        let mut sites = Vec::with_capacity(calls.len());
        for (function, called_at) in calls.into_iter().rev() {
            let name = self.symbol(image, function)?;
            sites.push(site(&name, &position));
            position = called_at;
        }
        Some(Named::Functions(sites.into()))
    }

    /// The name of a function for the linker, made readable; without one its own name.
    fn symbol(&mut self, image: usize, mut function: usize) -> Option<String> {
        let (dwarf, units) = self.units(image);
        let mut own_name = None;
        for _ in 0..ORIGINS {
            let unit = units.around(function)?;
            let within = function.checked_sub(units.start(unit))?;
            let opened = units.open(&dwarf, unit).ok()?;
            if let Some(linkage) = unit::linkage_name(&dwarf, &opened, within) {
                return Some(format!("{:#}", rustc_demangle::demangle(&linkage)));
            }
            let entry = opened.entry(unit::within(within)).ok()?;
            own_name = own_name.or_else(|| unit::text(&dwarf, &opened, entry.attr_value(gimli::DW_AT_name)));
            match unit::declaration(&opened, within)? {
                origin if origin != function => function = origin,
                _ => break,
            }
        }
        own_name
    }

    fn sites(&mut self, frames: Vec<Named>) -> Option<Vec<TraceSite>> {
        let mut sites = Vec::new();
        for frame in &frames {
            match frame {
                Named::Functions(functions) => sites.extend(functions.iter().cloned()),
                Named::Unknown => return None,
                Named::Ours { .. } | Named::Std => {}
            }
        }
        if sites.iter().any(|site| backtrace::may_be_ours(&site.name)) {
            for frame in frames {
                if let Named::Ours { image, unit, address } = frame {
                    let position = self.parsing(image, unit, |parser| parser.position(address));
                    sites.push(site("tinyio", &position.unwrap_or_default()));
                }
            }
        }
        Some(sites)
    }
}

fn site(name: &str, position: &Position) -> TraceSite {
    let file = position.file.as_ref().filter(|_| position.line > 0);
    TraceSite {
        coro: 0,
        name: backtrace::function(name),
        file: file.map_or_else(String::new, |file| file.to_string_lossy().into_owned()),
        line: position.line,
        column: position.column,
        last_await: false,
    }
}

/// The file of the C library or of the dynamic linker.
fn is_c_library(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| ["libc.", "libc-", "libpthread", "ld-"].iter().any(|start| name.starts_with(start)))
}

/// The functions at an address, outermost first: the offset of the entry of each, and where it was called in the one
/// before it.
struct Calls {
    address: u64,
    scopes: usize,
    found: Vec<(usize, Position)>,
}

impl Calls {
    /// None if there are too many scopes.
    fn read<'a>(
        &mut self,
        parser: &mut Parser<'_, 'a>,
        node: EntriesTreeNode<'_, '_, Slice<'a>>,
        depth: usize,
    ) -> Option<()> {
        self.scopes += 1;
        if depth > DEEPEST || self.scopes > SCOPES {
            return None;
        }
        let mut children = node.children();
        while let Some(child) = children.next().ok()? {
            let entry: &DebuggingInformationEntry<Slice<'a>> = child.entry();
            match entry.tag() {
                gimli::DW_TAG_lexical_block if parser.contains(entry, self.address) => {
                    self.read(parser, child, depth + 1)?;
                }
                gimli::DW_TAG_inlined_subroutine if parser.contains(entry, self.address) => {
                    let origin = unit::reference(parser.unit, entry.attr_value(gimli::DW_AT_abstract_origin)?)?;
                    self.found.push((origin, parser.call_position(entry).unwrap_or_default()));
                    self.read(parser, child, depth + 1)?;
                }
                _ => {}
            }
        }
        Some(())
    }
}

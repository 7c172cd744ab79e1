//! What is in a unit: parents of types (for their paths), functions by address, vtables by address, types with drop
//! glue.

use std::collections::HashMap;

use gimli::{AttributeValue, DwAt, DwTag};

use super::entries::{Entries, Entry};
use super::hash::FastMap;
use super::names;
use super::sections::{Dwarf, Slice};
use super::unit::{Unit, joined, linkage_name, string};

/// The result of scanning a unit. Offsets are from the start of the unit.
#[derive(Default)]
pub(super) struct Index {
    /// Types, namespaces and functions, by offset.
    nodes: Vec<Node>,
    /// Functions by the address they begin at.
    pub functions: FastMap<u64, usize>,
    /// Functions that run coroutines, each with the path of the function that it is the body of.
    pub async_bodies: Vec<(usize, Box<[Box<str>]>)>,
    /// Vtables by address; the entries of their types. Several types may share one vtable, if their vtables are equal.
    pub vtables: FastMap<u64, Vec<usize>>,
    /// Vtables without an address: they were left out, or are the same as one that has an address.
    pub unplaced: Vec<usize>,
    /// Types that drop glue was made for, by name, and the address of the glue if it was not inlined.
    pub dropped: HashMap<Box<[u8]>, Option<u64>>,
    /// Calls that were inlined: hardly any without optimisation.
    pub inlined: usize,
}

/// An entry that has a name and may contain others.
#[derive(Clone, Copy)]
struct Node {
    offset: u32,
    parent: u32,
    /// Of an `{impl#N}` namespace: a function in it that has a linkage name.
    sample: u32,
    is_impl: bool,
    is_function: bool,
}

const NONE: u32 = u32::MAX;

impl Index {
    /// The path of an entry, outermost first, as offsets; itself last.
    pub fn path(&self, offset: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut at = self.nodes.binary_search_by_key(&(offset as u32), |node| node.offset).ok();
        while let Some(index) = at {
            let node = self.nodes[index];
            path.push(node.offset as usize);
            at = (node.parent != NONE).then_some(node.parent as usize);
        }
        path.reverse();
        path
    }

    /// The types with a path that begins with a text, which has at least one `::`.
    pub fn types(&self, dwarf: &Dwarf<'_>, unit: &Unit<'_>, path: &str) -> Vec<usize> {
        let Some((above, last)) = path.rsplit_once("::") else { return Vec::new() };
        let mut namespaces: HashMap<u32, bool> = HashMap::new();
        let mut found = Vec::new();
        for node in self.nodes.iter().filter(|node| node.parent != NONE && !node.is_function) {
            let is_in = *namespaces.entry(node.parent).or_insert_with(|| {
                let parent = self.nodes[node.parent as usize].offset as usize;
                joined(dwarf, unit, &self.path(parent)) == above
            });
            if is_in && joined(dwarf, unit, &[node.offset as usize]).starts_with(last) {
                found.push(node.offset as usize);
            }
        }
        found
    }

    /// The functions that run coroutines and may be the body of a function of this path, as far as names tell: an
    /// implementation has another path in debug info than in the name of a type, and what is above it is not compared.
    pub fn async_bodies(&self, function: &[&str]) -> impl Iterator<Item = usize> {
        let is_name = |name: &str| !name.is_empty() && !name.starts_with(['{', '<']);
        let may_be = move |around: &[Box<str>]| {
            let pairs = around.iter().rev().zip(function.iter().rev());
            let mut names = pairs.take_while(|(here, sought)| is_name(here) && is_name(sought));
            names.all(|(here, sought)| names::without_generics(here) == names::without_generics(sought))
        };
        self.async_bodies.iter().filter(move |(_, around)| may_be(around)).map(|(body, _)| *body)
    }

    /// The functions that are in the same namespace as an entry.
    pub fn beside(&self, offset: usize) -> Vec<usize> {
        let at = self.nodes.binary_search_by_key(&(offset as u32), |node| node.offset).ok();
        let Some(outer) = at.map(|at| self.nodes[at].parent).filter(|outer| *outer != NONE) else {
            return Vec::new();
        };
        let functions = self.nodes.iter().filter(|node| node.parent == outer && node.is_function);
        functions.map(|node| node.offset as usize).collect()
    }

    /// A function inside the implementation of this path: how many levels below it is, and its linkage name.
    pub fn implementation(&self, dwarf: &Dwarf<'_>, unit: &Unit<'_>, path: &str) -> Option<(usize, String)> {
        for node in self.nodes.iter().filter(|node| node.sample != NONE) {
            let above = self.path(node.offset as usize);
            if joined(dwarf, unit, &above) == path {
                let sample = node.sample as usize;
                return Some((self.path(sample).len().checked_sub(above.len())?, linkage_name(dwarf, unit, sample)?));
            }
        }
        None
    }
}

/// The attributes that the index is made of. Variables are vtables at depth 1 alone.
fn wanted(tag: DwTag, depth: usize) -> &'static [DwAt] {
    match tag {
        gimli::DW_TAG_namespace => &[gimli::DW_AT_name],
        gimli::DW_TAG_subprogram => {
            &[gimli::DW_AT_name, gimli::DW_AT_low_pc, gimli::DW_AT_linkage_name, gimli::DW_AT_MIPS_linkage_name]
        }
        gimli::DW_TAG_variable if depth <= 1 => &[gimli::DW_AT_name, gimli::DW_AT_location, gimli::DW_AT_type],
        _ => &[],
    }
}

/// What a unit has; of one that is damaged in the middle, its beginning.
pub(super) fn scan(dwarf: &Dwarf<'_>, unit: &Unit<'_>) -> Index {
    let mut index = Index::default();
    // The node each level of nesting is in.
    let mut parents: Vec<u32> = Vec::new();
    // The name of each level, if it is a namespace.
    let mut names: Vec<&[u8]> = Vec::new();
    let mut entries = Entries::of(dwarf, unit, wanted);
    while let Some(Entry { offset, depth, tag, has_children }) = entries.next() {
        parents.truncate(depth);
        names.truncate(depth);
        let mut own_name: &[u8] = &[];
        let parent = parents.last().copied().unwrap_or(NONE);
        let mut node = NONE;
        match tag {
            gimli::DW_TAG_namespace
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_subprogram => {
                node = index.nodes.len() as u32;
                let mut found = Node {
                    offset: u32::try_from(offset).unwrap_or(NONE),
                    parent,
                    sample: NONE,
                    is_impl: false,
                    is_function: tag == gimli::DW_TAG_subprogram,
                };
                let (mut low, mut linked, mut dropped) = (None, false, None);
                for &(name, value) in &entries.found {
                    match name {
                        gimli::DW_AT_low_pc => low = dwarf.attr_address(unit, value).ok().flatten(),
                        gimli::DW_AT_name => {
                            let Some(name) = string(dwarf, unit, value) else { continue };
                            match tag {
                                gimli::DW_TAG_namespace => {
                                    own_name = name;
                                    found.is_impl = name.starts_with(b"{impl#");
                                }
                                _ if name.starts_with(b"{async_") => {
                                    let name = |name: &&[u8]| String::from_utf8_lossy(name).into();
                                    index.async_bodies.push((offset, names.iter().map(name).collect()));
                                }
                                _ => dropped = dropped_by(name).map(Box::from),
                            }
                        }
                        _ => linked = true,
                    }
                }
                if let Some(low) = low {
                    index.functions.insert(low, offset);
                }
                if let Some(name) = dropped {
                    let instance = index.dropped.entry(name).or_default();
                    *instance = instance.or(low);
                }
                index.nodes.push(found);
                if linked {
                    sample(&mut index.nodes, node);
                }
            }
            gimli::DW_TAG_variable if depth == 1 => vtable(dwarf, unit, &mut index, &entries.found),
            gimli::DW_TAG_inlined_subroutine => index.inlined += 1,
            _ => {}
        }
        if has_children {
            parents.resize(depth, NONE);
            parents.push(if node == NONE { parent } else { node });
            names.resize(depth, &[]);
            names.push(own_name);
        }
    }
    index
}

/// The type that a function of this name drops: `drop_glue<T>`, which older compilers have in `drop_in_place<T>`.
pub(super) fn dropped_by(function: &[u8]) -> Option<&[u8]> {
    let named = [b"drop_in_place<".as_slice(), b"drop_glue<"].iter().find_map(|start| function.strip_prefix(*start));
    named.and_then(|rest| rest.strip_suffix(b">"))
}

/// Notes a function as the example of the implementation it is in.
fn sample(nodes: &mut [Node], function: u32) {
    let offset = nodes[function as usize].offset;
    let mut at = nodes[function as usize].parent;
    while let Some(node) = nodes.get_mut(at as usize) {
        if node.is_impl && node.sample == NONE {
            node.sample = offset;
        }
        at = node.parent;
    }
}

/// A variable at the top of a unit: a vtable if it has a fixed address and is called so.
fn vtable(dwarf: &Dwarf<'_>, unit: &Unit<'_>, index: &mut Index, found: &[(DwAt, AttributeValue<Slice<'_>>)]) {
    let (mut is_vtable, mut address, mut kind) = (false, None, None);
    for &(name, value) in found {
        match (name, value) {
            (gimli::DW_AT_name, value) => {
                is_vtable = string(dwarf, unit, value).is_some_and(|name| name.ends_with(b"::{vtable}"));
            }
            (gimli::DW_AT_location, AttributeValue::Exprloc(expression)) => {
                address = fixed_address(dwarf, unit, expression);
            }
            (gimli::DW_AT_type, AttributeValue::UnitRef(target)) => kind = Some(target.0),
            _ => {}
        }
    }
    if let (true, Some(kind)) = (is_vtable, kind) {
        match address {
            Some(address) => index.vtables.entry(address).or_default().push(kind),
            None => index.unplaced.push(kind),
        }
    }
}

/// The address, of a location that is nothing but one.
fn fixed_address(dwarf: &Dwarf<'_>, unit: &Unit<'_>, expression: gimli::Expression<Slice<'_>>) -> Option<u64> {
    let mut operations = expression.operations(unit.encoding());
    let address = match operations.next().ok()?? {
        gimli::Operation::Address { address } => address,
        gimli::Operation::AddressIndex { index } => dwarf.address(unit, index).ok()?,
        _ => return None,
    };
    operations.next().ok()?.is_none().then_some(address)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::image::Images;
    use crate::memory::Memory;
    use crate::unit;

    async fn sought() {
        async { std::future::pending::<()>().await }.await;
    }

    mod elsewhere {
        pub async fn sought() {
            std::future::pending::<()>().await;
        }
    }

    async fn other() {
        sought().await;
        elsewhere::sought().await;
    }

    /// Each that is looked at takes opening its unit.
    #[test]
    fn of_the_bodies_of_a_unit_those_in_a_function_of_the_path_are_found() {
        let mut future = Box::pin(other());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::hint::black_box(&mut future).as_mut().poll(&mut context).is_pending());
        let memory = Memory::of(std::process::id());
        let mut images = Images::of(&memory);
        let image = images.find(&memory, dropped_by as *const () as u64).expect("this program");
        let dwarf = images.dwarf(image);
        let mut headers = dwarf.units();
        let (mut all, mut found) = (Vec::new(), Vec::new());
        while let Ok(Some(header)) = headers.next() {
            let unit = unit::whole(&dwarf, header).expect("a unit");
            // Where builds are incremental, the rest of the name has no name of a crate.
            let name = unit.name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.split("/@/").next() != Some(&*file!().replace("index.rs", "lib.rs")) {
                continue;
            }
            let index = scan(&dwarf, &unit);
            let names = |bodies: &[usize]| bodies.iter().map(|at| joined(&dwarf, &unit, &index.path(*at))).collect();
            let bodies: Vec<usize> = index.async_bodies.iter().map(|(body, _)| *body).collect();
            let (bodies, sought): (Vec<String>, Vec<String>) = (
                names(&bodies),
                names(&index.async_bodies(&["tinyio_frames", "index", "tests", "sought"]).collect::<Vec<_>>()),
            );
            all.extend(bodies);
            found.extend(sought);
        }
        let path = "tinyio_frames::index::tests::";
        for body in ["sought::{async_fn#0}", "other::{async_fn#0}", "elsewhere::sought::{async_fn#0}"] {
            assert!(all.contains(&format!("{path}{body}")), "{all:?}");
        }
        assert!(found.contains(&format!("{path}sought::{{async_fn#0}}")), "{found:?}");
        for body in ["other::{async_fn#0}", "elsewhere::sought::{async_fn#0}"] {
            assert!(!found.contains(&format!("{path}{body}")), "{found:?}");
        }
        // The body of the block is inside of the body of the function.
        assert!(found.iter().any(|body| body.contains("sought::{async_fn#0}::{async_block#0}")), "{found:?}");
    }
}

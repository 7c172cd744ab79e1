//! Determines which of several bindings of one name is meant at an `.await`.
//!
//! The layout of a coroutine has the names of what it holds, but not their scopes: of bindings of one name it tells the
//! first alone. The function that runs the coroutine has the scopes, as nested blocks with variables in them, and in
//! unoptimised builds each variable's place in the coroutine. What is awaited is such a variable too, so the block
//! around it says at which `.await` one is, and the blocks around that which bindings are in scope there.

use std::path::PathBuf;
use std::rc::Rc;

use gimli::{AttributeValue, DebuggingInformationEntry, EntriesTreeNode, Expression, Operation};

use super::names;
use super::parser::Parser;
use super::scopes::{AWAITEE, Binding, Bindings, Variable};
use super::sections::Slice;
use super::shape::{Member, Shape, TypeRef};
use super::types::Types;
use super::unit::{self, Unit};

/// Bytes of debug info looked through for the function that runs a coroutine.
const PATIENCE: usize = 4 << 20;

/// An `.await`: its place, and what is awaited there.
pub(super) struct Await<'a> {
    pub file: Option<&'a PathBuf>,
    pub line: u32,
    pub offset: u64,
    pub ty: TypeRef,
}

/// A variable called `iter` around an `.await`, and those in the innermost scope within its own that are declared on
/// the same line. If it is what the compiler declares for a `for` loop, these are the variables of the loop.
pub(super) struct Loop {
    pub iter: Variable,
    pub variables: Vec<Variable>,
}

/// The name that the compiler gives the iterator of a `for` loop.
pub(super) const ITER: &str = "iter";

impl Bindings {
    /// What may be the `for` loops around an `.await`, innermost first.
    pub fn loops(&self, types: &mut Types, point: &Await<'_>) -> Vec<Loop> {
        let [scope] = self.awaits(types, point, true)[..] else { return Vec::new() };
        let mut chain = vec![scope];
        while let Some(&last) = chain.last().filter(|last| **last != 0) {
            chain.push(self.parents[last]);
        }
        let in_scope = |scope: usize| self.variables.iter().filter(move |variable| variable.scope == scope);
        let mut loops = Vec::new();
        for (index, &scope) in chain.iter().enumerate() {
            for iter in in_scope(scope).filter(|variable| variable.name == ITER) {
                let inner = chain[..index].iter().rev().find(|inner| in_scope(**inner).next().is_some());
                let variables = inner.into_iter().flat_map(|inner| in_scope(*inner));
                let variables = variables.filter(|variable| variable.is_at_place_of(iter) && variable.name != AWAITEE);
                loops.push(Loop { iter: iter.clone(), variables: variables.cloned().collect() });
            }
        }
        loops
    }

    /// The binding that a name has at an `.await`; None if that is not certain.
    pub fn at(&self, types: &mut Types, point: &Await<'_>, name: &str) -> Option<Binding> {
        let mut found = None;
        for scope in self.awaits(types, point, true) {
            // Two awaits on one line may be indistinguishable: then both must have the same binding.
            let binding = self.around(scope, name)?;
            match found {
                None => found = Some(binding),
                Some(before) if agree(types, before, binding) => {}
                Some(_) => return None,
            }
        }
        found
    }

    /// All bindings that a name has around an `.await`, innermost first. Of several awaits that cannot be
    /// distinguished: those of the one that has most.
    pub fn visible(&self, types: &mut Types, point: &Await<'_>, name: &str) -> Vec<Variable> {
        // Optimised code has no place for what is awaited; elsewhere the place has to agree.
        let located = self.awaits(types, point, true);
        let scopes = if located.is_empty() { self.awaits(types, point, false) } else { located };
        let chains = scopes.into_iter().map(|scope| self.outwards(scope, name));
        chains.max_by_key(Vec::len).unwrap_or_default()
    }

    /// The scopes in which something is awaited at a place.
    fn awaits(&self, types: &mut Types, point: &Await<'_>, located: bool) -> Vec<usize> {
        let mut scopes = Vec::new();
        for variable in self.variables.iter().filter(|variable| variable.name == AWAITEE) {
            let (offset, ty) = match variable.binding {
                Some(Binding::Kept { offset, ty }) => (Some(offset), ty),
                _ => (None, variable.ty),
            };
            if (variable.line, variable.file.as_deref()) == (point.line, point.file)
                && (!located || offset == Some(point.offset))
                && types.same(ty, point.ty)
            {
                scopes.push(variable.scope);
            }
        }
        scopes
    }
}

fn agree(types: &mut Types, one: Binding, other: Binding) -> bool {
    match (one, other) {
        (Binding::Kept { offset, ty }, Binding::Kept { offset: there, ty: also }) => {
            offset == there && types.same(ty, also)
        }
        _ => one == other,
    }
}

impl Types {
    /// The scopes of the function that runs a coroutine; None where they are not described. In optimised builds the
    /// places of variables are not known, but which there are.
    pub fn bindings(&mut self, ty: TypeRef) -> Option<Rc<Bindings>> {
        if let Some(known) = self.bindings.get(&ty) {
            return known.clone();
        }
        let found = self.learn(|types| types.find_bindings(ty)).map(Rc::new);
        self.bindings.insert(ty, found.clone());
        found
    }

    fn find_bindings(&mut self, ty: TypeRef) -> Option<Bindings> {
        let own = self.units(ty.image).1.around(ty.offset)?;
        let known = self.get(ty);
        let levels = names::segments(&known.name);
        let body = levels.iter().position(|level| level.starts_with('{') && !level.starts_with("{impl#"))?;
        let function = names::without_generics(levels.get(body.checked_sub(1)?)?);
        // What was inlined has no code of its own, but is described beside the type, with its scopes.
        let (dwarf, units) = self.units(ty.image);
        let within = ty.offset - units.start(own);
        let beside = units.index(&dwarf, own).ok()?.beside(within);
        for entry in beside {
            if let Some(found) = self.scopes_of(ty.image, own, entry, ty) {
                return Some(found);
            }
        }
        // It may be inlined in another unit, such as that of the code that polls it: those that were read are looked
        // through.
        if let Some(found) = self.inlined_elsewhere(own, ty, &levels[..body]) {
            return Some(found);
        }
        // Symbols are those of the whole program.
        let program = self.images.program(ty.image);
        let module: Vec<&str> =
            levels[..body - 1].iter().copied().take_while(|level| !level.starts_with('{')).collect();
        let candidates = self.images.get(program).symbols.inside(function, &module);
        let mut left = PATIENCE;
        let mut last = None;
        for address in candidates {
            let Some((image, unit)) = self.with_code(program, address) else { continue };
            let (dwarf, units) = self.units(image);
            if last != Some((image, unit)) && (image, unit) != (ty.image, own) {
                match left.checked_sub(units.size(unit)) {
                    Some(rest) => left = rest,
                    // The first is the likeliest, and worth its time however large its unit is.
                    None if last.is_none() => left = 0,
                    None => continue,
                }
            }
            last = Some((image, unit));
            let Some(&function) = units.index(&dwarf, unit).ok()?.functions.get(&address) else { continue };
            if let Some(found) = self.scopes_of(image, unit, function, ty) {
                return Some(found);
            }
        }
        // Without code of its own it is described in any unit of its crate.
        let (dwarf, units) = self.units(ty.image);
        units.read_crate(&dwarf, own);
        self.inlined_elsewhere(own, ty, &levels[..body])
    }

    /// The scopes of the function that runs a coroutine, of those that were read in other units than the type.
    fn inlined_elsewhere(&mut self, own: usize, ty: TypeRef, function: &[&str]) -> Option<Bindings> {
        let bodies = self.units(ty.image).1.async_bodies(own, function);
        bodies.into_iter().find_map(|(unit, entry)| self.scopes_of(ty.image, unit, entry, ty))
    }

    /// The scopes of a function, if it is the one that runs a coroutine.
    fn scopes_of(&mut self, image: usize, unit: usize, function: usize, coroutine: TypeRef) -> Option<Bindings> {
        let (dwarf, units) = self.units(image);
        let opened = units.open(&dwarf, unit).ok()?;
        // What is also inlined elsewhere is described once, apart from its code.
        let entry = opened.entry(unit::within(function)).ok()?;
        let function = match entry.attr_value(gimli::DW_AT_abstract_origin) {
            Some(AttributeValue::UnitRef(origin)) => origin.0,
            _ => function,
        };
        let offset = unit::type_of_first(&opened, function, gimli::DW_TAG_formal_parameter)?;
        if !self.runs(TypeRef { image, offset }, coroutine) {
            return None;
        }
        self.scopes(image, unit, function)
    }

    /// Whether a parameter of this type is the coroutine that is run: `Pin<&mut F>`.
    fn runs(&mut self, parameter: TypeRef, coroutine: TypeRef) -> bool {
        let known = self.get(parameter);
        if known.path() != "core::pin::Pin" {
            return false;
        }
        let [pointer] = known.members() else { return false };
        let Shape::Pointer(Some(target)) = self.get(pointer.ty).shape else { return false };
        self.may_be_same(target, coroutine) && self.same(target, coroutine)
    }

    fn scopes(&mut self, image: usize, unit: usize, function: usize) -> Option<Bindings> {
        self.parsing(image, unit, |parser| {
            let mut scopes = Scopes::default();
            let mut tree = parser.unit.entries_tree(Some(unit::within(function))).ok()?;
            scopes.read(parser, tree.root().ok()?, 0, 0);
            Some(scopes.bindings())
        })
    }
}

/// Limits on the nesting and the number of scopes in one function, which hand-written code stays below; debug info with
/// more is damaged.
const DEEPEST: usize = 200;
const MOST: usize = 20_000;

/// Scopes as they are read.
#[derive(Default)]
struct Scopes {
    parents: Vec<usize>,
    variables: Vec<(Variable, Place)>,
}

/// The location of a variable. A number is the place of the stack it leads through.
#[derive(Clone, Copy)]
enum Place {
    Stack,
    /// An offset from the target of a pointer on the stack.
    Behind {
        pointer: i64,
        offset: u64,
    },
    Unknown,
}

impl Scopes {
    fn read<'a>(
        &mut self,
        parser: &mut Parser<'_, 'a>,
        node: EntriesTreeNode<'_, '_, Slice<'a>>,
        parent: usize,
        depth: usize,
    ) {
        let number = self.parents.len();
        self.parents.push(parent);
        let mut children = node.children();
        while let Ok(Some(child)) = children.next() {
            let entry = child.entry();
            match entry.tag() {
                gimli::DW_TAG_variable => self.variables.extend(variable(parser, entry, number)),
                gimli::DW_TAG_lexical_block if depth < DEEPEST && self.parents.len() < MOST => {
                    self.read(parser, child, number, depth + 1);
                }
                _ => {}
            }
        }
    }

    /// All of what a coroutine keeps is behind the one pointer to it.
    fn bindings(self) -> Bindings {
        let mut pointers = self.variables.iter().filter(|(variable, _)| variable.name == AWAITEE);
        let coroutine = pointers.find_map(|(_, place)| match place {
            Place::Behind { pointer, .. } => Some(*pointer),
            _ => None,
        });
        let variables = self.variables.into_iter().map(|(variable, place)| {
            let binding = match place {
                Place::Stack => Some(Binding::Gone),
                Place::Behind { pointer, offset } if Some(pointer) == coroutine => {
                    Some(Binding::Kept { offset, ty: variable.ty })
                }
                _ => None,
            };
            Variable { binding, ..variable }
        });
        Bindings { parents: self.parents, variables: variables.collect() }
    }
}

fn variable<'a>(
    parser: &mut Parser<'_, 'a>,
    entry: &DebuggingInformationEntry<Slice<'a>>,
    scope: usize,
) -> Option<(Variable, Place)> {
    let Member { name, ty, file, line, .. } = parser.member(entry)?;
    let place = match entry.attr_value(gimli::DW_AT_location) {
        Some(AttributeValue::Exprloc(expression)) => place(parser.unit, expression),
        _ => None,
    };
    Some((Variable { scope, name, ty, binding: None, file, line }, place.unwrap_or(Place::Unknown)))
}

fn place(unit: &Unit<'_>, expression: Expression<Slice<'_>>) -> Option<Place> {
    let mut operations = expression.operations(unit.encoding());
    let Operation::FrameOffset { offset: pointer } = operations.next().ok()?? else { return None };
    match operations.next().ok()? {
        None => return Some(Place::Stack),
        Some(Operation::Deref { space: false, .. }) => {}
        Some(_) => return None,
    }
    let offset = match operations.next().ok()? {
        None => return Some(Place::Behind { pointer, offset: 0 }),
        Some(Operation::PlusConstant { value }) => value,
        Some(_) => return None,
    };
    operations.next().ok()?.is_none().then_some(Place::Behind { pointer, offset })
}

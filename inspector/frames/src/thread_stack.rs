//! The functions on the native stack of a thread that was stopped, those that were inlined too, and the futures that
//! some of them have pinned.
//!
//! A future of `block_on` is in no list of tasks: a variable of its function says where it is. A `Pin<&mut F>` is
//! certain. Of a future itself there are older copies on the stack, from before it was pinned: those were never polled.

use std::ops::Range;

use gimli::{
    AttributeValue, DebuggingInformationEntry, EntriesTreeNode, Evaluation, EvaluationResult, Expression, Location,
    Value,
};

use super::Frames;
use super::memory::Memory;
use super::names;
use super::registers::Registers;
use super::sections::{Dwarf, Slice};
use super::shape::{Shape, Type, TypeRef};
use super::types::Types;
use super::unit::{self, Unit};

/// Deeper stacks are not followed, nor are functions with more scopes or with scopes nested deeper: they are damage, or
/// recursion.
const FRAMES: usize = 1024;
const SCOPES: usize = 20_000;
const DEEPEST: usize = 200;
/// Steps of one expression.
const STEPS: u32 = 256;
/// References that lead from one pin to the next.
const PINS: usize = 16;

/// The native stack of a thread.
#[derive(Clone, Debug, Default)]
pub struct ThreadStack {
    /// Its functions, innermost first, as far as debug info describes them.
    pub functions: Vec<Function>,
    /// It was followed up to the function that the thread began with.
    pub is_whole: bool,
}

/// A function on a stack.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Its path.
    pub path: String,
    /// The futures, of a type that is one of its type parameters, that its variables of type `Pin<&mut F>` refer to: by
    /// type and address.
    pub pinned: Vec<(TypeRef, u64)>,
    /// Its variables of a type that is one of its type parameters, and are in memory, or what they refer to if that is
    /// a pinned box: by type and address. What was moved out of one may still be there.
    pub held: Vec<(TypeRef, u64)>,
    /// Its type parameters, or what they refer to if those are pins.
    pub parameters: Vec<TypeRef>,
    /// The part of the stack that it uses, with those that were inlined into it.
    pub frame: Range<u64>,
}

/// A function as its unit describes it.
#[derive(Default)]
struct Level {
    /// The entry of the function.
    origin: usize,
    /// Its type parameters.
    parameters: Vec<usize>,
    /// The types of its variables, and where they are.
    variables: Vec<(usize, Place)>,
}

impl Frames {
    /// The native stack of a thread with these registers. Variables are read of the functions with a path for which
    /// `has_futures` is true.
    pub fn thread_stack(&mut self, registers: Registers, has_futures: impl Fn(&str) -> bool) -> ThreadStack {
        let types = &mut self.types;
        types.learn(|types| {
            let (mut found, mut registers) = (ThreadStack::default(), registers);
            for _ in 0..FRAMES {
                let Ok(image) = types.images.find(&types.memory, registers.code()) else { break };
                let known = types.images.get(image);
                let caller = known.unwind.caller(&registers, known.bias, &types.memory);
                let is_outermost = known.unwind.is_outermost(&registers, known.bias);
                types.functions_at(image, &registers, caller.as_ref(), &has_futures, &mut found.functions);
                let Some(caller) = caller else {
                    found.is_whole = is_outermost;
                    break;
                };
                // Each frame is above the one that it called.
                if caller.get(Registers::STACK) <= registers.get(Registers::STACK) {
                    break;
                }
                registers = caller;
            }
            found
        })
    }
}

impl Types {
    /// Adds the functions that run with these registers, innermost first: one, and those that were inlined into it.
    fn functions_at(
        &mut self,
        image: usize,
        registers: &Registers,
        caller: Option<&Registers>,
        has_futures: &impl Fn(&str) -> bool,
        found: &mut Vec<Function>,
    ) -> Option<()> {
        let known = self.images.get(image);
        let address = registers.code().wrapping_sub(known.bias);
        let begin = known.unwind.function(address)?.start;
        let (image, unit) = self.with_code(image, address)?;
        self.images.read_locations(image);
        self.units(image);
        let dwarf = self.images.dwarf(image);
        let units = self.units.get_mut(&image)?;
        let opened = units.open(&dwarf, unit).ok()?;
        // Units of the standard library are large, and what they have is not asked for.
        if unit::crate_name(&opened).is_some_and(|name| matches!(&*name, "std" | "core" | "alloc")) {
            return None;
        }
        let &function = units.index(&dwarf, unit).ok()?.functions.get(&begin)?;
        let cfa = caller.and_then(|caller| caller.get(Registers::STACK));
        let mut reading = Reading {
            dwarf: &dwarf,
            unit: &opened,
            memory: &self.memory,
            registers,
            address,
            cfa,
            base: None,
            scopes: 0,
        };
        let entry = opened.entry(unit::within(function)).ok()?;
        if let Some(AttributeValue::Exprloc(expression)) = entry.attr_value(gimli::DW_AT_frame_base) {
            reading.base = reading.place(expression).map(|place| match place {
                Place::Word(word) | Place::Memory(word) => word,
            });
        }
        let parameters = type_parameters(&opened, function);
        let origin = declaration(&opened, function)?;
        let mut levels = vec![Level { origin, parameters, variables: Vec::new() }];
        let mut tree = opened.entries_tree(Some(unit::within(function))).ok()?;
        reading.read(tree.root().ok()?, 0, &mut levels, 0);
        let frame = registers.stack().unwrap_or(0)..cfa.unwrap_or(0);
        for level in levels.into_iter().rev() {
            let path = self.function_path(image, level.origin).unwrap_or_default();
            let mut function = Function { path, frame: frame.clone(), ..Function::default() };
            if has_futures(&function.path) {
                self.add_futures(image, &level, &mut function);
            }
            found.push(function);
        }
        Some(())
    }

    fn add_futures(&mut self, image: usize, level: &Level, function: &mut Function) {
        let ty = |offset: usize| TypeRef { image, offset };
        let parameters = level.parameters.iter().map(|parameter| ty(*parameter));
        let wanted: Vec<TypeRef> = parameters.map(|parameter| self.unpinned(parameter)).collect();
        function.parameters = wanted.clone();
        for (variable, place) in &level.variables {
            let variable = ty(*variable);
            let word = match place {
                Place::Word(word) => Some(*word),
                Place::Memory(address) => self.memory.word(*address),
            };
            if let Some(target) = self.pin_target(variable) {
                let found = word.and_then(|word| self.pinned_at(target, word));
                function.pinned.extend(found.filter(|found| wanted.iter().any(|one| self.same(*one, found.0))));
            } else if wanted.iter().any(|one| self.same(*one, variable)) {
                let known = self.get(variable);
                match (self.pinned_box(&known), place) {
                    (Some(content), _) => function.held.extend(word.map(|word| (content, word))),
                    (None, Place::Memory(address)) => function.held.push((variable, *address)),
                    (None, Place::Word(_)) => {}
                }
            }
        }
        for found in [&mut function.pinned, &mut function.held] {
            found.sort_unstable_by_key(|(_, address)| *address);
            found.dedup_by_key(|(_, address)| *address);
        }
    }

    /// The path of a function by its entry.
    fn function_path(&mut self, image: usize, entry: usize) -> Option<String> {
        let (dwarf, units) = self.units(image);
        let unit = units.around(entry)?;
        let within = entry.checked_sub(units.start(unit))?;
        let opened = units.open(&dwarf, unit).ok()?;
        let path = units.index(&dwarf, unit).ok()?.path(within);
        let path = if path.is_empty() { vec![within] } else { path };
        Some(unit::joined(&dwarf, &opened, &path))
    }

    /// What is at an address, or what it refers to if it is a pin itself.
    fn pinned_at(&mut self, mut target: TypeRef, mut address: u64) -> Option<(TypeRef, u64)> {
        for _ in 0..PINS {
            match self.pin_target(target) {
                Some(inner) => (target, address) = (inner, self.memory.word(address)?),
                None => return (address != 0).then_some((target, address)),
            }
        }
        None
    }

    /// A type, or what pins of it refer to.
    fn unpinned(&mut self, mut ty: TypeRef) -> TypeRef {
        for _ in 0..PINS {
            match self.pin_target(ty) {
                Some(inner) => ty = inner,
                None => break,
            }
        }
        ty
    }

    /// What a `Pin<Box<F>>` holds.
    fn pinned_box(&mut self, known: &Type) -> Option<TypeRef> {
        if known.path() != "core::pin::Pin" || known.size != Some(8) {
            return None;
        }
        let boxed = self.get(known.param("Ptr")?);
        match boxed.shape {
            Shape::Pointer(target) if boxed.path() == "alloc::boxed::Box" => target,
            _ => None,
        }
    }

    /// What a `Pin<&mut F>` refers to.
    fn pin_target(&mut self, ty: TypeRef) -> Option<TypeRef> {
        let known = self.get(ty);
        if known.path() != "core::pin::Pin" || known.size != Some(8) {
            return None;
        }
        let pointer = self.get(known.param("Ptr")?);
        match pointer.shape {
            Shape::Pointer(target) if pointer.name.starts_with("&mut ") => target,
            _ => None,
        }
    }
}

/// Where a variable is.
enum Place {
    /// It is this word.
    Word(u64),
    /// It is in memory at an address.
    Memory(u64),
}

/// A function that is read.
struct Reading<'r, 'a> {
    dwarf: &'r Dwarf<'a>,
    unit: &'r Unit<'a>,
    memory: &'r Memory,
    registers: &'r Registers,
    /// The code that runs, as an address of the file.
    address: u64,
    /// The stack pointer of the caller.
    cfa: Option<u64>,
    /// What offsets of variables are counted from.
    base: Option<u64>,
    /// Scopes that were met.
    scopes: usize,
}

impl<'a> Reading<'_, 'a> {
    /// Reads the scopes around the code, and the functions that were inlined there.
    fn read(
        &mut self,
        node: EntriesTreeNode<'_, '_, Slice<'a>>,
        level: usize,
        levels: &mut Vec<Level>,
        depth: usize,
    ) -> Option<()> {
        self.scopes += 1;
        if depth > DEEPEST || self.scopes > SCOPES {
            return None;
        }
        let mut children = node.children();
        while let Some(child) = children.next().ok()? {
            let entry = child.entry();
            match entry.tag() {
                gimli::DW_TAG_variable | gimli::DW_TAG_formal_parameter => {
                    let variable = self.variable(entry);
                    levels[level].variables.extend(variable);
                }
                gimli::DW_TAG_lexical_block if self.is_here(entry) => {
                    self.read(child, level, levels, depth + 1);
                }
                gimli::DW_TAG_inlined_subroutine if self.is_here(entry) => {
                    let origin = entry.attr_value(gimli::DW_AT_abstract_origin);
                    let origin = origin.and_then(|origin| unit::reference(self.unit, origin)).unwrap_or(0);
                    let within = self.within(origin);
                    let parameters = within.map_or_else(Vec::new, |origin| type_parameters(self.unit, origin));
                    let origin = within.and_then(|origin| declaration(self.unit, origin)).unwrap_or(origin);
                    levels.push(Level { origin, parameters, variables: Vec::new() });
                    self.read(child, levels.len() - 1, levels, depth + 1);
                }
                _ => {}
            }
        }
        Some(())
    }

    fn is_here(&self, entry: &DebuggingInformationEntry<Slice<'a>>) -> bool {
        let Ok(mut ranges) = self.dwarf.die_ranges(self.unit, entry) else { return false };
        std::iter::from_fn(|| ranges.next().ok()?).any(|range| (range.begin..range.end).contains(&self.address))
    }

    /// The offset in the unit of an entry of it.
    fn within(&self, offset: usize) -> Option<usize> {
        Some(gimli::DebugInfoOffset(offset).to_unit_offset(&self.unit.header)?.0)
    }

    /// The type of a variable and its place, if it has one here.
    fn variable(&self, entry: &DebuggingInformationEntry<Slice<'a>>) -> Option<(usize, Place)> {
        let ty = match entry.attr_value(gimli::DW_AT_type) {
            Some(ty) => ty,
            None => {
                let origin = unit::reference(self.unit, entry.attr_value(gimli::DW_AT_abstract_origin)?)?;
                self.unit.entry(unit::within(self.within(origin)?)).ok()?.attr_value(gimli::DW_AT_type)?
            }
        };
        let expression = match entry.attr_value(gimli::DW_AT_location)? {
            AttributeValue::Exprloc(expression) => expression,
            list => {
                let mut list = self.dwarf.attr_locations(self.unit, list).ok()??;
                std::iter::from_fn(|| list.next().ok()?)
                    .find(|entry| (entry.range.begin..entry.range.end).contains(&self.address))?
                    .data
            }
        };
        Some((unit::reference(self.unit, ty)?, self.place(expression)?))
    }

    /// What an expression says. What needs registers that a call does not preserve is not known.
    fn place(&self, expression: Expression<Slice<'a>>) -> Option<Place> {
        let mut evaluation: Evaluation<Slice<'a>> = expression.evaluation(self.unit.encoding());
        evaluation.set_max_iterations(STEPS);
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    evaluation.resume_with_register(Value::Generic(self.registers.get(register.0)?))
                }
                EvaluationResult::RequiresFrameBase => evaluation.resume_with_frame_base(self.base?),
                EvaluationResult::RequiresCallFrameCfa => evaluation.resume_with_call_frame_cfa(self.cfa?),
                EvaluationResult::RequiresMemory { address, size: 8, space: None, .. } => {
                    evaluation.resume_with_memory(Value::Generic(self.memory.word(address)?))
                }
                _ => return None,
            }
            .ok()?;
        }
        let pieces = evaluation.result();
        let [piece] = &pieces[..] else { return None };
        if piece.size_in_bits.is_some() {
            return None;
        }
        match piece.location {
            Location::Address { address } => Some(Place::Memory(address)),
            Location::Register { register } => Some(Place::Word(self.registers.get(register.0)?)),
            Location::Value { value } => value.to_u64(u64::MAX).ok().map(Place::Word),
            _ => None,
        }
    }
}

fn type_parameters(unit: &Unit<'_>, function: usize) -> Vec<usize> {
    unit::types_of_all(unit, function, gimli::DW_TAG_template_type_parameter)
}

/// The entry that declares a function, of which there may be instances that refer to a common one.
fn declaration(unit: &Unit<'_>, function: usize) -> Option<usize> {
    let mut at = unit::declaration(unit, function)?;
    for _ in 0..2 {
        let Some(within) = gimli::DebugInfoOffset(at).to_unit_offset(&unit.header) else { break };
        at = unit::declaration(unit, within.0)?;
    }
    Some(at)
}

impl Function {
    /// Whether it is the body of an async function or block, or a part of one.
    pub fn is_async(&self) -> bool {
        names::segments(&self.path).iter().any(|level| level.starts_with("{async_"))
    }

    /// Its own name, without its parameters: for a closure that of the function that it is in.
    pub fn name(&self) -> &str {
        let levels = names::segments(&self.path);
        let own = levels.into_iter().rev().find(|level| !level.starts_with('{'));
        own.map_or("", names::without_generics)
    }
}

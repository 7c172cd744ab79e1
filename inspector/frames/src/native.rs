//! Running functions, and their locals in the native frames of this thread.
//!
//! Locals that are not held across an `.await` are on the stack, and exist while their function runs only. In
//! unoptimised code debug info says where each is for the whole of its scope. Its scope alone does not make a local
//! valid: when a coroutine resumes, it gets a new native frame, and what its scopes around the `.await` had on the old
//! one is lost. So a local is read only if its scope began after that: if the `.await` of the last suspension is
//! outside of its scope. Optimised code is not read: there a place may hold something else while the scope lasts.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use gimli::{AttributeValue, DebuggingInformationEntry, EntriesTreeNode, Operation};
use tinyio_events::event::{Local, Value};
use tinyio_events::place::{AT_ERROR, is_dependency};

use super::bindings::Await;
use super::hash::FastSet;
use super::names;
use super::parser::Parser;
use super::registers::Registers;
use super::scopes::AWAITEE;
use super::sections::Slice;
use super::shape::{Glue, Shape, TypeRef};
use super::source::Sources;
use super::types::Types;
use super::unit;
use super::values::{Place, ValueReader};

/// Deeper stacks are not followed, nor are functions with more scopes or with scopes nested deeper: they are damage, or
/// recursion.
const FRAMES: usize = 512;
const SCOPES: usize = 20_000;
const DEEPEST: usize = 200;

/// A function of the program on the native stack.
pub(super) struct Running {
    pub name: String,
    pub file: Option<Rc<PathBuf>>,
    pub line: u32,
    /// The coroutine it runs: type and address.
    pub coroutine: Option<(TypeRef, u64)>,
    /// The walk has met that coroutine.
    pub is_met: Cell<bool>,
    /// Its code is optimised.
    pub is_optimised: bool,
    /// The value of the register that its locals are counted from.
    base: u64,
    scopes: Vec<Scope>,
    variables: Vec<Variable>,
}

struct Scope {
    parent: usize,
    /// The code that runs is in it.
    is_current: bool,
}

struct Variable {
    scope: usize,
    name: String,
    ty: TypeRef,
    file: Option<Rc<PathBuf>>,
    line: u32,
    location: Option<Location>,
}

/// An offset from the base of the frame, and then through pointers: the value at each place is an address, to which the
/// next offset is added.
#[derive(Clone)]
struct Location {
    slot: i64,
    behind: Vec<u64>,
}

impl Types {
    /// The functions of the program that are running on the thread with these registers, innermost first, up to the one
    /// that runs the coroutine of a type at an address: what has called that is not of its stack.
    pub fn running(&mut self, mut registers: Registers, root: TypeRef, address: u64) -> Vec<Running> {
        self.learn(|types| {
            let mut found = Vec::new();
            for _ in 0..FRAMES {
                let Ok(image) = types.images.find(&types.memory, registers.code()) else { break };
                let known = types.images.get(image);
                let caller = known.unwind.caller(&registers, known.bias, &types.memory);
                let one = types.function_of(image, &registers, caller.as_ref());
                let is_last = one.as_ref().is_some_and(|one| one.runs(types, root, address));
                found.extend(one);
                if is_last {
                    break;
                }
                let Some(caller) = caller else { break };
                registers = caller;
            }
            found
        })
    }

    /// The function that runs with these registers, and `caller` when it returns. None if it is not of the program.
    fn function_of(&mut self, image: usize, registers: &Registers, caller: Option<&Registers>) -> Option<Running> {
        let known = self.images.get(image);
        let address = registers.code().wrapping_sub(known.bias);
        let begin = known.unwind.function(address)?.start;
        let (image, unit) = self.with_code(image, address)?;
        let (dwarf, units) = self.units(image);
        // Reading a unit takes longer than all of the others, and those of libraries are large.
        let opened = units.root(&dwarf, unit).ok()?;
        if opened.comp_dir.is_some_and(|directory| is_dependency(&format!("{}/", directory.to_string_lossy()))) {
            return None;
        }
        if unit::crate_name(&opened).is_some_and(|name| names::is_plumbing(&name) || names::is_ours(&name)) {
            return None;
        }
        let opened = units.open(&dwarf, unit).ok()?;
        let start = units.start(unit);
        let index = units.index(&dwarf, unit).ok()?;
        let &function = index.functions.get(&begin)?;
        let entry = opened.entry(unit::within(function)).ok()?;
        let named = unit::declaration(&opened, function)?;
        // Generic functions of libraries have their code in the units of the program. Finding out the whole path of one
        // may take reading all units of its crate.
        let own_path = index.path(named.wrapping_sub(start));
        let name = |path: &[usize]| unit::joined(&dwarf, &opened, path);
        let root = own_path.first().map(|root| name(&[*root])).unwrap_or_default();
        let runs_coroutine = own_path.last().is_some_and(|own| name(&[*own]).starts_with("{async_"));
        if !runs_coroutine && (names::is_plumbing(&root) || names::is_ours(&root)) {
            return None;
        }
        let base = match entry.attr_value(gimli::DW_AT_frame_base) {
            Some(AttributeValue::Exprloc(expression)) => {
                let mut operations = expression.operations(opened.encoding());
                let base = match operations.next().ok()?? {
                    Operation::Register { register } => registers.get(register.0)?,
                    // Of functions with large frames it is at a distance from where the frame begins.
                    Operation::CallFrameCFA => offset(caller?.get(Registers::STACK)?, &mut operations)?,
                    _ => return None,
                };
                matches!(operations.next(), Ok(None)).then_some(base)?
            }
            _ => return None,
        };
        let (body, mut file, mut line) = self.parsing(image, unit, |parser| {
            let mut body = Body::new(address);
            let mut tree = parser.unit.entries_tree(Some(unit::within(function))).ok()?;
            body.read(parser, tree.root().ok()?, 0, true, 0);
            let position = parser.position(address)?;
            Some((body, position.file, position.line))
        })?;
        let Body { scopes, variables, first, inlined, mut is_sure, .. } = body;
        // Optimised code has its parameters in registers.
        is_sure &= match &first {
            Some((_, location)) => location.is_some(),
            None => {
                let (dwarf, units) = self.units(image);
                units.is_plain(&dwarf, unit)
            }
        };
        if let Some(inlined) = inlined {
            // `unwrap` and the like are inlined even without optimisation: the function is where it calls them. One of
            // the program would be left out.
            let (dwarf, units) = self.units(image);
            let opened = units.open(&dwarf, unit).ok()?;
            let path = units.index(&dwarf, unit).ok()?.path(inlined.declared.wrapping_sub(start));
            let root = path.first().map(|root| unit::joined(&dwarf, &opened, &[*root])).unwrap_or_default();
            is_sure &= names::is_plumbing(&root);
            (file, line) = (inlined.file, inlined.line);
        }
        let mut running = Running {
            name: String::new(),
            file,
            line,
            coroutine: None,
            is_met: Cell::new(false),
            is_optimised: !is_sure,
            base,
            scopes,
            variables,
        };
        if let Some((parameter, location)) = first
            && let Some(coroutine) = self.pinned(parameter)
        {
            let address = location.and_then(|location| self.memory.word(running.address(self, &location)?));
            let name = self.get(coroutine).name.clone();
            running.name = names::function(&name);
            running.coroutine = Some((coroutine, address.unwrap_or(0)));
            return Some(running);
        }
        let path = self.get(TypeRef { image, offset: named }).name.clone();
        running.name = names::function(&path.replace("{closure#", "{closure_env#"));
        let is_library = |file: &PathBuf| is_dependency(&file.to_string_lossy());
        let is_ours = names::is_ours(&running.name);
        if is_ours || names::is_plumbing(&running.name) || running.file.as_deref().is_none_or(is_library) {
            return None;
        }
        Some(running)
    }

    /// The coroutine of `Pin<&mut F>`.
    fn pinned(&mut self, parameter: TypeRef) -> Option<TypeRef> {
        let known = self.get(parameter);
        let [pointer] = known.members() else { return None };
        let Shape::Pointer(Some(target)) = self.get(pointer.ty).shape else { return None };
        (known.path() == "core::pin::Pin" && self.get(target).is_coroutine()).then_some(target)
    }
}

/// The scopes of a function as they are read.
struct Body {
    address: u64,
    scopes: Vec<Scope>,
    variables: Vec<Variable>,
    /// Type and place of the first parameter.
    first: Option<(TypeRef, Option<Location>)>,
    /// The call that was inlined here, the outermost of several.
    inlined: Option<Inlined>,
    /// Everything has one place for the whole of its scope.
    is_sure: bool,
}

/// A call of a function that has no frame of its own.
struct Inlined {
    /// The declaration of the function.
    declared: usize,
    /// Where it is called.
    file: Option<Rc<PathBuf>>,
    line: u32,
}

impl Body {
    fn new(address: u64) -> Body {
        Body { address, scopes: Vec::new(), variables: Vec::new(), first: None, inlined: None, is_sure: true }
    }

    fn read<'a>(
        &mut self,
        parser: &mut Parser<'_, 'a>,
        node: EntriesTreeNode<'_, '_, Slice<'a>>,
        parent: usize,
        is_current: bool,
        depth: usize,
    ) {
        let number = self.scopes.len();
        self.scopes.push(Scope { parent, is_current });
        if depth > DEEPEST || number > SCOPES {
            self.is_sure = false;
            return;
        }
        let mut children = node.children();
        while let Ok(Some(child)) = children.next() {
            let entry = child.entry();
            match entry.tag() {
                gimli::DW_TAG_variable | gimli::DW_TAG_formal_parameter => self.variable(parser, entry, number),
                gimli::DW_TAG_lexical_block => {
                    let is_inside = is_current && parser.contains(entry, self.address);
                    self.read(parser, child, number, is_inside, depth + 1);
                }
                gimli::DW_TAG_inlined_subroutine if parser.contains(entry, self.address) => {
                    self.inlined =
                        parser.call(entry).map(|(declared, at)| Inlined { declared, file: at.file, line: at.line });
                    self.is_sure &= self.inlined.is_some();
                }
                _ => {}
            }
        }
    }

    fn variable<'a>(
        &mut self,
        parser: &mut Parser<'_, 'a>,
        entry: &DebuggingInformationEntry<Slice<'a>>,
        scope: usize,
    ) {
        let location = match entry.attr_value(gimli::DW_AT_location) {
            Some(AttributeValue::Exprloc(expression)) => location(&mut expression.operations(parser.unit.encoding())),
            // A constant of the function: it has a fixed address.
            None => None,
            // A list of places, each for a part of the code: it is optimised.
            Some(_) => {
                self.is_sure = false;
                None
            }
        };
        let Some(member) = parser.member(entry) else {
            self.is_sure = false;
            return;
        };
        if entry.tag() == gimli::DW_TAG_formal_parameter {
            self.is_sure &= location.is_some();
            self.first.get_or_insert_with(|| (member.ty, location.clone()));
        }
        let (name, ty, file, line) = (member.name, member.ty, member.file, member.line);
        self.variables.push(Variable { scope, name, ty, file, line, location });
    }
}

/// An address, plus what the operations that follow add to it.
fn offset(base: u64, operations: &mut gimli::OperationIter<Slice<'_>>) -> Option<u64> {
    let Operation::SignedConstant { value } = operations.next().ok()?? else { return None };
    matches!(operations.next().ok()??, Operation::Plus).then(|| base.wrapping_add_signed(value))
}

fn location(operations: &mut gimli::OperationIter<Slice<'_>>) -> Option<Location> {
    let Operation::FrameOffset { offset: slot } = operations.next().ok()?? else { return None };
    let mut behind: Vec<u64> = Vec::new();
    while let Some(operation) = operations.next().ok()? {
        match operation {
            Operation::Deref { space: false, size: 8, .. } => behind.push(0),
            Operation::PlusConstant { value } => *behind.last_mut()? += value,
            _ => return None,
        }
    }
    Some(Location { slot, behind })
}

impl Running {
    fn address(&self, types: &Types, location: &Location) -> Option<u64> {
        location.behind.iter().try_fold(self.base.wrapping_add_signed(location.slot), |address, offset| {
            Some(types.memory.word(address)?.wrapping_add(*offset))
        })
    }

    /// Whether it runs this coroutine.
    pub fn runs(&self, types: &mut Types, ty: TypeRef, address: u64) -> bool {
        self.coroutine.is_some_and(|(own, at)| at == address && types.same(own, ty))
    }

    /// Adds the locals that are certain, each in place of an older binding of its name. `suspended`: the `.await` that
    /// the coroutine was at before this step.
    pub fn add_locals(
        &self,
        reader: &mut ValueReader<'_>,
        sources: &mut Sources,
        suspended: Suspended<'_>,
        locals: &mut Vec<Local>,
    ) {
        if self.is_optimised {
            return;
        }
        let lost = match suspended {
            Suspended::Never => FastSet::default(),
            Suspended::At(point) => match self.around(reader.types, point) {
                Some(lost) => lost,
                None => return,
            },
            Suspended::Unknown => return,
        };
        for variable in self.visible(sources) {
            let Some(location) = variable.location.as_ref().filter(|_| !lost.contains(&variable.scope)) else {
                continue;
            };
            let name = names::variable(&variable.name);
            let Some(local) = self.local(reader, variable, location, name) else { continue };
            match locals.iter_mut().find(|known| known.name == local.name) {
                Some(known) => *known = local,
                None => locals.push(local),
            }
        }
    }

    fn local(
        &self,
        reader: &mut ValueReader<'_>,
        variable: &Variable,
        location: &Location,
        name: String,
    ) -> Option<Local> {
        let address = self.address(reader.types, location)?;
        let size = reader.types.size(variable.ty)?;
        let value = match reader.types.memory.bytes(address, usize::try_from(size).ok()?) {
            Some(bytes) => reader.named(&name, variable.ty, Place { address, bytes: &bytes }, 0),
            None => Value { text: "<its memory cannot be read>".into(), ..Value::default() },
        };
        let moved = if reader.types.glue(variable.ty) == Glue::No { "" } else { ", may be moved" };
        Some(Local { name, value, mark: format!("{AT_ERROR}{moved}") })
    }

    /// The variables that names mean at the code that runs, those of outer scopes first.
    fn visible(&self, sources: &mut Sources) -> Vec<&Variable> {
        let mut seen: FastSet<&str> = FastSet::default();
        let mut visible = Vec::new();
        for (number, _) in self.scopes.iter().enumerate().rev().filter(|(_, scope)| scope.is_current) {
            let here = self.variables.iter().filter(|variable| variable.scope == number);
            let here: Vec<_> = here.filter(|variable| is_written(sources, variable)).collect();
            for variable in here.iter().rev() {
                let is_named = !variable.name.is_empty() && !variable.name.starts_with("__");
                // Of two in one scope, such as a binding and its reference in the guard of a `match`, nothing says
                // which is meant.
                let is_only = here.iter().filter(|other| other.name == variable.name).count() == 1;
                if seen.insert(&variable.name) && is_named && is_only && variable.name != "_task_context" {
                    visible.push(*variable);
                }
            }
        }
        visible.reverse();
        visible
    }

    /// The scopes around an `.await`: all that it may be, if several on one line cannot be distinguished. None if
    /// it is not found.
    fn around(&self, types: &mut Types, point: &Await<'_>) -> Option<FastSet<usize>> {
        let mut around = FastSet::default();
        for variable in self.variables.iter().filter(|variable| variable.name == AWAITEE) {
            if (variable.line, variable.file.as_deref()) != (point.line, point.file)
                || !types.same(variable.ty, point.ty)
            {
                continue;
            }
            let mut scope = variable.scope;
            while around.insert(scope) && scope != 0 {
                scope = self.scopes[scope].parent;
            }
        }
        (!around.is_empty()).then_some(around)
    }
}

/// Whether a variable is one of the program text, and not one that a macro of a library or the compiler declares
/// (`left_val` of an `assert_eq!`, `residual` of a `?`, `iter` of a `for`): its name then is not in the line. Such a
/// one does not hide another of its name.
fn is_written(sources: &mut Sources, variable: &Variable) -> bool {
    let Some(file) = &variable.file else { return true };
    if is_dependency(&file.to_string_lossy()) {
        return false;
    }
    let line = sources.around(file, variable.line, 0).pop().map(|(_, line)| line);
    line.is_none_or(|line| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == names::variable(&variable.name).split('.').next().unwrap_or_default())
    })
}

/// Where a coroutine was suspended before the step that runs.
pub(super) enum Suspended<'a> {
    Never,
    At(&'a Await<'a>),
    Unknown,
}

//! The locals of one frame.

use std::rc::Rc;

use tinyio_events::event::{Local, Value};
use tinyio_events::place::{MID_STEP, is_moment};

use super::bindings::{Await, ITER, Loop};
use super::hash::{FastMap, FastSet};
use super::liveness::{Alive, Life};
use super::names;
use super::scopes::{Binding, Variable};
use super::shape::{Glue, Member, TypeRef};
use super::source::Sources;
use super::values::{Place, ValueReader};

/// Whether a trace of the drop glue of the future says which of its locals are alive.
#[derive(Clone, Copy)]
pub(super) enum DropTrace {
    /// All of them are: it has not started.
    NotNeeded,
    Known,
    /// There is none that can be followed to its end, or the coroutine is in the middle of a step.
    Missing,
}

/// A name, and the binding it has at the `.await`.
pub(super) struct Bound {
    name: String,
    /// Where the layout has it.
    offset: u64,
    ty: TypeRef,
    which: Which,
    /// A restriction on its value.
    note: Option<&'static str>,
}

/// The names at each `.await` of a coroutine: by its type, and that of the state. They are the same for all coroutines
/// of the type, and finding them takes as long as reading their values.
pub(super) type BoundNames = FastMap<(TypeRef, TypeRef), Rc<Vec<Bound>>>;

enum Which {
    /// The only binding that the layout has under this name.
    Only,
    /// A later binding.
    Later { offset: u64, ty: TypeRef },
    /// A later binding, which is not kept over the `.await`.
    NotKept,
    /// A later binding that is not kept, where the argument is kept: the function binds its argument again.
    Passed,
    /// The binding that the layout has, which may be any of several.
    OneOf,
    /// Another binding; nothing says which.
    NotDescribed,
    /// A variable of a `for` loop, of this type. It is not kept over the `.await`; the iterator of the loop is.
    Loops {
        ty: TypeRef,
        /// The loop cannot change it.
        is_fixed: bool,
    },
}

/// Finds the locals of a frame.
pub(super) struct Locals<'w, 'l> {
    pub reader: &'w mut ValueReader<'l>,
    pub sources: &'w mut Sources,
    pub names: &'w mut BoundNames,
    pub alive: &'w Alive,
    /// Those that certainly are alive as a whole are added, by type and address.
    pub certain: &'w mut Vec<(TypeRef, u64)>,
    /// The coroutine is running: what is read is of its last suspension.
    pub mid_step: bool,
}

impl Locals<'_, '_> {
    /// The names of locals of a coroutine of a type in a state, each with its binding.
    pub fn bound(
        &mut self,
        ty: TypeRef,
        state: TypeRef,
        arguments: &[Member],
        point: Option<&Await<'_>>,
    ) -> Rc<Vec<Bound>> {
        if let Some(known) = self.names.get(&(ty, state)) {
            return known.clone();
        }
        let members = self.reader.types.get(state);
        let bound = Rc::new(self.find_bound(ty, members.members(), arguments, point));
        self.names.insert((ty, state), bound.clone());
        bound
    }

    fn find_bound(
        &mut self,
        ty: TypeRef,
        members: &[Member],
        arguments: &[Member],
        point: Option<&Await<'_>>,
    ) -> Vec<Bound> {
        let types = &mut *self.reader.types;
        let scopes = point.and_then(|point| Some((point, types.bindings(ty)?)));
        let loops = scopes.as_ref().map_or_else(Vec::new, |(point, scopes)| scopes.loops(types, point));
        let loops: Vec<_> =
            loops.into_iter().filter_map(|one| Some((for_pattern(self.sources, &one.iter)?, one))).collect();
        let mut bound: Vec<Bound> = Vec::new();
        for member in members {
            // Of members with one name the first is the local; the others are copies of it, or the argument it came
            // from.
            let name = names::variable(&member.name);
            if member.name.starts_with("__") || bound.iter().any(|known| known.name == name) {
                continue;
            }
            let count = |list: &[Member]| list.iter().filter(|other| other.name == member.name).count();
            let (of_name, of_arguments) = (count(members), count(arguments));
            let is_passed = arguments.iter().any(|one| one.name == member.name && one.offset == member.offset);
            let current = scopes.as_ref().and_then(|(point, scopes)| scopes.at(types, point, &member.name));
            let visible = scopes.as_ref().map(|(point, scopes)| scopes.visible(types, point, &member.name));
            let visible = visible.unwrap_or_default();
            let hides = match (point, &scopes, visible.as_slice()) {
                (Some(point), _, [inner, outer, ..]) => !declared_after(self.sources, point, inner, outer),
                // The function's own binding may be left out of the debug info of optimised code.
                (_, Some((_, scopes)), [only]) if current.is_none() => {
                    scopes.is_outside(only) || is_unnamed(self.sources, only)
                }
                (point, scopes, _) => point.is_some() && scopes.is_none(),
            };
            let is_loops = member.name == ITER
                && match (current, visible.as_slice()) {
                    (Some(_), _) => loops.iter().any(|(_, one)| one.iter.binding == current),
                    (None, [only]) => for_pattern(self.sources, only).is_some(),
                    _ => false,
                };
            let mut note = if is_loops { Some(OF_LOOP) } else { hides.then_some("may be of a macro") };
            let which = match current {
                Some(Binding::Kept { offset, ty }) if offset != member.offset || !types.same(ty, member.ty) => {
                    Which::Later { offset, ty }
                }
                Some(Binding::Kept { .. }) => Which::Only,
                Some(Binding::Gone) if is_passed => Which::Passed,
                Some(Binding::Gone) => Which::NotKept,
                None if of_name >= of_arguments + 2 => Which::NotDescribed,
                // The layout has one binding of several: its type may tell which.
                None if visible.len() > 1 => {
                    let mut fits = visible.iter().map(|variable| types.same(variable.ty, member.ty));
                    match (fits.next().unwrap_or(false), fits.any(|fits| fits)) {
                        _ if of_name <= of_arguments && is_passed => Which::Passed,
                        (true, true) => Which::OneOf,
                        (true, false) => Which::Only,
                        (false, _) => Which::NotKept,
                    }
                }
                // Without the scopes around the `.await` nothing tells bindings of one name apart.
                None if visible.is_empty()
                    && scopes.as_ref().is_some_and(|(_, all)| all.declared(&member.name) > 1) =>
                {
                    Which::OneOf
                }
                None => Which::Only,
            };
            if !matches!(which, Which::Only | Which::Later { .. } | Which::OneOf) {
                note = None;
            }
            let Member { offset, ty, .. } = *member;
            bound.push(Bound { name: name.clone(), offset, ty, which, note });
            // The program's own binding, where one of a macro may hide it, or the iterator of a loop has its name.
            let is_iter = |one: &&Variable| loops.iter().any(|(_, known)| known.iter.binding == one.binding);
            let outer = if is_loops { visible.iter().find(|one| !is_iter(one)) } else { visible.get(1) };
            if let (Some(_), Some(outer), Some(_)) = (note, outer, current)
                && let Some(Binding::Kept { offset, ty }) = outer.binding
            {
                let which = Which::Later { offset, ty };
                let note = (!is_loops).then_some("outer binding");
                bound.push(Bound { name, offset: member.offset, ty: member.ty, which, note });
            }
        }
        // What the source has is the variable of a loop, and not its iterator.
        for (pattern, Loop { iter, variables }) in &loops {
            let Some(Binding::Kept { offset, ty }) = iter.binding else { continue };
            let is_fixed = !words(pattern).any(|word| word == "mut");
            for variable in variables.iter().filter(|variable| variable.binding == Some(Binding::Gone)) {
                if bound.iter().any(|known| known.name == variable.name) {
                    continue;
                }
                let at = bound.iter().position(|known| known.note == Some(OF_LOOP)).unwrap_or(bound.len());
                let which = Which::Loops { ty: variable.ty, is_fixed };
                bound.insert(at, Bound { name: variable.name.clone(), offset, ty, which, note: None });
            }
        }
        bound
    }

    /// The locals of a frame at an address, without their values.
    pub fn unread(&mut self, drop_trace: DropTrace, bound: &[Bound], address: u64) -> Vec<Unread> {
        bound.iter().map(|bound| self.local(drop_trace, bound, address)).collect()
    }

    fn local(&mut self, drop_trace: DropTrace, bound: &Bound, address: u64) -> Unread {
        let mut marks = Vec::new();
        let (offset, ty) = match bound.which {
            Which::Later { offset, ty } => (offset, ty),
            Which::NotDescribed => {
                let mark = "shadowed, not described".into();
                return Unread { name: bound.name.clone(), mark, value: Part::NotDescribed };
            }
            _ => (bound.offset, bound.ty),
        };
        match bound.which {
            Which::NotKept => marks.push("shadowed, older binding shown"),
            Which::Passed => marks.push("as passed"),
            Which::OneOf => marks.push("one of several bindings"),
            _ => {}
        }
        marks.extend(bound.note);
        let address = address.wrapping_add(offset);
        let (mut gone, mut certain) = (FastSet::default(), Vec::new());
        // Without drop glue nothing tells.
        let life = match drop_trace {
            _ if self.reader.types.glue(ty) == Glue::No => Life::Alive,
            DropTrace::NotNeeded => {
                certain.push((ty, address));
                Life::Alive
            }
            DropTrace::Known => self.alive.local(self.reader, ty, address, &mut gone, &mut certain),
            DropTrace::Missing => Life::Unknown,
        };
        // In the middle of a step, what was alive at the last suspension may be gone.
        if !self.mid_step && !matches!(bound.which, Which::Loops { .. }) {
            self.certain.append(&mut certain);
        }
        // Moved as a whole, for whatever reason: one mark for all cases.
        let moved = life == Life::Moved || gone.contains(&(address, ty));
        if moved {
            marks.push("moved");
        } else if life == Life::Unknown {
            marks.push("may be moved");
        } else if !gone.is_empty() {
            marks.push("moved in part");
        }
        if self.mid_step {
            marks.push(MID_STEP);
        }
        let value = match bound.which {
            Which::Loops { ty: variable, is_fixed } => {
                let iter = (is_fixed && !moved && gone.is_empty()).then_some((ty, offset));
                marks.retain(|mark| is_moment(mark));
                Part::OfLoop { variable, iter }
            }
            _ if moved => Part::Moved(ty),
            _ => Part::Kept { ty, offset, gone },
        };
        Unread { name: bound.name.clone(), mark: marks.join(", "), value }
    }
}

/// A local with a value that is not read yet.
pub(super) struct Unread {
    name: String,
    mark: String,
    value: Part,
}

/// The part of a frame that a value belongs to.
enum Part {
    Kept {
        ty: TypeRef,
        offset: u64,
        /// The parts of it that were moved.
        gone: FastSet<(u64, TypeRef)>,
    },
    Moved(TypeRef),
    NotDescribed,
    /// A variable of a `for` loop, as its iterator tells it: that one's type and offset.
    OfLoop {
        variable: TypeRef,
        iter: Option<(TypeRef, u64)>,
    },
}

impl Unread {
    /// Reads the value.
    pub fn read(mut self, reader: &mut ValueReader<'_>, place: Place<'_>) -> Local {
        let value = match self.value {
            Part::OfLoop { variable, iter } => {
                let given = iter.and_then(|(ty, offset)| {
                    let part = place.part(offset, reader.types.size(ty)?)?;
                    reader.given_last_as(&self.name, ty, part, variable)
                });
                let comma = if self.mark.is_empty() { "" } else { ", " };
                let mark = if given.is_some() { "by its iterator" } else { "not kept over the await" };
                self.mark = format!("{mark}{comma}{}", self.mark);
                given.unwrap_or_else(|| Value {
                    text: "…".into(),
                    type_name: reader.name(variable),
                    ..Value::default()
                })
            }
            Part::NotDescribed => Value { text: "…".into(), ..Value::default() },
            Part::Moved(ty) => Value { text: "<moved>".into(), type_name: reader.name(ty), ..Value::default() },
            Part::Kept { ty, offset, gone } => {
                let size = reader.types.size(ty).unwrap_or(0);
                reader.moved = gone;
                let value = match place.part(offset, size) {
                    Some(part) => reader.named(&self.name, ty, part, 0),
                    None => Value { text: "<reaches beyond its frame>".into(), ..Value::default() },
                };
                reader.moved.clear();
                value
            }
        };
        Local { name: self.name, value, mark: self.mark }
    }
}

/// The note at the iterator of a `for` loop, a variable that the source does not have.
const OF_LOOP: &str = "iterator of the for loop";

/// The pattern of the `for` loop that a variable called `iter` is the iterator of. None where that is not certain, as
/// where the loop's own line has more than its head.
fn for_pattern(sources: &mut Sources, iter: &Variable) -> Option<String> {
    let around = sources.around(iter.file.as_ref()?, iter.line, 0);
    let (_, text) = around.into_iter().find(|(line, _)| *line == iter.line)?;
    let text = text.trim();
    let head = match text.split_once(": ") {
        Some((label, rest)) if label.starts_with('\'') => rest,
        _ => text,
    };
    let (pattern, rest) = head.strip_prefix("for ")?.split_once(" in ")?;
    let is_whole = rest.ends_with('{') && !rest[..rest.len() - 1].contains(['{', '}']);
    (is_whole && !words(pattern).any(|word| word == ITER)).then(|| pattern.to_owned())
}

/// Whether a binding is certainly one that the function declares after another of that name, and so means to hide it.
/// One that a macro declares has the line of the macro, or of its call. Source text decides; without it nothing is
/// certain.
fn declared_after(sources: &mut Sources, point: &Await<'_>, inner: &Variable, outer: &Variable) -> bool {
    let (Some(file), true) = (&inner.file, inner.file == outer.file && inner.line > outer.line) else { return false };
    let between = sources.around(file, inner.line, inner.line - outer.line);
    let lines: Vec<&str> =
        between.iter().filter(|(line, _)| *line <= inner.line).map(|(_, text)| text.as_str()).collect();
    let Some(declaration) = lines.last().map(|line| line.trim()) else { return false };
    if !words(declaration).any(|word| word == inner.name) || lines.iter().any(|line| defines_macro(line)) {
        return false;
    }
    if !calls_macro(declaration) {
        return true;
    }
    // `let n = vec![1];` is over before a later line.
    let pattern = declaration.strip_prefix("let ").and_then(|rest| rest.split_once('='));
    pattern.is_some_and(|(pattern, _)| words(pattern).any(|word| word == inner.name))
        && declaration.ends_with(';')
        && point.file == Some(&**file)
        && point.line > inner.line
}

/// Whether the line that declares a binding does not have its name, as that of a call of a macro.
fn is_unnamed(sources: &mut Sources, variable: &Variable) -> bool {
    let Some(file) = &variable.file else { return false };
    let around = sources.around(file, variable.line, 1);
    let declaration = around.into_iter().find(|(line, _)| *line == variable.line);
    let is_loop = |text: &str| variable.name == ITER && words(text).any(|word| word == "for");
    declaration.is_some_and(|(_, text)| !words(&text).any(|word| word == variable.name) && !is_loop(&text))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn defines_macro(line: &str) -> bool {
    words(line).any(|word| word == "macro_rules" || word == "macro")
}

/// Whether a line calls a macro: `name!(`, `name![`, `name! {`.
fn calls_macro(line: &str) -> bool {
    line.match_indices('!').any(|(at, _)| {
        let name = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let after = line[at + 1..].trim_start();
        name && (after.is_empty() || after.starts_with(['(', '[', '{']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_macro_is_distinguished_from_a_negation() {
        for line in ["let n = vec![1];", "retry!(f())", "select! {", "a = b!", "format!"] {
            assert!(calls_macro(line), "{line}");
        }
        for line in ["let n = !done;", "if a != b {", "f(!n)", "n"] {
            assert!(!calls_macro(line), "{line}");
        }
    }
}

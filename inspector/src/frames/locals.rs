//! The locals of one frame.

use super::alive::{Glue, Life};
use super::bindings::{Await, Binding, same};
use super::coroutine::Walk;
use super::hash::FastSet;
use super::types::{Member, TypeRef};
use super::values::Place;
use crate::event::{Local, Value};

/// Who knows what is alive.
#[derive(Clone, Copy)]
pub(super) enum Oracle {
    NotNeeded,
    Asked,
    Silent,
}

/// A name, and the binding it has at the `.await`.
pub(super) struct Bound<'m> {
    name: String,
    member: &'m Member,
    which: Which,
}

enum Which {
    /// The one that the layout has under this name.
    Only,
    /// A later one.
    Later { offset: u64, ty: TypeRef },
    /// A later one, which is not kept over the `.await`.
    NotKept,
    /// The same, where all that is left is the argument: its own binding in the function is such a later one.
    Passed,
    /// Another one; nothing says which.
    NotDescribed,
}

impl Walk<'_, '_> {
    /// The names of locals among the members of a state, each with its binding.
    pub(super) fn bound<'m>(
        &mut self,
        ty: TypeRef,
        members: &'m [Member],
        arguments: &[Member],
        point: Option<&Await<'_>>,
    ) -> Vec<Bound<'m>> {
        let types = &mut *self.look.types;
        let scopes = point.and_then(|point| Some((point, types.bindings(ty)?)));
        let mut bound: Vec<Bound<'_>> = Vec::new();
        for member in members {
            // Of members with one name the first is the local; the others are copies of it, or the argument it came from.
            let name = readable(&member.name);
            if member.name.starts_with("__") || bound.iter().any(|known| known.name == name) {
                continue;
            }
            let count = |list: &[Member]| list.iter().filter(|other| other.name == member.name).count();
            let current = scopes.as_ref().and_then(|(point, scopes)| scopes.at(types, point, &member.name));
            let which = match current {
                Some(Binding::Kept { offset, ty }) if offset != member.offset || !same(types, ty, member.ty) => {
                    Which::Later { offset, ty }
                }
                Some(Binding::Kept { .. }) => Which::Only,
                Some(Binding::Gone)
                    if arguments.iter().any(|one| one.name == member.name && one.offset == member.offset) =>
                {
                    Which::Passed
                }
                Some(Binding::Gone) => Which::NotKept,
                None if count(members) >= count(arguments) + 2 => Which::NotDescribed,
                None => Which::Only,
            };
            bound.push(Bound { name, member, which });
        }
        bound
    }

    pub(super) fn locals(&mut self, oracle: Oracle, bound: &[Bound<'_>], place: Place<'_>) -> Vec<Local> {
        bound.iter().map(|bound| self.local(oracle, bound, place)).collect()
    }

    fn local(&mut self, oracle: Oracle, bound: &Bound<'_>, place: Place<'_>) -> Local {
        let name = bound.name.clone();
        let mut marks = Vec::new();
        let (offset, ty) = match bound.which {
            Which::Later { offset, ty } => (offset, ty),
            Which::Only => (bound.member.offset, bound.member.ty),
            Which::NotKept => {
                marks.push("shadowed, older binding shown");
                (bound.member.offset, bound.member.ty)
            }
            Which::Passed => {
                marks.push("as passed");
                (bound.member.offset, bound.member.ty)
            }
            Which::NotDescribed => {
                let value = Value { text: "…".into(), ..Value::default() };
                return Local { name, value, mark: "shadowed, not described".into() };
            }
        };
        let size = self.look.types.size(ty).unwrap_or(0);
        let address = place.address.wrapping_add(offset);
        let mut gone = FastSet::default();
        let life = match oracle {
            Oracle::NotNeeded => Life::Alive,
            Oracle::Asked => self.alive.local(self.look, ty, address, &mut gone),
            Oracle::Silent if self.look.types.glue(ty) == Glue::No => Life::Alive,
            Oracle::Silent => Life::Unknown,
        };
        // Moved as a whole, whatever the reason: one word for it.
        let moved = life == Life::Moved || gone.contains(&(address, ty));
        if moved {
            marks.push("moved");
        } else if !gone.is_empty() {
            marks.push("moved in part");
        } else if life == Life::Unknown && !self.mid_step {
            marks.push("may be moved");
        }
        self.look.moved = gone;
        let value = match place.part(offset, size) {
            _ if moved => Value { text: "<moved>".into(), type_name: self.look.name(ty), ..Value::default() },
            Some(part) => self.look.named(&name, ty, part, 0),
            None => Value { text: "<reaches beyond its frame>".into(), ..Value::default() },
        };
        self.look.moved.clear();
        if self.mid_step {
            marks.push("mid-step");
        }
        Local { name, value, mark: marks.join(", ") }
    }
}

/// `_ref__a` is what a block borrows as `a`, `self__x` what it takes of `self`.
pub(super) fn readable(name: &str) -> String {
    let name = name.strip_prefix("_ref__").unwrap_or(name);
    name.replacen("__", ".", usize::from(!name.starts_with("__")))
}

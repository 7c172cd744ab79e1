//! The tree of coroutines: each below its parent, with siblings of one name as a group.
//!
//! A coroutine is placed below the one that scheduled it: this never changes while both live, never makes a cycle, and
//! in nearly all programs that one also waits on it, since a coroutine is scheduled when it is first awaited. A
//! dependency that does not follow the tree is drawn as a reference to the other place. When a coroutine ends before
//! its children, the children move up to its place.
//!
//! Groups update their counts with every event, so that a hundred thousand siblings take one line on the screen.

use std::sync::Arc;

use tinyio_events::event::{CoroId, LoopId, LoopMode, NameId};

use super::coro::{Activity, Counts};
use super::links::Links;
use super::names::{Names, short_name, stem};
use super::{Coro, IdMap, Loop, Model};

/// The node above a coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Parent {
    /// A loop: the coroutine is a root.
    Loop(LoopId),
    /// Another coroutine.
    Coro(CoroId),
}

impl Parent {
    fn key(self) -> u64 {
        match self {
            Parent::Loop(id) => u64::from(id) << 1 | 1,
            Parent::Coro(id) => id << 1,
        }
    }
}

/// The live children of one parent that have one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Their name.
    pub name: NameId,
    /// The number of the first there was since the group was last empty: groups of a parent are shown in this order.
    pub order: CoroId,
    /// The coroutines of the group.
    pub members: Links<()>,
    /// Their counts per activity.
    pub counts: Counts,
    /// How many of them have no name that the program gave.
    unnamed: usize,
    /// What the others are called.
    given: Given,
}

/// The names that the program gave the members of a group, since it was last empty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Given {
    /// None so far.
    #[default]
    None,
    /// All have the [`stem`] of this one.
    Alike(NameId),
    /// They differ.
    Different,
}

impl Given {
    fn add(&mut self, name: NameId, names: &Names) {
        let stem_of = |id| names.name(id).map_or("", |text| stem(text));
        *self = match *self {
            Given::None => Given::Alike(name),
            Given::Alike(one) if stem_of(one) == stem_of(name) => Given::Alike(one),
            _ => Given::Different,
        }
    }
}

/// All groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tree {
    groups: IdMap<(u64, NameId), Arc<Group>>,
    under: IdMap<u64, Arc<Links<NameId>>>,
}

impl Tree {
    pub(super) fn insert(&mut self, parent: Parent, coro: &Coro, names: &Names) {
        let group = self.groups.entry((parent.key(), coro.name)).or_insert_with(|| {
            Arc::new(Group {
                name: coro.name,
                order: coro.id,
                members: Links::None,
                counts: Counts::default(),
                unnamed: 0,
                given: Given::None,
            })
        });
        if group.members.is_empty() {
            Arc::make_mut(self.under.entry(parent.key()).or_default()).insert(group.order, coro.name);
        }
        let group = Arc::make_mut(group);
        group.members.insert(coro.id, ());
        group.counts.add(coro.activity);
        match coro.given_name {
            0 => group.unnamed += 1,
            name => group.given.add(name, names),
        }
    }

    /// The program gave a member another name than the one `before`.
    pub(super) fn named(&mut self, parent: Parent, coro: &Coro, before: NameId, names: &Names) {
        let Some(group) = self.groups.get_mut(&(parent.key(), coro.name)) else { return };
        let group = Arc::make_mut(group);
        group.unnamed = group.unnamed.saturating_sub(usize::from(before == 0));
        group.given.add(coro.given_name, names);
    }

    pub(super) fn remove(&mut self, parent: Parent, coro: &Coro) {
        let Some(group) = self.groups.get_mut(&(parent.key(), coro.name)) else { return };
        let group = Arc::make_mut(group);
        group.members.remove(coro.id);
        group.counts.sub(coro.activity);
        group.unnamed = group.unnamed.saturating_sub(usize::from(coro.given_name == 0));
        if !group.members.is_empty() {
            return;
        }
        let order = group.order;
        self.groups.remove(&(parent.key(), coro.name));
        if let Some(under) = self.under.get_mut(&parent.key()) {
            let under = Arc::make_mut(under);
            under.remove(order);
            if under.is_empty() {
                self.under.remove(&parent.key());
            }
        }
    }

    pub(super) fn shift(&mut self, parent: Parent, name: NameId, from: Activity, to: Activity) {
        if let Some(group) = self.groups.get_mut(&(parent.key(), name)) {
            let counts = &mut Arc::make_mut(group).counts;
            counts.sub(from);
            counts.add(to);
        }
    }

    /// The ids of everything directly beneath `parent`.
    pub(super) fn members(&self, parent: Parent) -> Vec<CoroId> {
        let Some(under) = self.under.get(&parent.key()) else { return Vec::new() };
        let groups = under.iter().filter_map(|(_, name)| self.groups.get(&(parent.key(), *name)));
        groups.flat_map(|group| group.members.ids()).collect()
    }
}

impl Model {
    /// The groups of live coroutines beneath `parent`, in an order that does not change while they live.
    pub fn groups(&self, parent: Parent) -> impl Iterator<Item = &Group> + '_ {
        let names = self.tree.under.get(&parent.key()).into_iter().flat_map(|under| under.iter());
        names.filter_map(move |(_, name)| self.group(parent, *name))
    }

    /// Returns what the members of a group are called: the stem of the names that the program gave them, if all have
    /// one and it is the same, else the name of their function.
    pub fn group_label(&self, group: &Group) -> &str {
        match group.given {
            Given::Alike(name) if group.unnamed == 0 => stem(self.name(name)),
            _ => match self.name(group.name) {
                "" => "?",
                name => short_name(name),
            },
        }
    }

    /// The group of that name beneath `parent`.
    pub fn group(&self, parent: Parent, name: NameId) -> Option<&Group> {
        self.tree.groups.get(&(parent.key(), name)).map(|group| &**group)
    }

    /// The next group beneath `parent` after the one with this `order`.
    pub fn group_after(&self, parent: Parent, order: CoroId) -> Option<&Group> {
        let under = self.tree.under.get(&parent.key())?;
        self.group(parent, *under.get(under.after(order)?)?)
    }

    /// The group beneath `parent` before the one with this `order`.
    pub fn group_before(&self, parent: Parent, order: CoroId) -> Option<&Group> {
        let under = self.tree.under.get(&parent.key())?;
        self.group(parent, *under.get(under.before(order)?)?)
    }

    /// The last group beneath `parent`.
    pub fn last_group(&self, parent: Parent) -> Option<&Group> {
        let under = self.tree.under.get(&parent.key())?;
        self.group(parent, *under.get(under.last()?)?)
    }

    /// The live coroutines beneath `parent`, group by group.
    pub fn children(&self, parent: Parent) -> impl Iterator<Item = &Coro> + '_ {
        self.groups(parent).flat_map(|group| group.members.ids()).filter_map(|id| self.coro(id))
    }

    /// Returns the node above a coroutine.
    pub fn parent_of(&self, coro: &Coro) -> Parent {
        if coro.under == 0 { Parent::Loop(coro.in_loop) } else { Parent::Coro(coro.under) }
    }

    /// The loops that run inside `coro` (0: inside none that lives), by number. Workers are none: they have no
    /// coroutines of their own.
    pub fn loops_in(&self, coro: CoroId) -> impl DoubleEndedIterator<Item = &Loop> + '_ {
        let inside = move |of: &&Loop| match of.parent {
            parent if parent == coro => true,
            parent => coro == 0 && !self.coros.contains(parent),
        };
        self.loops.values().filter(|one| one.ended.is_none() && one.mode != LoopMode::Worker).filter(inside)
    }

    /// The roots of all loops that run inside no coroutine.
    pub fn roots(&self) -> impl Iterator<Item = &Coro> + '_ {
        self.loops_in(0).flat_map(|root| self.children(Parent::Loop(root.id)))
    }

    /// The coroutines that `coro` waits on and that are not below it in the tree: the references to draw.
    pub fn references<'a>(&'a self, coro: &'a Coro) -> impl Iterator<Item = CoroId> + 'a {
        coro.on_coros.ids().filter(move |id| self.coros.get(*id).is_none_or(|target| target.under != coro.id))
    }
}

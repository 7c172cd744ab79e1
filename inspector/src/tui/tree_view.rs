//! Walks through the tree row by row.
//!
//! Rows have no numbers: a row is a [`Node`], and knows its neighbours. So a screen of forty rows costs forty steps
//! whether the tree has a hundred rows or a million, and the selected row stays selected when other rows come and go.

use std::collections::HashSet;

use crate::event::{CoroId, LoopId, NameId};
use crate::model::{Group, Model, Parent};

/// More siblings of one name than this form one row.
pub const FOLD: usize = 4;
/// At most so many references are listed below a coroutine, out of so many edges.
const REFERENCES: (usize, usize) = (8, 64);
/// Of so many edges the rest is counted.
const COUNTED: usize = 65_536;

/// A row of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A loop.
    Loop(LoopId),
    /// A coroutine.
    Coro(CoroId),
    /// All children of one name.
    Group(Parent, NameId),
    /// A wait on a coroutine that is shown elsewhere.
    Reference {
        /// The waiting coroutine.
        from: CoroId,
        /// The coroutine it waits on.
        to: CoroId,
    },
}

impl Node {
    /// The coroutine a row is about.
    pub fn coro(self) -> Option<CoroId> {
        match self {
            Node::Coro(id) | Node::Reference { to: id, .. } => Some(id),
            Node::Loop(_) | Node::Group(..) => None,
        }
    }
}

/// What is folded.
#[derive(Clone, Debug, Default)]
pub struct Folds {
    closed: HashSet<Node>,
    opened: HashSet<Node>,
    /// Groups that once had [`FOLD`] members stay groups: rows do not jump when one of four ends.
    grouped: HashSet<(Parent, NameId)>,
}

/// The tree of a model, with what is folded in it.
#[derive(Debug)]
pub struct TreeView<'a> {
    /// The model.
    pub model: &'a Model,
    /// What is folded.
    pub folds: &'a mut Folds,
}

impl TreeView<'_> {
    /// The first row.
    pub fn first(&mut self) -> Option<Node> {
        match self.only_root() {
            Some(root) => self.first_under(Parent::Loop(root)),
            None => self.model.loops_in(0).next().map(|root| Node::Loop(root.id)),
        }
    }

    /// The last row.
    pub fn last(&mut self) -> Option<Node> {
        let last = match self.only_root() {
            Some(root) => self.last_under(Parent::Loop(root))?,
            None => Node::Loop(self.model.loops_in(0).next_back()?.id),
        };
        Some(self.deepest(last))
    }

    /// The row below.
    pub fn next(&mut self, node: Node) -> Option<Node> {
        if let Some(child) = self.first_child(node) {
            return Some(child);
        }
        let mut node = node;
        loop {
            if let Some(sibling) = self.next_sibling(node) {
                return Some(sibling);
            }
            node = self.parent(node)?;
        }
    }

    /// The row above.
    pub fn previous(&mut self, node: Node) -> Option<Node> {
        match self.previous_sibling(node) {
            Some(sibling) => Some(self.deepest(sibling)),
            None => self.parent(node),
        }
    }

    /// Whether the row is part of the tree as it is now.
    pub fn contains(&mut self, node: Node) -> bool {
        match node {
            Node::Loop(id) => {
                self.model.get_loop(id).is_some_and(|one| one.ended.is_none()) && self.only_root() != Some(id)
            }
            Node::Coro(id) => self.model.coro(id).is_some_and(|coro| coro.is_live()),
            Node::Group(parent, name) => self.is_group(parent, name),
            Node::Reference { from, to } => self.references(from).contains(&to),
        }
    }

    /// Opens everything above a coroutine, so that it has a row. `None` if it does not live.
    pub fn reveal(&mut self, id: CoroId) -> Option<Node> {
        let node = Node::Coro(id);
        if !self.contains(node) {
            return None;
        }
        let mut above = self.parent(node);
        while let Some(parent) = above {
            self.set_open(parent, true);
            above = self.parent(parent);
        }
        Some(node)
    }

    /// The nearest visible row: the node itself, or the row it is folded into.
    pub fn visible(&mut self, node: Node) -> Node {
        let mut visible = node;
        let mut above = self.parent(node);
        while let Some(parent) = above {
            if !self.is_open(parent) {
                visible = parent;
            }
            above = self.parent(parent);
        }
        visible
    }

    /// Whether a row has rows beneath it, folded or not.
    pub fn has_children(&mut self, node: Node) -> bool {
        match node {
            Node::Group(..) => true,
            Node::Coro(id) => self.first_under(Parent::Coro(id)).is_some(),
            Node::Loop(id) => self.first_under(Parent::Loop(id)).is_some(),
            Node::Reference { .. } => false,
        }
    }

    /// Whether what is beneath a row is shown.
    pub fn is_open(&self, node: Node) -> bool {
        match node {
            Node::Group(..) => self.folds.opened.contains(&node),
            _ => !self.folds.closed.contains(&node),
        }
    }

    /// Folds or unfolds.
    pub fn set_open(&mut self, node: Node, open: bool) {
        let (set, member) = match node {
            Node::Group(..) => (&mut self.folds.opened, open),
            _ => (&mut self.folds.closed, !open),
        };
        if member {
            set.insert(node);
        } else {
            set.remove(&node);
        }
    }

    /// The row that a row is beneath.
    pub fn parent(&mut self, node: Node) -> Option<Node> {
        let container = |view: &Self, parent| match parent {
            Parent::Coro(id) => Some(Node::Coro(id)),
            Parent::Loop(id) if view.only_root() == Some(id) => None,
            Parent::Loop(id) => Some(Node::Loop(id)),
        };
        match node {
            Node::Reference { from, .. } => Some(Node::Coro(from)),
            Node::Group(parent, _) => container(self, parent),
            Node::Coro(id) => {
                let coro = self.model.coro(id)?;
                let (parent, name) = (self.model.parent_of(coro), coro.name);
                if self.is_group(parent, name) { Some(Node::Group(parent, name)) } else { container(self, parent) }
            }
            Node::Loop(id) => match self.model.get_loop(id)?.parent {
                0 => None,
                parent => self.model.coro(parent).filter(|coro| coro.is_live()).map(|_| Node::Coro(parent)),
            },
        }
    }

    /// The next row with the same parent.
    pub fn next_sibling(&mut self, node: Node) -> Option<Node> {
        match node {
            Node::Reference { from, to } => {
                let list = self.references(from);
                let index = list.iter().position(|id| *id == to)?;
                match list.get(index + 1) {
                    Some(next) => Some(Node::Reference { from, to: *next }),
                    None => self.first_group(Parent::Coro(from)),
                }
            }
            Node::Group(parent, name) => {
                let order = self.model.group(parent, name)?.order;
                self.group_after(parent, order)
            }
            Node::Coro(id) => {
                let coro = self.model.coro(id)?;
                let parent = self.model.parent_of(coro);
                let group = self.model.group(parent, coro.name)?;
                match group.members.after(id) {
                    Some(next) => Some(Node::Coro(next)),
                    None if self.is_group(parent, coro.name) => None,
                    None => self.group_after(parent, group.order),
                }
            }
            Node::Loop(id) => {
                let parent = self.model.get_loop(id)?.parent;
                self.loops_of(parent).into_iter().find(|other| *other > id).map(Node::Loop)
            }
        }
    }

    fn previous_sibling(&mut self, node: Node) -> Option<Node> {
        match node {
            Node::Reference { from, to } => {
                let list = self.references(from);
                let index = list.iter().position(|id| *id == to)?;
                Some(Node::Reference { from, to: *list.get(index.checked_sub(1)?)? })
            }
            Node::Group(parent, name) => {
                let order = self.model.group(parent, name)?.order;
                self.group_before(parent, order)
            }
            Node::Coro(id) => {
                let coro = self.model.coro(id)?;
                let parent = self.model.parent_of(coro);
                let group = self.model.group(parent, coro.name)?;
                match group.members.before(id) {
                    Some(before) => Some(Node::Coro(before)),
                    None if self.is_group(parent, coro.name) => None,
                    None => self.group_before(parent, group.order),
                }
            }
            Node::Loop(id) => {
                let parent = self.model.get_loop(id)?.parent;
                match self.loops_of(parent).into_iter().rev().find(|other| *other < id) {
                    Some(before) => Some(Node::Loop(before)),
                    None => self.last_group_or_reference(Parent::Coro(parent)),
                }
            }
        }
    }

    fn first_child(&mut self, node: Node) -> Option<Node> {
        if !self.is_open(node) {
            return None;
        }
        match node {
            Node::Reference { .. } => None,
            Node::Group(parent, name) => self.model.group(parent, name)?.members.first().map(Node::Coro),
            Node::Coro(id) => self.first_under(Parent::Coro(id)),
            Node::Loop(id) => self.first_under(Parent::Loop(id)),
        }
    }

    fn deepest(&mut self, node: Node) -> Node {
        let mut node = node;
        loop {
            if !self.is_open(node) {
                return node;
            }
            let last = match node {
                Node::Reference { .. } => None,
                Node::Group(parent, name) => {
                    self.model.group(parent, name).and_then(|group| group.members.last()).map(Node::Coro)
                }
                Node::Coro(id) => self.last_under(Parent::Coro(id)),
                Node::Loop(id) => self.last_under(Parent::Loop(id)),
            };
            match last {
                Some(last) => node = last,
                None => return node,
            }
        }
    }

    fn first_under(&mut self, parent: Parent) -> Option<Node> {
        if let Parent::Coro(from) = parent
            && let Some(to) = self.references(from).first()
        {
            return Some(Node::Reference { from, to: *to });
        }
        self.first_group(parent)
    }

    fn last_under(&mut self, parent: Parent) -> Option<Node> {
        if let Parent::Coro(id) = parent
            && let Some(last) = self.loops_of(id).pop()
        {
            return Some(Node::Loop(last));
        }
        self.last_group_or_reference(parent)
    }

    fn last_group_or_reference(&mut self, parent: Parent) -> Option<Node> {
        if let Some(group) = self.model.last_group(parent) {
            return Some(self.last_of(parent, group));
        }
        let Parent::Coro(from) = parent else { return None };
        self.references(from).last().map(|to| Node::Reference { from, to: *to })
    }

    fn first_group(&mut self, parent: Parent) -> Option<Node> {
        match self.model.groups(parent).next() {
            Some(group) => Some(self.first_of(parent, group)),
            None => self.first_loop(parent),
        }
    }

    fn group_after(&mut self, parent: Parent, order: CoroId) -> Option<Node> {
        match self.model.group_after(parent, order) {
            Some(group) => Some(self.first_of(parent, group)),
            None => self.first_loop(parent),
        }
    }

    fn group_before(&mut self, parent: Parent, order: CoroId) -> Option<Node> {
        if let Some(group) = self.model.group_before(parent, order) {
            return Some(self.last_of(parent, group));
        }
        let Parent::Coro(from) = parent else { return None };
        self.references(from).last().map(|to| Node::Reference { from, to: *to })
    }

    fn first_of(&mut self, parent: Parent, group: &Group) -> Node {
        match group.members.first() {
            Some(only) if !self.is_group(parent, group.name) => Node::Coro(only),
            _ => Node::Group(parent, group.name),
        }
    }

    fn last_of(&mut self, parent: Parent, group: &Group) -> Node {
        match group.members.last() {
            Some(only) if !self.is_group(parent, group.name) => Node::Coro(only),
            _ => Node::Group(parent, group.name),
        }
    }

    fn first_loop(&self, parent: Parent) -> Option<Node> {
        let Parent::Coro(id) = parent else { return None };
        self.model.loops_in(id).next().map(|one| Node::Loop(one.id))
    }

    fn loops_of(&self, coro: CoroId) -> Vec<LoopId> {
        let lives = self.model.coro(coro).is_some_and(|coro| coro.is_live());
        self.model.loops_in(if lives { coro } else { 0 }).map(|one| one.id).collect()
    }

    fn only_root(&self) -> Option<LoopId> {
        let mut roots = self.model.loops_in(0);
        match (roots.next(), roots.next()) {
            (Some(only), None) => Some(only.id),
            _ => None,
        }
    }

    fn is_group(&mut self, parent: Parent, name: NameId) -> bool {
        let members = self.model.group(parent, name).map_or(0, |group| group.members.len());
        if members >= FOLD {
            self.folds.grouped.insert((parent, name))
        } else if members == 0 {
            self.folds.grouped.remove(&(parent, name))
        } else {
            false
        };
        members > 0 && self.folds.grouped.contains(&(parent, name))
    }

    fn references(&self, from: CoroId) -> Vec<CoroId> {
        references(self.model, from)
    }
}

/// What a coroutine waits on that hangs elsewhere, out of so many edges.
fn elsewhere(model: &Model, from: CoroId, edges: usize) -> impl Iterator<Item = CoroId> {
    let edges = model.coro(from).into_iter().flat_map(move |coro| coro.on_coros.ids().take(edges));
    edges.filter(move |id| model.coro(*id).is_none_or(|target| model.parent_of(target) != Parent::Coro(from)))
}

/// The same as far as it is listed.
fn references(model: &Model, from: CoroId) -> Vec<CoroId> {
    elsewhere(model, from, REFERENCES.1).take(REFERENCES.0).collect()
}

/// How many more than are listed there are, if this reference is the last one that is.
pub fn unlisted(model: &Model, from: CoroId, to: CoroId) -> usize {
    let listed = references(model, from);
    match listed.last() {
        Some(last) if *last == to => elsewhere(model, from, COUNTED).count().saturating_sub(listed.len()),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, LoopMode, Outcome, Target};
    use crate::test_script::{Script, crawl};

    fn rows(model: &Model, folds: &mut Folds) -> Vec<Node> {
        let mut view = TreeView { model, folds };
        let mut rows = Vec::new();
        let mut at = view.first();
        while let Some(node) = at {
            rows.push(node);
            assert!(rows.len() < 1000, "the walk does not end");
            at = view.next(node);
        }
        let mut back = Vec::new();
        let mut at = view.last();
        while let Some(node) = at {
            back.push(node);
            at = view.previous(node);
        }
        back.reverse();
        assert_eq!(rows, back, "up and down see the same rows");
        rows
    }

    fn coros(model: &Model, folds: &mut Folds) -> Vec<u64> {
        rows(model, folds).into_iter().filter_map(Node::coro).collect()
    }

    #[test]
    fn many_siblings_are_one_row_until_opened() {
        let model = crawl().model();
        let mut folds = Folds::default();
        let group = Node::Group(Parent::Coro(2), model.coro(10).unwrap().name);
        assert_eq!(
            rows(&model, &mut folds),
            [Node::Coro(1), Node::Coro(2), Node::Coro(9), group, Node::Coro(4), Node::Coro(5)]
                .map(|node| node)
                .to_vec()
        );
        TreeView { model: &model, folds: &mut folds }.set_open(group, true);
        assert_eq!(coros(&model, &mut folds), [1, 2, 9, 10, 11, 12, 13, 14, 15, 16, 17, 4, 5]);
        TreeView { model: &model, folds: &mut folds }.set_open(Node::Coro(2), false);
        assert_eq!(coros(&model, &mut folds), [1, 2, 4, 5]);
    }

    #[test]
    fn what_is_shared_is_shown_once_and_referred_to_elsewhere() {
        let mut s = crawl();
        s.wait(1, Target::Coro(17), "crawl.rs:43:30").wait(4, Target::Coro(17), "crawl.rs:44:1");
        let model = s.model();
        let all = rows(&model, &mut Folds::default());
        assert!(
            all.contains(&Node::Reference { from: 1, to: 17 }) && all.contains(&Node::Reference { from: 4, to: 17 })
        );
    }

    #[test]
    fn the_last_reference_that_is_listed_has_the_number_of_the_others() {
        let mut s = Script::new("many");
        s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "all", "a.rs:1:1");
        for id in 3..15 {
            s.spawn(id, 1, "each", "a.rs:2:1").step(2, Target::Coro(id), "a.rs:3:1");
        }
        let model = s.model();
        let listed = references(&model, 2);
        assert_eq!(listed.len(), 8);
        let unlisted: Vec<usize> = listed.iter().map(|to| unlisted(&model, 2, *to)).collect();
        assert_eq!(unlisted, [0, 0, 0, 0, 0, 0, 0, 4]);
    }

    #[test]
    fn a_cycle_ends_at_its_reference() {
        let mut s = Script::new("cycle");
        s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "a", "a.rs:1:1").spawn(3, 1, "b", "a.rs:1:1");
        s.step(2, Target::Coro(3), "a.rs:2:1").step(3, Target::Coro(2), "a.rs:3:1");
        let model = s.model();
        assert_eq!(coros(&model, &mut Folds::default()), [1, 2, 3, 3, 2]);
    }

    #[test]
    fn loops_have_rows_where_there_is_more_than_one() {
        let mut s = crawl();
        s.push(Kind::LoopStart { id: 2, parent: 9, mode: LoopMode::Isolate });
        let (name, site) = (s.name("inner"), s.site("a.rs:1:1"));
        s.push(Kind::Spawn { coro: 60, in_loop: 2, parent: 0, name, site });
        let all = rows(&s.model(), &mut Folds::default());
        let index = all.iter().position(|node| *node == Node::Loop(2)).unwrap();
        assert_eq!((all[index - 1], all[index + 1]), (Node::Coro(9), Node::Coro(60)));
        s.push(Kind::LoopStart { id: 3, parent: 0, mode: LoopMode::Run });
        let all = rows(&s.model(), &mut Folds::default());
        assert_eq!((all[0], *all.last().unwrap()), (Node::Loop(1), Node::Loop(3)));
    }

    #[test]
    fn a_group_stays_one_while_its_members_end() {
        let mut s = crawl();
        let mut folds = Folds::default();
        let before = rows(&s.model(), &mut folds);
        for id in 10..17 {
            s.end(id, Outcome::Ok);
        }
        assert_eq!(rows(&s.model(), &mut folds), before);
        s.end(17, Outcome::Ok);
        assert_eq!(coros(&s.model(), &mut folds), [1, 2, 9, 4, 5]);
    }

    #[test]
    fn revealing_opens_what_is_above() {
        let model = crawl().model();
        let mut folds = Folds::default();
        let mut view = TreeView { model: &model, folds: &mut folds };
        view.set_open(Node::Coro(1), false);
        assert_eq!(view.visible(Node::Coro(17)), Node::Coro(1));
        assert_eq!(view.reveal(17), Some(Node::Coro(17)));
        assert_eq!(view.visible(Node::Coro(17)), Node::Coro(17));
        assert_eq!(view.reveal(99), None);
    }
}

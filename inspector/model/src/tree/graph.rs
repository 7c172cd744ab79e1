//! Nodes and edges, for programs that draw graphs. Alike leaves are one node: a drawing of a hundred thousand nodes
//! shows nothing.

use std::collections::{BTreeMap, HashMap};

use tinyio_events::event::{CoroId, NameId, ResId, SiteId, State, Target};

use crate::describe;
use crate::format::{count, one_line};
use crate::model::{Activity, Coro, Model, Parent};

/// A graph to be drawn.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
}

/// A node.
pub(super) struct Node {
    /// A word that no other node has.
    pub(super) id: String,
    pub(super) kind: Shape,
    /// One or two lines.
    pub(super) lines: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Coro(Activity),
    Resource,
    Thread,
}

/// An edge, from the waiting coroutine to its target.
pub(super) struct Edge {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) label: String,
    pub(super) line: Line,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    /// Waits on.
    Waits,
    /// Is held by.
    Held,
    /// Has scheduled, and does not wait on.
    Spawned,
}

/// What makes leaves alike.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    parent: Parent,
    name: NameId,
    activity: Activity,
    resources: Vec<ResId>,
    site: SiteId,
}

impl Graph {
    pub(super) fn of(model: &Model) -> Graph {
        let mut nodes: Vec<Node> = Vec::new();
        let mut node_of: HashMap<CoroId, String> = HashMap::new();
        let mut members: HashMap<Alike, (usize, Vec<CoroId>)> = HashMap::new();
        for coro in model.live() {
            match alike(model, coro) {
                Some(key) => {
                    let (_, ids) = members.entry(key).or_insert_with(|| {
                        nodes.push(node(model, coro));
                        (nodes.len() - 1, Vec::new())
                    });
                    ids.push(coro.id);
                }
                None => {
                    nodes.push(node(model, coro));
                    node_of.insert(coro.id, format!("c{}", coro.id));
                }
            }
        }
        for (index, ids) in members.into_values() {
            let id = nodes[index].id.clone();
            if ids.len() > 1 {
                let name = one_line(model.common_label(&ids));
                let doing = model.coro(ids[0]).map_or("", |coro| coro.activity.words());
                nodes[index].lines = vec![format!("{name} ×{}", count(ids.len() as u64)), doing.to_owned()];
            }
            node_of.extend(ids.into_iter().map(|member| (member, id.clone())));
        }
        let edges = edges(model, &node_of);
        for resource in model.resources().filter(|one| !one.waiters.is_empty() || !one.holders.is_empty()) {
            let label = one_line(&model.resource_label(resource.id));
            nodes.push(Node { id: format!("r{}", resource.id), kind: Shape::Resource, lines: vec![label] });
        }
        for thread in model.threads().filter(|thread| edges.iter().any(|edge| edge.to == format!("t{}", thread.id))) {
            let label = one_line(&model.target_label(Target::Thread(thread.id)));
            nodes.push(Node { id: format!("t{}", thread.id), kind: Shape::Thread, lines: vec![label] });
        }
        // A damaged file may refer to objects that it never announced.
        let known: std::collections::HashSet<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
        let edges =
            edges.into_iter().filter(|edge| known.contains(edge.from.as_str()) && known.contains(edge.to.as_str()));
        let edges = edges.collect();
        Graph { nodes, edges }
    }
}

/// A leaf that waits on no coroutine, holds nothing and has nothing beneath it may stand for many.
fn alike(model: &Model, coro: &Coro) -> Option<Alike> {
    let is_leaf = coro.on_coros.is_empty() && coro.holds.is_empty();
    let on_thread = coro.on_others.iter().any(|(on, _)| matches!(on, Target::Loop(_)));
    if !is_leaf || on_thread || model.groups(Parent::Coro(coro.id)).next().is_some() {
        return None;
    }
    let resources = coro.on_others.iter().filter_map(|(on, _)| if let Target::Res(id) = on { Some(*id) } else { None });
    Some(Alike {
        parent: model.parent_of(coro),
        name: coro.name,
        activity: coro.activity,
        resources: resources.collect(),
        site: model.main_wait(coro).map_or(0, |(_, edge)| edge.site),
    })
}

fn node(model: &Model, coro: &Coro) -> Node {
    let mut lines = vec![one_line(&model.label(coro.id))];
    // What is drawn as an edge is not written again.
    let drawn = |on: &Target| matches!(on, Target::Coro(_) | Target::Res(_) | Target::Thread(_));
    if coro.state() != State::Waiting || !model.main_wait(coro).is_some_and(|(on, _)| drawn(&on)) {
        lines.push(one_line(&describe::doing(model, coro, model.now())));
    }
    Node { id: format!("c{}", coro.id), kind: Shape::Coro(coro.activity), lines }
}

fn edges(model: &Model, node_of: &HashMap<CoroId, String>) -> Vec<Edge> {
    let mut counted: BTreeMap<(String, String, Line), u64> = BTreeMap::new();
    let mut add = |from: &str, to: String, line| *counted.entry((from.to_owned(), to, line)).or_default() += 1;
    for coro in model.live() {
        let Some(from) = node_of.get(&coro.id) else { continue };
        for (on, _) in coro.waits() {
            match on {
                Target::Coro(id) => node_of.get(&id).into_iter().for_each(|to| add(from, to.clone(), Line::Waits)),
                Target::Res(id) => add(from, format!("r{id}"), Line::Waits),
                Target::Thread(id) if from == &format!("c{}", coro.id) => add(from, format!("t{id}"), Line::Waits),
                _ => {}
            }
        }
        if let Parent::Coro(parent) = model.parent_of(coro)
            && !coro.waiters.contains(parent)
            && let Some(parent) = node_of.get(&parent)
        {
            add(parent, from.clone(), Line::Spawned);
        }
    }
    for resource in model.resources() {
        for holder in &resource.holders {
            node_of
                .get(&holder.coro)
                .into_iter()
                .for_each(|to| add(&format!("r{}", resource.id), to.clone(), Line::Held));
        }
    }
    for one in model.loops().filter(|one| one.ended.is_none() && one.parent != 0) {
        for coro in model.children(Parent::Loop(one.id)).take(1000) {
            let (from, to) = (node_of.get(&one.parent), node_of.get(&coro.id));
            from.zip(to).into_iter().for_each(|(from, to)| add(from, to.clone(), Line::Spawned));
        }
    }
    let edge = |((from, to, line), many): ((String, String, Line), u64)| {
        let label = match (line, many) {
            (Line::Held, _) => "held by".to_owned(),
            (_, 1) => String::new(),
            (_, many) => format!("×{}", count(many)),
        };
        Edge { from, to, label, line }
    };
    counted.into_iter().map(edge).collect()
}

//! The graph for Graphviz.

use std::io;

use super::graph::{Graph, Line, Shape};
use crate::describe;
use crate::format::one_line;
use crate::model::{Activity, Model};

pub(super) fn write(model: &Model, out: &mut dyn io::Write) -> io::Result<()> {
    let graph = Graph::of(model);
    let title = format!("{} · {}", one_line(&model.header().program), describe::moment(model));
    writeln!(out, "digraph tinyio {{")?;
    writeln!(out, "  label={}; labelloc=t; fontname=\"sans-serif\"; rankdir=TB;", quoted(&title))?;
    writeln!(
        out,
        "  node [fontname=\"sans-serif\", fontsize=11, shape=box, style=\"rounded,filled\", fillcolor=white];"
    )?;
    writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=9];")?;
    for node in &graph.nodes {
        let look = match node.kind {
            Shape::Coro(activity) => format!("fillcolor=\"{}\"", fill(activity)),
            Shape::Resource => "shape=hexagon, style=solid".to_owned(),
            Shape::Thread => "shape=component, style=solid".to_owned(),
        };
        writeln!(out, "  {} [label={}, {look}];", node.id, quoted(&node.lines.join("\n")))?;
    }
    for edge in &graph.edges {
        let label = match edge.label.as_str() {
            "" => String::new(),
            label => format!("label={}", quoted(label)),
        };
        let look = match edge.line {
            Line::Waits => "",
            Line::Held => "style=dashed, arrowhead=odot",
            Line::Spawned => "style=dotted, arrowhead=none, color=gray",
        };
        let comma = if label.is_empty() || look.is_empty() { "" } else { ", " };
        let look = match format!("{label}{comma}{look}") {
            look if look.is_empty() => look,
            look => format!(" [{look}]"),
        };
        writeln!(out, "  {} -> {}{look};", edge.from, edge.to)?;
    }
    writeln!(out, "}}")
}

fn fill(activity: Activity) -> &'static str {
    match activity {
        Activity::Running => "#b7e4c7",
        Activity::Ready => "#fff3bf",
        Activity::Sleeping => "#e9ecef",
        Activity::OnLock => "#ffd8a8",
        Activity::Failed | Activity::Improper => "#ffc9c9",
        Activity::Cancelled | Activity::Done => "#dee2e6",
        _ => "#d0ebff",
    }
}

/// A string of the language: only quotes and backslashes mean something in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

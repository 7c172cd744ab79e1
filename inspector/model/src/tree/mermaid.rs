//! The graph for Mermaid.

use std::io;

use super::graph::{Graph, Line, Shape};
use crate::model::{Activity, Model};

pub(super) fn write(model: &Model, out: &mut dyn io::Write) -> io::Result<()> {
    let graph = Graph::of(model);
    writeln!(out, "flowchart TB")?;
    for node in &graph.nodes {
        let label = escaped(&node.lines.join("\n"));
        match node.kind {
            Shape::Coro(activity) => writeln!(out, "  {}(\"{label}\"):::{}", node.id, class(activity))?,
            Shape::Resource => writeln!(out, "  {}{{{{\"{label}\"}}}}", node.id)?,
            Shape::Thread => writeln!(out, "  {}[[\"{label}\"]]", node.id)?,
        }
    }
    for edge in &graph.edges {
        let label = if edge.label.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(&edge.label)) };
        let arrow = match edge.line {
            Line::Waits => "-->",
            Line::Held => "-.->",
            Line::Spawned => "-.-",
        };
        writeln!(out, "  {} {arrow}{label} {}", edge.from, edge.to)?;
    }
    for (class, color) in [
        ("running", "#b7e4c7"),
        ("ready", "#fff3bf"),
        ("sleeping", "#e9ecef"),
        ("lock", "#ffd8a8"),
        ("ended", "#ffc9c9"),
        ("waiting", "#d0ebff"),
    ] {
        writeln!(out, "  classDef {class} fill:{color},stroke:#868e96,color:#212529")?;
    }
    Ok(())
}

fn class(activity: Activity) -> &'static str {
    match activity {
        Activity::Running => "running",
        Activity::Ready => "ready",
        Activity::Sleeping => "sleeping",
        Activity::OnLock => "lock",
        activity if !activity.is_live() => "ended",
        _ => "waiting",
    }
}

/// Text in quotes: what HTML or Mermaid would take for its own goes as a number, as Mermaid wants it.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for one in text.chars() {
        match one {
            '\n' => out.push_str("<br/>"),
            '#' | '"' | '<' | '>' | '&' | ';' | '`' | '\\' | '|' => out.push_str(&format!("#{};", one as u32)),
            _ => out.push(one),
        }
    }
    out
}

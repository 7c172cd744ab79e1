//! The panes: each is one file that holds the state, the keys and the drawing of one screen or page.
//!
//! To add a screen: write its file with a `SCREEN` and a type that implements [`Pane`](super::pane::Pane), and name it
//! in [`SCREENS`].

mod coroutines;
mod crash;
mod crash_stacks;
pub mod detail;
mod graph;
mod graph_canvas;
pub mod help;
pub mod lints;
mod listing;
mod log;
mod page;
mod printed;
pub mod resource;
mod resources;
mod source;
mod stack_tree;
mod threads;
mod timeline;
pub mod times;
mod values;
pub mod why;

use super::keys::{Binding, Context};
use super::pane::Screen;

pub use coroutines::SCREEN as COROUTINES;
pub use crash::SCREEN as CRASH;
pub use values::Values;

/// The screens, in the order of their digits.
pub const SCREENS: [Screen; 7] = [
    graph::SCREEN,
    coroutines::SCREEN,
    threads::SCREEN,
    resources::SCREEN,
    timeline::SCREEN,
    log::SCREEN,
    crash::SCREEN,
];

/// The keys of pages that have some of their own.
pub const PAGES: [(Context, &[Binding]); 3] =
    [(source::CONTEXT, source::KEYS), (stack_tree::CONTEXT, stack_tree::KEYS), (lints::CONTEXT, lints::KEYS)];

/// From this width on the details stand beside a table, which needs more room for itself than the graph.
const TABLE_AND_DETAIL: u16 = 136;

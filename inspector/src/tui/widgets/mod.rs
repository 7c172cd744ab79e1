//! Parts of the screens that know no pane.

pub mod footer;
pub mod header;

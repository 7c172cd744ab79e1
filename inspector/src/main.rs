//! The `tinyio-inspector` program.
fn main() {}

//! The README's pictures are what the screens draw today, of the recording beside them.

#![cfg(feature = "tui")]

use std::path::Path;

use tinyio_inspector::trace;
use tinyio_inspector::tui::Headless;

/// The lines of `docs/draw`, so that there is one place that says what is drawn.
fn drawings() -> Vec<Vec<String>> {
    let script = std::fs::read_to_string(docs().join("draw")).expect("docs/draw");
    let lines = script.lines().filter_map(|line| line.strip_prefix("draw "));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn docs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))
}

#[test]
fn the_pictures_are_up_to_date() {
    // Sources are looked for from where the program was started.
    std::env::set_current_dir(docs().join("..")).expect("the root of the repository");
    let drawings = drawings();
    assert!(drawings.len() >= 3);
    for line in drawings {
        let [name, file, at, size, keys @ ..] = &line[..] else { panic!("docs/draw: {line:?}") };
        let at = at.parse::<f64>().ok().map(|seconds| (seconds * 1e9) as u64);
        let (wide, high) = size.split_once('x').expect("WIDTHxHEIGHT");
        let (wide, high) = (wide.parse().expect("a number"), high.parse().expect("a number"));
        let recording = docs().join("..").join(file);
        let mut source = trace::open(&recording).expect("the recording is there");
        let mut screens = Headless::of(&mut *source, at, wide, high).expect("a recording that can be read");
        screens.press(&keys.join(" "));
        let drawn = screens.svg();
        let kept = std::fs::read_to_string(docs().join(format!("{name}.svg"))).expect("the picture is there");
        assert!(drawn == kept, "docs/{name}.svg is not what the screens draw: run docs/draw");
    }
}

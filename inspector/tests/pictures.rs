//! The pictures of the documentation are what the screens draw today, of the recordings beside them.

#![cfg(feature = "tui")]

use std::path::Path;

#[expect(dead_code, reason = "its main function")]
#[path = "../examples/picture.rs"]
mod picture;

fn docs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))
}

#[test]
fn the_pictures_are_up_to_date() {
    // Sources are looked for from where the program was started.
    std::env::set_current_dir(docs().join("..")).expect("the root of the repository");
    // The lines of `docs/draw`, so that there is one place that says what is drawn.
    let script = std::fs::read_to_string(docs().join("draw")).expect("docs/draw");
    let mut lines = script.lines();
    let mut compared = 0;
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let (name, drawn) = match &words[..] {
            ["draw", name, size, scene @ ..] => (name, picture::picture(size, &scene.join(" "))),
            ["film", name, size, "<<'END'"] => {
                let scenes: Vec<&str> = lines.by_ref().take_while(|line| *line != "END").collect();
                (name, picture::film(size, &scenes.join("\n")))
            }
            _ => continue,
        };
        let kept = std::fs::read_to_string(docs().join(format!("{name}.svg"))).expect("the picture is there");
        assert!(drawn.expect(line) == kept, "docs/{name}.svg is not what the screens draw: run docs/draw");
        compared += 1;
    }
    assert!(compared >= 4, "{compared} pictures in docs/draw");
}

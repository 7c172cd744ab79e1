//! The tables in docs/KEYS.md are those that the screens declare. `UPDATE=1 cargo test -p tinyio-inspector --test keys`
//! writes them anew.

#![cfg(feature = "tui")]

use std::fmt::Write as _;
use std::path::Path;

use tinyio_inspector::tui::keymaps;

const BEGIN: &str = "<!-- keys: from the tables in inspector/src/tui -->\n";
const END: &str = "<!-- keys end -->";

fn table() -> String {
    let mut text = String::new();
    for keymap in keymaps() {
        let _ = write!(text, "\n| {} | |\n|---|---|\n", keymap.context.title());
        for binding in &keymap.bindings {
            let keys: Vec<_> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
            let _ = writeln!(text, "| {} | {} |", keys.join(" "), binding.help.replace('|', "\\|"));
        }
    }
    text
}

#[test]
fn the_key_table_of_the_documentation_is_the_one_the_screens_use() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/KEYS.md"));
    let page = std::fs::read_to_string(path).expect("KEYS.md");
    let (before, rest) = page.split_once(BEGIN).expect("the mark where the keys begin");
    let (kept, after) = rest.split_once(END).expect("the mark where the keys end");
    let table = format!("{}\n", table());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).expect("KEYS.md can be written");
    } else {
        assert!(kept == table, "docs/KEYS.md has other keys: UPDATE=1 cargo test -p tinyio-inspector --test keys");
    }
}

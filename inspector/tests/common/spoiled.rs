//! Recordings in which every text holds what a terminal would obey.

#![allow(dead_code, reason = "each test uses some of it")]

use serde_json::Value;

/// Characters that move the cursor, colour what follows, set the title, or turn the direction of reading.
pub fn commands() -> impl Iterator<Item = char> {
    let control = ('\0'..'\u{20}').chain('\u{7f}'..'\u{a0}');
    control.chain(['\u{61c}', '\u{200e}', '\u{200f}']).chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}')
}

/// All of them, sequences that terminals know, and what is markup.
pub fn text() -> String {
    let each: String = commands().flat_map(|one| ['.', one]).collect();
    format!("\u{1b}]0;title\u{7}\u{1b}[31m\u{9b}2J</script>{each}.")
}

/// Adds [`text`] to each text in the header or the event, words of the format aside.
pub fn spoil(value: &mut Value) {
    const WORDS: [&str; 10] = ["trace", "kind", "mode", "outcome", "state", "what", "why", "on", "by", "level"];
    match value {
        Value::String(old) => old.push_str(&text()),
        Value::Array(items) => items.iter_mut().for_each(spoil),
        Value::Object(fields) => {
            for (name, value) in fields {
                // A trace is a word in the header, and a list in a failure.
                if !value.is_string() || !WORDS.contains(&name.as_str()) {
                    spoil(value);
                }
            }
        }
        _ => {}
    }
}

/// The lines of a trace, each spoiled.
pub fn spoiled<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let read = |line| {
        let mut value = serde_json::from_str(line).unwrap();
        spoil(&mut value);
        value
    };
    lines.into_iter().map(read).collect()
}

/// The examples of the page about the format, of every kind, as a trace that ends.
pub fn examples() -> impl Iterator<Item = &'static str> {
    let page = include_str!("../../../docs/TRACE.md").lines();
    let lines = page.filter(|line| line.starts_with("{\"seq\"")).filter(|line| !line.contains("\"trace_end\""));
    let header = r#"{"trace":"tinyio","version":1,"program":"p","pid":1,"started":0,"directory":"/d","thread":"t"}"#;
    [header].into_iter().chain(lines).chain([r#"{"seq":1000,"at":9000000,"kind":"trace_end"}"#])
}

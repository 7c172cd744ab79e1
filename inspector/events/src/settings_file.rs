//! Settings as text: where the file is, and the lines `NAME = VALUE` in it and in `TINYIO_SETTINGS`.

use std::path::PathBuf;

/// The variable with the path of the file.
pub const FILE: &str = "TINYIO_SETTINGS_FILE";
/// The variable with settings that win over the file.
pub const INLINE: &str = "TINYIO_SETTINGS";

/// One setting.
pub struct Entry {
    /// Where it stands: `inspector.conf:3`.
    pub place: String,
    /// Its name.
    pub name: String,
    /// The text after `=`.
    pub value: String,
}

/// Where the file of settings is, or would be.
pub fn path(get: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let get = |name: &str| get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = || get("XDG_CONFIG_HOME").or_else(|| Some(get("HOME")?.join(".config")));
    get(FILE).or_else(|| Some(folder()?.join("tinyio").join("inspector.conf")))
}

/// The settings in the text of the file called `file`, then those in the environment.
pub fn entries(get: impl Fn(&str) -> Option<String>, file: &str, text: &str, problems: &mut Vec<String>) -> Vec<Entry> {
    let lines = (1..).zip(text.lines()).map(|(number, line)| (format!("{file}:{number}"), line));
    let inline = get(INLINE).unwrap_or_default();
    let parts = inline.split([';', '\n']).map(|part| (INLINE.to_owned(), part));
    let mut entries = Vec::new();
    for (place, line) in lines.chain(parts) {
        let line = without_comment(line);
        match line.split_once('=') {
            _ if line.is_empty() => {}
            Some((name, value)) => {
                entries.push(Entry { place, name: name.trim().to_owned(), value: value.trim().to_owned() });
            }
            None => problems.push(format!("{place}: {line:?} is no setting: expected NAME = VALUE")),
        }
    }
    entries
}

/// `#` is also a key, and begins a colour: a comment needs a blank before and after it, or the beginning of the line.
fn without_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') {
        return "";
    }
    line.find(" # ").map_or(line, |at| line[..at].trim())
}

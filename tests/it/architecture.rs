//! The statements of ARCHITECTURE.md about the modules of `src` are true, and those about cycles of other crates too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::check::watched;

/// The folders of sources in which no modules import each other in a cycle.
const WITHOUT_CYCLES: [&str; 7] = [
    "src",
    "inspector/events/src",
    "inspector/recorder/src",
    "inspector/frames/src",
    "inspector/model/src",
    "inspector/tasks/src",
    "inspector/src",
];

/// The modules of a crate. The name of one is its path below the crate, such as `executor::timer`; each is a file.
/// Those of unit tests are left out.
struct Modules(BTreeMap<String, Module>);

struct Module {
    /// Its path below the workspace.
    file: String,
    /// Without comments, unit tests and re-exports.
    code: String,
    /// The paths of its `use` declarations, each with whether it is a re-export.
    uses: Vec<(bool, String)>,
    /// The names it defines, or re-exports of other crates.
    items: BTreeSet<String>,
    /// What its `use` declarations bring into scope, by name: paths below the crate, one or, through `*`, several.
    imports: BTreeMap<String, BTreeSet<String>>,
    /// The modules of which it imports everything.
    globs: BTreeSet<String>,
}

/// An import, from the name of a module to another's.
type Arrow = (String, String);

fn folder(module: &str) -> &str {
    module.split("::").next().expect("a first part")
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The paths of a `use` tree, in which `self` and names after `as` are left as they are.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, list)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let list = list.trim_end().trim_end_matches('}');
    let (mut paths, mut depth, mut part) = (Vec::new(), 0, String::new());
    for c in list.chars().chain([',']) {
        match c {
            ',' if depth == 0 => {
                let inner = expand(&std::mem::take(&mut part));
                paths.extend(inner.iter().filter(|path| !path.is_empty()).map(|path| format!("{before}{path}")));
            }
            '{' | '}' => {
                depth += if c == '{' { 1 } else { -1 };
                part.push(c);
            }
            _ => part.push(c),
        }
    }
    paths
}

impl Modules {
    /// Reads a folder of the workspace.
    fn read(source: &str) -> Modules {
        fn visit(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).expect("a folder of sources") {
                let path = entry.expect("an entry").path();
                if path.file_stem().is_some_and(|name| name == "tests") {
                    continue;
                }
                if path.is_dir() {
                    visit(&path, files);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    files.push(path);
                }
            }
        }
        let mut files = Vec::new();
        let root = root().join(source);
        visit(&root, &mut files);
        let modules = files.into_iter().map(|file| {
            let path = file.strip_prefix(&root).expect("below the folder").display().to_string().replace('\\', "/");
            let text = fs::read_to_string(file).expect("text");
            let name = path.trim_end_matches(".rs").trim_end_matches("/mod");
            let name = if name == "lib" { String::new() } else { name.replace('/', "::") };
            (name, Module::parse(format!("{source}/{path}"), &text))
        });
        let mut modules = Modules(modules.collect());
        modules.read_imports();
        modules
    }

    fn read_imports(&mut self) {
        let names: BTreeSet<String> = self.0.keys().cloned().collect();
        for (name, module) in &mut self.0 {
            for (is_public, path) in std::mem::take(&mut module.uses) {
                let first = path.split("::").next().expect("a first part");
                let absolute = match absolute(name, &path) {
                    Some(absolute) => absolute,
                    None if names.contains(&below(name, first)) => below(name, &path),
                    // Another crate.
                    None => {
                        let item = path.rsplit([':', ' ']).next().expect("a last part");
                        is_public.then(|| module.items.insert(item.to_owned()));
                        continue;
                    }
                };
                let (absolute, alias) = match absolute.split_once(" as ") {
                    Some((path, alias)) => (path.to_owned(), Some(alias.to_owned())),
                    None => (absolute, None),
                };
                let absolute = absolute.strip_suffix("::self").unwrap_or(&absolute).to_owned();
                match absolute.strip_suffix("::*") {
                    Some(all) => _ = module.globs.insert(all.to_owned()),
                    None => {
                        let last = absolute.rsplit("::").next().expect("a last part").to_owned();
                        module.imports.entry(alias.unwrap_or(last)).or_default().insert(absolute);
                    }
                }
            }
        }
    }

    /// The modules that define what this path below the crate names, behind all re-exports. Empty: none of them does.
    fn definers(&self, path: &str) -> BTreeSet<String> {
        if self.0.contains_key(path) {
            return BTreeSet::from([path.to_owned()]);
        }
        let mut parts: Vec<&str> = path.split("::").collect();
        let mut after = Vec::new();
        while !self.0.contains_key(&parts.join("::")) {
            match parts.pop() {
                Some(part) => after.push(part),
                None => break,
            }
        }
        let name = parts.join("::");
        let (Some(module), Some(item)) = (self.0.get(&name), after.last()) else { return BTreeSet::new() };
        if module.items.contains(*item) {
            return BTreeSet::from([name]);
        }
        match module.imports.get(*item) {
            Some(paths) => paths.iter().flat_map(|path| self.definers(path)).collect(),
            None => module.globs.iter().flat_map(|glob| self.definers(&below(glob, item))).collect(),
        }
    }

    /// The imports between different modules, each with one place where it is. What a module re-exports of those below
    /// it is none, and the crate itself, which re-exports what is public, has none.
    fn arrows(&self) -> BTreeMap<Arrow, String> {
        let mut arrows = BTreeMap::new();
        for (name, module) in self.0.iter().filter(|(name, _)| !name.is_empty()) {
            for (line, text) in (1..).zip(module.code.lines()) {
                for path in paths(text) {
                    let (first, rest) = path.split_once("::").unwrap_or((&path, ""));
                    let absolute = match absolute(name, &path) {
                        Some(absolute) => absolute,
                        None => match module.imports.get(first).and_then(|paths| paths.first()) {
                            // An imported name; of an imported module, what is used of it.
                            Some(imported) if self.0.contains_key(imported) && !rest.is_empty() => {
                                below(imported, rest)
                            }
                            Some(imported) if !self.0.contains_key(imported) => imported.clone(),
                            _ => continue,
                        },
                    };
                    for to in self.definers(absolute.trim_end_matches("::")) {
                        // A whole module is imported in order to use something of it, which is an arrow of its own.
                        let is_whole = self.0.contains_key(&absolute);
                        if to != *name && !to.is_empty() && !is_whole {
                            let at = format!("{}:{line}", module.file);
                            arrows.entry((name.clone(), to)).or_insert(at);
                        }
                    }
                }
            }
        }
        arrows
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn below(module: &str, path: &str) -> String {
    if module.is_empty() { path.to_owned() } else { format!("{module}::{path}") }
}

/// The path below the crate that this path in a module names, if it begins with `crate` or `super`.
fn absolute(module: &str, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return Some(rest.to_owned());
    }
    let rest = path.strip_prefix("super::")?;
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    Some(absolute(parent, rest).unwrap_or_else(|| below(parent, rest)))
}

/// The paths in a line of code, without the names of fields and methods.
fn paths(line: &str) -> Vec<String> {
    let line = line.replace("..", " ");
    let words = line.split(|c: char| !is_name(c) && c != ':' && c != '.');
    words.filter_map(|word| word.split('.').next()).map(|path| path.trim_matches(':').to_owned()).collect()
}

impl Module {
    fn parse(file: String, text: &str) -> Module {
        let text = text.split("\n#[cfg(test)]\nmod tests {").next().expect("a beginning");
        let lines = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
        // Strings are not code.
        let lines = lines.map(|line| line.split('"').step_by(2).collect::<Vec<_>>().join("\"\""));
        let code = lines.collect::<Vec<_>>().join("\n");
        let mut items = BTreeSet::new();
        let mut words = code.split(|c: char| !is_name(c)).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            if ["fn", "struct", "enum", "trait", "type", "const", "static", "macro_rules"].contains(&word)
                && let Some(name) = words.peek()
            {
                items.insert((*name).to_owned());
            }
        }
        let mut kept = Vec::new();
        let mut uses = Vec::new();
        let mut lines = code.lines();
        while let Some(line) = lines.next() {
            let before = line.split_once("use ").map(|(before, _)| before.trim());
            let is_public = before.is_some_and(|before| before.starts_with("pub") && !before.contains(' '));
            if !is_public && before != Some("") {
                kept.push(line);
                continue;
            }
            let mut declaration = vec![line];
            while !declaration[declaration.len() - 1].contains(';') {
                declaration.push(lines.next().expect("a use declaration ends"));
            }
            kept.extend(declaration.iter().map(|line| if is_public { "" } else { line }));
            let text = declaration.concat();
            let (_, tree) = text.split_once("use ").expect("a use declaration");
            let tree = tree.split(';').next().expect("a beginning");
            uses.extend(expand(tree).into_iter().map(|path| (is_public, path)));
        }
        let code = kept.join("\n");
        Module { file, code, uses, items, imports: BTreeMap::new(), globs: BTreeSet::new() }
    }
}

#[test]
fn modules_import_along_the_arrows_of_the_architecture() {
    let _watched = watched();
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, table) = text.split_once("<!-- arrows").expect("the table of arrows");
    let rows =
        table.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let mut listed = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [from, to, ..] = cells[..] else { panic!("a row with two cells, not {row}") };
        listed.extend(to.split("`, `").map(|to| (from.to_owned(), to.to_owned())));
    }
    let mut found = BTreeMap::new();
    for ((from, to), at) in Modules::read("src").arrows() {
        let (from, to) = (folder(&from).to_owned(), folder(&to).to_owned());
        if from != to {
            found.entry((from, to)).or_insert(at);
        }
    }
    for ((from, to), at) in &found {
        assert!(
            listed.contains(&(from.clone(), to.clone())),
            "{at}: `{from}` imports `{to}`, which ARCHITECTURE.md does not list"
        );
    }
    for (from, to) in &listed {
        assert!(
            found.contains_key(&(from.clone(), to.clone())),
            "ARCHITECTURE.md lists `{from}` to `{to}`, which is no more"
        );
    }
}

#[test]
fn no_modules_import_each_other_in_a_cycle() {
    let _watched = watched();
    for source in WITHOUT_CYCLES {
        if let Some(cycle) = cycle(&Modules::read(source)) {
            panic!("modules import each other in a cycle, turn one of these round:\n{}", cycle.join("\n"));
        }
    }
}

/// The imports of a cycle, each with the place where it is.
fn cycle(modules: &Modules) -> Option<Vec<String>> {
    let arrows = modules.arrows();
    // Modules that import nothing that is left are taken away; what remains is in a cycle or leads to one.
    let mut left: BTreeSet<&String> = modules.0.keys().collect();
    loop {
        let before = left.len();
        let imports = |from: &String| arrows.keys().any(|(one, to)| one == from && left.contains(to));
        let done: Vec<&String> = left.iter().copied().filter(|module| !imports(module)).collect();
        done.iter().for_each(|module| _ = left.remove(*module));
        if left.len() == before {
            break;
        }
    }
    let first = left.first()?;
    // Following arrows among those comes around.
    let mut way: Vec<&String> = vec![first];
    let start = loop {
        let last = way[way.len() - 1];
        let next = arrows.keys().find(|(from, to)| from == last && left.contains(to)).map(|(_, to)| to).expect("left");
        way.push(next);
        if let Some(start) = way.iter().take(way.len() - 1).position(|module| *module == next) {
            break start;
        }
    };
    let arrow = |pair: &[&String]| {
        format!("{}: `{}` imports `{}`", arrows[&(pair[0].clone(), pair[1].clone())], pair[0], pair[1])
    };
    Some(way[start..].windows(2).map(arrow).collect())
}

//! What a key does, and where: the matcher, and what the user bound otherwise. The keys themselves are in `keymaps`.

/// Where a key is valid, by its heading on the help page. What is on top of the screen is asked first, then the screen,
/// then [`Context::EVERYWHERE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Context(pub(super) &'static str);

impl Context {
    /// On all screens.
    pub const EVERYWHERE: Context = Context("Everywhere");
    /// On a page over the screen that has no keys of its own.
    pub const PAGE: Context = Context("Pages");
    /// While a line is typed.
    pub const TYPING: Context = Context("Typing");

    /// Its heading on the help page.
    pub fn title(self) -> &'static str {
        self.0
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Top,
    Bottom,
    Open,
    Back,
    Quit,
    Interrupt,
    Suspend,
    Redraw,
    Mouse,
    Help,
    Screen(u8),
    NextScreen,
    PreviousScreen,
    Why,
    Lints,
    Times,
    Canvas,
    Search,
    NextMatch,
    PreviousMatch,
    Filter,
    Copy,
    CopyName,
    Sort,
    SortBack,
    Pause,
    StepBack,
    StepOn,
    PreviousOf,
    NextOf,
    PreviousMark,
    NextMark,
    Live,
    NextPicture,
    EachSecond,
    ZoomIn,
    ZoomOut,
    FrameDown,
    FrameUp,
    StackDown,
    StackUp,
    Function,
    File,
    Stacks,
    Print,
    PrintAll,
    Values,
    Coroutine,
    Edit,
    Hidden,
    CollapseOne,
    CollapseAll,
    GoThere,
    Accept,
    Complete,
    WordLeft,
    WordRight,
    Erase,
    EraseNext,
    EraseWord,
    EraseNextWord,
    EraseLine,
    EraseRest,
    Older,
    Newer,
}

/// Keys, and what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The keys, any of which does it.
    pub keys: &'static [&'static str],
    /// What they do.
    pub action: Action,
    /// The name used to bind other keys to it.
    pub name: &'static str,
    /// In one or two words, for the footer; empty: not in the footer.
    pub short: &'static str,
    /// In a sentence, for the help page.
    pub help: &'static str,
}

/// A line of a table of keys.
pub const fn bind(
    keys: &'static [&'static str],
    action: Action,
    name: &'static str,
    short: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, action, name, short, help }
}

/// The keys of one context.
#[derive(Clone, Debug)]
pub struct Keymap {
    /// Where they are valid.
    pub context: Context,
    /// The keys, in the order of the help page.
    pub bindings: Vec<Binding>,
}

/// The keys in force: the tables, with what the user bound otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    entries: Vec<Entry>,
}

/// A line of a table, with the keys in force.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    context: Context,
    binding: Binding,
    keys: Vec<String>,
}

/// A request to bind an action to these keys and no others.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The place of the setting.
    pub place: String,
    /// The action, by its name in the table.
    pub name: String,
    /// The keys.
    pub keys: Vec<String>,
}

impl Keys {
    /// The keys as they are in these tables.
    pub(super) fn of_tables(tables: Vec<Keymap>) -> Keys {
        let own = |binding: &Binding| binding.keys.iter().map(|key| (*key).to_owned()).collect();
        let entries = tables.into_iter().flat_map(|keymap| {
            let entry = move |binding: Binding| Entry { context: keymap.context, binding, keys: own(&binding) };
            keymap.bindings.into_iter().map(entry)
        });
        Keys { entries: entries.collect() }
    }

    /// Rebinds actions, all at once, so that two can exchange their keys. Returns one sentence for each request that is
    /// impossible; the others take effect.
    pub fn rebind(&mut self, wishes: Vec<Wish>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut wanted: Vec<(usize, Wish)> = Vec::new();
        for wish in wishes {
            let place = &wish.place;
            let Some(index) = self.entries.iter().position(|entry| entry.binding.name == wish.name) else {
                problems.push(format!(
                    "{place}: there is no action {:?}: `tinyio-inspector settings` lists them",
                    wish.name
                ));
                continue;
            };
            match wish.keys.iter().find(|key| !is_key(key)) {
                Some(bad) => problems.push(format!(
                    "{place}: {bad:?} is no key: expected one character, or enter, esc, tab, space, f1, ctrl-x and the like"
                )),
                None => {
                    // The same action once more: the latter counts.
                    wanted.retain(|(other, _)| *other != index);
                    wanted.push((index, wish));
                }
            }
        }
        let mut clashes = Vec::new();
        loop {
            let mut entries = self.entries.clone();
            for (index, wish) in &wanted {
                entries[*index].keys.clone_from(&wish.keys);
            }
            let clash = wanted.iter().enumerate().rev().find_map(|(at, (index, wish))| {
                let context = entries[*index].context;
                let others =
                    entries.iter().enumerate().filter(|(other, entry)| other != index && entry.context == context);
                let mut taken = others
                    .flat_map(|(other, entry)| entry.keys.iter().map(move |key| (other, entry.binding.name, key)));
                let (other, name, key) = taken.find(|(_, _, key)| wish.keys.contains(key))?;
                Some((at, other, name, key.clone()))
            });
            let Some((at, other, name, key)) = clash else {
                self.entries = entries;
                problems.extend(clashes.into_iter().rev());
                problems.extend(self.hidden(&wanted));
                return problems;
            };
            let by = wanted.iter().find(|(index, _)| *index == other).map(|(_, wish)| format!(" ({})", wish.place));
            let (_, wish) = wanted.remove(at);
            clashes.push(format!(
                "{}: key.{}: {key:?} is the key of {name}{} there: expected one that is free, or other keys for {name} as well",
                wish.place,
                wish.name,
                by.unwrap_or_default()
            ));
        }
    }

    /// Where a screen's key goes before one that is to be valid everywhere, but for those of which the table has both
    /// itself. Both are in force, the latter on the other screens.
    fn hidden(&self, wanted: &[(usize, Wish)]) -> Vec<String> {
        let everywhere = |index: usize| self.entries[index].context == Context::EVERYWHERE;
        let wished = |index: usize| wanted.iter().any(|(other, _)| *other == index);
        let mut problems = Vec::new();
        for (index, wish) in wanted {
            let own = &self.entries[*index];
            for (other, entry) in self.entries.iter().enumerate() {
                // Of two conflicting requests, one message is enough.
                let apart = everywhere(*index) != everywhere(other) && (everywhere(*index) || !wished(other));
                let typed = [own.context, entry.context].contains(&Context::TYPING);
                if !apart || typed || own.binding.action == entry.binding.action {
                    continue;
                }
                let as_ever = |key: &&str| own.binding.keys.contains(key) && entry.binding.keys.contains(key);
                let Some(key) = own.keys.iter().find(|key| entry.keys.contains(key) && !as_ever(&key.as_str())) else {
                    continue;
                };
                let (place, name, other) = (&wish.place, own.binding.name, entry.binding.name);
                problems.push(if everywhere(*index) {
                    let screen = entry.context.title();
                    format!("{place}: key.{name}: {key:?} is the key of {other} in {screen}, and does that there: expected one that is free there, or other keys for {other} as well")
                } else {
                    let screen = own.context.title();
                    format!("{place}: key.{name}: {key:?} is the key of {other}, which is hidden by that in {screen}: expected one that is free, or other keys for {other} as well")
                });
            }
        }
        problems
    }

    fn in_context(&self, context: Context) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.context == context)
    }

    /// What a key does, given what is on the screen, the topmost first.
    pub fn action(&self, contexts: &[Context], key: &str) -> Option<Action> {
        let entries = contexts.iter().flat_map(|context| self.in_context(*context));
        entries.into_iter().find(|entry| entry.keys.iter().any(|one| one == key)).map(|entry| entry.binding.action)
    }

    /// For the footer: what is worth a hint here, as key and word.
    pub fn hints<'a>(&'a self, contexts: &'a [Context]) -> impl Iterator<Item = (&'a str, &'static str)> + 'a {
        let entries = contexts.iter().flat_map(|context| self.in_context(*context));
        let shown = entries.filter(move |entry| {
            let reached = entry.keys.first().and_then(|key| self.action(contexts, key)) == Some(entry.binding.action);
            !entry.binding.short.is_empty() && reached
        });
        shown.filter_map(|entry| Some((entry.keys.first()?.as_str(), entry.binding.short)))
    }

    /// For the help page: the contexts that have keys.
    pub fn contexts(&self) -> Vec<Context> {
        let mut all: Vec<Context> = self.entries.iter().map(|entry| entry.context).collect();
        all.dedup();
        all
    }

    /// For the help page: the keys and help of one context.
    pub fn of(&self, context: Context) -> impl Iterator<Item = (String, &'static str)> + '_ {
        self.in_context(context).map(|entry| (entry.keys.join(" "), entry.binding.help))
    }
}

/// Whether a text names a key.
pub fn is_key(text: &str) -> bool {
    const NAMED: [&str; 15] = [
        "enter",
        "esc",
        "tab",
        "backtab",
        "space",
        "backspace",
        "delete",
        "insert",
        "up",
        "down",
        "left",
        "right",
        "home",
        "end",
        "pgup",
    ];
    let bare = text.strip_prefix("ctrl-").or_else(|| text.strip_prefix("alt-")).unwrap_or(text);
    let function =
        bare.strip_prefix('f').and_then(|number| number.parse::<u8>().ok()).is_some_and(|number| number <= 24);
    bare.chars().count() == 1 || NAMED.contains(&bare) || bare == "pgdn" || function
}

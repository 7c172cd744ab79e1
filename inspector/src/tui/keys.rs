//! The keys: what those do that are valid everywhere, and the tables that the panes declare as one, from which the
//! matcher, the footer, the `?` page and the README come.

use super::panes::{PAGES, SCREENS};
use super::prompt;

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
    Help,
    Screen(u8),
    NextScreen,
    PreviousScreen,
    Why,
    Lints,
    Canvas,
    Search,
    NextMatch,
    PreviousMatch,
    Filter,
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
    Erase,
    EraseWord,
    EraseLine,
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

/// All keys: those that are valid everywhere, then those that the panes declare.
pub fn keymaps() -> Vec<Keymap> {
    let digits = SCREENS.iter().zip(DIGITS).zip(1..).map(|((screen, keys), number)| Binding {
        keys,
        action: Action::Screen(number),
        name: screen.name,
        short: "",
        help: screen.help,
    });
    let everywhere = MOVES.iter().copied().chain(digits).chain(GLOBAL.iter().copied()).collect();
    let screens = SCREENS.iter().map(|screen| (screen.context(), screen.keys));
    let others = screens.chain(PAGES).chain([(Context::PAGE, ANY_PAGE), (Context::TYPING, prompt::KEYS)]);
    let others = others.filter(|(_, keys)| !keys.is_empty());
    let mut all = vec![Keymap { context: Context::EVERYWHERE, bindings: everywhere }];
    all.extend(others.map(|(context, keys)| Keymap { context, bindings: keys.to_vec() }));
    all
}

/// The keys of the screens.
const DIGITS: [&[&str]; 9] = [&["1"], &["2"], &["3"], &["4"], &["5"], &["6"], &["7"], &["8"], &["9"]];

/// Keys that are valid everywhere, before those of the screens.
#[rustfmt::skip]
const MOVES: &[Binding] = &[
    bind(&["up", "k"], Action::Up, "up", "", "one up"),
    bind(&["down", "j"], Action::Down, "down", "", "one down"),
    bind(&["left", "h"], Action::Left, "left", "", "fold, or to what is above"),
    bind(&["right", "l"], Action::Right, "right", "", "unfold, or into it"),
    bind(&["pgup", "ctrl-b"], Action::PageUp, "page-up", "", "one page up"),
    bind(&["pgdn", "ctrl-f"], Action::PageDown, "page-down", "", "one page down"),
    bind(&["ctrl-u"], Action::HalfUp, "half-page-up", "", "half a page up"),
    bind(&["ctrl-d"], Action::HalfDown, "half-page-down", "", "half a page down"),
    bind(&["home", "g"], Action::Top, "top", "", "to the beginning"),
    bind(&["end", "G"], Action::Bottom, "bottom", "", "to the end"),
    bind(&["enter"], Action::Open, "open", "detail", "details of the selected one"),
    bind(&["w"], Action::Why, "why", "why", "why it is still waiting: the chain of waits down to its cause"),
    bind(&["P"], Action::Values, "values", "", "all variables of the selected coroutine, in full"),
    bind(&["!"], Action::Lints, "lints", "", "the lints: what is probably wrong"),
    bind(&["/"], Action::Search, "search", "search", "search names"),
    bind(&["n"], Action::NextMatch, "next-match", "", "next one found"),
    bind(&["N"], Action::PreviousMatch, "previous-match", "", "the one found before"),
    bind(&["f"], Action::Filter, "filter", "filter", "show only some: state:waiting on:lock name:fetch age>2s file:crawl.rs"),
    bind(&["space"], Action::Pause, "pause", "pause", "hold this moment; again: go on"),
    bind(&[","], Action::StepBack, "step-back", "", "one event back in time"),
    bind(&["."], Action::StepOn, "step-on", "", "one event on in time"),
    bind(&["<"], Action::PreviousOf, "previous-event", "", "the previous event of the selected coroutine"),
    bind(&[">"], Action::NextOf, "next-event", "", "the next event of the selected coroutine"),
    bind(&["["], Action::PreviousMark, "previous-error", "", "the previous error, cancellation or loss"),
    bind(&["]"], Action::NextMark, "next-error", "", "the next error, cancellation or loss"),
    bind(&["0"], Action::Live, "live", "", "back to now (of a replay: to its end)"),
];

/// Keys that are valid everywhere, after those of the screens.
#[rustfmt::skip]
const GLOBAL: &[Binding] = &[
    bind(&["tab"], Action::NextScreen, "next-screen", "", "next screen"),
    bind(&["backtab"], Action::PreviousScreen, "previous-screen", "", "previous screen"),
    bind(&["esc"], Action::Back, "back", "", "one level back; never leaves"),
    bind(&["?", "f1"], Action::Help, "help", "help", "this page"),
    bind(&["q"], Action::Quit, "quit", "quit", "close what is on top, then leave"),
    bind(&["ctrl-c"], Action::Interrupt, "interrupt", "", "leave; a program that runs under this view is interrupted"),
    bind(&["ctrl-z"], Action::Suspend, "suspend", "", "to the background; fg comes back"),
    bind(&["ctrl-l"], Action::Redraw, "redraw", "", "draw everything anew"),
];

/// Keys of pages that have none of their own.
#[rustfmt::skip]
const ANY_PAGE: &[Binding] = &[
    bind(&["esc", "q"], Action::Back, "page-back", "back", "back to the screen"),
    bind(&["home", "g"], Action::Top, "page-top", "", "to the beginning of the page"),
    bind(&["p"], Action::Print, "page-print", "", "on printed values: print another variable"),
];

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

impl Default for Keys {
    fn default() -> Self {
        let own = |binding: &Binding| binding.keys.iter().map(|key| (*key).to_owned()).collect();
        let entries = keymaps().into_iter().flat_map(|keymap| {
            let entry = move |binding: Binding| Entry { context: keymap.context, binding, keys: own(&binding) };
            keymap.bindings.into_iter().map(entry)
        });
        Keys { entries: entries.collect() }
    }
}

impl Keys {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const GRAPH: Context = Context("Graph");
    const LOG: Context = Context("Log");

    #[test]
    fn no_key_does_two_things_in_one_place() {
        let mut seen = HashSet::new();
        for Keymap { context, bindings } in keymaps() {
            for key in bindings.iter().flat_map(|binding| binding.keys) {
                assert!(is_key(key), "{key}");
                assert!(seen.insert((context, *key)), "{key} twice in {context:?}");
            }
        }
    }

    #[test]
    fn every_action_has_a_name_of_its_own_and_a_sentence() {
        let mut seen = HashSet::new();
        for binding in keymaps().iter().flat_map(|keymap| &keymap.bindings) {
            assert!(seen.insert(binding.name), "{} twice", binding.name);
            assert!(!binding.help.is_empty() && !binding.keys.is_empty());
        }
    }

    #[test]
    fn every_screen_has_a_digit() {
        let digits = Keys::default();
        for number in 1..=SCREENS.len() {
            let action = digits.action(&[Context::EVERYWHERE], &number.to_string());
            assert_eq!(action, Some(Action::Screen(number as u8)));
        }
    }

    #[test]
    fn the_matcher_finds_every_line_of_the_tables() {
        let keys = Keys::default();
        for Keymap { context, bindings } in keymaps() {
            for binding in &bindings {
                for key in binding.keys {
                    assert_eq!(keys.action(&[context, Context::EVERYWHERE], key), Some(binding.action));
                }
            }
        }
    }

    #[test]
    fn the_footer_hints_at_nothing_that_another_place_took() {
        let keys = Keys::default();
        for place in keymaps().iter().map(|keymap| keymap.context) {
            let contexts = [place, Context::EVERYWHERE];
            for (key, word) in keys.hints(&contexts) {
                let action = keys.action(&contexts, key).unwrap();
                let fits = |binding: &Binding| binding.action == action && binding.short == word;
                assert!(keymaps().iter().flat_map(|keymap| &keymap.bindings).any(fits));
            }
        }
    }

    fn wish(name: &str, keys: &[&str]) -> Wish {
        Wish { place: "here".into(), name: name.into(), keys: keys.iter().map(|key| (*key).into()).collect() }
    }

    #[test]
    fn keys_are_rebound_change_places_and_clashes_are_refused() {
        let mut keys = Keys::default();
        assert_eq!(keys.rebind(vec![wish("pause", &["x", "ctrl-s"])]), [""; 0]);
        assert_eq!(keys.action(&[Context::EVERYWHERE], "x"), Some(Action::Pause));
        assert_eq!(keys.action(&[Context::EVERYWHERE], "space"), None);
        assert!(keys.rebind(vec![wish("live", &["x"])])[0].contains("the key of pause"));
        assert_eq!(keys.action(&[Context::EVERYWHERE], "0"), Some(Action::Live), "as it was");
        assert_eq!(keys.rebind(vec![wish("next-match", &["N"]), wish("previous-match", &["n"])]), [""; 0]);
        assert_eq!(keys.action(&[Context::EVERYWHERE], "n"), Some(Action::PreviousMatch));
        assert_eq!(keys.rebind(vec![wish("lints", &["y"]), wish("lints", &["z"])]), [""; 0]);
        assert_eq!(
            (keys.action(&[Context::EVERYWHERE], "y"), keys.action(&[Context::EVERYWHERE], "z")),
            (None, Some(Action::Lints))
        );
    }

    #[test]
    fn a_key_for_everywhere_that_a_screen_has_for_itself_is_reported_and_the_other_way_round() {
        let mut keys = Keys::default();
        let problems = keys.rebind(vec![wish("pause", &["d", "x"])]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with("here: key.pause: \"d\" is the key of drawn in Graph, and does that there"),
            "{problems:?}"
        );
        assert_eq!(keys.action(&[GRAPH, Context::EVERYWHERE], "d"), Some(Action::Canvas));
        assert_eq!(keys.action(&[LOG, Context::EVERYWHERE], "d"), Some(Action::Pause), "in force elsewhere");

        let problems = Keys::default().rebind(vec![wish("sort", &["space"])]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0]
                .starts_with("here: key.sort: \"space\" is the key of pause, which is hidden by that in Coroutines")
        );

        let problems = Keys::default().rebind(vec![wish("sort", &["m"]), wish("pause", &["m"])]);
        assert_eq!(problems.len(), 1, "once: {problems:?}");
        let problems =
            Keys::default().rebind(vec![wish("drawn", &["g", "d"]), wish("older", &["n"]), wish("earlier", &["h"])]);
        assert_eq!(problems, [""; 0], "as in the table; what is typed; the same action");
        let problems = Keys::default().rebind(vec![wish("drawn", &["y"]), wish("lints", &["d"])]);
        assert_eq!(problems, [""; 0], "free by then");
    }
}

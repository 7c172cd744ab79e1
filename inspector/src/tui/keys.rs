//! The keys: one table, from which the matcher, the footer, the `?` page and the README come.

/// Where a key is valid. What is on top of the screen is asked first, then the screen, then [`Context::Everywhere`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// On all screens.
    Everywhere,
    /// The graph.
    Graph,
    /// The table of coroutines.
    Table,
    /// The timeline.
    Timeline,
    /// The log.
    Log,
    /// The post-mortem.
    Crash,
    /// Source text of a file or function.
    Source,
    /// The stack tree of the post-mortem.
    Stacks,
    /// A page over the screen: help, detail, why, a printed value.
    Page,
    /// A line being typed.
    Typing,
}

impl Context {
    /// Its heading on the help page.
    pub fn title(self) -> &'static str {
        match self {
            Context::Everywhere => "Everywhere",
            Context::Graph => "Graph",
            Context::Table => "Coroutines",
            Context::Timeline => "Timeline",
            Context::Log => "Log",
            Context::Crash => "Post-mortem",
            Context::Source => "Source",
            Context::Stacks => "Stack tree",
            Context::Page => "Pages",
            Context::Typing => "Typing",
        }
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
    Drawn,
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

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Where it is valid.
    pub context: Context,
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

const fn bind(
    context: Context,
    keys: &'static [&'static str],
    action: Action,
    name: &'static str,
    short: &'static str,
    help: &'static str,
) -> Binding {
    Binding { context, keys, action, name, short, help }
}

use Context::{Crash, Everywhere, Graph, Log, Page, Source, Stacks, Table, Timeline, Typing};

/// All keys.
#[rustfmt::skip]
pub const TABLE: &[Binding] = &[
    bind(Everywhere, &["up", "k"], Action::Up, "up", "", "one up"),
    bind(Everywhere, &["down", "j"], Action::Down, "down", "", "one down"),
    bind(Everywhere, &["left", "h"], Action::Left, "left", "", "fold, or to what is above"),
    bind(Everywhere, &["right", "l"], Action::Right, "right", "", "unfold, or into it"),
    bind(Everywhere, &["pgup", "ctrl-b"], Action::PageUp, "page-up", "", "one page up"),
    bind(Everywhere, &["pgdn", "ctrl-f"], Action::PageDown, "page-down", "", "one page down"),
    bind(Everywhere, &["ctrl-u"], Action::HalfUp, "half-page-up", "", "half a page up"),
    bind(Everywhere, &["ctrl-d"], Action::HalfDown, "half-page-down", "", "half a page down"),
    bind(Everywhere, &["home", "g"], Action::Top, "top", "", "to the beginning"),
    bind(Everywhere, &["end", "G"], Action::Bottom, "bottom", "", "to the end"),
    bind(Everywhere, &["enter"], Action::Open, "open", "detail", "all about the selected one"),
    bind(Everywhere, &["w"], Action::Why, "why", "why", "why it is still waiting: the chain down to what it hangs on"),
    bind(Everywhere, &["P"], Action::Values, "values", "", "all variables of the selected coroutine, in full"),
    bind(Everywhere, &["!"], Action::Lints, "lints", "", "the lints: what is probably wrong"),
    bind(Everywhere, &["/"], Action::Search, "search", "search", "search names"),
    bind(Everywhere, &["n"], Action::NextMatch, "next-match", "", "next one found"),
    bind(Everywhere, &["N"], Action::PreviousMatch, "previous-match", "", "the one found before"),
    bind(Everywhere, &["f"], Action::Filter, "filter", "filter", "show only some: state:waiting on:lock name:fetch age>2s file:crawl.rs"),
    bind(Everywhere, &["space"], Action::Pause, "pause", "pause", "hold this moment; again: go on"),
    bind(Everywhere, &[","], Action::StepBack, "step-back", "", "one event back in time"),
    bind(Everywhere, &["."], Action::StepOn, "step-on", "", "one event on in time"),
    bind(Everywhere, &["<"], Action::PreviousOf, "previous-event", "", "the previous event of the selected coroutine"),
    bind(Everywhere, &[">"], Action::NextOf, "next-event", "", "the next event of the selected coroutine"),
    bind(Everywhere, &["["], Action::PreviousMark, "previous-error", "", "the previous error, cancellation or loss"),
    bind(Everywhere, &["]"], Action::NextMark, "next-error", "", "the next error, cancellation or loss"),
    bind(Everywhere, &["0"], Action::Live, "live", "", "back to now (of a replay: to its end)"),
    bind(Everywhere, &["1"], Action::Screen(1), "graph", "", "graph: who waits on whom"),
    bind(Everywhere, &["2"], Action::Screen(2), "coroutines", "", "coroutines: a table"),
    bind(Everywhere, &["3"], Action::Screen(3), "threads", "", "threads: functions run by run_in_thread"),
    bind(Everywhere, &["4"], Action::Screen(4), "resources", "", "resources: events, locks, semaphores, barriers"),
    bind(Everywhere, &["5"], Action::Screen(5), "timeline", "", "timeline: who did what when"),
    bind(Everywhere, &["6"], Action::Screen(6), "log", "", "log: output of the program, log events"),
    bind(Everywhere, &["7"], Action::Screen(7), "crash", "", "post-mortem, once there was a crash"),
    bind(Everywhere, &["tab"], Action::NextScreen, "next-screen", "", "next screen"),
    bind(Everywhere, &["backtab"], Action::PreviousScreen, "previous-screen", "", "previous screen"),
    bind(Everywhere, &["esc"], Action::Back, "back", "", "one level back; never leaves"),
    bind(Everywhere, &["?", "f1"], Action::Help, "help", "help", "this page"),
    bind(Everywhere, &["q"], Action::Quit, "quit", "quit", "close what is on top, then leave"),
    bind(Everywhere, &["ctrl-c"], Action::Interrupt, "interrupt", "", "leave; a program that runs under this view is interrupted"),
    bind(Everywhere, &["ctrl-z"], Action::Suspend, "suspend", "", "to the background; fg comes back"),
    bind(Everywhere, &["ctrl-l"], Action::Redraw, "redraw", "", "draw everything anew"),

    bind(Graph, &["g", "d"], Action::Drawn, "drawn", "drawn", "the neighbourhood of the selected one, drawn; again: the tree"),

    bind(Table, &["s"], Action::Sort, "sort", "sort", "sort by the next column"),
    bind(Table, &["S", "r"], Action::SortBack, "sort-reverse", "", "turn the order around"),

    bind(Timeline, &["+", "="], Action::ZoomIn, "zoom-in", "closer", "half the time"),
    bind(Timeline, &["-"], Action::ZoomOut, "zoom-out", "wider", "twice the time"),
    bind(Timeline, &["left", "h"], Action::Left, "earlier", "earlier", "earlier"),
    bind(Timeline, &["right", "l"], Action::Right, "later", "later", "later"),

    bind(Log, &["home", "g"], Action::Top, "log-top", "", "to the oldest line"),
    bind(Log, &["end", "G"], Action::Bottom, "log-bottom", "follow", "to the latest line, and follow"),

    bind(Crash, &["j", "down"], Action::FrameDown, "frame-down", "frame", "one frame down"),
    bind(Crash, &["k", "up"], Action::FrameUp, "frame-up", "", "one frame up"),
    bind(Crash, &["J", "right"], Action::StackDown, "stack-down", "callstack", "one callstack down, depth first"),
    bind(Crash, &["K", "left"], Action::StackUp, "stack-up", "", "one callstack up"),
    bind(Crash, &["l"], Action::Right, "unfold", "", "alike callstacks one by one"),
    bind(Crash, &["h"], Action::Left, "fold", "", "alike callstacks as one again"),
    bind(Crash, &["t"], Action::Stacks, "stacks", "stack tree", "all frames of all callstacks"),
    bind(Crash, &["s"], Action::Function, "function", "source", "source of the function"),
    bind(Crash, &["S"], Action::File, "file", "", "source of the file"),
    bind(Crash, &["p"], Action::Print, "print", "print", "print a variable or a path into one, as entry.sum"),
    bind(Crash, &["P"], Action::PrintAll, "print-all", "", "the same, unfolded to the last"),
    bind(Crash, &["i", "enter"], Action::Coroutine, "coroutine", "coroutine", "all about this coroutine"),
    bind(Crash, &["e"], Action::Edit, "edit", "edit", "open the editor at the line ($TINYIO_EDITOR, $EDITOR)"),
    bind(Crash, &["v"], Action::Hidden, "hidden", "hidden", "show or pass over hidden frames"),

    bind(Source, &["esc", "q"], Action::Back, "source-back", "back", "back to the post-mortem"),
    bind(Source, &["left", "h"], Action::Left, "source-left", "", "to the beginning of long lines"),
    bind(Source, &["right", "l"], Action::Right, "source-right", "sideways", "further along long lines"),
    bind(Source, &["e"], Action::Edit, "source-edit", "edit", "open the editor at the line"),

    bind(Stacks, &["j", "down"], Action::FrameDown, "stacks-frame-down", "frame", "one frame down"),
    bind(Stacks, &["k", "up"], Action::FrameUp, "stacks-frame-up", "", "one frame up"),
    bind(Stacks, &["J"], Action::StackDown, "stacks-stack-down", "callstack", "one callstack down"),
    bind(Stacks, &["K"], Action::StackUp, "stacks-stack-up", "", "one callstack up"),
    bind(Stacks, &["o"], Action::CollapseOne, "collapse", "fold", "fold or unfold this callstack"),
    bind(Stacks, &["O"], Action::CollapseAll, "collapse-all", "fold all", "fold or unfold all callstacks"),
    bind(Stacks, &["v"], Action::Hidden, "stacks-hidden", "hidden", "show or pass over hidden frames"),
    bind(Stacks, &["c", "enter"], Action::GoThere, "go-there", "go there", "go to this frame"),
    bind(Stacks, &["esc", "q"], Action::Back, "stacks-back", "back", "back to the post-mortem"),

    bind(Page, &["esc", "q"], Action::Back, "page-back", "back", "back to the screen"),
    bind(Page, &["home", "g"], Action::Top, "page-top", "", "to the beginning of the page"),
    bind(Page, &["p"], Action::Print, "page-print", "", "in the post-mortem: print another variable"),

    bind(Typing, &["enter"], Action::Accept, "accept", "accept", "accept"),
    bind(Typing, &["esc", "ctrl-c"], Action::Back, "cancel", "cancel", "back, without"),
    bind(Typing, &["tab"], Action::Complete, "complete", "complete", "complete"),
    bind(Typing, &["backspace", "ctrl-h"], Action::Erase, "erase", "", "erase a character"),
    bind(Typing, &["ctrl-w"], Action::EraseWord, "erase-word", "", "erase a word"),
    bind(Typing, &["ctrl-u"], Action::EraseLine, "erase-line", "", "erase all"),
    bind(Typing, &["up", "ctrl-p"], Action::Older, "older", "older", "what was typed before"),
    bind(Typing, &["down", "ctrl-n"], Action::Newer, "newer", "", "what was typed after that"),
];

/// The keys in force: the table, with what the user bound otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    bindings: Vec<(Binding, Vec<String>)>,
}

/// A request to bind an action to these keys and no others.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Where it was said.
    pub place: String,
    /// The action, by its name in the table.
    pub name: String,
    /// The keys.
    pub keys: Vec<String>,
}

impl Default for Keys {
    fn default() -> Self {
        let own = |binding: &Binding| binding.keys.iter().map(|key| (*key).to_owned()).collect();
        Keys { bindings: TABLE.iter().map(|binding| (*binding, own(binding))).collect() }
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
            let Some(index) = self.bindings.iter().position(|(binding, _)| binding.name == wish.name) else {
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
            let mut bindings = self.bindings.clone();
            for (index, wish) in &wanted {
                bindings[*index].1.clone_from(&wish.keys);
            }
            let clash = wanted.iter().enumerate().rev().find_map(|(at, (index, wish))| {
                let context = bindings[*index].0.context;
                let others = bindings
                    .iter()
                    .enumerate()
                    .filter(|(other, (binding, _))| other != index && binding.context == context);
                let mut taken =
                    others.flat_map(|(other, (binding, keys))| keys.iter().map(move |key| (other, binding.name, key)));
                let (other, name, key) = taken.find(|(_, _, key)| wish.keys.contains(key))?;
                Some((at, other, name, key.clone()))
            });
            let Some((at, other, name, key)) = clash else {
                self.bindings = bindings;
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

    /// Where a screen's key goes before one that is to be valid everywhere, but for those of which the table says so
    /// itself. Both are in force, the latter on the other screens.
    fn hidden(&self, wanted: &[(usize, Wish)]) -> Vec<String> {
        let everywhere = |index: usize| self.bindings[index].0.context == Context::Everywhere;
        let wished = |index: usize| wanted.iter().any(|(other, _)| *other == index);
        let mut problems = Vec::new();
        for (index, wish) in wanted {
            let (own, keys) = &self.bindings[*index];
            for (other, (binding, others)) in self.bindings.iter().enumerate() {
                // Of two conflicting requests, one message is enough.
                let apart = everywhere(*index) != everywhere(other) && (everywhere(*index) || !wished(other));
                let typed = [own.context, binding.context].contains(&Context::Typing);
                if !apart || typed || own.action == binding.action {
                    continue;
                }
                let as_ever = |key: &&str| own.keys.contains(key) && binding.keys.contains(key);
                let Some(key) = keys.iter().find(|key| others.contains(key) && !as_ever(&key.as_str())) else {
                    continue;
                };
                let (place, name, other) = (&wish.place, own.name, binding.name);
                problems.push(if everywhere(*index) {
                    let screen = binding.context.title();
                    format!("{place}: key.{name}: {key:?} is the key of {other} in {screen}, and does that there: expected one that is free there, or other keys for {other} as well")
                } else {
                    let screen = own.context.title();
                    format!("{place}: key.{name}: {key:?} is the key of {other}, which is hidden by that in {screen}: expected one that is free, or other keys for {other} as well")
                });
            }
        }
        problems
    }

    /// What a key does, given what is on the screen, the topmost first.
    pub fn action(&self, contexts: &[Context], key: &str) -> Option<Action> {
        contexts.iter().find_map(|context| {
            let here = self.bindings.iter().filter(|(binding, _)| binding.context == *context);
            here.into_iter().find(|(_, keys)| keys.iter().any(|one| one == key)).map(|(binding, _)| binding.action)
        })
    }

    /// For the footer: what is worth a hint here, as key and word.
    pub fn hints<'a>(&'a self, contexts: &'a [Context]) -> impl Iterator<Item = (&'a str, &'static str)> + 'a {
        contexts.iter().flat_map(move |context| {
            let here = self.bindings.iter().filter(|(binding, _)| binding.context == *context);
            let shown = here.filter(move |(binding, keys)| {
                let reached = keys.first().and_then(|key| self.action(contexts, key)) == Some(binding.action);
                !binding.short.is_empty() && reached
            });
            shown.filter_map(|(binding, keys)| Some((keys.first()?.as_str(), binding.short)))
        })
    }

    /// For the help page: the keys and help of one context.
    pub fn of(&self, context: Context) -> impl Iterator<Item = (String, &'static str)> + '_ {
        let here = self.bindings.iter().filter(move |(binding, _)| binding.context == context);
        here.map(|(binding, keys)| (keys.join(" "), binding.help))
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

    #[test]
    fn no_key_does_two_things_in_one_place() {
        let mut seen = HashSet::new();
        for binding in TABLE {
            for key in binding.keys {
                assert!(is_key(key), "{key}");
                assert!(seen.insert((binding.context, *key)), "{key} twice in {:?}", binding.context);
            }
        }
    }

    #[test]
    fn every_action_has_a_name_of_its_own_and_a_sentence() {
        let mut seen = HashSet::new();
        for binding in TABLE {
            assert!(seen.insert(binding.name), "{} twice", binding.name);
            assert!(!binding.help.is_empty() && !binding.keys.is_empty());
        }
    }

    #[test]
    fn the_matcher_finds_every_line_of_the_table() {
        let keys = Keys::default();
        for binding in TABLE {
            for key in binding.keys {
                assert_eq!(keys.action(&[binding.context, Everywhere], key), Some(binding.action));
            }
        }
    }

    #[test]
    fn the_footer_hints_at_nothing_that_another_place_took() {
        let keys = Keys::default();
        for contexts in [&[Graph, Everywhere][..], &[Crash, Everywhere], &[Table, Everywhere], &[Stacks, Crash]] {
            for (key, word) in keys.hints(contexts) {
                let action = keys.action(contexts, key).unwrap();
                assert!(TABLE.iter().any(|binding| binding.action == action && binding.short == word));
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
        assert_eq!(keys.action(&[Everywhere], "x"), Some(Action::Pause));
        assert_eq!(keys.action(&[Everywhere], "space"), None);
        assert!(keys.rebind(vec![wish("live", &["x"])])[0].contains("the key of pause"));
        assert_eq!(keys.action(&[Everywhere], "0"), Some(Action::Live), "as it was");
        assert_eq!(keys.rebind(vec![wish("next-match", &["N"]), wish("previous-match", &["n"])]), [""; 0]);
        assert_eq!(keys.action(&[Everywhere], "n"), Some(Action::PreviousMatch));
        assert_eq!(keys.rebind(vec![wish("lints", &["y"]), wish("lints", &["z"])]), [""; 0]);
        assert_eq!((keys.action(&[Everywhere], "y"), keys.action(&[Everywhere], "z")), (None, Some(Action::Lints)));
    }

    #[test]
    fn a_key_for_everywhere_that_a_screen_has_for_itself_is_told_and_the_other_way_round() {
        let mut keys = Keys::default();
        let told = keys.rebind(vec![wish("pause", &["d", "x"])]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("here: key.pause: \"d\" is the key of drawn in Graph, and does that there"),
            "{told:?}"
        );
        assert_eq!(keys.action(&[Graph, Everywhere], "d"), Some(Action::Drawn));
        assert_eq!(keys.action(&[Log, Everywhere], "d"), Some(Action::Pause), "in force elsewhere");

        let told = Keys::default().rebind(vec![wish("sort", &["space"])]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("here: key.sort: \"space\" is the key of pause, which is hidden by that in Coroutines")
        );

        let told = Keys::default().rebind(vec![wish("sort", &["m"]), wish("pause", &["m"])]);
        assert_eq!(told.len(), 1, "once: {told:?}");
        let told =
            Keys::default().rebind(vec![wish("drawn", &["g", "d"]), wish("older", &["n"]), wish("earlier", &["h"])]);
        assert_eq!(told, [""; 0], "as in the table; what is typed; the same action");
        let told = Keys::default().rebind(vec![wish("drawn", &["y"]), wish("lints", &["d"])]);
        assert_eq!(told, [""; 0], "free by then");
    }
}

//! The keys: those that are valid everywhere and those that the panes declare as one table, from which the matcher, the
//! footer, the `?` page and docs/KEYS.md come.

use super::keys::{Action, Binding, Context, Keymap, Keys, bind};
use super::panes::{PAGES, SCREENS};
use super::prompt;

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
    bind(&["D"], Action::Times, "times", "", "distributions of step times and scheduling delays, of all coroutines and of the selected one"),
    bind(&["/"], Action::Search, "search", "search", "search names and numbers; the best match first"),
    bind(&["n"], Action::NextMatch, "next-match", "", "next one found"),
    bind(&["N"], Action::PreviousMatch, "previous-match", "", "the one found before"),
    bind(&["f"], Action::Filter, "filter", "filter", "show only some: state:waiting on:lock name:fetch for>2s file:crawl.rs"),
    bind(&["y"], Action::Copy, "copy", "", "copy what is selected: the row, the value, the stack, the line; on a page all of it"),
    bind(&["Y"], Action::CopyName, "copy-name", "", "copy its name alone: of a frame its place, of a printed value its path"),
    bind(&["space"], Action::Pause, "pause", "pause", "pause: show this moment; again: go on"),
    bind(&[","], Action::StepBack, "step-back", "", "one event back in time"),
    bind(&["."], Action::StepOn, "step-on", "", "one event on in time"),
    bind(&["<"], Action::PreviousOf, "previous-event", "", "the previous event of the selected coroutine"),
    bind(&[">"], Action::NextOf, "next-event", "", "the next event of the selected coroutine"),
    bind(&["["], Action::PreviousMark, "previous-error", "", "the previous error, warning, cancellation or loss"),
    bind(&["]"], Action::NextMark, "next-error", "", "the next error, warning, cancellation or loss"),
    bind(&["r"], Action::NextPicture, "next-picture", "picture", "of a program that is not recorded: the next picture"),
    bind(&["R"], Action::EachSecond, "each-second", "", "of a program that is not recorded: a picture each second; again: no more"),
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
    bind(&["m"], Action::Mouse, "mouse", "", "leave the mouse to the terminal, which selects text with it; again: take it back"),
    bind(&["ctrl-l"], Action::Redraw, "redraw", "", "draw everything anew"),
];

/// Keys of pages that have none of their own.
#[rustfmt::skip]
const ANY_PAGE: &[Binding] = &[
    bind(&["esc", "q"], Action::Back, "page-back", "back", "back to the screen"),
    bind(&["j", "down"], Action::Down, "page-line-down", "scroll", "one line down"),
    bind(&["pgdn", "ctrl-f"], Action::PageDown, "page-screen-down", "page", "what is below, as much as there is room for"),
    bind(&["home", "g"], Action::Top, "page-top", "", "to the beginning of the page"),
    bind(&["p"], Action::Print, "page-print", "", "on printed values: print another variable"),
];

impl Default for Keys {
    fn default() -> Self {
        Keys::of_tables(keymaps())
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Wish, is_key};
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
        assert_eq!(keys.rebind(vec![wish("lints", &["c"]), wish("lints", &["z"])]), [""; 0]);
        assert_eq!(
            (keys.action(&[Context::EVERYWHERE], "c"), keys.action(&[Context::EVERYWHERE], "z")),
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

        let problems = Keys::default().rebind(vec![wish("sort", &["x"]), wish("pause", &["x"])]);
        assert_eq!(problems.len(), 1, "once: {problems:?}");
        let problems =
            Keys::default().rebind(vec![wish("drawn", &["g", "d"]), wish("older", &["n"]), wish("earlier", &["h"])]);
        assert_eq!(problems, [""; 0], "as in the table; what is typed; the same action");
        let problems = Keys::default().rebind(vec![wish("drawn", &["x"]), wish("lints", &["d"])]);
        assert_eq!(problems, [""; 0], "free by then");
    }
}

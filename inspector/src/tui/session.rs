//! What all panes share: the recording, the selected coroutine, the look, and what was found or read for any of them.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::crash_view::CrashView;
use super::fuzzy::Fuzzy;
use super::keys::Keys;
use super::options::Options;
use super::output::Output;
use super::playback::Playback;
use super::syntax::Sources;
use super::text::span;
use super::theme::Theme;
use crate::event::{CoroId, Event, Header, Kind, Stack};
use crate::lint::Lint;
use crate::model::{Coro, Model};

/// The state that belongs to no single pane.
pub struct Session {
    /// The recording, and the moment that is shown.
    pub playback: Playback,
    /// Colours and signs.
    pub theme: Theme,
    /// The keys in force.
    pub keys: Keys,
    /// The mouse is used here; else the terminal selects text with it.
    pub mouse: bool,
    /// The selected coroutine, on all screens.
    pub selected: Option<CoroId>,
    /// The coroutines that the screen shows, each in a row of its own.
    pub(super) drawn: Vec<CoroId>,
    /// The await stacks that are on the screen.
    pub(super) looked_at: Stacks,
    /// A coroutine that was selected elsewhere and that the graph has not unfolded to yet.
    pub(super) reveal: Option<CoroId>,
    /// One sentence for the footer, until the next key.
    pub notice: Option<String>,
    /// What was searched for.
    pub search: Search,
    /// The lints of the moment that is shown, updated at intervals.
    pub lints: Vec<Lint>,
    /// Lints of this run that hold no longer, the latest last.
    pub passed: Vec<Passed>,
    /// The lints when they were last checked at the latest moment.
    latest_lints: Vec<Lint>,
    /// Source files read so far.
    pub sources: Sources,
    /// The crash to look at, once there was one, and the selected frame.
    pub crash: Option<CrashView>,
    /// What the program wrote, where its terminal is that of the screens.
    pub output: Output,
    /// A stack that was read in the memory of the program.
    pub(super) remote: Option<RemoteStack>,
    /// What is asked for of a program that is not recorded.
    pub pictures: Pictures,
    /// A process is shown, not a file: it may go on when the screens are left.
    pub is_process: bool,
    /// Something changed since it was last drawn.
    pub dirty: bool,
}

/// The await stacks that a pane shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stacks {
    /// The coroutine of which it shows the values, which may change while it waits.
    pub values: Option<CoroId>,
    /// Coroutines of which it shows the places alone.
    pub places: Vec<CoroId>,
}

/// Which pictures of a program that is not recorded are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pictures {
    /// The next one, now.
    pub next: bool,
    /// One a second.
    pub repeats: bool,
    /// When the last one was asked for.
    asked: Option<Instant>,
}

impl Pictures {
    /// While pictures repeat, one follows another after this time.
    const EVERY: Duration = Duration::from_secs(1);

    /// Whether to ask for one now; then it has been asked for.
    pub fn is_due(&mut self) -> bool {
        let is_late = self.repeats && self.asked.is_none_or(|asked| asked.elapsed() >= Pictures::EVERY);
        let is_due = std::mem::take(&mut self.next) || is_late;
        if is_due {
            self.asked = Some(Instant::now());
        }
        is_due
    }
}

/// An await stack that was read in the program's memory while its loop was stuck.
pub struct RemoteStack {
    /// The coroutine.
    pub(super) coro: CoroId,
    /// When it was read, in the stream's time.
    pub(super) at: u64,
    /// After how many events: it is valid until the next one.
    pub(super) events: u64,
    /// The stack, or why it cannot be read.
    pub stack: Result<Stack, String>,
}

/// While a picture is being taken that the user asked for.
const TAKING: &str = "the next picture is being taken";

/// At most this many lints that have passed are kept.
const PASSED: usize = 100;

/// A lint that holds no longer.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The lint, as it was last found.
    pub lint: Lint,
    /// When it was found to hold no longer.
    pub at: u64,
}

/// A text that was searched for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The text.
    pub text: String,
    /// Which one of how many was found last.
    pub found: Option<(usize, usize)>,
}

impl Search {
    /// Goes on to the next match, the best of all if the text is new. They are in order, and the selected one is among
    /// them unless the user has moved.
    pub fn next<K: Copy + PartialEq>(&mut self, matches: &[K], selected: Option<K>, forward: bool) -> Option<K> {
        let count = matches.len();
        let last = count.checked_sub(1);
        self.found = last.map(|last| {
            let here = matches.iter().position(|one| Some(*one) == selected);
            let at = match (self.found, forward) {
                (None, true) => 0,
                (None, false) => last,
                (Some((before, _)), true) => (here.unwrap_or((before - 1).min(last)) + 1) % count,
                (Some((before, _)), false) => (here.unwrap_or((before - 1).min(last)) + last) % count,
            };
            (at + 1, count)
        });
        self.found.map(|(at, _)| matches[at - 1])
    }

    /// Searches names for the text, and goes on to the next one that matches: the best first, then those before it in
    /// `all`.
    pub fn find<K: Copy + PartialEq>(
        &mut self,
        all: impl IntoIterator<Item = (K, String)>,
        selected: Option<K>,
        forward: bool,
    ) -> Option<K> {
        let mut fuzzy = Fuzzy::new(&self.text);
        let number = fuzzy.number().map(str::to_owned);
        let mut matches: Vec<_> = all
            .into_iter()
            .filter_map(|(key, name)| {
                let score = fuzzy.score(&name)?;
                let words = name.split(|one: char| !one.is_ascii_alphanumeric());
                let is_it = number.as_ref().is_some_and(|number| words.into_iter().any(|word| word == number));
                Some((key, Reverse((is_it, score))))
            })
            .collect();
        matches.sort_by_key(|(_, rank)| *rank);
        let matches: Vec<K> = matches.into_iter().map(|(key, _)| key).collect();
        self.next(&matches, selected, forward)
    }

    /// What to mark in what is drawn: what was searched for and found.
    pub fn marks(&self) -> Option<Fuzzy> {
        self.found.map(|_| Fuzzy::new(&self.text))
    }
}

impl Session {
    /// For a program that has recorded nothing yet.
    pub fn new(header: &Header, options: Options) -> Session {
        Session {
            playback: Playback::new(header, options.tape, options.file),
            theme: options.theme,
            keys: options.keys,
            mouse: options.mouse,
            selected: None,
            drawn: Vec::new(),
            looked_at: Stacks::default(),
            reveal: None,
            notice: options.notice,
            search: Search::default(),
            lints: Vec::new(),
            passed: Vec::new(),
            latest_lints: Vec::new(),
            sources: Sources::default(),
            crash: None,
            output: Output::default(),
            remote: None,
            pictures: Pictures::default(),
            is_process: options.is_process,
            dirty: true,
        }
    }

    /// The model of the moment that is shown.
    pub fn model(&self) -> &Model {
        self.playback.model()
    }

    /// The time of that moment.
    pub fn now(&self) -> u64 {
        self.playback.now()
    }

    /// How long before the moment that is shown something happened: before now, or before the end of a program that has
    /// ended. `None` in pictures, which have no past.
    pub fn ago(&self, at: u64) -> Option<String> {
        let long = span(self.model().known(self.now().saturating_sub(at))?);
        Some(match self.playback.is_live() {
            false => format!("{long} before this moment"),
            true if self.playback.is_running() && !self.playback.finished => format!("{long} ago"),
            true => format!("{long} before the end"),
        })
    }

    /// Selects a coroutine, on all screens.
    pub fn select(&mut self, id: CoroId) {
        self.selected = Some(id);
        self.reveal = Some(id);
    }

    /// The selected coroutine, if anything is known about it.
    pub fn selected_coro(&self) -> Option<&Coro> {
        self.selected.and_then(|id| self.model().coro(id))
    }

    /// Shows one sentence in the footer, until the next key.
    pub fn note(&mut self, sentence: impl Into<String>) {
        self.notice = Some(sentence.into());
    }

    /// Asks for the next picture of a program that is not recorded.
    pub fn next_picture(&mut self) {
        self.pictures.next = true;
        self.playback.go_live();
        self.note(TAKING);
    }

    /// Asks for a picture each second, or no longer.
    pub fn repeat_pictures(&mut self) {
        self.pictures.repeats ^= true;
        self.playback.go_live();
        self.note(if self.pictures.repeats { "a picture is taken each second" } else { "no more pictures are taken" });
    }

    /// There are no more pictures.
    pub fn refuse_picture(&mut self, why: String) {
        self.pictures.repeats = false;
        self.dirty = true;
        self.note(why);
    }

    /// Tells the user what arrived that was asked for, and messages about pictures.
    pub fn arrived(&mut self, event: &Event) {
        let latest = self.playback.tape.latest();
        match &event.kind {
            Kind::Picture { .. } if self.notice.as_deref() == Some(TAKING) => self.notice = None,
            Kind::Diag { text, .. } if latest.picture().is_some() && latest.is_sure() => {
                self.notice = Some(text.clone());
            }
            _ => {}
        }
    }

    /// Runs the lints.
    pub fn lint(&mut self) {
        let lints = crate::lint::check(self.model(), self.now());
        if self.playback.is_live() {
            self.note_passed(&lints);
        }
        if lints != self.lints {
            self.lints = lints;
            self.dirty = true;
        }
    }

    /// Keeps the lints that no longer hold at the latest moment. One that holds again is no longer among them.
    fn note_passed(&mut self, lints: &[Lint]) {
        let at = self.now();
        let same = |left: &Lint, right: &Lint| left.check == right.check && left.coro == right.coro;
        self.passed.retain(|passed| !lints.iter().any(|lint| same(lint, &passed.lint)));
        let before = std::mem::replace(&mut self.latest_lints, lints.to_vec());
        let gone = before.into_iter().filter(|lint| !lints.iter().any(|other| same(lint, other)));
        self.passed.extend(gone.map(|lint| Passed { lint, at }));
        let old = self.passed.len().saturating_sub(PASSED);
        self.passed.drain(..old);
    }
}

//! What all panes share: the recording, the selected coroutine, the look, and what was found or read for any of them.

use super::keys::Keys;
use super::options::Options;
use super::output::Output;
use super::playback::Playback;
use super::post_mortem::CrashView;
use super::syntax::Sources;
use super::theme::Theme;
use crate::event::{CoroId, Header, Stack};
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
    /// Something changed since it was last drawn.
    pub dirty: bool,
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

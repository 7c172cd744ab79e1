//! The state of the screens, and the effect of each action on it.
//!
//! `App` draws nothing and does not use the terminal: events, keys and the time are passed in, and an action that needs
//! the terminal or another process is returned as an [`Effect`].

mod crash_keys;
mod navigation;
mod outside;
mod prompt;
mod state;
mod time_keys;

use std::collections::HashMap;
use std::sync::Arc;

use ratatui::layout::Rect;

use super::Options;
use super::keys::{Action, Context, Keys};
use super::post_mortem::PostMortem;
use super::syntax::Sources;
use super::theme::Theme;
use super::tree_view::{Node, TreeView};
use crate::event::{CoroId, Event, Header, LoopOutcome, ResId, ThreadId};
use crate::model::{Coro, Crash, Model};
use crate::output::Line;
use crate::report::{self, Ending};
use crate::time::Tape;

pub use prompt::{Purpose, Typing};
pub use state::{CrashState, Effect, GraphState, Hit, Page, PageKind, Screen, Status};
use state::{Outside, Past};

/// At most this many crashes of isolated loops are kept, the latest ones.
const ISOLATED: usize = 8;

/// A step of this length counts as blocking the loop.
const BLOCKED: u64 = 100_000_000;

/// The state of everything that the screens show.
pub struct App {
    /// All events.
    pub tape: Tape,
    /// The moment being looked at, unless it is now.
    past: Option<Past>,
    /// The status of the stream.
    pub status: Status,
    /// Now, in the stream's time, by the wall clock; 0 if there is none.
    pub clock: u64,
    /// Events per second, measured recently.
    pub rate: f64,
    /// The program runs beneath this view, in its own terminal.
    pub in_process: bool,
    /// What was recorded before the screens began is being read: whether the program lives is not known yet.
    pub reading: bool,
    /// Colours and signs.
    pub theme: Theme,
    /// The keys in force.
    pub keys: Keys,
    /// The screen shown.
    pub screen: Screen,
    /// The pages over the screen, the topmost last.
    pub pages: Vec<Page>,
    /// A line being typed.
    pub typing: Option<Typing>,
    /// Lines typed before, by purpose.
    pub typed: HashMap<Purpose, Vec<String>>,
    /// One sentence for the footer, until the next key.
    pub notice: Option<String>,
    /// The selected coroutine, on all screens.
    pub selected: Option<CoroId>,
    /// The graph's state.
    pub graph: GraphState,
    /// The coroutine table's state.
    pub coros: super::panes::coroutines::State,
    /// The selected thread and the scroll position.
    pub threads: super::panes::List<ThreadId>,
    /// The selected resource and the scroll position.
    pub resources: super::panes::List<ResId>,
    /// The timeline's state.
    pub timeline: super::panes::timeline::State,
    /// The log's state.
    pub log: super::panes::log::State,
    /// The post-mortem, once there was a crash.
    pub crash: Option<CrashState>,
    /// Source files read so far.
    pub sources: Sources,
    /// What was searched for.
    pub search: String,
    /// The counter of a search: which one of how many.
    pub found: Option<(usize, usize)>,
    /// The lints, updated at intervals.
    pub lints: Vec<crate::lint::Lint>,
    /// Where clickable things were drawn, for the mouse.
    pub hits: Vec<(Rect, Hit)>,
    /// Height of the list on the screen, when it was last drawn.
    pub rows: u16,
    /// Something changed since it was last drawn.
    pub dirty: bool,
    /// The file it comes from, if it is one.
    pub file: Option<String>,
    /// The program waits for the user to leave.
    pub finished: bool,
    /// What was read from outside of the program while its loop was stuck.
    outside: Option<Outside>,
    /// Since when the values that are shown in full have been requested.
    values_since: u64,
    crashes_seen: usize,
}

impl App {
    /// Creates the state for a program that has recorded nothing yet.
    pub fn new(header: &Header, options: Options) -> App {
        App {
            tape: Tape::new(header, options.tape),
            past: None,
            status: Status::Live,
            clock: 0,
            rate: 0.0,
            in_process: false,
            reading: false,
            theme: options.theme,
            keys: options.keys,
            screen: Screen::Graph,
            pages: Vec::new(),
            typing: None,
            typed: HashMap::new(),
            notice: options.notice,
            selected: None,
            graph: GraphState::default(),
            coros: Default::default(),
            threads: Default::default(),
            resources: Default::default(),
            timeline: Default::default(),
            log: Default::default(),
            crash: None,
            sources: Sources::default(),
            search: String::new(),
            found: None,
            lints: Vec::new(),
            hits: Vec::new(),
            rows: 10,
            dirty: true,
            file: options.file,
            finished: false,
            outside: None,
            values_since: 0,
            crashes_seen: 0,
        }
    }

    /// Applies an event.
    pub fn push(&mut self, event: &Event) {
        self.tape.push(event);
        self.dirty = true;
    }

    /// Takes in what the program wrote. `now` is the time of the stream, whatever time is being shown.
    pub fn take_output(&mut self, now: u64, lines: Vec<Line>) {
        for line in lines {
            let at = now.saturating_sub(line.printed.elapsed().as_nanos() as u64);
            self.log.push_output(at, line.text);
        }
        self.dirty = true;
    }

    /// Whether all outermost loops of the program have ended. Where one begins after that, the stream goes on.
    pub fn finished(&mut self, finished: bool) {
        if !finished && self.finished {
            self.status = Status::Live;
        }
        self.finished = finished;
        self.dirty = true;
    }

    /// Text was pasted: it belongs to the line that is being typed, and is never taken for keys.
    pub fn paste(&mut self, text: &str) {
        self.dirty = true;
        if self.typing.is_some() {
            self.type_text(text);
        } else {
            self.notice =
                Some("what was pasted is left out: it can go into a line that is being typed (/ or f)".to_owned());
        }
    }

    /// What is printed once the screens are left.
    pub fn farewell(&self, color: bool, width: usize) -> String {
        let latest = self.tape.latest();
        let ending = match self.status {
            Status::Live if latest.is_complete() => Ending::Ended,
            Status::Live | Status::Broken(_) => Ending::Living,
            Status::Ended => Ending::Ended,
            Status::Died => Ending::Died,
        };
        let over = latest.loops().any(|one| one.ended.is_some() && one.parent == 0);
        if latest.crash().is_none() && ending == Ending::Living && !over {
            return String::new();
        }
        report::text(latest, &report::Options { color, width, file: self.file.clone(), ending })
    }

    /// The coroutine that keeps a loop from going on, and for how long it has.
    pub fn blocked(&self) -> Option<(CoroId, u64)> {
        if !self.is_live() || self.status != Status::Live {
            return None;
        }
        let (model, now) = (self.model(), self.now());
        let running = model.loops().filter(|one| one.ended.is_none()).filter_map(|one| one.running);
        // A coroutine with a loop inside it is as busy as that loop.
        let inner = running.filter(|(coro, _)| model.loops_in(*coro).next().is_none());
        let longest = inner.map(|(coro, since)| (coro, now.saturating_sub(since))).max_by_key(|(_, long)| *long);
        longest.filter(|(_, long)| *long >= BLOCKED)
    }

    /// Updates the status of the stream after some events: a crash of the program opens the post-mortem.
    pub fn settle(&mut self, status: Status) {
        if self.status != status {
            self.status = status;
            self.dirty = true;
        }
        let latest = self.tape.latest();
        if self.crashes_seen != latest.crashes().len() {
            self.crashes_seen = latest.crashes().len();
            let ended = |crash: &&Arc<Crash>| latest.get_loop(crash.in_loop).is_none_or(|one| one.parent == 0);
            let isolated: Vec<_> =
                latest.crashes().iter().rev().filter(|crash| !ended(crash)).take(ISOLATED).cloned().collect();
            match (latest.crash().filter(ended), &isolated[..]) {
                (Some(crash), isolated) => {
                    self.crash = Some(CrashState::of(PostMortem::new(latest, crash, isolated)));
                    if self.past.is_none() {
                        self.go_to_screen(Screen::Crash);
                    }
                }
                // The program continues: keep showing the crash the user has open; refresh it on the next visit.
                (None, [_, ..]) if self.screen == Screen::Crash => self.crashes_seen = usize::MAX,
                (None, [latest_one, rest @ ..]) => {
                    self.crash = Some(CrashState::of(PostMortem::new(latest, latest_one, rest)));
                }
                (None, []) => {}
            }
        }
    }

    /// Returns the model of the moment that is shown.
    pub fn model(&self) -> &Model {
        self.past.as_ref().map_or(self.tape.latest(), |past| &past.model)
    }

    /// The time of that moment; of a living program, the time on the wall.
    pub fn now(&self) -> u64 {
        match (&self.past, &self.status) {
            // The program only waits for the user to leave: time has stopped.
            (None, Status::Live) if self.finished => self.tape.latest().now(),
            (None, Status::Live) => self.clock.max(self.tape.latest().now()),
            (Some(past), _) => past.time.unwrap_or(0).max(past.model.now()),
            (None, _) => self.model().now(),
        }
    }

    /// Runs the lints.
    pub fn lint(&mut self) {
        let lints = crate::lint::check(self.model(), self.now());
        if lints != self.lints {
            self.lints = lints;
            self.dirty = true;
        }
    }

    /// Whether the moment being looked at is now.
    pub fn is_live(&self) -> bool {
        self.past.is_none()
    }

    /// The position on the tape of the moment being looked at.
    pub fn position(&self) -> u64 {
        self.past.as_ref().map_or(self.tape.len(), |past| past.position)
    }

    /// Goes to a position of the tape.
    pub fn go_to(&mut self, position: u64) {
        let position = position.clamp(self.tape.first(), self.tape.len());
        match &mut self.past {
            // One event forward is the common step, and needs no copy.
            Some(past) if past.position <= position && position - past.position <= 1024 => {
                for (_, event) in self.tape.events(past.position).take((position - past.position) as usize) {
                    past.model.apply(&event);
                }
                past.position = position;
                past.time = None;
            }
            _ => self.past = Some(Past { position, time: None, model: self.tape.model_at(position) }),
        }
        self.dirty = true;
    }

    /// Goes to a time.
    pub fn go_to_time(&mut self, time: u64) {
        self.go_to(self.tape.position_of(time));
        if let Some(past) = &mut self.past {
            past.time = Some(time);
        }
    }

    /// Back to now.
    pub fn go_live(&mut self) {
        self.past = None;
        self.dirty = true;
    }

    /// The selected coroutine, if anything is known about it.
    pub fn selected_coro(&self) -> Option<&Coro> {
        self.selected.and_then(|id| self.model().coro(id))
    }

    /// The places that keys are looked up in, topmost first.
    pub fn contexts(&self) -> Vec<Context> {
        if self.typing.is_some() {
            return vec![Context::Typing];
        }
        let mut contexts = Vec::new();
        if let Some(page) = self.pages.last() {
            contexts.push(match page.what {
                PageKind::Stacks => Context::Stacks,
                PageKind::Source { .. } => Context::Source,
                _ => Context::Page,
            });
            if contexts[0] == Context::Source {
                contexts.push(Context::Page);
            }
        } else {
            contexts.extend(match self.screen {
                Screen::Graph => Some(Context::Graph),
                Screen::Coroutines => Some(Context::Table),
                Screen::Threads | Screen::Resources => None,
                Screen::Timeline => Some(Context::Timeline),
                Screen::Log => Some(Context::Log),
                Screen::Crash => Some(Context::Crash),
            });
        }
        contexts.push(Context::Everywhere);
        contexts
    }

    /// A key was pressed.
    pub fn key(&mut self, key: &str) -> Effect {
        self.dirty = true;
        self.notice = None;
        match self.keys.action(&self.contexts(), key) {
            Some(action) => self.update(action),
            None => {
                if self.typing.is_some() {
                    self.type_key(key);
                }
                Effect::None
            }
        }
    }

    /// Performs an action.
    pub fn update(&mut self, action: Action) -> Effect {
        self.dirty = true;
        if self.typing.is_some() {
            return self.update_typing(action);
        }
        match action {
            Action::Quit if self.pages.pop().is_some() => return Effect::None,
            Action::Quit => return Effect::Quit,
            Action::Interrupt => return Effect::Interrupt,
            Action::Suspend => return Effect::Suspend,
            Action::Redraw => return Effect::Redraw,
            Action::Back => {
                if self.pages.pop().is_none() && !self.is_live() && self.status == Status::Live {
                    self.go_live();
                }
            }
            Action::Help => self.toggle(PageKind::Help),
            Action::Screen(number) => match Screen::ALL.get(usize::from(number).wrapping_sub(1)) {
                Some(Screen::Crash) if self.crash.is_none() => self.notice = Some("nothing has crashed".to_owned()),
                Some(screen) => self.go_to_screen(*screen),
                None => {}
            },
            Action::NextScreen => self.turn_screen(1),
            Action::PreviousScreen => self.turn_screen(Screen::ALL.len() - 1),
            Action::Why => match self.selected {
                Some(id) => self.toggle(PageKind::Why(id)),
                None => self.notice = Some(self.none_selected().to_owned()),
            },
            Action::Values => match self.selected {
                Some(id) => self.show_values(id),
                None => self.notice = Some(self.none_selected().to_owned()),
            },
            Action::Lints => self.toggle(PageKind::Lints),
            Action::Print if matches!(self.pages.last().map(|page| &page.what), Some(PageKind::Printed(_))) => {
                self.start_typing(Purpose::Print, "");
            }
            Action::Search => self.start_typing(Purpose::Search, ""),
            Action::NextMatch => self.find(true),
            Action::PreviousMatch => self.find(false),
            Action::Filter => {
                if matches!(self.screen, Screen::Log) {
                    let text = self.log.filter.clone();
                    self.start_typing(Purpose::LogFilter, &text);
                } else {
                    self.go_to_screen(Screen::Coroutines);
                    let text = self.coros.filter.text.clone();
                    self.start_typing(Purpose::Filter, &text);
                }
            }
            Action::Drawn => self.graph.drawn = !self.graph.drawn,
            Action::Sort => self.coros.next_sort(),
            Action::SortBack => self.coros.reverse ^= true,
            Action::Pause
            | Action::StepBack
            | Action::StepOn
            | Action::PreviousOf
            | Action::NextOf
            | Action::PreviousMark
            | Action::NextMark
            | Action::Live => self.update_time(action),
            _ if !self.pages.is_empty() => return self.update_page(action),
            _ if self.screen == Screen::Crash => return self.update_crash(action),
            Action::Open => match self.selected {
                Some(id) => self.toggle(PageKind::Detail(id)),
                None => self.move_in_screen(Action::Right),
            },
            action => self.move_in_screen(action),
        }
        Effect::None
    }

    /// Shows a page, or closes it if it is on top.
    pub fn toggle(&mut self, what: PageKind) {
        if self.pages.last().is_some_and(|page| page.what == what) {
            self.pages.pop();
        } else {
            self.pages.push(Page::new(what));
        }
    }

    /// Shows a screen, with the selected coroutine in it.
    pub fn go_to_screen(&mut self, screen: Screen) {
        self.pages.clear();
        self.screen = screen;
        if screen == Screen::Graph
            && let Some(id) = self.selected
            && self.graph.cursor.and_then(Node::coro) != Some(id)
        {
            self.select(id);
        }
        self.dirty = true;
    }

    /// Selects a coroutine, on all screens.
    pub fn select(&mut self, id: CoroId) {
        self.selected = Some(id);
        let past = self.past.as_ref().map(|past| &past.model);
        let model = past.unwrap_or(self.tape.latest());
        if let Some(node) = (TreeView { model, folds: &mut self.graph.folds }).reveal(id) {
            self.graph.cursor = Some(node);
        }
    }

    fn select_node(&mut self, node: Node) {
        self.graph.cursor = Some(node);
        self.selected = node.coro().or(self.selected.filter(|_| matches!(node, Node::Loop(_))));
    }

    /// What to do where one coroutine has to be selected, and none is.
    fn none_selected(&self) -> &'static str {
        match (self.screen, self.graph.cursor) {
            (Screen::Graph, Some(Node::Group(..))) => "these are several: unfold them and select one",
            _ => "select a coroutine first",
        }
    }

    fn is_open(&mut self, node: Node) -> bool {
        self.tree(|view| view.is_open(node))
    }

    /// Does something with the tree of the moment being looked at.
    pub fn tree<R>(&mut self, with: impl FnOnce(&mut TreeView) -> R) -> R {
        let past = self.past.as_ref().map(|past| &past.model);
        let model = past.unwrap_or(self.tape.latest());
        with(&mut TreeView { model, folds: &mut self.graph.folds })
    }

    fn turn_screen(&mut self, by: usize) {
        let count = Screen::ALL.len() - usize::from(self.crash.is_none());
        let at = Screen::ALL.iter().position(|screen| *screen == self.screen).unwrap_or(0);
        let by = if by == 1 { 1 } else { count - 1 };
        self.go_to_screen(Screen::ALL[(at + by) % count]);
    }

    /// The status of the program in a word, with its style: for the header.
    pub fn headline(&self) -> (String, ratatui::style::Style) {
        let theme = &self.theme;
        let latest = self.tape.latest();
        let root = latest.loops().rev().find(|one| one.parent == 0 && one.ended.is_some());
        let running = latest.loops().any(|one| one.parent == 0 && one.ended.is_none());
        let outcome = if running { None } else { root.and_then(|one| one.ended) };
        let at = |time| super::text::clock(time, 3);
        match (&self.status, outcome) {
            (Status::Broken(_), _) => ("BROKEN".to_owned(), theme.failed),
            (_, Some((time, LoopOutcome::Crashed))) => (format!("CRASHED at {}", at(time)), theme.failed),
            (Status::Died, _) if latest.lost().cut => (format!("CUT at {}", at(latest.now())), theme.warning),
            (Status::Died, _) => (format!("KILLED at {}", at(latest.now())), theme.failed),
            (_, Some((time, LoopOutcome::Dropped))) => (format!("DROPPED at {}", at(time)), theme.warning),
            (_, Some((time, LoopOutcome::Ok))) => (format!("ENDED at {}", at(time)), theme.done),
            (Status::Ended, None) => (format!("STOPPED at {}", at(latest.now())), theme.warning),
            (Status::Live, None) if self.reading => (format!("READING {}", at(latest.now())), theme.dim),
            (Status::Live, None) if self.blocked().is_some() => {
                let (coro, long) = self.blocked().unwrap_or_default();
                (format!("BLOCKED {} by {}", super::text::span(long), latest.label(coro)), theme.failed)
            }
            (Status::Live, None) => {
                let now = if self.finished { latest.now() } else { self.clock.max(latest.now()) };
                (format!("LIVE {}", super::text::clock(now, 1)), theme.running)
            }
        }
    }
}

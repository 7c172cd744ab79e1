//! The router: which screen and which pages are in front, the keys that are valid everywhere, and the line being typed.
//!
//! `App` does not use the terminal: events, keys and the time are passed in, and what needs the terminal or another
//! process is returned as an [`Effect`].

mod navigation;
mod search;
mod time_travel;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::clipboard::Part;
use super::crash_view::{CrashStacks, CrashView};
use super::keys::{Action, Context};
use super::options::Options;
use super::pane::{Pane, Reply, Subject};
use super::panes::{self, SCREENS};
use super::playback::Status;
use super::prompt::{Edited, Prompt, Purpose};
use super::session::{Session, Stacks};
use super::text::{fit, width};
use super::widgets::header::Tab;
use super::widgets::{self, Hits};
use crate::event::{CoroId, Event, Header};
use crate::model::Crash;

/// At most this many crashes of isolated loops are kept, the latest ones.
const ISOLATED: usize = 8;
/// Below this there is room for one sentence only.
const SMALLEST: (u16, u16) = (20, 5);

/// The screens, the pages over them, and what they share.
pub struct App {
    /// What all panes share.
    pub session: Session,
    /// As in [`SCREENS`].
    screens: Vec<Box<dyn Pane>>,
    /// The screen that is shown.
    front: usize,
    /// The pages over it, the topmost last.
    pub(super) pages: Vec<Box<dyn Pane>>,
    /// A line being typed.
    pub(super) prompt: Option<Prompt>,
    /// Lines typed before, by purpose and screen.
    history: HashMap<(Purpose, &'static str), Vec<String>>,
    /// Where the tabs were drawn.
    tabs: Hits<usize>,
    /// What the screen of a crash was made of: see [`App::settle`].
    crashes_seen: CrashesSeen,
}

/// Position in the stream of the program's crash and whether it is over, and position of the latest isolated one.
type CrashesSeen = (Option<(u64, bool)>, Option<u64>);

/// What has to happen outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Leave.
    Quit,
    /// Leave, and interrupt the program.
    Interrupt,
    /// To the background.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Put a text on the clipboard.
    Copy(String),
    /// Open the editor.
    Edit {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u32,
    },
}

impl App {
    /// Creates the state for a program that has recorded nothing yet.
    pub fn new(header: &Header, options: Options) -> App {
        App {
            session: Session::new(header, options),
            screens: SCREENS.iter().map(|screen| (screen.new)()).collect(),
            front: 0,
            pages: Vec::new(),
            prompt: None,
            history: HashMap::new(),
            tabs: Hits::default(),
            crashes_seen: (None, None),
        }
    }

    /// Applies an event.
    pub fn push(&mut self, event: &Event) {
        self.session.playback.push(event);
        self.session.arrived(event);
        self.session.dirty = true;
    }

    /// Whether all outermost loops of the program have ended. Where one begins after that, the stream goes on.
    pub fn finished(&mut self, finished: bool) {
        let playback = &mut self.session.playback;
        if !finished && playback.finished {
            playback.status = Status::Live;
        }
        playback.finished = finished;
        self.session.dirty = true;
    }

    /// Updates the status of the stream after some events: a crash of the program opens the crash screen.
    pub fn settle(&mut self, status: Status) {
        if self.session.playback.status != status {
            self.session.playback.status = status;
            self.session.dirty = true;
        }
        let latest = self.session.playback.tape.latest();
        let is_own = |crash: &&Arc<Crash>| latest.get_loop(crash.in_loop).is_none_or(|one| one.parent == 0);
        let isolated = latest.crashes().iter().rev().filter(|crash| crash.is_over && !is_own(crash));
        let isolated: Vec<_> = isolated.take(ISOLATED).cloned().collect();
        let own = latest.crash();
        let seen = (own.map(|crash| (crash.seq, crash.is_over)), isolated.first().map(|crash| crash.seq));
        if self.crashes_seen == seen {
            return;
        }
        self.crashes_seen = seen;
        let shown = self.session.crash.as_ref();
        let is_known = shown.is_some_and(|shown| latest.crashes().iter().any(|one| shown.is_of(one)));
        match (own, &isolated[..]) {
            (Some(crash), isolated) => {
                let mut view = CrashView::new(CrashStacks::new(latest, crash, isolated));
                let is_new = match &self.session.crash {
                    // It is on the screen already, or what it began with.
                    Some(before) if before.begins(&view) || before.is_of(crash) => {
                        view.stay_at(before);
                        false
                    }
                    _ => true,
                };
                self.session.crash = Some(view);
                if is_new && self.session.playback.is_live() {
                    self.show(panes::CRASH.title);
                }
            }
            // The program continues: keep showing the crash the user has open; refresh it on the next visit.
            (None, [_, ..]) if self.screen() == panes::CRASH.title && is_known => self.crashes_seen = (None, None),
            (None, [latest_one, rest @ ..]) => {
                self.session.crash = Some(CrashView::new(CrashStacks::new(latest, latest_one, rest)));
            }
            // One that had begun was none, or its end was lost.
            (None, []) => {
                self.session.crash = None;
                if self.screen() == panes::CRASH.title {
                    self.show(SCREENS[0].title);
                }
            }
        }
    }

    /// The coroutine to request frames of from the program, and whether with all values.
    pub fn wants_frames(&self) -> Option<(CoroId, bool)> {
        let in_full = self.pages.last().and_then(|page| page.wants_values(&self.session));
        in_full.map(|coro| (coro, true)).or_else(|| self.session.wants_frames().map(|coro| (coro, false)))
    }

    /// The name of the screen that is shown.
    pub fn screen(&self) -> &'static str {
        SCREENS[self.front].title
    }

    /// The places that keys are looked up in, topmost first.
    fn contexts(&self) -> Vec<Context> {
        if self.prompt.is_some() {
            return vec![Context::TYPING];
        }
        let top = self.pages.last().unwrap_or(&self.screens[self.front]);
        let mut contexts = top.contexts();
        contexts.push(Context::EVERYWHERE);
        contexts
    }

    /// A key was pressed.
    pub fn key(&mut self, key: &str) -> Effect {
        self.session.dirty = true;
        self.session.notice = None;
        match self.session.keys.action(&self.contexts(), key) {
            Some(action) => self.act(action),
            None => {
                let edited = self.prompt.as_mut().map(|prompt| prompt.key(key));
                self.edited(edited.unwrap_or(Edited::Nothing))
            }
        }
    }

    /// Text was pasted: it belongs to the line that is being typed, and is never taken for keys.
    pub fn paste(&mut self, text: &str) {
        self.session.dirty = true;
        match &mut self.prompt {
            Some(prompt) => {
                prompt.paste(text);
                self.edited(Edited::Changed);
            }
            None => {
                self.session.note("what was pasted is left out: it can go into a line that is being typed (/ or f)")
            }
        }
    }

    /// Performs an action: those that are valid everywhere here, all others in the pane that has the keys.
    pub fn act(&mut self, action: Action) -> Effect {
        self.session.dirty = true;
        if let Some(prompt) = &mut self.prompt {
            let key = history_key(prompt.purpose, SCREENS[self.front].title);
            let past = self.history.get(&key).map_or(&[][..], Vec::as_slice);
            let edited = prompt.act(action, past);
            return self.edited(edited);
        }
        match action {
            Action::Quit if self.pages.pop().is_some() => {}
            Action::Quit => return Effect::Quit,
            Action::Interrupt => return Effect::Interrupt,
            Action::Suspend => return Effect::Suspend,
            Action::Redraw => return Effect::Redraw,
            Action::Mouse => return self.toggle_mouse(),
            Action::Back => self.back(),
            Action::Help => {
                let top = self.pages.last().unwrap_or(&self.screens[self.front]);
                self.toggle(panes::help::page(top.contexts()));
            }
            Action::Screen(number) => self.show_number(usize::from(number).wrapping_sub(1)),
            Action::NextScreen => self.turn_screen(1),
            Action::PreviousScreen => self.turn_screen(SCREENS.len() - 1),
            Action::Why => self.why(),
            Action::Values => self.toggle_selected(|session, subject| match subject {
                Subject::Coro(id) => Some(Box::new(panes::Values::new(session, id))),
                Subject::Res(_) => None,
            }),
            Action::Lints => self.toggle(panes::lints::page()),
            Action::Times => self.toggle(panes::times::page()),
            Action::Search => self.ask(Purpose::Search, String::new()),
            Action::NextMatch => self.find(true),
            Action::PreviousMatch => self.find(false),
            Action::Filter => return self.filter(),
            Action::NextPicture => self.session.next_picture(),
            Action::EachSecond => self.session.repeat_pictures(),
            Action::Copy => return self.copy(Part::Whole),
            Action::CopyName => return self.copy(Part::Name),
            Action::Pause
            | Action::StepBack
            | Action::StepOn
            | Action::PreviousOf
            | Action::NextOf
            | Action::PreviousMark
            | Action::NextMark
            | Action::Live => self.travel(action),
            action => return self.pass_on(action),
        }
        Effect::None
    }

    /// Shows why what is selected waits; of a coroutine that was cancelled, why it did before.
    fn why(&mut self) {
        let top = self.pages.last().unwrap_or(&self.screens[self.front]);
        let Some(subject) = top.waiting(&self.session) else {
            self.session.note(self.screens[self.front].none_selected());
            return;
        };
        if let Subject::Coro(id) = subject
            && self.pages.is_empty()
        {
            self.go_before_cancellation(id);
        }
        self.toggle(panes::why::page(subject));
    }

    /// One level back: closes the page on top, or ends the search, or returns to now.
    fn back(&mut self) {
        if self.pages.pop().is_some() {
            return;
        }
        if self.session.search.found.take().is_some() {
            // What was found stays selected, and is no longer marked.
            return self.session.search.text.clear();
        }
        let playback = &mut self.session.playback;
        if !playback.is_live() && playback.status == Status::Live {
            playback.go_live();
        }
    }

    /// Lets the pane that has the keys perform an action.
    fn pass_on(&mut self, action: Action) -> Effect {
        let reply = match self.pages.last_mut() {
            Some(page) => page.act(&mut self.session, action),
            None => self.screens[self.front].act(&mut self.session, action),
        };
        match (reply, action) {
            // What screens have in common.
            (Reply::Ignored, Action::Open) if self.selected().is_some() => {
                self.toggle_selected(|_, subject| {
                    Some(match subject {
                        Subject::Coro(id) => panes::detail::page(id),
                        Subject::Res(id) => panes::resource::page(id),
                    })
                });
                Effect::None
            }
            (Reply::Ignored, Action::Open) => self.pass_on(Action::Right),
            (reply, _) => self.follow(reply),
        }
    }

    /// The screen shows only some of what it lists; the coroutines are listed where there is nothing to filter.
    fn filter(&mut self) -> Effect {
        let reply = self.screens[self.front].act(&mut self.session, Action::Filter);
        if !matches!(reply, Reply::Ignored) {
            self.pages.clear();
            return self.follow(reply);
        }
        self.show(panes::COROUTINES.title);
        let reply = self.screens[self.front].act(&mut self.session, Action::Filter);
        self.follow(reply)
    }

    fn follow(&mut self, reply: Reply) -> Effect {
        match reply {
            Reply::Ignored | Reply::Done => {}
            Reply::Toggle(page) => self.toggle(page),
            Reply::Close => drop(self.pages.pop()),
            Reply::Ask(purpose, text) => self.ask(purpose, text),
            Reply::Edit { file, line } => return Effect::Edit { file, line },
        }
        Effect::None
    }

    fn ask(&mut self, purpose: Purpose, text: String) {
        self.prompt = Some(Prompt::new(purpose, text));
    }

    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame) {
        let area = frame.area();
        let buf = frame.buffer_mut();
        let theme = self.session.theme;
        self.tabs.clear();
        self.session.drawn.clear();
        self.session.looked_at = Stacks::default();
        buf.set_style(area, theme.text);
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let text = fit("too small", usize::from(area.width));
            let x = area.x + area.width.saturating_sub(width(&text) as u16) / 2;
            buf.set_stringn(x, area.y + area.height / 2, &text, usize::from(area.width), theme.text);
            return;
        }
        let rule = u16::from(area.height >= 14);
        let tabs = u16::from(area.height >= 8);
        let [top, tab_line, upper, body, lower, bottom] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(tabs),
            Constraint::Length(rule),
            Constraint::Fill(1),
            Constraint::Length(rule),
            Constraint::Length(1),
        ])
        .areas(area);
        widgets::header::draw(buf, &self.session, top);
        let screens = self.screens.iter().enumerate().filter(|(_, screen)| screen.is_there(&self.session));
        let shown: Vec<Tab> = screens
            .map(|(index, screen)| Tab { index, title: screen.title(), style: screen.tab_style(&theme) })
            .collect();
        widgets::header::draw_tabs(buf, &self.session, &shown, self.front, &mut self.tabs, tab_line);
        widgets::horizontal(buf, &theme, upper);
        widgets::horizontal(buf, &theme, lower);
        let contexts = self.contexts();
        let own_keys = !self.pages.is_empty() || self.screens[self.front].has_all_its_keys();
        widgets::footer::draw(buf, &self.session, self.prompt.as_ref(), &contexts, own_keys, bottom);
        if let Some(page) = self.pages.last_mut() {
            self.session.looked_at = page.stacks(&self.session);
            return page.draw(&mut self.session, buf, body);
        }
        let screen = &mut self.screens[self.front];
        let beside = screen.room_beside().is_some_and(|least| body.width >= least);
        let side = if beside { (body.width * 2 / 5).clamp(38, 72) } else { 0 };
        let [list, gap, side] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(u16::from(beside)), Constraint::Length(side)])
                .areas(body);
        screen.draw(&mut self.session, buf, list);
        if beside {
            // After the list, which selects something where nothing is.
            widgets::vertical(buf, &theme, gap);
            let side: Rect = widgets::inset(side);
            widgets::put_lines(buf, &theme, side, &screen.beside(&self.session, side.width));
            self.session.looked_at = screen.selected(&self.session).map_or_else(Stacks::default, Stacks::of);
        }
    }
}

/// What lines of a purpose are remembered by: texts that were searched for on all screens together.
fn history_key(purpose: Purpose, screen: &'static str) -> (Purpose, &'static str) {
    (purpose, if purpose == Purpose::Search { "" } else { screen })
}

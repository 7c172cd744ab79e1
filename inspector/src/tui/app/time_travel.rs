//! Keys that travel in time.

use super::{Action, App, SCREENS, Status};
use crate::event::CoroId;
use crate::model::Activity;
use crate::tui::panes::CRASH;
use crate::tui::text::moment;

impl App {
    /// The screen of the crash is the same at each moment: the graph shows the one that was gone to.
    fn leave_the_crash(&mut self) {
        if self.pages.is_empty() && self.screen() == CRASH.title {
            self.show(SCREENS[0].title);
            let at = moment(self.session.now());
            self.session.note(format!("the program at {at}; {} goes back to the crash, 0 to the end", SCREENS.len()));
        }
    }

    /// If a coroutine was cancelled, goes to the moment before that.
    pub(super) fn go_before_cancellation(&mut self, id: CoroId) {
        let activity = |app: &App| app.session.model().coro(id).map(|coro| coro.activity);
        if activity(self) != Some(Activity::Cancelled) {
            return;
        }
        let playback = &self.session.playback;
        let (at, was_live) = (playback.position(), playback.is_live());
        let marks: Vec<u64> = playback.tape.marks().rev().filter(|mark| *mark < at).collect();
        for mark in marks {
            self.session.playback.go_to(mark);
            if activity(self).is_some_and(Activity::is_live) {
                return self.leave_the_crash();
            }
        }
        match was_live {
            true => self.session.playback.go_live(),
            false => self.session.playback.go_to(at),
        }
    }

    /// Goes to another moment of the recording.
    pub(super) fn travel(&mut self, action: Action) {
        let playback = &mut self.session.playback;
        let at = playback.position();
        // Between pictures there is nothing to see.
        let is_picture = playback.tape.latest().picture().is_some();
        let action = match action {
            Action::StepBack | Action::PreviousOf if is_picture => Action::PreviousMark,
            Action::StepOn | Action::NextOf if is_picture => Action::NextMark,
            action => action,
        };
        let goal = match action {
            Action::Live => {
                playback.go_live();
                return;
            }
            Action::Pause if !playback.is_live() => {
                playback.go_live();
                return;
            }
            Action::Pause => {
                playback.go_to(at);
                let is_recorded = playback.status == Status::Live && !is_picture;
                let meanwhile = if is_recorded { "; recording goes on meanwhile" } else { "" };
                self.session.note(format!("paused: , and . step, 0 or space goes on{meanwhile}"));
                return;
            }
            Action::StepBack => {
                at.checked_sub(1).filter(|at| *at >= playback.tape.first()).ok_or(match playback.tape.first() {
                    0 => "the beginning",
                    _ => "nothing earlier is kept in memory: `tape = 1G` in the settings keeps more",
                })
            }
            Action::StepOn if playback.is_running() => Err("now: space holds this moment"),
            Action::StepOn => Some(at + 1).filter(|at| *at <= playback.tape.len()).ok_or("the end"),
            Action::PreviousMark => playback.tape.marks().rev().find(|mark| *mark < at).ok_or(match is_picture {
                true => "no picture before this",
                false => "no error, warning, cancellation or loss before this",
            }),
            Action::NextMark => playback.tape.marks().find(|mark| *mark > at).ok_or(match is_picture {
                true => "no picture after this: r takes one",
                false => "no error, warning, cancellation or loss after this",
            }),
            Action::PreviousOf | Action::NextOf => match self.session.selected {
                None => Err(self.screens[self.front].none_selected()),
                Some(id) if action == Action::NextOf => {
                    playback.tape.next_of(id, at).ok_or("nothing happens to it after this")
                }
                Some(id) => playback.tape.previous_of(id, at).ok_or("nothing happened to it before this"),
            },
            _ => return,
        };
        match goal {
            Ok(goal) => {
                self.session.playback.go_to(goal);
                self.leave_the_crash();
            }
            Err(why) => self.session.note(why),
        }
    }
}

//! Keys that travel in time.

use super::{Action, App, Status};

impl App {
    /// Goes to another moment of the recording.
    pub(super) fn travel(&mut self, action: Action) {
        let playback = &mut self.session.playback;
        let at = playback.position();
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
                let meanwhile = if playback.status == Status::Live { "; recording goes on meanwhile" } else { "" };
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
            Action::PreviousMark => {
                playback.tape.marks().rev().find(|mark| *mark < at).ok_or("no error, cancellation or loss before this")
            }
            Action::NextMark => {
                playback.tape.marks().find(|mark| *mark > at).ok_or("no error, cancellation or loss after this")
            }
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
            Ok(goal) => self.session.playback.go_to(goal),
            Err(why) => self.session.note(why),
        }
    }
}

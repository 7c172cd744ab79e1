//! Keys that travel in time.

use super::{Action, App, Status};

impl App {
    pub(super) fn update_time(&mut self, action: Action) {
        let at = self.position();
        let goal = match action {
            Action::Live => {
                self.go_live();
                return;
            }
            Action::Pause if !self.is_live() => {
                self.go_live();
                return;
            }
            Action::Pause => {
                self.go_to(at);
                let meanwhile = if self.status == Status::Live { "; recording goes on meanwhile" } else { "" };
                self.notice = Some(format!("paused: , and . step, 0 or space goes on{meanwhile}"));
                return;
            }
            Action::StepBack => {
                at.checked_sub(1).filter(|at| *at >= self.tape.first()).ok_or(match self.tape.first() {
                    0 => "the beginning",
                    _ => "nothing earlier is kept in memory: `tape = 1G` in the settings keeps more",
                })
            }
            Action::StepOn if self.is_live() && self.status == Status::Live => Err("now: space holds this moment"),
            Action::StepOn => Some(at + 1).filter(|at| *at <= self.tape.len()).ok_or("the end"),
            Action::PreviousMark => {
                self.tape.marks().rev().find(|mark| *mark < at).ok_or("no error, cancellation or loss before this")
            }
            Action::NextMark => {
                self.tape.marks().find(|mark| *mark > at).ok_or("no error, cancellation or loss after this")
            }
            Action::PreviousOf | Action::NextOf => match self.selected {
                None => Err(self.none_selected()),
                Some(id) if action == Action::NextOf => {
                    self.tape.next_of(id, at).ok_or("nothing happens to it after this")
                }
                Some(id) => self.tape.previous_of(id, at).ok_or("nothing happened to it before this"),
            },
            _ => return,
        };
        match goal {
            Ok(goal) => self.go_to(goal),
            Err(why) => self.notice = Some(why.to_owned()),
        }
    }
}

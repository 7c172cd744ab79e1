//! A crash as it is looked at: stacks, the frames of each, and which one is selected.

mod located;
pub mod value_path;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::event::{CoroId, Failure, Outcome};
use crate::format::brief;
use crate::model::{Crash, Model, common_stem, short_name};
use crate::report::{given_name, label, made_at};

pub use self::located::Located;
use self::located::frames;

/// At most so many alike failures are listed one by one; the rest stays folded.
const UNFOLDED: usize = 100;

/// The stacks of a crash, the origin first, alike ones as one.
#[derive(Clone, Debug)]
pub struct CrashStacks {
    /// The crash.
    crash: Arc<Crash>,
    /// The stacks, in the order of going through them; after its own those of isolated loops that crashed before.
    pub stacks: Vec<FailureStack>,
}

/// The crash that is looked at: its stacks, and the selected frame.
#[derive(Clone, Debug)]
pub struct CrashView {
    /// The stacks.
    pub data: CrashStacks,
    /// The selected stack.
    pub stack: usize,
    /// The selected frame in it.
    pub frame: usize,
    /// Whether hidden frames are shown.
    pub hidden: bool,
}

/// One stack: a failure, from the root to where it happened.
#[derive(Clone, Debug)]
pub struct FailureStack {
    /// The crash it belongs to.
    of: Arc<Crash>,
    /// That is the crash of an isolated loop, not the program's own.
    isolated: bool,
    /// Which of the crash's failures, and those exactly alike after it.
    failures: Vec<usize>,
    /// Its relation to the crash.
    pub role: Role,
    /// How it is called in the list.
    pub title: String,
    /// The note beside it in the list: of alike ones that they are.
    pub note: String,
    /// From the root down.
    pub frames: Vec<Located>,
    /// Whether the stack tree shows its title alone.
    pub collapsed: bool,
}

/// The relation of a stack to the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Where the error arose.
    Origin,
    /// An error of its own, besides the origin.
    Error,
    /// It waited for one that failed, and was cancelled.
    Waited,
    /// It was cancelled.
    Cancelled,
    /// It was cancelled and did not answer properly.
    Improper,
    /// It never ran.
    NeverStarted,
}

impl CrashStacks {
    /// Of a crash, with those of isolated loops, which the program has dealt with.
    pub fn new(model: &Model, crash: &Arc<Crash>, isolated: &[Arc<Crash>]) -> CrashStacks {
        let mut stacks = CrashStacks::stacks_of(model, crash);
        for crash in isolated {
            stacks.extend(CrashStacks::stacks_of(model, crash).into_iter().map(|mut stack| {
                stack.isolated = true;
                stack.collapsed = true;
                stack.name_it(model);
                stack
            }));
        }
        let mut all = CrashStacks { crash: crash.clone(), stacks };
        all.make_absolute();
        all
    }

    /// Makes relative names of files absolute. The debug info of other frames has the folder in which the compiler ran;
    /// the working directory of the program may be another one.
    fn make_absolute(&mut self) {
        let files = || self.stacks.iter().flat_map(|stack| &stack.frames).map(|located| located.frame.file.as_str());
        let is_absolute = |file: &&str| file.starts_with('/');
        let absolute: BTreeSet<&str> = files().filter(is_absolute).collect();
        let relative: BTreeSet<&str> = files().filter(|file| !file.is_empty() && !is_absolute(file)).collect();
        let folder_of = |file: &str| {
            let folders = absolute.iter().filter_map(|whole| whole.strip_suffix(file));
            let folders: BTreeSet<&str> = folders.filter(|folder| folder.ends_with('/')).collect();
            folders.first().filter(|_| folders.len() == 1).copied()
        };
        let folders: BTreeSet<&str> = relative.iter().filter_map(|file| folder_of(file)).collect();
        // Another file may lie in the same folder, if all of those that are known do.
        let only = folders.first().filter(|_| folders.len() == 1).copied();
        let whole = |file: &str| match (folder_of(file), only) {
            (Some(folder), _) => Some(format!("{folder}{file}")),
            (None, Some(folder)) => Some(format!("{folder}{file}")).filter(|whole| Path::new(whole).is_file()),
            (None, None) => None,
        };
        let names: HashMap<String, String> =
            relative.iter().filter_map(|file| Some(((*file).to_owned(), whole(file)?))).collect();
        for located in self.stacks.iter_mut().flat_map(|stack| &mut stack.frames) {
            if let Some(whole) = names.get(&located.frame.file) {
                located.frame.file.clone_from(whole);
            }
        }
    }

    fn stacks_of(model: &Model, crash: &Arc<Crash>) -> Vec<FailureStack> {
        let failures = &crash.failures;
        let above: Vec<CoroId> = match failures.first() {
            Some(origin) => {
                origin.trace.iter().map(|site| site.coro).filter(|id| *id != origin.coro && *id != 0).collect()
            }
            None => Vec::new(),
        };
        let mut stacks: Vec<FailureStack> = Vec::new();
        for (index, failure) in failures.iter().enumerate() {
            let role = role(index, failure, &above);
            if let Some(alike) = stacks.iter_mut().find(|stack| {
                role != Role::Origin && stack.role == role && is_alike(&failures[stack.failures[0]], failure)
            }) {
                alike.failures.push(index);
                continue;
            }
            stacks.push(FailureStack::of(model, crash, vec![index], role));
        }
        // The stacks that waited for the origin follow it.
        stacks.sort_by_key(|stack| match stack.role {
            Role::Origin => 0,
            Role::Waited => 1,
            Role::Error => 2,
            Role::Improper => 3,
            Role::Cancelled => 4,
            Role::NeverStarted => 5,
        });
        stacks.iter_mut().for_each(|stack| stack.name_it(model));
        stacks
    }

    /// How many coroutines and threads it is about.
    pub fn taking_part(&self) -> (u64, u64) {
        let threads = self.crash.failures.iter().filter(|failure| failure.thread != 0).count();
        ((self.crash.failures.len() - threads) as u64, threads as u64)
    }

    /// Lists those that are alike one by one, or the first of them if they are many. False if it is one only.
    pub fn unfold(&mut self, model: &Model, stack: usize) -> bool {
        let Some(group) = self.stacks.get(stack).filter(|group| group.failures.len() > 1) else { return false };
        let (now, later) = group.failures.split_at(group.failures.len().min(UNFOLDED));
        let each = now.iter().map(|failure| vec![*failure]);
        let rest = Some(later.to_vec()).filter(|later| !later.is_empty());
        let listed = each.chain(rest).map(|of_it| {
            let mut one = FailureStack::of(model, &group.of, of_it, group.role);
            (one.isolated, one.collapsed) = (group.isolated, group.collapsed);
            one.name_it(model);
            one
        });
        let listed: Vec<FailureStack> = listed.collect();
        self.stacks.splice(stack..=stack, listed);
        self.make_absolute();
        true
    }

    /// Lists one and those beside it that are alike as one again: where that is. `None` if there are no others.
    pub fn fold(&mut self, model: &Model, stack: usize) -> Option<usize> {
        let one = self.stacks.get(stack)?;
        let failures = &one.of.failures;
        let alike = |other: &FailureStack| {
            Arc::ptr_eq(&other.of, &one.of)
                && other.role == one.role
                && is_alike(&failures[other.failures[0]], &failures[one.failures[0]])
        };
        let start = stack - self.stacks[..stack].iter().rev().take_while(|other| alike(other)).count();
        let end = stack + self.stacks[stack..].iter().take_while(|other| alike(other)).count();
        if end - start < 2 || one.role == Role::Origin {
            return None;
        }
        let all = self.stacks[start..end].iter().flat_map(|stack| stack.failures.iter().copied()).collect();
        let mut group = FailureStack::of(model, &one.of, all, one.role);
        (group.isolated, group.collapsed) = (one.isolated, one.collapsed);
        group.name_it(model);
        self.stacks.splice(start..end, [group]);
        self.make_absolute();
        Some(start)
    }

    /// The first failure of a stack.
    pub fn failure(&self, stack: usize) -> Option<&Failure> {
        let stack = self.stacks.get(stack)?;
        stack.of.failures.get(*stack.failures.first()?)
    }

    /// The crash that a stack belongs to.
    pub fn crash_of(&self, stack: usize) -> &Crash {
        self.stacks.get(stack).map_or(&self.crash, |stack| &stack.of)
    }

    /// The frame to look at first: the innermost of the program where the error was made, if that is known, else the
    /// deepest await frame that is not hidden and has a place, else the deepest.
    pub fn deepest(&self, stack: usize) -> usize {
        let made_at = self.failure(stack).and_then(made_at);
        let Some(stack) = self.stacks.get(stack) else { return 0 };
        let last = |wanted: &dyn Fn(&Located) -> bool| stack.frames.iter().rposition(wanted);
        let made = made_at.and_then(|site| last(&|located| !located.frame.hidden && located.is_at(site)));
        let is_await = |located: &Located| !located.frame.hidden && located.native.is_none();
        // A future of a library that is no async function has none.
        let placed = || last(&|located| is_await(located) && located.frame.line > 0);
        let any = || last(&|located| !located.frame.hidden);
        made.or_else(placed).or_else(|| last(&is_await)).or_else(any).unwrap_or(stack.frames.len().saturating_sub(1))
    }

    /// The stack to look at first: the origin, or if that is no coroutine, as after an interrupt or a deadlock, the
    /// first one that was cancelled at an await of its own.
    fn first_useful(&self) -> usize {
        let has_place = |stack: &&FailureStack| stack.frames.iter().any(|located| located.frame.line > 0);
        let is_coroutine = |stack: &FailureStack| {
            let failure = stack.failures.first().and_then(|first| stack.of.failures.get(*first));
            failure.is_some_and(|failure| failure.coro != 0 || failure.thread != 0)
        };
        if self.stacks.first().is_none_or(|origin| has_place(&origin) && is_coroutine(origin)) {
            return 0;
        }
        // The await of a coroutine that waits for another one is the reason of nothing.
        let above = |failure: &Failure| {
            let above = failure.trace.split_last().map_or(&[][..], |(_, above)| above);
            above.iter().map(|site| site.coro).filter(|coro| *coro != failure.coro).collect::<Vec<_>>()
        };
        let awaiting: HashSet<CoroId> = self.crash.failures.iter().flat_map(above).collect();
        let is_own = |stack: &FailureStack| {
            let failure = stack.failures.first().and_then(|first| stack.of.failures.get(*first));
            let own = failure.is_some_and(|failure| failure.coro == 0 || !awaiting.contains(&failure.coro));
            matches!(stack.role, Role::Waited | Role::Cancelled) && own
        };
        let of_it = || self.stacks.iter().enumerate().filter(|(_, stack)| !stack.isolated && has_place(stack));
        let found = of_it().find(|(_, stack)| is_own(stack)).or_else(|| of_it().next());
        found.map_or(0, |(index, _)| index)
    }
}

impl CrashView {
    /// At the frame to look at first of the stack to look at first.
    pub fn new(data: CrashStacks) -> CrashView {
        let stack = data.first_useful();
        let frame = data.deepest(stack);
        CrashView { data, stack, frame, hidden: false }
    }

    /// Whether this shows how another crash began: the failure that its loop was cancelled for.
    pub fn begins(&self, other: &CrashView) -> bool {
        let (begun, other) = (&self.data.crash, &other.data.crash);
        begun.in_loop == other.in_loop && !begun.is_over
    }

    /// Whether this shows that crash, as far as it has come.
    pub fn is_of(&self, crash: &Crash) -> bool {
        self.data.crash.seq == crash.seq
    }

    /// Selects the frame that was selected before, if its stack is there: that of the origin always is.
    pub fn stay_at(&mut self, before: &CrashView) {
        let stack = |view: &CrashView| {
            view.data.stacks.get(before.stack).map(|stack| (stack.of.seq, stack.title.clone(), stack.frames.len()))
        };
        self.hidden = before.hidden;
        let is_same = match before.stack {
            0 => stack(before).map(|(_, _, frames)| frames) == stack(self).map(|(_, _, frames)| frames),
            _ => stack(before) == stack(self),
        };
        if is_same {
            (self.stack, self.frame) = (before.stack, before.frame);
        }
    }

    /// The selected frame.
    pub fn current(&self) -> Option<&Located> {
        self.data.stacks.get(self.stack)?.frames.get(self.frame)
    }

    /// Selects a stack, at its deepest frame.
    pub fn select_stack(&mut self, stack: usize) {
        if stack < self.data.stacks.len() {
            self.stack = stack;
            self.frame = self.data.deepest(stack);
        }
    }

    /// Shows hidden frames, or passes over them.
    pub fn toggle_hidden(&mut self) {
        self.hidden ^= true;
        if !self.is_shown(self.stack, self.frame) {
            self.frame = self.data.deepest(self.stack);
        }
    }

    /// Whether a frame is listed.
    pub fn is_shown(&self, stack: usize, frame: usize) -> bool {
        let frames = &self.data.stacks[stack].frames;
        self.hidden || !frames[frame].frame.hidden || frames.iter().all(|located| located.frame.hidden)
    }

    /// The next frame that is shown, down or up, going on in the next stack at the end of one.
    pub fn step(&self, down: bool) -> Option<(usize, usize)> {
        let all = self.data.stacks.iter().enumerate();
        let mut all: Vec<(usize, usize)> =
            all.flat_map(|(index, stack)| (0..stack.frames.len()).map(move |frame| (index, frame))).collect();
        if !down {
            all.reverse();
        }
        let here = all.iter().position(|place| *place == (self.stack, self.frame))?;
        all[here + 1..].iter().copied().find(|(stack, frame)| self.is_shown(*stack, *frame))
    }
}

impl FailureStack {
    fn of(model: &Model, crash: &Arc<Crash>, of_it: Vec<usize>, role: Role) -> FailureStack {
        let first = &crash.failures[of_it[0]];
        FailureStack {
            of: crash.clone(),
            isolated: false,
            role,
            title: title(model, first),
            note: String::new(),
            frames: frames(model, first),
            collapsed: role == Role::Cancelled || role == Role::NeverStarted,
            failures: of_it,
        }
    }

    fn name_it(&mut self, model: &Model) {
        let first = &self.of.failures[self.failures[0]];
        self.title = title(model, first);
        self.note = note(self.role, first);
        if self.failures.len() > 1 {
            let all = self.failures.iter().map(|index| given_name(model, &self.of.failures[*index]));
            let name = common_stem(all).unwrap_or_else(|| short_name(&first.name));
            self.title = format!("{} ×{}", brief(name), self.failures.len());
            self.note += ", alike";
        }
        if self.isolated {
            self.note = format!("{}: {}", model.loop_label(self.of.in_loop), self.note);
        }
    }
}

fn role(index: usize, failure: &Failure, above: &[CoroId]) -> Role {
    match failure.kind {
        _ if index == 0 => Role::Origin,
        Outcome::Error | Outcome::Panic => Role::Error,
        Outcome::Improper => Role::Improper,
        Outcome::NeverStarted => Role::NeverStarted,
        Outcome::Cancelled | Outcome::Ok | Outcome::Unknown if above.contains(&failure.coro) && failure.thread == 0 => {
            Role::Waited
        }
        Outcome::Cancelled | Outcome::Ok | Outcome::Unknown => Role::Cancelled,
    }
}

fn is_alike(left: &Failure, right: &Failure) -> bool {
    let last = |failure: &Failure| failure.trace.last().map(|site| (site.file.clone(), site.line));
    left.kind == right.kind
        && left.name == right.name
        && left.message == right.message
        && (left.thread == 0) == (right.thread == 0)
        && last(left) == last(right)
}

fn title(model: &Model, failure: &Failure) -> String {
    let name = brief(short_name(&failure.name));
    match (failure.thread, failure.coro) {
        (0, 0) => name,
        (0, coro) => brief(&label(model, coro, &failure.name)),
        (thread, _) => format!("thread {thread} {name}"),
    }
}

fn note(role: Role, failure: &Failure) -> String {
    let message = failure.message.lines().next().unwrap_or("");
    match role {
        Role::Origin => "origin".to_owned(),
        Role::Waited => "waited for it".to_owned(),
        Role::Cancelled => "cancelled".to_owned(),
        Role::NeverStarted => "never started".to_owned(),
        Role::Error if message.starts_with("panicked") => message.to_owned(),
        Role::Error if failure.kind == Outcome::Panic => format!("panicked: {message}"),
        Role::Error => format!("failed: {message}"),
        Role::Improper => message.to_owned(),
    }
}

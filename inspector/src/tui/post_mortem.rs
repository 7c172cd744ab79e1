//! A crash as it is looked at: callstacks, the frames of each, and which one is selected.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::event::{CoroId, Failure, Frame, Outcome, Stack, TraceSite};
use crate::format::brief;
use crate::model::{Crash, Model, common_stem, short_name};
use crate::report::{NativeKind, before_place, fields_of, given_name, is_frame_at, label, made_at, native_stacks};

/// At most so many alike failures are listed one by one; the rest stays folded.
const UNFOLDED: usize = 100;

/// The callstacks of a crash, the origin first, alike ones as one.
#[derive(Clone, Debug)]
pub struct PostMortem {
    /// The crash.
    crash: Arc<Crash>,
    /// The callstacks, in the order of going through them; after its own those of isolated loops that crashed before.
    pub stacks: Vec<Callstack>,
}

/// The crash that is looked at: its callstacks, and the selected frame.
#[derive(Clone, Debug)]
pub struct CrashView {
    /// The callstacks.
    pub data: PostMortem,
    /// The selected callstack.
    pub stack: usize,
    /// The selected frame in it.
    pub frame: usize,
    /// Whether hidden frames are shown.
    pub hidden: bool,
}

/// One callstack: a failure, from the root to where it happened.
#[derive(Clone, Debug)]
pub struct Callstack {
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

/// The relation of a callstack to the crash.
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

/// One frame, with its coroutine.
#[derive(Clone, Debug)]
pub struct Located {
    /// The coroutine, 0 if none.
    pub coro: CoroId,
    /// The frame.
    pub frame: Frame,
    /// What native stack it is of; `None` if it is of an await stack.
    pub native: Option<NativeKind>,
    /// What to say before its place, if the error was made later than there; else empty.
    pub before_place: &'static str,
    /// One sentence about what is missing, at the last frame of a coroutine; once in a callstack.
    pub missing: Option<String>,
    /// The recorded fields of the coroutine, at its last frame.
    pub fields: Vec<(String, String)>,
}

impl Located {
    /// Its file and line; the file alone if the line is not known.
    pub fn place(&self) -> String {
        match self.frame.line {
            0 => self.frame.file.clone(),
            line => format!("{}:{line}", self.frame.file),
        }
    }
}

impl PostMortem {
    /// Of a crash, with those of isolated loops, which the program has dealt with.
    pub fn new(model: &Model, crash: &Arc<Crash>, isolated: &[Arc<Crash>]) -> PostMortem {
        let mut stacks = PostMortem::stacks_of(model, crash);
        for crash in isolated {
            stacks.extend(PostMortem::stacks_of(model, crash).into_iter().map(|mut stack| {
                stack.isolated = true;
                stack.collapsed = true;
                stack.name_it(model);
                stack
            }));
        }
        let mut all = PostMortem { crash: crash.clone(), stacks };
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

    fn stacks_of(model: &Model, crash: &Arc<Crash>) -> Vec<Callstack> {
        let failures = &crash.failures;
        let above: Vec<CoroId> = match failures.first() {
            Some(origin) => {
                origin.trace.iter().map(|site| site.coro).filter(|id| *id != origin.coro && *id != 0).collect()
            }
            None => Vec::new(),
        };
        let mut stacks: Vec<Callstack> = Vec::new();
        for (index, failure) in failures.iter().enumerate() {
            let role = role(index, failure, &above);
            if let Some(alike) = stacks.iter_mut().find(|stack| {
                role != Role::Origin && stack.role == role && is_alike(&failures[stack.failures[0]], failure)
            }) {
                alike.failures.push(index);
                continue;
            }
            stacks.push(Callstack::of(model, crash, vec![index], role));
        }
        // The callstacks that waited for the origin follow it.
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
            let mut one = Callstack::of(model, &group.of, of_it, group.role);
            (one.isolated, one.collapsed) = (group.isolated, group.collapsed);
            one.name_it(model);
            one
        });
        let listed: Vec<Callstack> = listed.collect();
        self.stacks.splice(stack..=stack, listed);
        self.make_absolute();
        true
    }

    /// Lists one and those beside it that are alike as one again: where that is. `None` if there are no others.
    pub fn fold(&mut self, model: &Model, stack: usize) -> Option<usize> {
        let one = self.stacks.get(stack)?;
        let failures = &one.of.failures;
        let alike = |other: &Callstack| {
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
        let mut group = Callstack::of(model, &one.of, all, one.role);
        (group.isolated, group.collapsed) = (one.isolated, one.collapsed);
        group.name_it(model);
        self.stacks.splice(start..end, [group]);
        self.make_absolute();
        Some(start)
    }

    /// The first failure of a callstack.
    pub fn failure(&self, stack: usize) -> Option<&Failure> {
        let stack = self.stacks.get(stack)?;
        stack.of.failures.get(*stack.failures.first()?)
    }

    /// The crash that a callstack belongs to.
    pub fn crash_of(&self, stack: usize) -> &Crash {
        self.stacks.get(stack).map_or(&self.crash, |stack| &stack.of)
    }

    /// The frame to look at first: the innermost of the program where the error was made, if that is known, else the
    /// deepest await frame that is not hidden, else the deepest.
    pub fn deepest(&self, stack: usize) -> usize {
        let made_at = self.failure(stack).and_then(made_at);
        let Some(stack) = self.stacks.get(stack) else { return 0 };
        let last = |wanted: &dyn Fn(&Located) -> bool| stack.frames.iter().rposition(wanted);
        let made = made_at.and_then(|site| last(&|located| !located.frame.hidden && located.is_at(site)));
        let visible = || last(&|located| !located.frame.hidden && located.native.is_none());
        let any = || last(&|located| !located.frame.hidden);
        made.or_else(visible).or_else(any).unwrap_or(stack.frames.len().saturating_sub(1))
    }

    /// The callstack to look at first: the origin, or if no place is known of it, as after an interrupt, the first one
    /// that was cancelled at an await of its own.
    fn first_useful(&self) -> usize {
        let has_place = |stack: &&Callstack| stack.frames.iter().any(|located| located.frame.line > 0);
        if self.stacks.first().is_none_or(|origin| has_place(&origin)) {
            return 0;
        }
        // The await of a coroutine that waits for another one is the reason of nothing.
        let above = |failure: &Failure| {
            let above = failure.trace.split_last().map_or(&[][..], |(_, above)| above);
            above.iter().map(|site| site.coro).filter(|coro| *coro != failure.coro).collect::<Vec<_>>()
        };
        let awaiting: HashSet<CoroId> = self.crash.failures.iter().flat_map(above).collect();
        let is_own = |stack: &Callstack| {
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
    /// At the frame to look at first of the callstack to look at first.
    pub fn new(data: PostMortem) -> CrashView {
        let stack = data.first_useful();
        let frame = data.deepest(stack);
        CrashView { data, stack, frame, hidden: false }
    }

    /// The selected frame.
    pub fn current(&self) -> Option<&Located> {
        self.data.stacks.get(self.stack)?.frames.get(self.frame)
    }

    /// Selects a callstack, at its deepest frame.
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

    /// The next frame that is shown, down or up, going on in the next callstack at the end of one.
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

impl Callstack {
    fn of(model: &Model, crash: &Arc<Crash>, of_it: Vec<usize>, role: Role) -> Callstack {
        let first = &crash.failures[of_it[0]];
        Callstack {
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

/// The frames of a failure: for each coroutine of its trace the await stack it had, or if that is not known, its place.
fn frames(model: &Model, failure: &Failure) -> Vec<Located> {
    let mut frames = Vec::new();
    let last = failure.trace.len().saturating_sub(1);
    for (index, site) in failure.trace.iter().enumerate() {
        let own = index == last && (failure.coro == site.coro || site.coro == 0);
        let recorded = || model.coro(site.coro).and_then(|coro| coro.stack.as_ref()).map(|(_, stack)| &**stack);
        let stack: Option<&Stack> = failure.stack.as_ref().filter(|_| own).or_else(recorded);
        let first = frames.len();
        match stack {
            Some(stack) if !stack.frames.is_empty() => push_stack(&mut frames, site.coro, stack),
            stack => {
                let missing = stack.and_then(|stack| stack.missing.clone());
                frames.push(Located { missing, ..Located::of(site.coro, frame_at(site)) });
            }
        }
        if site.last_await
            && let Some(at) = frames[first..].iter_mut().rfind(|located| !located.frame.hidden)
        {
            at.before_place = before_place(stack.filter(|stack| !stack.frames.is_empty()).map(|_| &at.frame));
        }
        if let Some(deepest) = frames.last_mut() {
            let fields = if own { &failure.fields[..] } else { fields_of(model, site.coro) };
            deepest.fields = fields.to_vec();
        }
    }
    if failure.trace.is_empty()
        && let Some(stack) = &failure.stack
    {
        push_stack(&mut frames, failure.coro, stack);
    }
    once(&mut frames);
    let is_listed = |site: &TraceSite| frames.iter().any(|located| located.is_at(site));
    let native_stacks = native_stacks(failure, is_listed);
    for stack in &native_stacks {
        let located =
            |site: &&TraceSite| Located { native: Some(stack.of), ..Located::of(failure.coro, frame_at(site)) };
        frames.extend(stack.sites.iter().rev().map(located));
    }
    frames
}

/// Keeps each sentence about what is missing at the last frame only that has it.
fn once(frames: &mut [Located]) {
    let mut known: HashSet<String> = HashSet::new();
    for located in frames.iter_mut().rev() {
        located.missing = located.missing.take().filter(|missing| known.insert(missing.clone()));
    }
}

fn frame_at(site: &TraceSite) -> Frame {
    let TraceSite { name, file, line, column, .. } = site.clone();
    Frame { function: name, file, line, column, ..Frame::default() }
}

impl Located {
    fn of(coro: CoroId, frame: Frame) -> Located {
        Located { coro, frame, native: None, before_place: "", missing: None, fields: Vec::new() }
    }

    /// Whether it is the frame of a native stack.
    fn is_at(&self, site: &TraceSite) -> bool {
        // The name of a branch stands before its functions.
        let function = self.frame.function.rsplit(": ").next().unwrap_or_default();
        is_frame_at(function, &self.frame.file, self.frame.line, site)
    }
}

fn push_stack(frames: &mut Vec<Located>, coro: CoroId, stack: &Stack) {
    for frame in &stack.frames {
        frames.push(Located::of(coro, frame.clone()));
        for branch in &frame.branches {
            for inner in &branch.frames {
                let mut inner = inner.clone();
                inner.function = format!("{}: {}", branch.name, inner.function);
                frames.push(Located::of(coro, inner));
            }
        }
    }
    if let Some(last) = frames.last_mut() {
        last.missing = stack.missing.clone();
    }
}

/// Looks a path such as `entry.sum` or `items[3].name` up among the locals of a frame.
///
/// # Errors
///
/// When there is nothing of that name; the message says what there is.
pub fn look_up<'a>(frame: &'a Frame, path: &str) -> Result<&'a crate::event::Value, String> {
    let mut parts = segments(path).into_iter();
    let Some(first) = parts.next() else { return Err("name a variable, such as one of those listed here".to_owned()) };
    let Some(local) = frame.locals.iter().find(|local| local.name == first) else {
        let known: Vec<_> = frame.locals.iter().map(|local| local.name.as_str()).collect();
        let known =
            if known.is_empty() { "no variables here".to_owned() } else { format!("here are {}", known.join(", ")) };
        return Err(format!("no variable {first:?}: {known}"));
    };
    let mut value = &local.value;
    let mut so_far = first;
    for part in parts {
        value = behind_pointers(value, &part);
        let Some((_, child)) = value.children.iter().find(|(name, _)| strip(name) == part) else {
            let known: Vec<_> = value.children.iter().map(|(name, _)| name.as_str()).take(12).collect();
            let known =
                if known.is_empty() { "it has no parts".to_owned() } else { format!("it has {}", known.join(", ")) };
            return Err(format!("no {part:?} in {so_far}: {known}"));
        };
        so_far = format!("{so_far}.{part}");
        value = child;
    }
    Ok(value)
}

/// What a path goes on in: as in Rust, a part of what a reference or a box points to is named without `*`.
fn behind_pointers<'a>(mut value: &'a crate::event::Value, part: &str) -> &'a crate::event::Value {
    while let [(name, target)] = &value.children[..]
        && name == "*"
        && part != "*"
    {
        value = target;
    }
    value
}

/// The ways to go on with a path that is being typed: full paths.
pub fn completions(frame: &Frame, typed: &str) -> Vec<String> {
    let cut = typed.rfind(['.', '[']).map_or(0, |at| at + 1);
    let (base, tail) = typed.split_at(cut);
    if cut == 0 {
        let names = frame.locals.iter().map(|local| local.name.clone());
        return names.filter(|name| name.starts_with(tail)).collect();
    }
    let Ok(value) = look_up(frame, base.trim_end_matches(['.', '['])) else { return Vec::new() };
    let value = behind_pointers(value, tail);
    let parts = value.children.iter().map(|(name, _)| strip(name).to_owned());
    parts.filter(|name| name.starts_with(tail)).map(|name| format!("{base}{name}")).collect()
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split(['.', '[']).map(|part| strip(part.trim()).to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// An index may be written `3`, `[3]` or `3]`.
fn strip(name: &str) -> &str {
    name.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_script::verify;

    fn post_mortem() -> PostMortem {
        let model = verify().model();
        PostMortem::new(&model, model.crash().unwrap(), &[])
    }

    #[test]
    fn the_origin_is_first_and_alike_ones_are_one() {
        let all: Vec<_> = post_mortem().stacks.into_iter().map(|stack| (stack.title, stack.note)).collect();
        let all: Vec<_> = all.iter().map(|(title, note)| (title.as_str(), note.as_str())).collect();
        assert_eq!(
            all,
            [
                ("check #780", "origin"),
                ("progress #3", "answered Ok(5)"),
                ("check ×3", "cancelled, alike"),
                ("thread 10 hash", "cancelled"),
            ]
        );
    }

    #[test]
    fn alike_ones_can_be_looked_at_one_by_one() {
        let model = verify().model();
        let mut all = post_mortem();
        let titles = |all: &PostMortem| all.stacks.iter().map(|stack| stack.title.clone()).collect::<Vec<_>>();
        let before = titles(&all);
        assert!(all.unfold(&model, 2));
        let unfolded = titles(&all);
        assert_eq!(unfolded.len(), before.len() + 2);
        assert!(unfolded[2..5].iter().all(|title| title.starts_with("check #")), "{unfolded:?}");
        assert!(!all.unfold(&model, 3), "it is one already");
        assert_eq!(all.fold(&model, 4), Some(2));
        assert_eq!(titles(&all), before);
        assert_eq!(all.fold(&model, 0), None, "the origin is like no other");
    }

    #[test]
    fn frames_run_from_the_root_to_the_error_and_the_deepest_visible_one_is_found() {
        let all = post_mortem();
        let functions: Vec<_> = all.stacks[0].frames.iter().map(|located| located.frame.function.as_str()).collect();
        assert_eq!(functions, ["verify::main", "verify::verify", "verify::check", "tinyio::error::Error::from"]);
        assert_eq!(all.deepest(0), 2);
    }

    #[test]
    fn crashes_of_isolated_loops_come_after_it_with_their_own_errors() {
        let model = verify().model();
        let crash = model.crash().unwrap();
        let mut inner = (**crash).clone();
        inner.in_loop = 7;
        inner.failures.truncate(1);
        inner.failures[0].message = "handled".into();
        let all = PostMortem::new(&model, crash, &[Arc::new(inner)]);
        let last = all.stacks.len() - 1;
        assert_eq!((all.stacks[last].note.as_str(), all.stacks[0].note.as_str()), ("loop 7: origin", "origin"));
        assert_eq!(all.failure(last).unwrap().message, "handled");
        assert_eq!((all.crash_of(last).in_loop, all.crash_of(0).in_loop), (7, crash.in_loop));
    }

    #[test]
    fn a_last_await_is_marked_and_a_backtrace_of_the_error_is_looked_at_first() {
        let mut crash = (**verify().model().crash().unwrap()).clone();
        let origin = &mut crash.failures[0];
        origin.trace.last_mut().unwrap().last_await = true;
        let model = verify().model();
        let all = PostMortem::new(&model, &Arc::new(crash.clone()), &[]);
        let marked: Vec<_> = all.stacks[0].frames.iter().map(|located| located.before_place).collect();
        assert_eq!(marked, ["", "", "last suspended at ", ""]);
        assert_eq!(all.deepest(0), 2);
        crash.failures[0].error_backtrace =
            vec![crate::test_script::trace(0, "verify::check", "examples/verify.rs:130:3")];
        let all = PostMortem::new(&model, &Arc::new(crash), &[]);
        let first = &all.stacks[0].frames[all.deepest(0)];
        assert_eq!((first.native, first.frame.line), (Some(NativeKind::Error), 130));
    }

    /// A worker that panicked in a function that it had called, with the native stack of that moment.
    fn panicked() -> Failure {
        let located = |function: &str, line: u32| Frame {
            function: format!("site::{function}"),
            file: "/w/site/src/check.rs".into(),
            line,
            ..Frame::default()
        };
        let called = Frame { note: "called, not awaited".into(), ..located("Shared::seconds", 148) };
        let frames = vec![located("worker", 95), located("Shared::check", 132), called];
        let mut failure = verify().model().crash().unwrap().failures[0].clone();
        failure.kind = Outcome::Panic;
        failure.message = "panicked: no digits".into();
        failure.trace = vec![
            crate::test_script::trace(1, "site::check", "src/check.rs:87:41"),
            crate::test_script::trace(780, "site::worker", "src/check.rs:148:33"),
        ];
        failure.backtrace = [("Shared::seconds", 148), ("Shared::check", 132), ("worker", 95), ("main", 80)]
            .map(|(name, line)| {
                crate::test_script::trace(0, &format!("site::{name}"), &format!("/w/site/src/check.rs:{line}:9"))
            })
            .to_vec();
        failure.stack = Some(Stack { frames, ..Stack::default() });
        failure
    }

    fn of(failures: Vec<Failure>) -> PostMortem {
        let model = verify().model();
        let mut crash = (**model.crash().unwrap()).clone();
        crash.failures = failures;
        PostMortem::new(&model, &Arc::new(crash), &[])
    }

    #[test]
    fn native_frames_that_are_await_frames_too_are_listed_once_and_the_called_function_is_selected() {
        let all = of(vec![panicked()]);
        let frames = &all.stacks[0].frames;
        let listed: Vec<_> = frames.iter().map(|one| (short_name(&one.frame.function), one.native)).collect();
        let native = Some(NativeKind::Failure);
        let expected = [("check", None), ("worker", None), ("check", None), ("seconds", None), ("main", native)];
        assert_eq!(listed, expected);
        assert_eq!(all.deepest(0), 3);
        // Without the called function in the await stack, it is in the native one.
        let mut failure = panicked();
        failure.stack.as_mut().unwrap().frames.pop();
        let all = of(vec![failure]);
        let selected = &all.stacks[0].frames[all.deepest(0)];
        assert_eq!((selected.frame.line, selected.native), (148, native));
    }

    #[test]
    fn names_of_files_become_absolute_by_the_debug_info_of_the_crash_wherever_the_program_was_started() {
        let all = of(vec![panicked()]);
        assert_eq!(all.stacks[0].frames[0].frame.file, "/w/site/src/check.rs");
        // Two files that may be meant: neither is taken.
        let mut failure = panicked();
        failure.backtrace.push(crate::test_script::trace(0, "other::main", "/w/other/src/check.rs:1:1"));
        assert_eq!(of(vec![failure]).stacks[0].frames[0].frame.file, "src/check.rs");
    }

    #[test]
    fn what_is_missing_is_noted_once_in_a_callstack() {
        let mut failure = panicked();
        failure.trace.pop();
        let stack = failure.stack.as_mut().unwrap();
        stack.missing = Some("built without debug info".into());
        let mut frames = vec![Located::of(1, Frame::default()), Located::of(2, Frame::default())];
        frames.iter_mut().for_each(|located| located.missing.clone_from(&stack.missing));
        once(&mut frames);
        let missing: Vec<_> = frames.iter().map(|located| located.missing.as_deref()).collect();
        assert_eq!(missing, [None, Some("built without debug info")]);
    }

    #[test]
    fn after_an_interrupt_a_callstack_that_was_cancelled_at_its_own_await_is_selected() {
        let interrupted = |failure: &Failure| Failure {
            name: "the loop".into(),
            coro: 0,
            message: "interrupted".into(),
            trace: Vec::new(),
            stack: None,
            ..failure.clone()
        };
        let model = verify().model();
        let failures = &model.crash().unwrap().failures;
        let check = failures.iter().find(|one| one.kind == Outcome::Cancelled && one.thread == 0).unwrap();
        let mut parent = Failure { coro: 2, name: "verify::verify".into(), ..check.clone() };
        parent.trace.pop();
        let view = CrashView::new(of(vec![interrupted(&failures[0]), parent, check.clone()]));
        assert_eq!((view.stack, view.current().unwrap().coro), (2, check.coro));
        assert!(view.current().unwrap().frame.line > 0);
        let view = CrashView::new(of(vec![interrupted(&failures[0])]));
        assert_eq!(view.stack, 0, "there is no other");
    }

    #[test]
    fn a_path_is_looked_up_and_completed() {
        let all = post_mortem();
        let frame = &all.stacks[0].frames[2].frame;
        assert_eq!(look_up(frame, "entry.sum").unwrap().text, "a31f…9e");
        assert_eq!(look_up(frame, " path ").unwrap().text, "\"file 777.txt\"");
        assert!(look_up(frame, "entry.what").unwrap_err().contains("it has line, sum"));
        assert!(look_up(frame, "nothing").unwrap_err().contains("path, entry, found"));
        assert!(look_up(frame, "").is_err());
        assert_eq!(completions(frame, "e"), ["entry"]);
        assert_eq!(completions(frame, "entry."), ["entry.line", "entry.sum"]);
        assert_eq!(completions(frame, "entry.s"), ["entry.sum"]);
        assert_eq!(completions(frame, "entry.sum.x"), Vec::<String>::new());
    }

    #[test]
    fn a_path_goes_through_pointers_by_itself() {
        use crate::event::{Local, Value};
        let of = |children: Vec<(&str, Value)>| Value {
            children: children.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            ..Value::default()
        };
        let text = Value { text: "\"a.html\"".into(), ..Value::default() };
        let link = of(vec![("*", of(vec![("*", of(vec![("target", text)]))]))]);
        let local = Local { name: "link".into(), value: link, mark: String::new() };
        let frame = Frame { locals: vec![local], ..Frame::default() };
        for path in ["link.target", "link.*.target", "link.*.*.target"] {
            assert_eq!(look_up(&frame, path).unwrap().text, "\"a.html\"", "{path}");
        }
        assert!(look_up(&frame, "link.what").unwrap_err().contains("it has target"));
        assert_eq!(completions(&frame, "link.t"), ["link.target"]);
    }
}

//! A picture as text: alike tasks in one group.

use std::collections::BTreeMap;
use std::fmt::Write;

use tinyio_events::event::{Frame, Stack, number};
use tinyio_events::place::short_path;

use crate::picture::{Picture, State, Task};

/// Numbers of tasks that are listed of a group.
const NUMBERS: usize = 8;
/// Things that a task waits on that are listed.
const WAITS: usize = 8;
/// Characters of a value.
const VALUE: usize = 100;

/// What tasks of a group have in common.
type Alike<'p> = (State, &'p str, String, &'p str);

/// The picture as text, the largest groups first. Of each group the locals of its first task are shown.
pub fn text(picture: &Picture) -> String {
    let mut out = String::new();
    let Picture { program, pid, runtimes, tasks, .. } = picture;
    let _ = writeln!(out, "{program} (process {pid}): {}", counted(tasks.len(), "task"));
    for runtime in runtimes {
        let _ = writeln!(out, "  {} {}: {}", runtime.kind, runtime.flavor, counted(runtime.tasks, "task"));
    }
    let mut groups: BTreeMap<Alike<'_>, Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        let mut places = String::new();
        outline(&task.stack.frames, &mut places);
        groups.entry((task.state, &task.name, places, &task.note)).or_default().push(task);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, tasks)| std::cmp::Reverse(tasks.len()));
    for ((state, name, _, note), tasks) in groups {
        let _ = writeln!(out, "\n{} {} {name}", tasks.len(), word(state));
        let numbers: Vec<String> = tasks.iter().take(NUMBERS).map(|task| number(task.id)).collect();
        let more = if tasks.len() > NUMBERS { ", …" } else { "" };
        let thread = tasks[0].thread.filter(|_| tasks.len() == 1);
        let thread = thread.map_or_else(String::new, |thread| format!(" in `block_on` of thread {thread}"));
        let _ = writeln!(out, "  {}{more}{thread}", numbers.join(", "));
        if !note.is_empty() {
            let _ = writeln!(out, "  note: {note}");
        }
        let never = tasks.iter().filter(|task| task.never_woken).count();
        if never == tasks.len() {
            let _ = writeln!(out, "  never woken: no waker exists");
        } else if never > 0 {
            let _ = writeln!(out, "  {never} never woken: no waker exists");
        }
        let first = tasks[0];
        for wait in first.waits_on.iter().take(WAITS) {
            let _ = writeln!(out, "  {} waits on {}", number(first.id), wait.text);
        }
        if let Some(more) = first.waits_on.len().checked_sub(WAITS).filter(|more| *more > 0) {
            let _ = writeln!(out, "  {} waits on {more} more, which are in the JSON", number(first.id));
        }
        for hold in &first.holds {
            let _ = writeln!(out, "  {} holds {}", number(first.id), hold.text);
        }
        stack(&first.stack, &picture.directory, &mut out);
    }
    if !picture.notes.is_empty() {
        out.push('\n');
    }
    for note in &picture.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Ready => "ready",
        State::Waiting => "waiting",
        State::Finished => "finished",
    }
}

/// What makes stacks alike: functions and lines.
fn outline(frames: &[Frame], out: &mut String) {
    for frame in frames {
        let _ = write!(out, "{}:{}:{};", frame.function, frame.line, frame.note);
        for branch in &frame.branches {
            let _ = write!(out, "{}{{", branch.name);
            outline(&branch.frames, out);
            out.push('}');
        }
    }
}

fn stack(stack: &Stack, directory: &str, out: &mut String) {
    if let Some(missing) = &stack.missing {
        let _ = writeln!(out, "  {missing}");
    }
    if stack.mid_step {
        let _ = writeln!(out, "  last suspended at:");
    }
    frames(&stack.frames, directory, 1, out);
}

fn frames(all: &[Frame], directory: &str, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for frame in all {
        if !frame.hidden {
            let place = match frame.line {
                0 => String::new(),
                line => format!("  {}:{line}", short_path(&frame.file, directory)),
            };
            let note = if frame.note.is_empty() { String::new() } else { format!(" ({})", frame.note) };
            let _ = writeln!(out, "{indent}{}{place}{note}", frame.function);
            if let Some((_, text)) = frame.source.iter().find(|(line, _)| *line == frame.line) {
                let _ = writeln!(out, "{indent}    > {}", text.trim());
            }
            for local in frame.locals.iter().filter(|_| frame.line > 0) {
                let mark = if local.mark.is_empty() { String::new() } else { format!("  ({})", local.mark) };
                let _ = writeln!(out, "{indent}    {} = {}{mark}", local.name, short(&local.value.text));
            }
        }
        for branch in &frame.branches {
            let _ = writeln!(out, "{indent}| {}", branch.name);
            frames(&branch.frames, directory, depth + 1, out);
        }
    }
}

/// The beginning of a long text.
fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

//! The text of a crash.

use tinyio_events::event::{Failure, Frame, Local, Outcome, TraceSite};
use tinyio_events::place::{is_moment, short_path};

use super::ReadSource;
use super::group::{Group, Section};
use super::native::{NativeStack, is_frame_at, message_with_place, native_stacks};
use super::paint::{Ink, Page};
use super::stack::{
    Shown, Step, as_of, before_end, before_place, excerpt, fields_of, is_as_of_suspension, relative, stack_of, step,
    steps,
};
use crate::format::{self, brief, broken, counted, fine_span, fit, one_line, width};
use crate::model::{Crash, Model, short_name};

/// At most this many groups are listed in each section.
const GROUPS: usize = 12;
/// At most this many variables of a frame are listed: of one that failed, of another.
const LOCALS: (usize, usize) = (24, 6);
/// At most this many columns of a value, where those of several stand beside each other.
const VALUE: usize = 28;
/// At most this many lines of a value, where it has lines of its own.
const VALUE_LINES: usize = 4;
/// At most this many native frames are listed.
const BACKTRACE: usize = 12;
/// At most this many sources of an error are listed, and lines of a message.
const SOURCES: usize = 16;

pub(super) fn write(page: &mut Page, model: &Model, crash: &Crash, read: ReadSource) {
    headline(page, model, crash);
    let Some(origin) = crash.failures.first() else { return };
    more_of_the_error(page, origin, 2);
    page.blank();
    let steps = steps(model, origin);
    trace(page, model, origin, &steps, read);
    let shown = || steps.iter().flat_map(|step| &step.frames);
    let is_listed = |site: &TraceSite| shown().any(|shown| is_frame_at(shown.function, shown.file, shown.line, site));
    for stack in native_stacks(origin, is_listed) {
        native_stack(page, model, &stack);
    }
    let groups = Group::of(model, crash);
    for section in Section::ALL {
        let of_it: Vec<_> = groups.iter().filter(|group| group.section == section).collect();
        if !of_it.is_empty() {
            page.blank();
            write_section(page, model, section, &of_it);
        }
    }
}

fn headline(page: &mut Page, model: &Model, crash: &Crash) {
    let program = match model.header().program.as_str() {
        "" => "the program",
        program => program,
    };
    let after = model.get_loop(crash.in_loop).map(|one| crash.at.saturating_sub(one.since));
    let after = after.map_or(String::new(), |span| format!(" after {}", fine_span(span)));
    let what = if crash.is_over { "crashed" } else { "failed" };
    page.begin(0).put("✖", Ink::Bad).put(&format!(" {} {what}{after}: ", one_line(program)), Ink::Plain);
    let Some(origin) = crash.failures.first() else {
        return page.plain("nothing is known of the error").end();
    };
    let place = |site: &TraceSite| place_of(model, &site.file, site.line, site.column);
    let message = message_with_place(origin, place);
    page.put(&first_line_of(&message), Ink::Bad);
    let kind = one_line(&origin.error_type);
    if !kind.is_empty() && width(&kind) + 4 < page.left() {
        page.dim(&format!("  {kind}"));
    }
    page.end();
}

/// The first line of what went wrong.
pub(super) fn first_line(failure: &Failure) -> String {
    match failure.kind {
        Outcome::Panic if !failure.message.starts_with("panicked") => {
            first_line_of(&format!("panicked: {}", failure.message))
        }
        _ => first_line_of(&failure.message),
    }
}

fn first_line_of(message: &str) -> String {
    match one_line(message.lines().next().unwrap_or("")) {
        line if line.is_empty() => "an error without a message".to_owned(),
        line => line,
    }
}

/// The other lines of the message, and what caused it.
fn more_of_the_error(page: &mut Page, failure: &Failure, indent: usize) {
    let rest: Vec<_> = format::lines(&failure.message).skip(1).collect();
    for line in rest.iter().take(SOURCES) {
        page.begin(indent + 2).plain(line).end();
    }
    for source in failure.sources.iter().take(SOURCES) {
        let mut lines = format::lines(source);
        page.begin(indent).dim("caused by: ").plain(&lines.next().unwrap_or_default()).end();
        lines.take(SOURCES).for_each(|line| page.begin(indent + 13).plain(&line).end());
    }
    let left_out = rest.len().saturating_sub(SOURCES) + failure.sources.len().saturating_sub(SOURCES);
    if left_out > 0 {
        page.begin(indent).dim(&format!("… {left_out} more")).end();
    }
}

/// The trace of the origin: a line for each frame, the variables beside it or beneath it, and the source of the last.
fn trace(page: &mut Page, model: &Model, origin: &Failure, steps: &[Step<'_>], read: ReadSource) {
    let columns = Columns::of(model, steps);
    for (index, step) in steps.iter().enumerate() {
        let is_last = index + 1 == steps.len();
        write_step(page, model, step, &columns, 2, if is_last { LOCALS.0 } else { LOCALS.1 }, is_last);
        recorded(page, if is_last { &origin.fields } else { fields_of(model, step.coro) }, 4);
    }
    if let Some(step) = steps.last()
        && let Some(shown) = step.frames.get(step.at)
    {
        source(page, model, shown, step.last_await, read);
    }
}

/// Where the columns of a list of frames begin.
struct Columns {
    place: usize,
    locals: usize,
}

impl Columns {
    fn of(model: &Model, steps: &[Step<'_>]) -> Columns {
        let rows = || steps.iter().flat_map(|step| (0..step.frames.len()).map(move |index| (step, index)));
        let names = rows().map(|(step, index)| width(&name(step, index))).max().unwrap_or(0).min(36);
        let places = rows().map(|(step, index)| width(&place(model, step, index))).max().unwrap_or(0).min(48);
        Columns { place: 2 + names + 2, locals: 2 + names + 2 + places + 2 }
    }
}

/// What stands in the first column: the coroutine at its first frame, the function beneath it at the others.
fn name(step: &Step<'_>, index: usize) -> String {
    let shown = &step.frames[index];
    let function = brief(&one_line(short_name(shown.function)));
    match (index, shown.branch) {
        (0, _) => brief(&one_line(&step.label)),
        (_, Some(branch)) => format!("  {}: {function}", one_line(branch)),
        _ => format!("  {function}"),
    }
}

fn place(model: &Model, step: &Step<'_>, index: usize) -> String {
    let shown = &step.frames[index];
    let place = place_of(model, shown.file, shown.line, shown.column);
    if place.is_empty() { place } else { format!("{}{place}", step.before_place(index)) }
}

fn place_of(model: &Model, file: &str, line: u32, column: u32) -> String {
    let file = one_line(short_path(file, &model.header().directory));
    match (line, column) {
        (0, _) => file,
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    }
}

fn write_step(
    page: &mut Page,
    model: &Model,
    step: &Step<'_>,
    columns: &Columns,
    indent: usize,
    limit: usize,
    in_full: bool,
) {
    if step.frames.is_empty() {
        page.begin(indent).name(&brief(&one_line(&step.label))).end();
    }
    for (index, shown) in step.frames.iter().enumerate() {
        page.begin(indent).name(&name(step, index));
        let place = place(model, step, index);
        if !place.is_empty() {
            page.to(columns.place + indent - 2).plain(&place);
        }
        let note = shown.frame.map_or("", |frame| &frame.note);
        if !note.is_empty() {
            page.dim(&format!("  ({})", one_line(note)));
        }
        let Some(frame) = shown.frame.filter(|frame| !frame.locals.is_empty()) else {
            page.end();
            continue;
        };
        let one_row = inline(frame, step.mid_step);
        let start = columns.locals + indent - 2;
        if !(in_full && index == step.at) && page.left_from(start) >= width(&one_row) {
            page.to(start).dim(&one_row).end();
        } else {
            page.end();
            block(page, frame, step.mid_step, indent + 4, limit);
        }
    }
    if step.more > 0 {
        page.begin(indent + 2).dim(&format!("… {}", counted(step.more as u64, "more frame"))).end();
    }
}

/// The recorded fields of a coroutine, in a row if they fit.
fn recorded(page: &mut Page, fields: &[(String, String)], indent: usize) {
    if fields.is_empty() {
        return;
    }
    let one = |(name, value): &(String, String)| format!("{} = {}", one_line(name), one_line(value));
    let all: Vec<_> = fields.iter().take(LOCALS.0).map(one).collect();
    page.begin(indent).dim("recorded: ");
    let row = all.join(", ");
    if width(&row) <= page.left() {
        page.plain(&row).end();
    } else {
        page.end();
        for field in &all {
            let room = page.left_from(indent + 2).max(24);
            for line in broken(field, room, VALUE_LINES) {
                page.begin(indent + 2).plain(&line).end();
            }
        }
    }
    if fields.len() > all.len() {
        page.begin(indent + 2).dim(&format!("… {}", counted((fields.len() - all.len()) as u64, "more field"))).end();
    }
}

/// All variables in one row.
fn inline(frame: &Frame, mid_step: bool) -> String {
    let mid_step = is_as_of_suspension(frame, mid_step);
    let one = |local: &Local| format!("{} = {}", one_line(&local.name), value(local, mid_step));
    let row = frame.locals.iter().map(one).collect::<Vec<_>>().join(", ");
    if mid_step { format!("{row} ({})", as_of(frame)) } else { row }
}

fn value(local: &Local, mid_step: bool) -> String {
    let mark = mark(local, mid_step);
    let text = one_line(&local.value.text);
    if mark.is_empty() { text } else { format!("{text} ({mark})") }
}

/// The restriction on a variable, without what applies to the whole frame.
fn mark(local: &Local, mid_step: bool) -> String {
    // A restriction that the value itself contains is not repeated.
    let is_shown_elsewhere = |part: &str| mid_step && is_moment(part) || local.value.text == format!("<{part}>");
    let parts = local.mark.split(", ").filter(|part| !is_shown_elsewhere(part));
    one_line(&parts.collect::<Vec<_>>().join(", "))
}

/// The variables beneath their frame, one a line.
fn block(page: &mut Page, frame: &Frame, mid_step: bool, indent: usize, limit: usize) {
    let mid_step = is_as_of_suspension(frame, mid_step);
    if mid_step {
        page.begin(indent).dim(&format!("{}:", as_of(frame))).end();
    }
    let locals = &frame.locals[..frame.locals.len().min(limit)];
    let names = locals.iter().map(|local| width(&one_line(&local.name))).max().unwrap_or(0).min(24);
    for local in locals {
        page.begin(indent).put(&one_line(&local.name), Ink::Variable);
        let fill = (indent + names).saturating_sub(page.column());
        page.space(fill).plain(" = ");
        let mark = mark(local, mid_step);
        let start = page.column();
        let mut lines = broken(&one_line(&local.value.text), page.left().max(24), VALUE_LINES);
        let last = lines.pop().unwrap_or_default();
        for line in lines {
            page.plain(&line).end();
            page.begin(start);
        }
        page.plain(&last);
        if !mark.is_empty() {
            if page.left() < width(&mark) + 3 {
                page.end();
                page.begin(start.saturating_sub(1));
            }
            page.dim(&format!(" ({mark})"));
        }
        page.end();
    }
    if frame.locals.len() > limit {
        page.begin(indent).dim(&format!("… {}", counted((frame.locals.len() - limit) as u64, "more variable"))).end();
    }
}

/// The variables of alike coroutines: those that differ first, with as many of their values as fit into a row.
fn block_of_all(page: &mut Page, model: &Model, group: &Group<'_>, indent: usize) {
    let mut frames: Vec<(&Frame, bool)> = Vec::new();
    for failure in &group.members {
        let step = step(model, failure.coro, &failure.name, None, stack_of(model, failure));
        frames.extend(step.frames.last().and_then(|shown| Some((shown.frame?, step.mid_step))));
    }
    let Some((first, mid_step)) = frames.first() else { return };
    let mut rows: Vec<(&str, Vec<String>)> = Vec::new();
    for local in &first.locals {
        let of =
            |frame: &Frame| frame.locals.iter().find(|other| other.name == local.name).map(|own| value(own, *mid_step));
        let mut values: Vec<String> = frames.iter().filter_map(|(frame, _)| of(frame)).collect();
        if values.iter().all(|value| *value == values[0]) {
            values.truncate(1);
        }
        rows.push((&local.name, values));
    }
    rows.sort_by_key(|(_, values)| values.len() == 1);
    let names = rows.iter().take(LOCALS.1).map(|(name, _)| width(&one_line(name))).max().unwrap_or(0).min(24);
    for (name, values) in rows.iter().take(LOCALS.1) {
        page.begin(indent).put(&one_line(name), Ink::Variable);
        let fill = (indent + names).saturating_sub(page.column());
        page.space(fill).plain(" = ");
        let each = if values.len() == 1 { page.left() } else { VALUE };
        for (index, value) in values.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let text = fit(value, each);
            let rest = values.len() - index;
            let more = if rest > 1 { format!(", … {} more", format::count(rest as u64 - 1)) } else { String::new() };
            if index > 0 && width(comma) + width(&text) + width(&more) > page.left() {
                page.dim(&format!(", … {} more", format::count(rest as u64)));
                break;
            }
            page.plain(comma).plain(&text);
        }
        page.end();
    }
    if rows.len() > LOCALS.1 {
        page.begin(indent).dim(&format!("… {}", counted((rows.len() - LOCALS.1) as u64, "more variable"))).end();
    }
}

fn source(page: &mut Page, model: &Model, shown: &Shown<'_>, last_await: bool, read: ReadSource) {
    let lines = excerpt(shown, model.header(), 2, 1, read);
    if lines.is_empty() {
        return;
    }
    page.blank();
    if last_await {
        page.begin(4)
            .dim(&format!("{}this line; where the error was made is not known:", before_place(shown.frame)))
            .end();
    }
    let digits = lines.last().map_or(0, |(line, _)| width(&line.to_string()));
    for (line, text) in lines {
        let (arrow, ink) = if line == shown.line { ("> ", Ink::Strong) } else { ("  ", Ink::Dim) };
        page.begin(4).put(arrow, Ink::Bad).dim(&format!("{line:>digits$} | "));
        let room = page.left().max(24);
        page.put(&fit(&one_line(&text), room), ink).end();
    }
}

fn native_stack(page: &mut Page, model: &Model, stack: &NativeStack<'_>) {
    page.blank();
    page.begin(2).dim(&stack.heading()).end();
    let sites = &stack.sites[..stack.sites.len().min(BACKTRACE)];
    let names = sites.iter().map(|site| width(&one_line(&site.name))).max().unwrap_or(0).min(48);
    for site in sites {
        page.begin(6).plain(&one_line(&site.name));
        if site.line > 0 {
            let file = one_line(short_path(&site.file, &model.header().directory));
            page.to(6 + names + 2).plain(&format!("{file}:{}", site.line));
        }
        page.end();
    }
    if stack.sites.len() > BACKTRACE {
        page.begin(6).dim(&format!("… {} more", stack.sites.len() - BACKTRACE)).end();
    }
}

fn write_section(page: &mut Page, model: &Model, section: Section, groups: &[&Group<'_>]) {
    let number: usize = groups.iter().map(|group| group.members.len()).sum();
    let more = if number == 1 { "more was" } else { "more were" };
    let number_text = format::count(number as u64);
    let (title, ink) = match section {
        Section::Failed => (format!("{number_text} more failed"), Ink::Bad),
        Section::Improper => (format!("{number_text} did not stop properly"), Ink::Bad),
        Section::Cancelled => (format!("{number_text} {more} cancelled"), Ink::Strong),
        Section::NeverStarted => (format!("{number_text} never started"), Ink::Strong),
    };
    page.begin(2).put(&title, ink).end();
    let labels: Vec<_> = groups.iter().map(|group| label(model, group)).collect();
    let names = labels.iter().take(GROUPS).map(|label| width(label)).max().unwrap_or(0).min(36);
    // A few groups are listed in full, with their variables; many only with name and place.
    let in_full = groups.len() <= GROUPS / 2;
    for (group, label) in groups.iter().zip(&labels).take(GROUPS) {
        write_group(page, model, group, label, names, in_full);
    }
    if groups.len() > GROUPS {
        let left: usize = groups[GROUPS..].iter().map(|group| group.members.len()).sum();
        let rest = groups.len() - GROUPS;
        page.begin(6)
            .dim(&format!("… and {} at {}", format::count(left as u64), counted(rest as u64, "other place")))
            .end();
    }
}

fn label(model: &Model, group: &Group<'_>) -> String {
    let name = brief(&one_line(&group.label(model)));
    match group.members.len() {
        1 => name,
        many => format!("{} × {name}", format::count(many as u64)),
    }
}

fn write_group(page: &mut Page, model: &Model, group: &Group<'_>, label: &str, names: usize, in_full: bool) {
    let first = group.first();
    page.begin(6).name(label).to(6 + names + 3);
    let note = match group.section {
        Section::Failed => first_line(first),
        Section::Improper => one_line(first.message.lines().next().unwrap_or("")),
        Section::Cancelled | Section::NeverStarted => brief(&group.was_at),
    };
    let own = group.members.len() == 1;
    let site = first.trace.last();
    let mut alone = step(model, first.coro, &first.name, site, stack_of(model, first));
    relative(std::slice::from_mut(&mut alone), first);
    let place = match site.filter(|site| site.line > 0 && !site.last_await) {
        Some(site) => {
            let place = place_of(model, &site.file, site.line, site.column);
            // A place beside the name of a coroutine may be in a function that it awaits inline.
            match alone.frames.get(alone.at) {
                Some(Shown { frame: Some(_), function, .. }) if alone.at > 0 => {
                    format!("{place} in {}", brief(&one_line(short_name(function))))
                }
                Some(Shown { frame: None, .. }) if alone.frames.len() == 1 => format!("{}{place}", before_end(first)),
                _ => place,
            }
        }
        None if alone.frames.is_empty() => String::new(),
        None => place(model, &alone, alone.at),
    };
    let note = [note, place].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    page.plain(&note);
    if let ([only], true) = (&alone.frames[..], own && in_full)
        && let Some(frame) = only.frame.filter(|frame| !frame.locals.is_empty())
    {
        let row = format!("   {}", inline(frame, alone.mid_step));
        if width(&row) <= page.left() {
            page.dim(&row).end();
        } else {
            page.end();
            block(page, frame, alone.mid_step, 10, LOCALS.1);
        }
    } else {
        page.end();
        if !own && in_full {
            block_of_all(page, model, group, 10);
        }
    }
    if group.section == Section::Failed {
        more_of_the_error(page, first, 10);
    }
    if alone.frames.len() > 1 && in_full {
        let columns = Columns::of(model, std::slice::from_ref(&alone));
        if !own {
            // For many, the variables differ; they share the place.
            alone.frames.iter_mut().for_each(|shown| shown.frame = None);
        }
        write_step(page, model, &alone, &columns, 10, LOCALS.1, false);
    }
    if own && in_full {
        recorded(page, &first.fields, 10);
    }
}

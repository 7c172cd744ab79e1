//! One page of a crash or a moment: the report, the stacks with their values and source, the tree. It loads nothing,
//! runs no script, and forbids both.

use std::io::{self, Write};

use crate::describe;
use crate::event::{CoroId, Failure, Frame, Stack, TraceSite, Value};
use crate::format::{self, clock, count, counted, fine_span, one_line};
use crate::model::{Crash, Level, Model, Site, short_name};
use crate::report::{
    self, Ending, Group, Section, Shown, Step, as_of, excerpt, glyph, is_as_of_suspension, is_frame_at, native_stacks,
    notes, panic_place, steps,
};
use crate::source_text;
use crate::time_point::Moment;
use crate::tree::{Row, What, rows};
use tinyio_events::place::{is_moment, short_path};

/// Number of values shown of one stack at most, so that browsers can open the page.
const VALUES: usize = 2_000;
/// Groups of a crash with their stacks; of the others the report's line is all.
const GROUPS: usize = 100;
/// Members of a group by name.
const MEMBERS: usize = 50;
/// Lines of the log, the latest.
const LOG: usize = 200;
/// Resources in the table.
const RESOURCES: usize = 200;

const STYLE: &str = include_str!("page.css");

pub(super) fn write(moment: &Moment, file: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let model = &moment.model;
    let header = model.header();
    let mut page = Page { out, model, values: 0 };
    let program = if header.program.is_empty() { "the program" } else { &header.program };
    writeln!(
        page.out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{} · tinyio</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
        escaped(program)
    )?;
    page.head(moment, program)?;
    if let Some(crash) = model.crash() {
        page.crash(crash)?;
        if let Some(sentence) = report::cancelling(model, crash, moment.ending) {
            writeln!(page.out, "<p>{sentence}</p>")?;
        }
    }
    page.notes()?;
    page.tree(moment)?;
    page.resources(moment.graph())?;
    page.log()?;
    if let Some(file) = file {
        let file = escaped(file);
        writeln!(page.out, "<footer>the whole run: <code>tinyio-inspector replay {file}</code></footer>")?;
    }
    writeln!(page.out, "</body>\n</html>")
}

struct Page<'a> {
    out: &'a mut dyn Write,
    model: &'a Model,
    values: usize,
}

/// The name that the program gave a coroutine of a crash, or its number.
fn given_label(model: &Model, failure: &Failure) -> String {
    match report::given_name(model, failure) {
        Some(_) => report::label(model, failure.coro, &failure.name),
        None => format!("#{}", failure.coro),
    }
}

impl Page<'_> {
    fn head(&mut self, moment: &Moment, program: &str) -> io::Result<()> {
        let (model, program) = (self.model, escaped(program));
        let header = model.header();
        let (class, title) = match (model.crash(), moment.ending) {
            _ if model.picture().is_some() => ("good", format!("● {program}, as it was read")),
            (Some(crash), _) => {
                let after = model.get_loop(crash.in_loop).map(|one| crash.at.saturating_sub(one.since));
                let after = after.map_or(String::new(), |span| format!(" after {}", fine_span(span)));
                let panicked = crash.failures.first().and_then(panic_place);
                let what = match panicked.map(|site| self.place(&site.file, site.line, site.column)) {
                    Some(place) if !place.is_empty() => format!("panicked at {place}"),
                    _ if crash.is_over => "crashed".to_owned(),
                    _ => "failed".to_owned(),
                };
                ("bad", format!("✖ {program} {what}{after}"))
            }
            _ if model.is_complete() => ("good", format!("✔ {program} ended after {}", fine_span(model.now()))),
            (None, Ending::Died) => ("bad", format!("✖ {program} died after {}", fine_span(model.now()))),
            (None, _) => ("good", format!("● {program} at {}", clock(model.now()))),
        };
        writeln!(self.out, "<header><h1 class=\"{class}\">{title}</h1>")?;
        let directory =
            if header.directory.is_empty() { String::new() } else { format!(" · {}", escaped(&header.directory)) };
        let time = match model.picture() {
            None => format!(" · started {} UTC", utc(header.started)),
            // When a core file was written is not known.
            Some(_) if header.started == 0 => String::new(),
            Some(picture) => format!(" · read {} UTC", utc(header.started.saturating_add(picture.at))),
        };
        writeln!(self.out, "<p class=\"dim\">pid {}{time}{directory}</p></header>", header.pid)
    }

    fn crash(&mut self, crash: &Crash) -> io::Result<()> {
        let Some(origin) = crash.failures.first() else { return Ok(()) };
        writeln!(self.out, "<section>")?;
        self.error(origin)?;
        self.steps(origin)?;
        self.backtraces(origin)?;
        writeln!(self.out, "</section>")?;
        let groups = Group::of(self.model, crash);
        for section in Section::ALL {
            let of_it: Vec<_> = groups.iter().filter(|group| group.section == section).collect();
            let number: usize = of_it.iter().map(|group| group.members.len()).sum();
            if number == 0 {
                continue;
            }
            let title = match section {
                Section::Failed => "more failed",
                Section::Improper => "did not stop properly",
                Section::Cancelled if number == 1 => "more was cancelled",
                Section::Cancelled => "more were cancelled",
                Section::NeverStarted => "never started",
            };
            writeln!(self.out, "<section><h2>{} {title}</h2>", count(number as u64))?;
            for group in of_it.iter().take(GROUPS) {
                self.group(group)?;
            }
            if of_it.len() > GROUPS {
                let left: usize = of_it[GROUPS..].iter().map(|group| group.members.len()).sum();
                writeln!(self.out, "<p class=\"dim\">… and {} at other places</p>", count(left as u64))?;
            }
            writeln!(self.out, "</section>")?;
        }
        Ok(())
    }

    fn error(&mut self, failure: &Failure) -> io::Result<()> {
        let message: Vec<_> = format::lines(&failure.message).map(|line| escaped(&line)).collect();
        writeln!(self.out, "<pre class=\"error\">{}</pre>", message.join("\n"))?;
        if !failure.error_type.is_empty() {
            writeln!(self.out, "<p class=\"dim\">{}</p>", escaped(&failure.error_type))?;
        }
        for source in &failure.sources {
            let source: Vec<_> = format::lines(source).map(|line| escaped(&line)).collect();
            writeln!(self.out, "<pre class=\"cause\">caused by: {}</pre>", source.join("\n"))?;
        }
        Ok(())
    }

    /// The coroutines of a failure's trace, the last one open.
    fn steps(&mut self, failure: &Failure) -> io::Result<()> {
        let model = self.model;
        let steps = steps(model, failure);
        for (index, step) in steps.iter().enumerate() {
            self.step(step, index + 1 == steps.len())?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>, open: bool) -> io::Result<()> {
        writeln!(self.out, "<div class=\"step\"><b>{}</b>", escaped(&step.label))?;
        for (index, shown) in step.frames.iter().enumerate() {
            self.frame(shown, step.before_place(index), step.mid_step, open && index == step.at)?;
        }
        if step.more > 0 {
            writeln!(self.out, "<p class=\"dim\">… {}</p>", counted(step.more as u64, "more frame"))?;
        }
        writeln!(self.out, "</div>")
    }

    fn frame(&mut self, shown: &Shown<'_>, before_place: &str, mid_step: bool, open: bool) -> io::Result<()> {
        let branch = shown.branch.map_or(String::new(), |branch| format!("<i>{}:</i> ", escaped(branch)));
        let function = escaped(shown.function);
        let place = self.place(shown.file, shown.line, shown.column);
        let note = shown.frame.map_or("", |frame| &frame.note);
        let note =
            if note.is_empty() { String::new() } else { format!(" <span class=\"dim\">({})</span>", escaped(note)) };
        let line = format!("{branch}<code>{function}</code> {before_place}<span class=\"place\">{place}</span>{note}");
        let source = excerpt(shown, self.model.header(), 8, 8, source_text::read);
        let locals = shown.frame.map_or(&[][..], |frame| &frame.locals);
        if source.is_empty() && locals.is_empty() {
            return writeln!(self.out, "<div class=\"frame\">{line}</div>");
        }
        let open = if open { " open" } else { "" };
        writeln!(self.out, "<details class=\"frame\"{open}><summary>{line}</summary>")?;
        if !source.is_empty() {
            write!(self.out, "<pre class=\"source\">")?;
            for (number, text) in source {
                let class = if number == shown.line { " class=\"here\"" } else { "" };
                write!(self.out, "<span{class}><i>{number:>5}</i> {}</span>", escaped(&text))?;
            }
            writeln!(self.out, "</pre>")?;
        }
        let mid_step = shown.frame.is_some_and(|frame| is_as_of_suspension(frame, mid_step));
        if mid_step && !locals.is_empty() {
            writeln!(self.out, "<p class=\"dim\">values {}</p>", shown.frame.map_or("", as_of))?;
        }
        if let Some(frame) = shown.frame.filter(|frame| !frame.locals.is_empty()) {
            self.locals(frame, mid_step)?;
        }
        writeln!(self.out, "</details>")
    }

    fn locals(&mut self, frame: &Frame, mid_step: bool) -> io::Result<()> {
        writeln!(self.out, "<dl>")?;
        for local in &frame.locals {
            let marks = local.mark.split(", ").filter(|mark| !(mark.is_empty() || mid_step && is_moment(mark)));
            let marks: String = marks.map(|mark| format!(" <span class=\"mark\">{}</span>", escaped(mark))).collect();
            write!(self.out, "<dt>{}</dt><dd>", escaped(&local.name))?;
            self.value(&local.value, &marks)?;
            writeln!(self.out, "</dd>")?;
        }
        writeln!(self.out, "</dl>")
    }

    fn value(&mut self, value: &Value, marks: &str) -> io::Result<()> {
        self.values += 1;
        let kind = if value.type_name.is_empty() {
            String::new()
        } else {
            format!(" title=\"{}\"", escaped(&value.type_name))
        };
        let link = match value.coro {
            0 => String::new(),
            id => format!(" <a href=\"#c{id}\">{}</a>", escaped(&self.model.label(id))),
        };
        let text = format!("<code{kind}>{}</code>{link}{marks}", escaped(&value.text));
        if value.children.is_empty() || self.values > VALUES {
            return write!(self.out, "{text}");
        }
        write!(self.out, "<details><summary>{text}</summary><dl>")?;
        for (index, (name, child)) in value.children.iter().enumerate() {
            if self.values > VALUES {
                write!(self.out, "<dt>…</dt><dd>{} more</dd>", value.children.len() - index)?;
                break;
            }
            write!(self.out, "<dt>{}</dt><dd>", escaped(name))?;
            self.value(child, "")?;
            write!(self.out, "</dd>")?;
        }
        write!(self.out, "</dl></details>")
    }

    fn place(&self, file: &str, line: u32, column: u32) -> String {
        let file = escaped(short_path(file, &self.model.header().directory));
        match (line, column) {
            _ if file.is_empty() => String::new(),
            (0, _) => file,
            (line, 0) => format!("{file}:{line}"),
            (line, column) => format!("{file}:{line}:{column}"),
        }
    }

    fn backtraces(&mut self, failure: &Failure) -> io::Result<()> {
        let steps = steps(self.model, failure);
        let shown = || steps.iter().flat_map(|step| &step.frames);
        let is_listed =
            |site: &TraceSite| shown().any(|shown| is_frame_at(shown.function, shown.file, shown.line, site));
        for stack in native_stacks(failure, is_listed) {
            writeln!(self.out, "<details><summary>{}</summary><ol>", stack.heading())?;
            for site in stack.sites {
                let place = self.place(&site.file, site.line, site.column);
                let name = escaped(&site.name);
                writeln!(self.out, "<li><code>{name}</code> <span class=\"place\">{place}</span></li>")?;
            }
            writeln!(self.out, "</ol></details>")?;
        }
        Ok(())
    }

    fn group(&mut self, group: &Group<'_>) -> io::Result<()> {
        let first = group.first();
        let label = escaped(&group.label(self.model));
        let label = match group.members.len() {
            1 => label,
            many => format!("{} × {label}", count(many as u64)),
        };
        let note = match group.section {
            Section::Failed | Section::Improper => first.message.lines().next().unwrap_or(""),
            Section::Cancelled | Section::NeverStarted => &group.was_at,
        };
        let known = if first.is_last_await() { "last known at " } else { "" };
        let place = first.trace.last().map_or(String::new(), |site| self.place(&site.file, site.line, site.column));
        let sign = glyph(first.kind);
        writeln!(
            self.out,
            "<details class=\"group\"><summary>{sign} <b>{label}</b> {} {known}<span class=\"place\">{place}</span></summary>",
            escaped(note)
        )?;
        if group.section == Section::Failed {
            self.error(first)?;
        }
        if group.members.len() > 1 {
            let names: Vec<_> = {
                let members = group.members.iter().take(MEMBERS);
                members.map(|one| escaped(&given_label(self.model, one))).collect()
            };
            let more = group.members.len().saturating_sub(MEMBERS);
            let more = if more > 0 { format!(" and {} more", count(more as u64)) } else { String::new() };
            writeln!(self.out, "<p class=\"dim\">{}{more}; the first of them:</p>", names.join(", "))?;
        }
        self.steps(first)?;
        self.backtraces(first)?;
        writeln!(self.out, "</details>")
    }

    fn notes(&mut self) -> io::Result<()> {
        let notes = notes(self.model);
        if notes.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "<section class=\"notes\"><ul>")?;
        notes.iter().try_for_each(|note| writeln!(self.out, "<li>{}</li>", escaped(note).replace('\n', "<br>")))?;
        writeln!(self.out, "</ul></section>")
    }

    fn tree(&mut self, moment: &Moment) -> io::Result<()> {
        let graph = moment.graph();
        if graph.live_count() == 0 {
            return Ok(());
        }
        let when = match moment.before_crash {
            Some(_) => format!("right before the cancellation, at {}", clock(graph.now())),
            None => format!("at {}", describe::moment(graph)),
        };
        let live = counted(graph.live_count() as u64, "coroutine");
        writeln!(
            self.out,
            "<section><h2>What waits for what</h2><p class=\"dim\">{live}, {when}</p><div class=\"tree\">"
        )?;
        let mut depth = 0;
        for row in &rows(graph) {
            (row.depth..depth).try_for_each(|_| writeln!(self.out, "</div></details>"))?;
            depth = row.depth;
            self.row(graph, row)?;
            depth += usize::from(row.has_children);
        }
        (0..depth).try_for_each(|_| writeln!(self.out, "</div></details>"))?;
        writeln!(self.out, "</div></section>")
    }

    fn row(&mut self, graph: &Model, row: &Row) -> io::Result<()> {
        let (label, doing) = (escaped(&row.label), escaped(&row.doing));
        let name = match row.what {
            What::Coro(id, _) => format!("<b id=\"c{id}\">{label}</b>"),
            What::Reference(id) => format!("<a href=\"#c{id}\">{label}</a>"),
            _ => format!("<b>{label}</b>"),
        };
        let class = match row.what {
            What::Coro(_, activity) | What::Group(activity) => activity.words().replace(' ', "-"),
            _ => "other".to_owned(),
        };
        let beside = if row.is_loose { " <span class=\"dim\">runs beside</span>" } else { "" };
        let line = format!(
            "<span class=\"sign {class}\">{}</span> {name}{beside} <span>{doing}</span> <span class=\"place\">{}</span> <span class=\"dim\">{}</span>",
            row.what.glyph(),
            escaped(&row.place),
            escaped(&row.long)
        );
        match row.has_children {
            true => writeln!(self.out, "<details open><summary>{line}</summary><div>")?,
            false => writeln!(self.out, "<div class=\"leaf\">{line}</div>")?,
        }
        if let What::Coro(id, _) = row.what {
            self.about(graph, id)?;
        }
        Ok(())
    }

    /// What is known of a coroutine beyond its row.
    fn about(&mut self, graph: &Model, id: CoroId) -> io::Result<()> {
        let (Some(coro), model) = (graph.coro(id), self.model) else { return Ok(()) };
        // The stacks of a crash are read after the moment the tree is of.
        let stack = model.coro(id).and_then(|coro| coro.stack.as_ref()).or(coro.stack.as_ref());
        let stack: Option<&Stack> = stack.map(|(_, stack)| &**stack);
        if stack.is_none() && coro.fields.is_empty() {
            return Ok(());
        }
        let spawned =
            graph.site(coro.site).map_or(String::new(), |site: &Site| self.place(&site.file, site.line, site.column));
        writeln!(self.out, "<details class=\"about\"><summary>stack and values</summary>")?;
        if let Some(stack) = stack {
            let step = report::step_of(graph, id, stack);
            step.frames.iter().try_for_each(|shown| self.frame(shown, "", step.mid_step, false))?;
            if let Some(missing) = &stack.missing {
                writeln!(self.out, "<p class=\"dim\">{}</p>", escaped(missing))?;
            }
        }
        if !coro.fields.is_empty() {
            writeln!(self.out, "<dl>")?;
            for (name, value) in &coro.fields {
                writeln!(self.out, "<dt>{}</dt><dd><code>{}</code></dd>", escaped(name), escaped(value))?;
            }
            writeln!(self.out, "</dl>")?;
        }
        writeln!(self.out, "<p class=\"dim\">made at {spawned}</p></details>")
    }

    fn resources(&mut self, graph: &Model) -> io::Result<()> {
        let used = || graph.resources().filter(|one| !one.waiters.is_empty() || !one.holders.is_empty());
        if used().next().is_none() {
            return Ok(());
        }
        writeln!(
            self.out,
            "<section><h2>Locks and events</h2><table><tr><th></th><th>held by</th><th>waited on by</th><th>made at</th></tr>"
        )?;
        for one in used().take(RESOURCES) {
            let labels = |ids: &mut dyn Iterator<Item = CoroId>, all: usize| {
                let names: Vec<_> =
                    ids.take(5).map(|id| format!("<a href=\"#c{id}\">{}</a>", escaped(&graph.label(id)))).collect();
                let more = if all > 5 { format!(" and {} more", count(all as u64 - 5)) } else { String::new() };
                format!("{}{more}", names.join(", "))
            };
            let holders = labels(&mut one.holders.iter().map(|holder| holder.coro), one.holders.len());
            let waiters = labels(&mut one.waiters.ids(), one.waiters.len());
            let place =
                graph.site(one.site).map_or(String::new(), |site| self.place(&site.file, site.line, site.column));
            let label = escaped(&graph.resource_label(one.id));
            writeln!(
                self.out,
                "<tr><td>{label}</td><td>{holders}</td><td>{waiters}</td><td class=\"place\">{place}</td></tr>"
            )?;
        }
        let more = used().count().saturating_sub(RESOURCES);
        if more > 0 {
            writeln!(self.out, "<tr><td>… {} more</td></tr>", count(more as u64))?;
        }
        writeln!(self.out, "</table></section>")
    }

    fn log(&mut self) -> io::Result<()> {
        let model = self.model;
        let log = model.log();
        if log.is_empty() {
            return Ok(());
        }
        let shown = log.len().min(LOG);
        let all = log.len() as u64 + model.log_dropped();
        let which = if shown as u64 == all { String::new() } else { format!(", the latest {shown} of {}", count(all)) };
        writeln!(self.out, "<section><details><summary><h2>Log{which}</h2></summary><table class=\"log\">")?;
        for line in log.iter().skip(log.len() - shown) {
            let level = match line.level {
                Level::Stdout => "stdout".to_owned(),
                Level::Stderr => "stderr".to_owned(),
                Level::Tinyio => "tinyio".to_owned(),
                level => format!("{level:?}").to_uppercase(),
            };
            let coro = if line.coro == 0 { String::new() } else { escaped(&model.label(line.coro)) };
            let fields: String = line.fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let text = escaped(&one_line(&format!("{}{fields}", line.text.trim_end())));
            writeln!(
                self.out,
                "<tr><td class=\"dim\">{}</td><td>{level}</td><td>{coro}</td><td class=\"dim\">{}</td><td>{text}</td></tr>",
                clock(line.at),
                escaped(short_name(&line.target))
            )?;
        }
        writeln!(self.out, "</table></details></section>")
    }
}

/// Escapes text for the page: nothing in it acts as markup or changes the text around it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in one_line(text).chars() {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(one),
        }
    }
    out
}

/// A moment of the calendar, from nanoseconds since 1970: `2026-11-23 04:20:54`.
fn utc(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March have their leap day at the end: 400 of them are 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_790_000_000, "2026-09-21 14:13:20"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(utc(seconds * 1_000_000_000), text);
        }
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(escaped("<b a=\"1\" b='2'>&\u{1b}[1mx"), "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;x");
    }
}

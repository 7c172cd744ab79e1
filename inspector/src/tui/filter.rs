//! The filter language: `state:waiting on:lock name:fetch for>2s file:crawl.rs local.url~example -id:17`.
//!
//! Words are joined by *and*; a `-` before one turns it around; a word alone is part of a name.

use crate::event::{Frame, ResKind, Target};
use crate::model::{Activity, Coro, Model};

/// Which coroutines are shown.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    terms: Vec<(bool, Term)>,
}

#[derive(Clone, Debug)]
enum Term {
    Name(String),
    State(String),
    On(String),
    File(String),
    Id(u64),
    Parent(u64),
    Number(Measure, Comparison, u64),
    Local(String, String),
    Field(String, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// Time in its state.
    InState,
    /// Time since it was spawned.
    Age,
    Busy,
    Longest,
    Steps,
    Waiters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Above,
    Below,
    Equal,
}

const STATES: [&str; 9] =
    ["running", "ready", "waiting", "sleeping", "external", "thread", "lock", "event", "coroutine"];
const TARGETS: [&str; 9] =
    ["coroutine", "lock", "semaphore", "barrier", "event", "thread", "timer", "loop", "external"];
const WORDS: [&str; 14] = [
    "age>", "busy>", "field.", "file:", "for>", "id:", "local.", "longest>", "name:", "on:", "parent:", "state:",
    "steps>", "waiters>",
];

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// When a word is not understood; the message names it, and what is expected.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let terms = text.split_whitespace().map(|word| match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => Ok((false, term(rest)?)),
            _ => Ok((true, term(word)?)),
        });
        Ok(Filter { text: text.trim().to_owned(), terms: terms.collect::<Result<_, String>>()? })
    }

    /// Whether a coroutine is shown.
    pub fn accepts(&self, model: &Model, coro: &Coro, now: u64) -> bool {
        self.terms.iter().all(|(wanted, term)| term.accepts(model, coro, now) == *wanted)
    }
}

fn term(word: &str) -> Result<Term, String> {
    if let Some((key, value)) = word.split_once(':') {
        let value = value.to_lowercase();
        return Ok(match key {
            "name" => Term::Name(value),
            "state" if STATES.iter().any(|state| state.starts_with(value.as_str())) => Term::State(value),
            "state" => return Err(format!("no state is called {value:?}: {}", STATES.join(", "))),
            "on" => Term::On(value),
            "file" => Term::File(value),
            "id" => Term::Id(number(&value)?),
            "parent" => Term::Parent(number(&value)?),
            _ => return Err(format!("{key}: is no filter; there are {}", WORDS.join(" "))),
        });
    }
    for (sign, comparison) in [('>', Comparison::Above), ('<', Comparison::Below), ('=', Comparison::Equal)] {
        let Some((key, value)) = word.split_once(sign) else { continue };
        let measure = match key {
            "for" => Measure::InState,
            "age" => Measure::Age,
            "busy" => Measure::Busy,
            "longest" => Measure::Longest,
            "steps" => Measure::Steps,
            "waiters" => Measure::Waiters,
            _ if key.starts_with("local.") || key.starts_with("field.") => break,
            _ => {
                return Err(format!(
                    "{key:?} is nothing to measure; there are for, age, busy, longest, steps, waiters"
                ));
            }
        };
        let amount = match measure {
            Measure::Steps | Measure::Waiters => number(value)?,
            _ => duration(value)?,
        };
        return Ok(Term::Number(measure, comparison, amount));
    }
    for (key, local) in [("local.", true), ("field.", false)] {
        let Some(rest) = word.strip_prefix(key) else { continue };
        let (name, value) = rest.split_once(['~', '=']).unwrap_or((rest, ""));
        let (name, value) = (name.to_owned(), value.to_lowercase());
        return Ok(if local { Term::Local(name, value) } else { Term::Field(name, value) });
    }
    Ok(Term::Name(word.to_lowercase()))
}

fn number(text: &str) -> Result<u64, String> {
    text.trim_start_matches('#').parse().map_err(|_| format!("{text:?} is no number"))
}

fn duration(text: &str) -> Result<u64, String> {
    let unit = text.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(text.len());
    let (amount, unit) = text.split_at(unit);
    let scale = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "" | "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return Err(format!("{text:?} is no time: write 300ms, 2s, 5min")),
    };
    let amount: f64 = amount.parse().map_err(|_| format!("{text:?} is no time: write 300ms, 2s, 5min"))?;
    Ok((amount * scale) as u64)
}

impl Term {
    fn accepts(&self, model: &Model, coro: &Coro, now: u64) -> bool {
        match self {
            Term::Name(part) => {
                let names = [coro.name, coro.given_name].into_iter().filter(|name| *name != 0);
                names.into_iter().any(|name| model.name(name).to_lowercase().contains(part))
            }
            Term::State(start) => states(coro.activity).iter().any(|state| state.starts_with(start.as_str())),
            Term::On(what) => coro.waits().take(64).any(|(on, _)| is_on(model, on, what)),
            Term::File(part) => {
                let sites = coro.waits().take(8).map(|(_, edge)| edge.site).chain([coro.site]);
                let mut files = sites.filter_map(|site| model.site(site));
                let stack = coro.stack.iter().flat_map(|(_, stack)| &stack.frames);
                files.any(|site| format!("{}:{}", site.file, site.line).to_lowercase().contains(part))
                    || stack.into_iter().any(|frame| frame.file.to_lowercase().contains(part))
            }
            Term::Id(id) => coro.id == *id,
            Term::Parent(id) => coro.parent == *id,
            Term::Number(measure, comparison, amount) => {
                let value = match measure {
                    Measure::InState => coro.for_how_long(now),
                    Measure::Age => now.saturating_sub(coro.spawned),
                    Measure::Busy => coro.busy,
                    Measure::Longest => coro.longest,
                    Measure::Steps => coro.steps,
                    Measure::Waiters => coro.waiters.len() as u64,
                };
                match comparison {
                    Comparison::Above => value > *amount,
                    Comparison::Below => value < *amount,
                    Comparison::Equal => value == *amount,
                }
            }
            Term::Local(name, part) => {
                let frames = coro.stack.iter().flat_map(|(_, stack)| &stack.frames);
                let fits = |frame: &Frame| {
                    let named = frame.locals.iter().filter(|local| local.name == *name);
                    named.into_iter().any(|local| local.value.text.to_lowercase().contains(part))
                };
                frames.into_iter().any(fits)
            }
            Term::Field(name, part) => {
                // By its full name, `span.field`, or without the span.
                let named = |field: &str| field == name || field.rsplit_once('.').is_some_and(|(_, last)| last == name);
                coro.fields.iter().any(|(field, value)| named(field) && value.to_lowercase().contains(part))
            }
        }
    }
}

/// The words a state answers to.
fn states(activity: Activity) -> &'static [&'static str] {
    match activity {
        Activity::Running => &["running"],
        Activity::Ready => &["ready"],
        Activity::Sleeping => &["sleeping", "waiting"],
        Activity::OnThread => &["thread", "waiting"],
        Activity::OnLock => &["lock", "waiting"],
        Activity::OnEvent => &["event", "waiting"],
        Activity::OnCoro => &["coroutine", "waiting"],
        Activity::OnLoop => &["loop", "waiting"],
        Activity::External => &["external", "waiting"],
        _ => &[],
    }
}

fn is_on(model: &Model, on: Target, what: &str) -> bool {
    let kind = match on {
        Target::Coro(_) => "coroutine",
        Target::Thread(_) => "thread",
        Target::Timer(_) => "timer",
        Target::Loop(_) => "loop",
        Target::Turn => "turn",
        Target::External => "external",
        Target::Res(res) => match model.resource(res).map(|resource| resource.what) {
            Some(ResKind::Lock) => "lock",
            Some(ResKind::Semaphore) => "semaphore",
            Some(ResKind::Barrier) => "barrier",
            Some(ResKind::Event) => "event",
            Some(ResKind::Channel) => "channel",
            None => "resource",
        },
    };
    kind.starts_with(what) || model.target_label(on).to_lowercase().contains(what)
}

/// The ways to go on with a filter that is being typed.
pub fn completions(model: &Model, typed: &str) -> Vec<String> {
    let cut = typed.rfind(' ').map_or(0, |at| at + 1);
    let (base, word) = typed.split_at(cut);
    let (minus, word) = word.strip_prefix('-').map_or(("", word), |rest| ("-", rest));
    let candidates: Vec<String> = match word.split_once(':') {
        Some(("state", _)) => STATES.iter().map(|state| format!("state:{state}")).collect(),
        Some(("on", _)) => TARGETS.iter().map(|target| format!("on:{target}")).collect(),
        Some(("name", _)) => {
            let names = model.live().take(10_000).flat_map(|coro| [coro.name, coro.given_name]);
            // A term ends at a blank.
            let names = names.map(|name| model.name(name)).filter(|name| !name.is_empty() && !name.contains(' '));
            let mut names: Vec<_> = names.map(|name| format!("name:{name}")).collect();
            names.sort_unstable();
            names.dedup();
            names
        }
        Some(_) => Vec::new(),
        None => WORDS.iter().map(|word| (*word).to_owned()).collect(),
    };
    let fitting = candidates.into_iter().filter(|candidate| candidate.starts_with(word));
    fitting.map(|candidate| format!("{base}{minus}{candidate}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_script::crawl;

    fn shown(filter: &str) -> Vec<u64> {
        let model = crawl().model();
        let filter = Filter::parse(filter).unwrap();
        model.live().filter(|coro| filter.accepts(&model, coro, 3_000_000_000)).map(|coro| coro.id).collect()
    }

    #[test]
    fn words_are_joined_by_and_and_turned_around_by_minus() {
        assert_eq!(shown("name:fetch -state:sleeping"), [17]);
        assert_eq!(shown("fetch on:thread"), [17]);
        assert_eq!(shown("state:running"), [9]);
        assert_eq!(shown("on:lock"), [5]);
        assert_eq!(shown("on:main"), Vec::<u64>::new());
        assert_eq!(shown("id:#9"), [9]);
        assert_eq!(shown("parent:1 state:wait"), [2, 4, 5]);
        assert_eq!(shown("for>2.9s name:writer"), [5]);
        assert_eq!(shown("for<2s"), [4, 9]);
        // Spawned before: the time in its state is not its age.
        assert_eq!(shown("age>2.9s for<2s"), [4, 9]);
        assert_eq!(shown("file:crawl.rs:52"), [17]);
        assert_eq!(shown("file:net.rs"), [17]);
        assert_eq!(shown("local.url~a.b/c"), [17]);
        assert_eq!(shown("local.url~nowhere"), Vec::<u64>::new());
        assert_eq!(shown("").len(), 13);
    }

    #[test]
    fn recorded_fields_are_found_with_their_span_and_without() {
        let mut script = crawl();
        script.field(17, "request", "url", "\"http://A.b\"").field(17, "part", "n", "1").field(5, "part", "n", "2");
        let model = script.model();
        let shown = |filter: &str| -> Vec<u64> {
            let filter = Filter::parse(filter).unwrap();
            model.live().filter(|coro| filter.accepts(&model, coro, 0)).map(|coro| coro.id).collect()
        };
        assert_eq!(shown("field.url~a.b"), [17]);
        assert_eq!(shown("field.request.url~a.b"), [17]);
        assert_eq!(shown("field.part.url~a.b"), Vec::<u64>::new());
        assert_eq!(shown("field.n~2"), [5]);
        assert_eq!(shown("field.rl~a.b"), Vec::<u64>::new());
    }

    #[test]
    fn an_unknown_condition_is_reported() {
        for (text, part) in [
            ("colour:red", "colour:"),
            ("for>soon", "soon"),
            ("size>3", "size"),
            ("id:x", "x"),
            ("state:dreaming", "running"),
        ] {
            assert!(Filter::parse(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn words_names_and_states_are_completed() {
        let model = crawl().model();
        assert_eq!(completions(&model, "st"), ["state:", "steps>"]);
        assert_eq!(completions(&model, "x -state:r"), ["x -state:running", "x -state:ready"]);
        assert_eq!(completions(&model, "name:crawl::f"), ["name:crawl::fetch"]);
        assert_eq!(completions(&model, "for>2"), Vec::<String>::new());
    }
}

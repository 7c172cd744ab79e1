//! The places of errors and of waiting coroutines in a crash: those that are certain, and those that are marked.
//!
//! Each test runs itself again as the program, with a trace, and reads the crash from the trace. It holds in debug
//! builds and in optimised ones: `cargo test --release --test it places`.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fmt;
use std::io;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tinyio::{Loop, coro, gather, run_in_thread, sleep, spawn, yield_now};
use tinyio_inspector::event::{Failure, Kind, Outcome, Stack};
use tinyio_inspector::export::{self, Format};
use tinyio_inspector::model::Model;
use tinyio_inspector::time_point::{self, Moment};
use tinyio_inspector::trace::TraceReader;
use tinyio_inspector::{report, source_text, tree, why};

use crate::check::{is_child, watched};

const LONG: Duration = Duration::from_secs(3600);

/// What was recorded of a program that crashed.
struct Recorded {
    failures: Vec<Failure>,
    moment: Moment,
    /// What the program printed: its crash, as `main` would print it.
    printed: String,
    /// The page made of the trace.
    page: String,
    trace: String,
}

/// Runs `program` in a process of its own, with a trace; with a `RUST_BACKTRACE` or without. Returns `None` in that
/// process.
fn recorded<F, E>(test: &str, backtrace: bool, program: impl FnOnce() -> F) -> Option<Recorded>
where
    F: Future<Output = Result<(), E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    if is_child() {
        let crash = Loop::new().group(tinyio::Group::Always).run(program()).expect_err("the program fails");
        println!("{crash:?}");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.jsonl");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("places::{test}"), "--exact", "--nocapture"]);
    command
        .env("TINYIO_TEST_CHILD", "1")
        .env("TINYIO_TRACE", &trace)
        .env("TINYIO_RING_DIR", folder.path().join("rings"));
    command.env_remove("RUST_LIB_BACKTRACE").env("RUST_BACKTRACE", if backtrace { "1" } else { "0" });
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut failures = Vec::new();
    let mut keep = |_: &Model, event: &tinyio_inspector::event::Event| {
        if let Kind::Crash { failures: of_it, .. } = &event.kind {
            failures.clone_from(of_it);
        }
        Ok(())
    };
    let moment = time_point::fold(&mut TraceReader::open(&trace).unwrap(), None, &mut keep).unwrap();
    let mut page = Vec::new();
    let mut reader = TraceReader::open(&trace).unwrap();
    export::export(&mut reader, Format::Html, &export::Options::default(), &mut page).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let (page, trace) = (String::from_utf8(page).unwrap(), std::fs::read_to_string(&trace).unwrap());
    Some(Recorded { failures, moment, printed, page, trace })
}

impl Recorded {
    fn report(&self) -> String {
        let options = report::Options { width: 200, read_source: source_text::read, ..report::Options::default() };
        report::text(&self.moment.model, &options)
    }

    /// The failure of the coroutine with this name.
    fn of(&self, name: &str) -> &Failure {
        self.failures.iter().find(|failure| failure.name.ends_with(name)).expect("it is in the crash")
    }
}

/// The line of this file that ends with this comment.
fn line_of(comment: &str) -> u32 {
    let comment = format!("// {comment}");
    let mut lines = (1..).zip(include_str!("places.rs").lines()).filter(|(_, line)| line.ends_with(&comment));
    let line = lines.next().expect("the comment is there").0;
    assert_eq!(lines.next(), None, "it is there once");
    line
}

/// The variables of a function in a stack, with their marks.
fn values(stack: &Stack, function: &str) -> Vec<String> {
    let frame = stack.frames.iter().find(|frame| frame.function.ends_with(function)).expect("it is on the stack");
    let locals = frame.locals.iter();
    locals.map(|local| format!("{} = {} ({})", local.name, local.value.text, local.mark)).collect()
}

#[derive(Debug)]
enum Own {
    Number(std::num::ParseIntError),
    Cancelled(tinyio::CancelledError),
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Own::Number(error) => error.fmt(f),
            Own::Cancelled(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Own {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Own::Number(error) => Some(error),
            Own::Cancelled(error) => Some(error),
        }
    }
}

impl From<std::num::ParseIntError> for Own {
    fn from(error: std::num::ParseIntError) -> Own {
        Own::Number(error)
    }
}

impl From<tinyio::CancelledError> for Own {
    fn from(error: tinyio::CancelledError) -> Own {
        Own::Cancelled(error)
    }
}

fn invalid(error: std::num::ParseIntError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Waits, and then fails with an error of this type.
macro_rules! fails {
    ($name:ident, $error:ty, |$number:ident| $convert:expr) => {
        async fn $name(id: u64) -> Result<u32, $error> {
            inner(id, |$number| $convert).await
        }
    };
}

/// Fails with an error of the type `E` a line after its last await.
async fn inner<E: From<tinyio::CancelledError>>(
    id: u64,
    parse: impl FnOnce(Result<u32, std::num::ParseIntError>) -> Result<u32, E>,
) -> Result<u32, E> {
    let label = format!("job {id}");
    sleep(Duration::from_millis(1)).await?; // the last await
    let number = parse("4x2".parse())?; // the error
    std::hint::black_box(&label);
    Ok(number)
}

fails!(of_anyhow, anyhow::Error, |number| Ok(number?));
fails!(of_eyre, eyre::Report, |number| Ok(number?));
fails!(of_io, io::Error, |number| number.map_err(invalid));
fails!(of_own, Own, |number| Ok(number?));

/// Runs one of them below `main`, and asserts what holds for each.
macro_rules! returns_an_error {
    ($test:ident, $function:ident, $error:ty, $type_name:literal) => {
        #[test]
        fn $test() {
            let _watched = watched();
            let program = || async {
                coro($function(7)).await?;
                tinyio::Ok(())
            };
            let Some(recorded) = recorded(stringify!($test), false, program) else { return };
            assert_last_await(&recorded, stringify!($function));
            assert_eq!(recorded.failures[0].error_type, $type_name);
            assert!(recorded.failures[0].error_backtrace.is_empty(), "there is none: {:?}", recorded.failures[0]);
        }
    };
}

returns_an_error!(an_error_of_anyhow_is_not_shown_at_the_last_await, of_anyhow, anyhow::Error, "anyhow::Error");
returns_an_error!(a_report_of_eyre_is_not_shown_at_the_last_await, of_eyre, eyre::Report, "eyre::Report");
returns_an_error!(an_io_error_is_not_shown_at_the_last_await, of_io, io::Error, "std::io::error::Error");
returns_an_error!(an_error_of_an_own_type_is_not_shown_at_the_last_await, of_own, Own, "it::places::Own");

/// The first failure has no known place: the stack and the values of its last suspension are there, and marked.
#[track_caller]
fn assert_last_await(recorded: &Recorded, function: &str) {
    let failure = &recorded.failures[0];
    let site = failure.trace.last().unwrap();
    assert!(failure.is_last_await() && site.file.ends_with("places.rs"), "{failure:?}");
    assert_eq!(site.line, line_of("the last await"), "{failure:?}");
    assert!(recorded.trace.contains("\"last_await\":true"), "{}", recorded.trace);
    let stack = failure.stack.as_ref().expect("it was kept");
    assert!(stack.mid_step, "{stack:?}");
    let own = values(stack, function);
    assert!(own.iter().any(|local| local.starts_with("id = 7 (") && local.contains("at the last await")), "{own:?}");
    let frame = stack.frames.iter().find(|frame| frame.function.contains("places::inner")).expect("it is on the stack");
    assert_eq!(frame.line, line_of("the last await"));
    let label = frame.locals.iter().find(|local| local.name == "label").expect("it is kept over the await");
    assert_eq!(label.value.text, "\"job 7\"");
    assert!(label.mark.ends_with("at the last await") && !label.mark.contains("moved, "), "{label:?}");
    let report = recorded.report();
    for text in [&report, &recorded.printed, &recorded.page] {
        assert!(text.contains("last suspended at "), "{text}");
        assert!(text.contains("job 7"), "{text}");
    }
    for text in [&report, &recorded.printed] {
        assert!(text.contains(&format!("last suspended at tests/it/places.rs:{}", site.line)), "{text}");
        assert!(text.contains("where the error was made is not known"), "{text}");
        assert!(text.contains("native stack where the future returned the error"), "{text}");
    }
    let mut json = Vec::new();
    report::json(&recorded.moment.model, &report::Options::default(), &mut json).unwrap();
    assert!(String::from_utf8(json).unwrap().contains("\"last_await\": true"));
}

#[test]
fn an_error_that_remembers_its_place_is_shown_there() {
    let _watched = watched();
    async fn ours(id: u64) -> tinyio::Result<()> {
        sleep(Duration::from_millis(1)).await?;
        Err(tinyio::Error::msg(id)) // ours
    }
    let Some(recorded) = recorded("an_error_that_remembers_its_place_is_shown_there", false, || ours(7)) else {
        return;
    };
    let site = recorded.failures[0].trace.last().unwrap();
    assert_eq!((site.line, site.last_await), (line_of("ours"), false));
    assert!(!recorded.trace.contains("last_await") && !recorded.report().contains("last suspended at"));
}

async fn made_by_anyhow(turns: u32) -> anyhow::Result<()> {
    for _ in 0..turns {
        yield_now().await?;
    }
    anyhow::bail!("no luck") // made by anyhow
}

async fn made_by_eyre(turns: u32) -> eyre::Result<()> {
    for _ in 0..turns {
        yield_now().await?;
    }
    Err(eyre::Report::msg("no luck")) // made by eyre
}

#[test]
fn the_backtrace_that_an_error_of_anyhow_carries_is_shown() {
    let _watched = watched();
    let test = "the_backtrace_that_an_error_of_anyhow_carries_is_shown";
    let Some(recorded) = recorded(test, true, || made_by_anyhow(2)) else { return };
    assert_own_backtrace(recorded, "made_by_anyhow", "made by anyhow");
}

#[test]
fn the_backtrace_that_a_report_of_eyre_carries_is_shown() {
    let _watched = watched();
    let test = "the_backtrace_that_a_report_of_eyre_carries_is_shown";
    let Some(recorded) = recorded(test, true, || made_by_eyre(2)) else { return };
    assert_own_backtrace(recorded, "made_by_eyre", "made by eyre");
}

#[track_caller]
fn assert_own_backtrace(recorded: Recorded, name: &str, comment: &str) {
    let failure = &recorded.failures[0];
    let made = failure.error_backtrace.first().unwrap_or_else(|| panic!("there is none: {failure:?}"));
    assert!(made.name.ends_with(name) && made.line == line_of(comment), "{failure:?}");
    assert!(failure.is_last_await() && failure.backtrace.iter().all(|site| !site.name.ends_with(name)), "{failure:?}");
    let place = format!("places.rs:{}", made.line);
    for text in [recorded.report(), recorded.printed, recorded.page] {
        assert!(text.contains("backtrace of the error, innermost first") && text.contains(&place), "{text}");
    }
}

#[test]
fn of_a_coroutine_that_fails_in_its_first_step_the_arguments_are_shown() {
    let _watched = watched();
    async fn at_once(id: u64, text: &'static str) -> Result<u32, Own> {
        if id > 8 {
            yield_now().await?;
        }
        Ok(text.parse::<u32>()?)
    }
    let program = || async {
        coro(at_once(8, "4x2")).await?; // made here
        tinyio::Ok(())
    };
    let test = "of_a_coroutine_that_fails_in_its_first_step_the_arguments_are_shown";
    let Some(recorded) = recorded(test, false, program) else { return };
    let failure = &recorded.failures[0];
    assert!(failure.is_last_await() && failure.trace.last().unwrap().line == line_of("made here"), "{failure:?}");
    let own = values(failure.stack.as_ref().unwrap(), "at_once");
    assert_eq!(own, ["id = 8 (as it began)", "text = \"4x2\" (as it began)"]);
    let report = recorded.report();
    assert!(report.contains("began at ") && !report.contains("last suspended at "), "{report}");
    assert!(report.contains("as it began"), "{report}");
}

#[test]
fn an_error_that_a_function_on_a_thread_returns_is_marked_too() {
    let _watched = watched();
    let program = || async {
        run_in_thread(|| Err::<(), _>(io::Error::other("no disk"))).await?;
        tinyio::Ok(())
    };
    let Some(recorded) = recorded("an_error_that_a_function_on_a_thread_returns_is_marked_too", false, program) else {
        return;
    };
    assert!(recorded.failures[0].is_last_await() && recorded.failures[0].stack.is_none(), "{:?}", recorded.failures[0]);
    assert!(recorded.report().contains("last known at "), "{}", recorded.report());
}

/// A coroutine that answers its cancellation with an error of its own.
#[test]
fn an_error_made_while_everything_is_cancelled_is_marked_too() {
    let _watched = watched();
    async fn cleans_up(id: u64) -> io::Result<()> {
        let _ = sleep(LONG).await; // where it slept
        Err(io::Error::other(format!("cannot clean up {id}")))
    }
    let program = || async {
        let _other = spawn(cleans_up(7));
        yield_now().await?;
        Err::<(), _>(tinyio::Error::msg("enough"))
    };
    let Some(recorded) = recorded("an_error_made_while_everything_is_cancelled_is_marked_too", false, program) else {
        return;
    };
    let failure = recorded.of("cleans_up");
    assert_eq!(failure.kind, Outcome::Error);
    assert!(failure.is_last_await() && failure.trace.last().unwrap().line == line_of("where it slept"), "{failure:?}");
    let report = recorded.report();
    assert!(
        report.contains(&format!("last suspended at tests/it/places.rs:{}", line_of("where it slept"))),
        "{report}"
    );
}

/// A channel that is not tinyio's.
#[derive(Clone, Default)]
struct Foreign(Arc<Mutex<Option<Waker>>>);

impl Future for Foreign {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        *self.0.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }
}

async fn never_before(foreign: Foreign) -> tinyio::Result<()> {
    foreign.await; // first await, foreign
    Ok(())
}

async fn elsewhere_before(foreign: Foreign) -> tinyio::Result<()> {
    yield_now().await?; // await before
    foreign.await; // later await, foreign
    Ok(())
}

#[test]
fn what_waits_for_something_foreign_is_at_the_line_that_debug_info_has() {
    let _watched = watched();
    let program = || async {
        let foreign = Foreign::default();
        let _first = spawn(never_before(foreign.clone()));
        let _second = spawn(elsewhere_before(foreign.clone()));
        for _ in 0..4 {
            yield_now().await?;
        }
        Err::<(), _>(tinyio::Error::msg("enough"))
    };
    let test = "what_waits_for_something_foreign_is_at_the_line_that_debug_info_has";
    let Some(recorded) = recorded(test, false, program) else { return };
    let graph = recorded.moment.graph();
    let mut drawn = Vec::new();
    tree::write(graph, tree::Format::Text, &mut drawn).unwrap();
    let drawn = String::from_utf8(drawn).unwrap();
    for (name, comment) in [("never_before", "first await, foreign"), ("elsewhere_before", "later await, foreign")] {
        let failure = recorded.of(name);
        let site = failure.trace.last().unwrap();
        assert_eq!((site.line, site.last_await), (line_of(comment), false), "{failure:?}");
        assert!(site.file.ends_with("tests/it/places.rs"), "{site:?}");
        let place = format!("places.rs:{}", line_of(comment));
        let why = why::text(graph, failure.coro).unwrap();
        for text in [&recorded.report(), &recorded.printed, &recorded.page, &drawn, &why] {
            assert!(text.contains(&place), "{place} in {text}");
        }
    }
    let stale = format!("places.rs:{}", line_of("await before"));
    assert!(!recorded.report().contains(&stale) && !drawn.contains(&stale), "{}", recorded.report());
}

#[test]
fn what_waits_for_something_of_tinyio_beside_something_foreign_keeps_the_place_of_the_loop() {
    let _watched = watched();
    async fn both(foreign: Foreign) -> tinyio::Result<()> {
        let nap = sleep(LONG);
        let mut nap = std::pin::pin!(nap);
        let mut foreign = foreign;
        std::future::poll_fn(|cx| match Pin::new(&mut foreign).poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending => nap.as_mut().poll(cx), // the nap
        })
        .await?;
        Ok(())
    }
    let program = || async {
        let _both = spawn(both(Foreign::default()));
        gather([yield_now(), yield_now()]).await?;
        Err::<(), _>(tinyio::Error::msg("enough"))
    };
    let test = "what_waits_for_something_of_tinyio_beside_something_foreign_keeps_the_place_of_the_loop";
    let Some(recorded) = recorded(test, false, program) else { return };
    let site = recorded.of("both").trace.last().unwrap();
    assert_eq!((site.line, site.column > 0), (line_of("the nap"), true), "{site:?}");
}

/// What the program printed of its locals before it failed, one a line as `name = value`, in the order of their names.
fn printed_locals(recorded: &Recorded) -> Vec<String> {
    let lines = recorded.printed.lines().filter_map(|line| line.strip_prefix("local "));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The locals that were read at the error, as `name = value`, in the order of their names, and the marks of those that
/// may be moved.
fn at_the_error(stack: &Stack, function: &str) -> (Vec<String>, Vec<String>) {
    let Some(frame) = stack.frames.iter().find(|frame| frame.function.ends_with(function)) else {
        return (Vec::new(), Vec::new());
    };
    let native = || frame.locals.iter().filter(|local| local.mark.starts_with("at the error"));
    let mut read: Vec<String> = native().map(|local| format!("{} = {}", local.name, local.value.text)).collect();
    read.sort();
    let may_be_moved = native().filter(|local| local.mark == "at the error, may be moved");
    (read, may_be_moved.map(|local| local.name.clone()).collect())
}

/// Prints locals in the format of the reader of frames.
macro_rules! tell {
    ($($name:ident),*) => { $(println!("local {} = {:?}", stringify!($name), $name);)* };
}

/// Runs a function that prints its locals and fails, below `main`, after it was suspended.
macro_rules! tells_its_locals {
    ($test:ident, $function:ident, $moved:expr) => {
        #[test]
        fn $test() {
            let _watched = watched();
            let program = || async {
                coro($function(7)).await?;
                tinyio::Ok(())
            };
            let Some(recorded) = recorded(stringify!($test), false, program) else { return };
            let stack = recorded.failures[0].stack.as_ref().expect("it was recorded");
            let (read, may_be_moved) = at_the_error(stack, stringify!($function));
            if !cfg!(debug_assertions) {
                assert_eq!(read, [""; 0], "nothing is certain in optimised code");
                assert!(stack.missing.as_ref().is_some_and(|why| why.contains("optimised")), "{stack:?}");
                return;
            }
            assert_eq!(read, printed_locals(&recorded), "{stack:?}");
            assert_eq!(may_be_moved, $moved);
            for text in [&recorded.report(), &recorded.page, &recorded.trace] {
                assert!(text.contains("at the error"), "{text}");
            }
        }
    };
}

async fn drops(_id: u64) -> tinyio::Result<u32> {
    let gone = String::from("dropped before the await");
    // What was borrowed keeps its place.
    std::hint::black_box(&gone);
    drop(gone);
    sleep(Duration::from_millis(1)).await?;
    Err(tinyio::Error::msg("broken"))
}

/// Fails in a step that has set `count`: with an error that remembers its place, or with one that does not.
async fn counts(remembers: bool) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut count = 7;
    loop {
        yield_now().await?;
        count += 1;
        if count == 10 {
            return Err(if remembers { tinyio::Error::msg("enough").into() } else { "enough".into() });
        }
    }
}

#[test]
fn a_value_that_the_step_has_set_before_it_made_the_error_is_not_shown_as_of_the_last_await() {
    let _watched = watched();
    let test = "a_value_that_the_step_has_set_before_it_made_the_error_is_not_shown_as_of_the_last_await";
    let Some(recorded) = recorded(test, false, || counts(true)) else { return };
    let own = values(recorded.failures[0].stack.as_ref().unwrap(), "counts");
    assert!(own.contains(&"count = 10 (mid-step)".into()), "{own:?}");
    for text in [recorded.report(), recorded.printed, recorded.page] {
        assert!(text.contains("as of its last await or later") && !text.contains("as of its last await:"), "{text}");
    }
}

#[test]
fn of_an_error_that_is_only_returned_the_values_of_the_last_await_are_shown() {
    let _watched = watched();
    let test = "of_an_error_that_is_only_returned_the_values_of_the_last_await_are_shown";
    let Some(recorded) = recorded(test, false, || counts(false)) else { return };
    let own = values(recorded.failures[0].stack.as_ref().unwrap(), "counts");
    assert!(own.contains(&"count = 9 (at the last await)".into()), "{own:?}");
    for text in [recorded.report(), recorded.printed, recorded.page] {
        assert!(text.contains("as of its last await") && !text.contains("or later"), "{text}");
    }
}

#[test]
fn of_a_local_that_was_dropped_before_the_last_suspension_no_value_is_shown() {
    let _watched = watched();
    let program = || async {
        coro(drops(7)).await?;
        tinyio::Ok(())
    };
    let name = "of_a_local_that_was_dropped_before_the_last_suspension_no_value_is_shown";
    let Some(recorded) = recorded(name, false, program) else { return };
    let stack = recorded.failures[0].stack.as_ref().expect("it was recorded");
    let frame = stack.frames.iter().find(|frame| frame.function.ends_with("drops")).expect("a frame");
    let gone = frame.locals.iter().find(|local| local.name == "gone");
    let gone = gone.map(|gone| (gone.value.text.as_str(), gone.mark.as_str()));
    if cfg!(debug_assertions) {
        assert_eq!(gone, Some(("<moved>", "moved, mid-step")), "{frame:?}");
    } else {
        // Optimised code may not keep it, or not tell.
        assert!(gone.is_none_or(|(_, mark)| mark.contains("moved")), "{frame:?}");
    }
}

async fn parses(id: u64) -> tinyio::Result<u32> {
    let lost = id + 1;
    std::hint::black_box(&lost);
    let again = String::from("lost");
    drop(again);
    sleep(Duration::from_millis(1)).await?;
    let text = "4x2";
    let again = id * 3;
    tell!(text, again);
    let number: u32 = text.parse()?;
    Ok(number)
}
tells_its_locals!(a_local_that_is_not_held_is_read_where_the_error_was_made, parses, [""; 0]);

async fn asserts(id: u64) -> tinyio::Result<()> {
    sleep(Duration::from_millis(1)).await?;
    let (left, right) = (id, [1_u8, 2].len() as u64);
    tell!(left, right);
    assert_eq!(left, right);
    Ok(())
}
tells_its_locals!(locals_are_read_where_a_panic_began, asserts, [""; 0]);

async fn unwraps(id: u64) -> tinyio::Result<()> {
    sleep(Duration::from_millis(1)).await?;
    let text = "4x2";
    tell!(text);
    let number: u64 = text.parse().unwrap();
    std::hint::black_box(number + id);
    Ok(())
}
// The standard library has `unwrap` inlined in every build.
tells_its_locals!(locals_are_read_where_a_function_that_is_always_inlined_panics, unwraps, [""; 0]);

async fn expects(id: u64) -> tinyio::Result<()> {
    sleep(Duration::from_millis(1)).await?;
    let odd = id * 2 + 1;
    tell!(odd);
    let even = Some(odd).filter(|number| number % 2 == 0).expect("an even number");
    std::hint::black_box(even);
    Ok(())
}
tells_its_locals!(locals_are_read_where_an_option_is_expected_to_have_a_value, expects, [""; 0]);

async fn indexes(id: u64) -> tinyio::Result<()> {
    sleep(Duration::from_millis(1)).await?;
    let numbers = [1_u8, 2, 3];
    let at = std::hint::black_box(id as usize);
    tell!(numbers, at);
    std::hint::black_box(numbers[at]);
    Ok(())
}
tells_its_locals!(locals_are_read_where_an_index_is_out_of_bounds, indexes, [""; 0]);

async fn overflows(id: u64) -> tinyio::Result<()> {
    sleep(Duration::from_millis(1)).await?;
    let small = std::hint::black_box(id as u8);
    let large = 250_u8;
    tell!(small, large);
    std::hint::black_box(large.checked_add(small).unwrap());
    Ok(())
}
tells_its_locals!(locals_are_read_where_a_checked_sum_is_unwrapped, overflows, [""; 0]);

async fn fills_its_frame(id: u64) -> tinyio::Result<u32> {
    sleep(Duration::from_millis(1)).await?;
    let large = [id; 4096];
    let last = std::hint::black_box(&large).len();
    let text = "4x2";
    tell!(last, text);
    let number: u32 = text.parse()?;
    Ok(number)
}

#[test]
fn locals_are_read_in_a_large_frame() {
    let _watched = watched();
    let program = || async {
        coro(fills_its_frame(7)).await?;
        tinyio::Ok(())
    };
    let Some(recorded) = recorded("locals_are_read_in_a_large_frame", false, program) else { return };
    let stack = recorded.failures[0].stack.as_ref().expect("it was recorded");
    let (mut read, _) = at_the_error(stack, "fills_its_frame");
    read.retain(|local| !local.starts_with("large = "));
    let expected = if cfg!(debug_assertions) { printed_locals(&recorded) } else { Vec::new() };
    assert_eq!(read, expected, "{stack:?}");
}

async fn shadows(_id: u64) -> tinyio::Result<u32> {
    let text = String::from("held");
    sleep(Duration::from_millis(1)).await?;
    std::hint::black_box(&text);
    let text = text.len();
    let text = format!("{text}x2");
    {
        let text = &text[1..];
        let inner = Some('c');
        tell!(text, inner);
        let _number: u32 = text.parse()?;
    }
    let later = 7;
    Ok(later)
}
tells_its_locals!(of_shadowed_locals_the_innermost_is_read, shadows, [""; 0]);

async fn loops(_id: u64) -> tinyio::Result<u32> {
    sleep(Duration::from_millis(1)).await?;
    let mut sum = 0;
    for word in ["1", "2", "b"] {
        let twice = sum * 2;
        if word == "b" {
            tell!(sum, word, twice);
        }
        let number: u32 = word.parse()?;
        sum += number;
    }
    Ok(sum)
}
tells_its_locals!(variables_of_a_loop_are_read_as_of_the_turn_that_failed, loops, [""; 0]);

/// Nothing in it has to be dropped but itself.
#[derive(Debug)]
struct Counted<T>(T);

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        std::hint::black_box(self);
    }
}

async fn moves(_id: u64) -> tinyio::Result<u32> {
    sleep(Duration::from_millis(1)).await?;
    let owned = String::from("4x2");
    println!("local owned = {owned:?}");
    let other = owned;
    let counted = Counted(7_u16);
    println!("local counted = {counted:?}");
    let moved = counted;
    let plain = Some(7_u16);
    tell!(other, moved, plain);
    Ok(other.parse()?)
}
tells_its_locals!(what_may_be_moved_is_marked, moves, ["owned", "other", "counted", "moved"]);

async fn matches(id: u64) -> tinyio::Result<u32> {
    sleep(Duration::from_millis(1)).await?;
    match Some(id) {
        Some(large) if large > 100 => Ok(1),
        Some(small) => {
            tell!(small);
            Ok("4x2".parse()?)
        }
        None => Ok(2),
    }
}
tells_its_locals!(a_binding_of_a_match_arm_is_read, matches, [""; 0]);

async fn suspends_in_a_loop(id: u64) -> tinyio::Result<u32> {
    loop {
        let before = id + 1;
        std::hint::black_box(&before);
        sleep(Duration::from_millis(1)).await?;
        let after = id + 2;
        tell!(after);
        std::hint::black_box::<u32>("4x2".parse()?);
    }
}
tells_its_locals!(what_was_lost_in_the_suspension_is_not_read, suspends_in_a_loop, [""; 0]);

#[test]
fn locals_of_functions_that_a_coroutine_has_called_are_read() {
    let _watched = watched();
    fn parse(text: &str, times: u32) -> tinyio::Result<u32> {
        let double = times * 2;
        tell!(text, times, double);
        Ok(text.parse::<u32>()? * double) // in a function
    }
    async fn calls(id: u32) -> tinyio::Result<u32> {
        sleep(Duration::from_millis(1)).await?;
        parse("4x2", id)
    }
    let program = || async { calls(7).await.map(drop) };
    let test = "locals_of_functions_that_a_coroutine_has_called_are_read";
    let Some(recorded) = recorded(test, false, program) else { return };
    let failure = &recorded.failures[0];
    assert_eq!(failure.trace.last().unwrap().line, line_of("in a function"));
    let stack = failure.stack.as_ref().unwrap();
    let (read, _) = at_the_error(stack, "parse");
    if cfg!(debug_assertions) {
        assert_eq!(read, printed_locals(&recorded), "{stack:?}");
        let frame = stack.frames.last().unwrap();
        assert_eq!((frame.line, &*frame.note), (line_of("in a function"), "called, not awaited"));
    } else {
        assert_eq!(read, [""; 0]);
    }
}

#[test]
fn a_function_without_parameters_that_a_coroutine_has_called_is_a_frame() {
    let _watched = watched();
    fn asks() -> u32 {
        let text = "4x2";
        tell!(text);
        text.parse().unwrap() // without parameters
    }
    async fn calls(_id: u32) -> tinyio::Result<u32> {
        sleep(Duration::from_millis(1)).await?;
        Ok(asks())
    }
    let program = || async { calls(7).await.map(drop) };
    let test = "a_function_without_parameters_that_a_coroutine_has_called_is_a_frame";
    let Some(recorded) = recorded(test, false, program) else { return };
    let failure = &recorded.failures[0];
    assert_eq!(failure.trace.last().unwrap().line, line_of("without parameters"));
    let stack = failure.stack.as_ref().unwrap();
    let (read, _) = at_the_error(stack, "asks");
    if cfg!(debug_assertions) {
        assert_eq!(read, printed_locals(&recorded), "{stack:?}");
        let frame = stack.frames.last().unwrap();
        assert_eq!((frame.line, &*frame.note), (line_of("without parameters"), "called, not awaited"));
    } else {
        assert_eq!(read, [""; 0]);
    }
}

async fn through_a_pointer(_id: u64) -> tinyio::Result<u32> {
    sleep(Duration::from_millis(1)).await?; // before the pointer
    "4x2".parse::<u32>().map_err(tinyio::Error::msg) // through a pointer
}

async fn through_into(_id: u64) -> tinyio::Result<u32> {
    sleep(Duration::from_millis(1)).await?; // before into
    "4x2".parse::<u32>().map_err(Into::into) // through into
}

async fn through_or_else(_id: u64) -> tinyio::Result<u32> {
    sleep(Duration::from_millis(1)).await?; // before ok_or_else
    let make: fn() -> tinyio::Error = || tinyio::Error::msg("none"); // in the closure
    None.ok_or_else(make)
}

/// An error made through a pointer to a function.
macro_rules! made_through_a_pointer {
    ($test:ident, $function:ident, $line:literal, $before:literal) => {
        #[test]
        fn $test() {
            let _watched = watched();
            let program = || async {
                coro($function(7)).await?;
                tinyio::Ok(())
            };
            let Some(recorded) = recorded(stringify!($test), false, program) else { return };
            let failure = &recorded.failures[0];
            let site = failure.trace.last().unwrap();
            let expected = if site.last_await { line_of($before) } else { line_of($line) };
            assert_eq!(site.line, expected, "{failure:?}");
            assert!(site.file.ends_with("places.rs"), "{failure:?}");
            assert!(!cfg!(debug_assertions) || !site.last_await, "it is certain: {failure:?}");
            let shown = [recorded.report(), recorded.printed];
            assert!(shown.iter().all(|text| !text.contains("/library/core/")), "{shown:?}");
        }
    };
}

made_through_a_pointer!(
    an_error_made_by_msg_as_a_function,
    through_a_pointer,
    "through a pointer",
    "before the pointer"
);
made_through_a_pointer!(an_error_made_by_into_as_a_function, through_into, "through into", "before into");
made_through_a_pointer!(
    an_error_made_by_a_pointer_to_a_closure,
    through_or_else,
    "in the closure",
    "before ok_or_else"
);

#[test]
fn a_coroutine_made_by_a_function_pointer_has_no_place_in_the_standard_library() {
    let _watched = watched();
    async fn waits(foreign: Foreign) -> tinyio::Result<()> {
        foreign.await; // made by a pointer
        Ok(())
    }
    let program = || async {
        let all: Vec<_> = [Foreign::default(), Foreign::default()].into_iter().map(waits).map(spawn).collect();
        yield_now().await?;
        drop(all);
        Err::<(), _>(tinyio::Error::msg("enough"))
    };
    let test = "a_coroutine_made_by_a_function_pointer_has_no_place_in_the_standard_library";
    let Some(recorded) = recorded(test, false, program) else { return };
    let site = recorded.of("waits").trace.last().unwrap();
    assert_eq!(site.line, line_of("made by a pointer"), "{site:?}");
    for text in [recorded.report(), recorded.printed, recorded.trace] {
        assert!(!text.contains("/library/core/"), "{text}");
    }
}

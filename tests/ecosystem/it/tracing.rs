//! Coroutines as spans of `tracing`, and `trace_layer`. A recording is switched on by the environment, and a subscriber
//! is for the whole process, so each test runs in a process of its own.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tinyio::{Loop, Result, coro, gather, run_in_thread, sleep, spawn, yield_now};
use tinyio_inspector::event::{Event, FIELD, Kind};
use tinyio_inspector::model::Model;
use tinyio_inspector::source::{Progress, Source};
use tinyio_inspector::trace::TraceReader;
use tracing::{Instrument, Span, info, info_span, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

const CHILD: &str = "TINYIO_TEST_CHILD";

/// The results of a program.
struct Recorded {
    events: Vec<Event>,
    model: Model,
    stderr: String,
}

/// Runs `program` in a process of its own, recorded, with the layer. `None` in that process, when it is done.
fn recorded(test: &str, program: fn()) -> Option<Recorded> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.jsonl");
    let stderr = alone(test, program, |command| {
        command.env("TINYIO_TRACE", &file).env("TINYIO_RING_DIR", folder.path().join("rings"));
    })?;
    let mut reader = TraceReader::open(&file).unwrap();
    let mut model = Model::new(reader.header());
    let mut events = Vec::new();
    while reader.read(1000, &mut |event| events.push(event)).unwrap() == Progress::More {}
    events.iter().for_each(|event| model.apply(event));
    Some(Recorded { events, model, stderr })
}

fn alone(test: &str, program: fn(), prepare: impl FnOnce(&mut Command)) -> Option<String> {
    if std::env::var_os(CHILD).is_some() {
        program();
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("tracing::{test}"), "--exact", "--nocapture"]).env(CHILD, "1");
    command.env_remove("TINYIO_INSPECT").env_remove("TINYIO_TRACE");
    prepare(&mut command);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

impl Recorded {
    /// The messages of each coroutine, by the name of the coroutine's function.
    fn messages(&self) -> BTreeMap<String, Vec<String>> {
        let mut messages = BTreeMap::<_, Vec<_>>::new();
        for line in self.model.log() {
            let name = self.model.full_name(line.coro);
            let name = name.rsplit("::").next().unwrap_or_default();
            messages.entry(name.to_owned()).or_default().push(line.text.clone());
        }
        messages
    }

    /// The recorded fields of the coroutines of this name.
    fn fields(&self, name: &str) -> Vec<Vec<(String, String)>> {
        let coros = self.model.finished().filter(|coro| self.model.full_name(coro.id).ends_with(name));
        coros.map(|coro| coro.fields.clone()).collect()
    }
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn listen() {
    tracing_subscriber::registry().with(tinyio::trace_layer()).init();
}

#[test]
fn events_are_in_the_name_of_the_coroutine_that_runs() {
    async fn ping() -> Result<()> {
        for turn in 0..3 {
            info!(turn, ok = true, text = "a b", "ping");
            yield_now().await?;
        }
        Ok(())
    }
    async fn pong() -> Result<()> {
        for _ in 0..3 {
            warn!("pong");
            yield_now().await?;
        }
        inline().await
    }
    async fn inline() -> Result<()> {
        info!("inline");
        Ok(())
    }
    let program = || {
        listen();
        info!("before: nothing is recorded yet");
        Loop::new()
            .run(async {
                gather((ping(), pong())).await?;
                info!(target: "elsewhere", "main");
                tinyio::Ok(())
            })
            .unwrap();
        info!("after");
    };
    let Some(recorded) = recorded("events_are_in_the_name_of_the_coroutine_that_runs", program) else { return };
    let messages = recorded.messages();
    assert_eq!(messages["ping"], ["ping"; 3]);
    assert_eq!(messages["pong"], ["pong", "pong", "pong", "inline"]);
    assert_eq!(messages["?"], ["after"], "{messages:?}");
    let log = recorded.model.log();
    let turn = log.iter().find(|line| line.text == "ping").unwrap();
    assert_eq!(turn.fields, pairs(&[("turn", "0"), ("ok", "true"), ("text", "\"a b\"")]));
    let main = log.iter().find(|line| line.text == "main").unwrap();
    assert_eq!(main.target, "elsewhere");
    // Inside the step: each is recorded between its begin and its end, at its own time.
    let mut running = None;
    let mut at = 0;
    for event in &recorded.events {
        match event.kind {
            Kind::StepBegin { coro } => running = Some(coro),
            Kind::StepEnd { .. } => running = None,
            Kind::Log { coro, .. } if coro != 0 => assert_eq!(running, Some(coro)),
            _ => {}
        }
        assert!(event.at >= at, "time goes back at {event:?}");
        at = event.at;
    }
}

#[test]
fn fields_of_spans_are_those_of_the_coroutine_that_enters_them() {
    async fn fetch(n: u32) -> Result<()> {
        let outer = info_span!("request", n, status = tracing::field::Empty, password = "hunter2");
        async {
            sleep(Duration::from_millis(1)).await?;
            // Entered and left within a step; the newest of each name counts.
            for part in 0..3 {
                info_span!("part", n = part).in_scope(|| {});
            }
            yield_now().await?;
            Span::current().record("status", n * 100);
            tinyio::Ok(())
        }
        .instrument(outer)
        .await
    }
    async fn given() -> Result<()> {
        Ok(yield_now().await?)
    }
    async fn parent() -> Result<()> {
        // Made here, entered there.
        let span = info_span!("given", to = "the child");
        gather([fetch(1), fetch(2)]).await?;
        coro(given().instrument(span)).await?;
        let _never_entered = info_span!("never", n = 1);
        Ok(())
    }
    let program = || {
        listen();
        Loop::new().run(parent()).unwrap();
    };
    let Some(recorded) = recorded("fields_of_spans_are_those_of_the_coroutine_that_enters_them", program) else {
        return;
    };
    let of_fetch = |n: &str, status: &str| {
        pairs(&[("request.n", n), ("request.password", "<masked>"), ("part.n", "2"), ("request.status", status)])
    };
    assert_eq!(recorded.fields("fetch"), [of_fetch("1", "100"), of_fetch("2", "200")]);
    assert_eq!(recorded.fields("parent"), [vec![]]);
    let to = pairs(&[("given.to", "\"the child\"")]);
    let has_it = |event: &&Event| event.kind.recorded_fields().eq(to.iter().cloned());
    let of: Vec<_> = recorded.events.iter().filter(has_it).collect();
    assert_eq!(of.len(), 1, "recorded once, however often it is entered");
    let Kind::Log { coro, ref level, .. } = of[0].kind else { unreachable!() };
    assert_eq!(level, FIELD);
    assert!(recorded.model.full_name(coro).contains("Instrumented<"), "{}", recorded.model.full_name(coro));
    assert!(!format!("{:?}", recorded.events).contains("hunter2"));
}

#[test]
fn what_threads_say_is_in_the_name_of_their_coroutine() {
    async fn reader() -> Result<()> {
        run_in_thread(|| {
            info!("on a thread");
            let span = info_span!("read", file = "a.txt");
            let _entered = span.enter();
            // A thread that tinyio did not start, in a span of a coroutine, and in none.
            let inside = span.clone();
            std::thread::spawn(move || inside.in_scope(|| info!("lent"))).join().unwrap();
            std::thread::spawn(|| info!("lost")).join().unwrap();
            tinyio::Ok(())
        })
        .await?;
        tinyio::from_tokio(async {
            info!("in tokio");
            tokio::time::sleep(Duration::from_millis(1)).await;
            info!("in tokio still");
            tinyio::Ok(())
        })
        .await?;
        info!("back");
        Ok(())
    }
    let program = || {
        listen();
        Loop::new().run(reader()).unwrap();
    };
    let Some(recorded) = recorded("what_threads_say_is_in_the_name_of_their_coroutine", program) else { return };
    let by_thread = recorded.model.ended_threads().next().unwrap().coro;
    let of = |text: &str| recorded.model.log().iter().find(|line| line.text == text).map(|line| line.coro);
    assert_eq!(of("on a thread"), Some(by_thread));
    assert_eq!(of("lent"), Some(by_thread));
    assert_eq!(of("lost"), None);
    assert_eq!(recorded.model.coro(by_thread).unwrap().fields, pairs(&[("read.file", "\"a.txt\"")]));
    let tokio = of("in tokio").unwrap();
    assert!(tokio > by_thread);
    assert_eq!(of("in tokio still"), Some(tokio));
    assert_eq!(of("back"), Some(1));
}

#[test]
fn more_than_the_loop_takes_in_is_counted() {
    const MESSAGES: u64 = 10_000;
    let program = || {
        listen();
        let main = async {
            let (done, is_done) = std::sync::mpsc::channel();
            let thread = spawn(run_in_thread(move || {
                (0..MESSAGES).for_each(|n| info!(n, "many"));
                done.send(()).unwrap();
                tinyio::Ok(())
            }));
            yield_now().await?; // The thread has been handed its function.
            // The loop is blocked, and cannot record it.
            is_done.recv().unwrap();
            Ok::<_, tinyio::Error>(thread.await?)
        };
        Loop::new().run(main).unwrap();
    };
    let Some(recorded) = recorded("more_than_the_loop_takes_in_is_counted", program) else { return };
    let messages = recorded.events.iter().filter(|event| matches!(event.kind, Kind::Log { .. })).count() as u64;
    let lost = recorded.events.iter().map(|event| match &event.kind {
        Kind::Lost { events, why } => {
            assert_eq!(why, "log");
            *events
        }
        _ => 0,
    });
    let lost: u64 = lost.sum();
    assert!(lost > 0, "{messages} of {MESSAGES}");
    assert_eq!(messages + lost, MESSAGES);
    assert_eq!(recorded.model.lost().dropped, lost);
    assert!(recorded.model.is_sure(), "the graph lacks nothing");
}

#[test]
fn the_report_of_a_crash_has_the_fields() {
    async fn fetch(url: &'static str) -> Result<()> {
        async {
            sleep(Duration::from_millis(1)).await?;
            if url == "b" {
                tinyio::Ok(std::fs::read("/no/such/file").map(drop)?)
            } else {
                tinyio::Ok(sleep(crate::common::LONG).await?)
            }
        }
        .instrument(info_span!("fetch", url, api_token = "hunter2"))
        .await
    }
    let program = || {
        listen();
        let crash = Loop::new().run(async { gather([fetch("a"), fetch("b")]).await }).unwrap_err();
        eprintln!("{crash:?}");
    };
    let Some(recorded) = recorded("the_report_of_a_crash_has_the_fields", program) else { return };
    let text = &recorded.stderr;
    assert!(text.contains("recorded: fetch.url = \"b\", fetch.api_token = <masked>"), "{text}");
    assert!(text.contains("recorded: fetch.url = \"a\", fetch.api_token = <masked>"), "{text}");
    // And so has the trace, by itself.
    let crash = recorded.model.crash().unwrap();
    assert_eq!(crash.failures[0].fields, pairs(&[("fetch.url", "\"b\""), ("fetch.api_token", "<masked>")]));
    let options = tinyio_inspector::report::Options::default();
    assert!(tinyio_inspector::report::text(&recorded.model, &options).contains("recorded: fetch.url = \"b\""));
}

/// Records which spans events are in.
#[derive(Clone, Default)]
struct Scopes(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Scopes {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let scope = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let names: Vec<_> = scope.map(|span| format!("{}#{}", span.name(), span.id().into_u64() & 0xff)).collect();
        self.0.lock().unwrap().push(names.join(" > "));
    }
}

#[test]
fn coroutines_are_spans_without_a_recording_too() {
    async fn child() -> Result<()> {
        info!("child");
        yield_now().await?;
        info!("child");
        run_in_thread(|| {
            info!("thread");
            tinyio::Ok(())
        })
        .await?;
        Ok(())
    }
    let program = || {
        let scopes = Scopes::default();
        tracing_subscriber::registry().with(scopes.clone()).with(tinyio::trace_layer()).init();
        let main = async {
            info!("main");
            coro(child()).await?;
            // Scheduled inside a span of the program's.
            info_span!("batch").in_scope(|| spawn(child())).await?;
            info!("main");
            tinyio::Ok(())
        };
        Loop::new().run(main).unwrap();
        info!("outside");
        let scopes = scopes.0.lock().unwrap();
        let short: Vec<_> = scopes
            .iter()
            .map(|scope| scope.split('#').map(|part| part.trim_start_matches(char::is_numeric)).collect::<String>())
            .collect();
        let inner = "coroutine > coroutine";
        let thread = "coroutine > coroutine > coroutine";
        let batch = "coroutine > batch > coroutine";
        let batch_thread = "coroutine > batch > coroutine > coroutine";
        let expected = ["coroutine", inner, inner, thread, batch, batch, batch_thread, "coroutine", ""];
        assert_eq!(short, expected);
        assert_eq!(scopes[1], scopes[2], "one span for all its steps");
        let root = |scope: &String| scope.split(" > ").next().unwrap().to_owned();
        assert!(scopes[..8].iter().all(|scope| root(scope) == scopes[0]));
    };
    let _ = alone("coroutines_are_spans_without_a_recording_too", program, |_| {});
}

/// Wakes a coroutine of the loop when spans are made and closed, as a layer does that passes events to a coroutine. Not
/// at other times: the coroutine would always be ready.
#[derive(Clone)]
struct Wakes(tinyio::Event);

impl<S: tracing::Subscriber> Layer<S> for Wakes {
    fn on_new_span(&self, _: &tracing::span::Attributes<'_>, _: &tracing::span::Id, _: Context<'_, S>) {
        self.0.set();
    }
    fn on_close(&self, _: tracing::span::Id, _: Context<'_, S>) {
        self.0.set();
    }
}

#[test]
fn a_layer_may_wake_coroutines() {
    let program = || {
        let event = tinyio::Event::new();
        tracing_subscriber::registry().with(Wakes(event.clone())).with(tinyio::trace_layer()).init();
        let main = async {
            let waits = {
                let event = event.clone();
                async move {
                    for _ in 0..10 {
                        event.wait().await?;
                        event.clear();
                    }
                    tinyio::Ok(())
                }
            };
            let waits = spawn(waits);
            for _ in 0..10 {
                spawn(async { tinyio::Ok(yield_now().await?) }).await?;
            }
            waits.await?;
            Err::<(), _>(tinyio::Error::msg("the end"))
        };
        assert_eq!(Loop::new().run(main).unwrap_err().error().to_string(), "the end");
    };
    let _ = recorded("a_layer_may_wake_coroutines", program);
}

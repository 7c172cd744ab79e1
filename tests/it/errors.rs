//! Errors and cancellation.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::fmt;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tinyio::FailureKind::{Cancelled, Error, Improper, NeverStarted, Panic};
use tinyio::{
    CancelledError, Coro, Crash, Deadlock, Event, Group, Loop, Result, coro, gather, sleep, spawn, yield_now,
};

use crate::check::{
    GROUPS, Log, OnDrop, assert_failures, assert_trace, is_child, line, panic_message, stderr_of, turns, watched,
};

const LONG: Duration = Duration::from_secs(3600);

/// An error of the program's own.
#[derive(Debug, PartialEq)]
struct Broken(&'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Broken {}

/// An error with a source.
#[derive(Debug)]
struct Because<E>(E);

impl<E> fmt::Display for Because<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("because")
    }
}

impl<E: StdError + 'static> StdError for Because<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// Fails once all other coroutines have begun.
async fn fails() -> Result<()> {
    turns(10).await?;
    Err(Broken("broken"))? // fails
}

/// Spawns `answers` and fails.
async fn beside(answers: Coro<u32>) -> Result<()> {
    spawn(answers);
    fails().await
}

fn crash_beside<F, E>(group: Group, answers: F) -> Crash
where
    F: Future<Output = Result<u32, E>> + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    Loop::new().group(group).run(beside(coro(answers))).unwrap_err()
}

#[test]
fn chain() {
    let _watched = watched();
    async fn f() -> Result<()> {
        coro(g()).await? // f awaits g
    }
    async fn g() -> Result<Result<()>> {
        g2().await
    }
    async fn g2() -> Result<Result<()>> {
        coro(h()).await?; // g2 awaits h
        Ok(Ok(()))
    }
    async fn h() -> Result<()> {
        Ok(coro(i()).await?) // h awaits i
    }
    async fn i() -> Result<()> {
        yield_now().await?;
        Err(Broken("broken"))? // i fails
    }
    for group in GROUPS {
        let crash = Loop::new().group(group).run(f()).unwrap_err();
        assert_failures(&crash, &[(Error, "chain::i", "broken")]);
        assert_trace(
            crash.failures()[0].trace(),
            &[
                ("chain::f", "f awaits g"),
                ("chain::g", "g2 awaits h"),
                ("chain::h", "h awaits i"),
                ("chain::i", "i fails"),
            ],
        );
        assert_eq!(crash.to_string(), "it::errors::chain::i: broken");
    }
}

#[test]
fn siblings() {
    let _watched = watched();
    thread_local!(static CLEANED: Cell<u32> = const { Cell::new(0) });
    async fn f() -> Result<()> {
        gather((g(), h())).await?; // f gathers
        Ok(())
    }
    async fn g() -> Result<()> {
        Ok(coro(i()).await?) // g awaits i
    }
    async fn h() -> Result<()> {
        loop {
            let nap = sleep(LONG);
            // h sleeps
            if let Err(cancelled) = coro(nap).await {
                CLEANED.set(CLEANED.get() + 1);
                return Err(cancelled.into());
            }
        }
    }
    async fn i() -> Result<()> {
        turns(5).await?;
        Err(Broken("broken"))? // sibling i fails
    }
    for group in GROUPS {
        CLEANED.set(0);
        let crash = Loop::new().group(group).run(f()).unwrap_err();
        assert_eq!(CLEANED.get(), 1);
        let original = (Error, "siblings::i", "broken");
        if group == Group::Always {
            let (h, nap) =
                ((Cancelled, "siblings::h", "cancelled"), (Cancelled, "tinyio::coroutine::sleep::Sleep", "cancelled"));
            assert_failures(&crash, &[original, h, nap]);
            let above = |n: usize| -> Vec<(String, u32)> {
                crash.failures()[n].trace().iter().map(|site| (site.name.clone(), site.line)).collect()
            };
            let f = ("it::errors::siblings::f".to_owned(), line("f gathers"));
            let h = ("it::errors::siblings::h".to_owned(), line("h sleeps") + 1);
            let nap = ("tinyio::coroutine::sleep::Sleep".to_owned(), line("h sleeps") + 1);
            assert_eq!(above(1), [f.clone(), h.clone()]);
            assert_eq!(above(2), [f, h, nap]);
            assert!(crash.failures()[1].error().unwrap().is::<CancelledError>());
        } else {
            assert_failures(&crash, &[original]);
        }
        let sites = [("siblings::f", "f gathers"), ("siblings::g", "g awaits i"), ("siblings::i", "sibling i fails")];
        assert_trace(crash.failures()[0].trace(), &sites);
    }
}

/// The table of tasks reuses the slots of those that have ended, so its order is another one.
#[test]
fn coroutines_are_cancelled_in_the_order_in_which_they_were_scheduled() {
    let _watched = watched();
    let log = Log::new();
    let main = async {
        let ended: Vec<_> = (0..3).map(|n| spawn(turns(n + 2))).collect();
        let wait = |name: &'static str| {
            let log = log.clone();
            coro(async move {
                let cancelled = sleep(LONG).await;
                log.push(name);
                tinyio::Ok(cancelled?)
            })
        };
        // Created in one order, scheduled in another.
        let (third, first, second) = (wait("third"), wait("first"), wait("second"));
        spawn(first);
        gather(ended).await?;
        spawn(second);
        spawn(third);
        let fourth = wait("fourth");
        spawn(fourth);
        yield_now().await?;
        Err::<(), _>(Broken("broken"))?;
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap_err();
    assert_eq!(log.entries(), ["first", "second", "third", "fourth"]);
}

#[test]
fn recancelled() {
    let _watched = watched();
    async fn cancelled() -> CancelledError {
        sleep(LONG).await.unwrap_err()
    }
    type Answer = std::pin::Pin<Box<dyn Future<Output = Result<u32, Box<dyn StdError + Send + Sync>>>>>;
    let answers: [fn() -> (&'static str, Answer); 7] = [
        || ("cancelled", Box::pin(async { Err(cancelled().await.into()) })),
        || ("cancelled", Box::pin(async { Err(io::Error::from(cancelled().await).into()) })),
        || ("cancelled", Box::pin(async { Err(tinyio::Error::from(cancelled().await).into()) })),
        || ("because", Box::pin(async { Err(Because(cancelled().await).into()) })),
        || ("because", Box::pin(async { Err(Because(io::Error::from(cancelled().await)).into()) })),
        || ("in eyre", Box::pin(async { Err(eyre::Report::new(cancelled().await).wrap_err("in eyre").into()) })),
        || ("in anyhow", Box::pin(async { Err(anyhow::Error::new(cancelled().await).context("in anyhow").into()) })),
    ];
    for group in GROUPS {
        for answer in answers {
            let (message, answer) = answer();
            let h = async move { answer.await };
            let crash = crash_beside(group, h);
            let original = (Error, "beside", "broken");
            if group == Group::Always {
                assert_failures(&crash, &[original, (Cancelled, "recancelled", message)]);
            } else {
                assert_failures(&crash, &[original]);
            }
        }
    }
}

#[test]
fn answers_ok() {
    let _watched = watched();
    async fn stubborn() -> Result<u32> {
        let _ = sleep(LONG).await; // it is cancelled here
        Ok(5)
    }
    let original = (Error, "beside", "broken");
    assert_failures(&crash_beside(Group::Auto, stubborn()), &[original]);
    if is_child() {
        return;
    }
    assert_failures(&crash_beside(Group::Never, stubborn()), &[original]);
    let crash = crash_beside(Group::Always, stubborn());
    assert_failures(&crash, &[original, (Improper, "answers_ok::stubborn", "answered Ok(5)")]);
    assert_trace(crash.failures()[1].trace(), &[("answers_ok::stubborn", "it is cancelled here")]);
    let warning = format!(
        "tinyio: warning: it::errors::answers_ok::stubborn ({}:{}) did not respond properly to its cancellation: answered Ok(5)\n",
        file!(),
        line("it is cancelled here")
    );
    assert_eq!(stderr_of("errors::answers_ok"), warning);
}

#[test]
fn answers_await() {
    let _watched = watched();
    async fn again() -> Result<u32> {
        let _ = sleep(LONG).await;
        sleep(LONG).await?; // it awaits again
        Ok(5)
    }
    async fn for_ever() -> Result<u32> {
        loop {
            let _ = yield_now().await; // it awaits for ever
        }
    }
    async fn elsewhere() -> Result<u32> {
        let _ = sleep(LONG).await; // it was cancelled here
        pending::<()>().await;
        Ok(5)
    }
    for group in GROUPS {
        let original = (Error, "beside", "broken");
        let members = |crash: Crash, name: &str, mark: &str, how: &str| {
            if group != Group::Always {
                return assert_failures(&crash, &[original]);
            }
            let failure = &crash.failures()[1];
            assert_eq!((failure.kind(), crash.failures().len()), (Improper, 2));
            assert_eq!(failure.name(), format!("it::errors::answers_await::{name}"));
            let message = failure.message();
            assert!(message.starts_with(&format!("{how} {}:{}:", file!(), line(mark))), "{message}");
        };
        members(crash_beside(group, again()), "again", "it awaits again", "awaited again at");
        members(crash_beside(group, for_ever()), "for_ever", "it awaits for ever", "awaited again at");
        let how = "continued, in a future that is not of tinyio, after `CancelledError` was returned at";
        members(crash_beside(group, elsewhere()), "elsewhere", "it was cancelled here", how);
    }
}

#[test]
fn answers_error() {
    let _watched = watched();
    async fn other() -> Result<u32> {
        let _ = sleep(LONG).await;
        Err(Broken("another"))? // another
    }
    for group in GROUPS {
        let crash = crash_beside(group, other());
        let original = (Error, "beside", "broken");
        if group == Group::Never {
            assert_failures(&crash, &[original]);
        } else {
            assert_failures(&crash, &[original, (Error, "answers_error::other", "another")]);
            assert_trace(crash.failures()[1].trace(), &[("answers_error::other", "another")]);
            assert!(crash.failures()[1].error().unwrap().is::<Broken>());
        }
        assert_eq!(crash.downcast_ref::<Broken>(), Some(&Broken("broken")));
    }
    // Errors come before those that were cancelled, also if they came later.
    let main = async {
        let naps = [LONG; 2].map(|nap| async move { Ok(sleep(nap).await?) });
        let [first, last] = naps;
        spawn::<_, (), tinyio::Error>(first);
        spawn(other());
        spawn(last);
        fails().await
    };
    let crash = Loop::new().group(Group::Always).run(main).unwrap_err();
    let (error, nap) = ((Error, "answers_error::other", "another"), (Cancelled, "answers_error", "cancelled"));
    assert_failures(&crash, &[(Error, "answers_error", "broken"), error, nap, nap]);
}

#[test]
fn foreign_await() {
    let _watched = watched();
    for group in GROUPS {
        let log = Log::new();
        let cleaned = log.clone();
        let crash = crash_beside(group, async move {
            let _outer = OnDrop(|| cleaned.push("outer"));
            coro(async { tinyio::Ok(()) }).await?; // before it went elsewhere
            let _inner = OnDrop(|| cleaned.push("inner"));
            pending::<Result<u32>>().await
        });
        assert_eq!(log.entries(), ["inner", "outer"]);
        let original = (Error, "beside", "broken");
        if group == Group::Always {
            assert_failures(&crash, &[original, (Cancelled, "foreign_await", "cancelled")]);
            assert!(crash.failures()[1].error().is_none());
        } else {
            assert_failures(&crash, &[original]);
        }
    }
}

type Slot = Rc<RefCell<Option<Coro<()>>>>;

async fn member(next: Slot) -> Result<()> {
    let next = next.take().expect("a coroutine");
    Ok(next.await?) // in the ring
}

/// Coroutines that await each other in a cycle, and others that wait for something else.
async fn ring(length: usize) -> Result<()> {
    let slots: Vec<Slot> = (0..length).map(|_| Slot::default()).collect();
    let members: Vec<_> = (0..length).map(|n| coro(member(slots[(n + 1) % length].clone()))).collect();
    for (slot, member) in slots.iter().zip(&members) {
        *slot.borrow_mut() = Some(member.clone());
    }
    spawn(async { Ok::<_, tinyio::Error>(sleep(LONG).await?) });
    spawn(async { Ok::<_, tinyio::Error>(Event::new().wait().await?) });
    gather(members).await?;
    Ok(())
}

#[test]
fn cycle() {
    let _watched = watched();
    for group in GROUPS {
        for length in [2, 7] {
            let crash = Loop::new().group(group).run(ring(length)).unwrap_err();
            let message = crash.downcast_ref::<Deadlock>().expect("a deadlock").to_string();
            assert!(message.starts_with(&format!("deadlock: {length} coroutines wait for each other:\n")), "{message}");
            let trace = crash.failures()[0].trace();
            assert_eq!(trace.len(), length);
            for (n, site) in trace.iter().enumerate() {
                let (name, id) = site.name.split_once(" #").expect("a number");
                assert!(id.parse::<u64>().is_ok());
                assert_eq!((name, site.line), ("it::errors::member", line("in the ring")));
                let (next, place) =
                    (&trace[(n + 1) % length].name, format!("{}:{}:{}", site.file, site.line, site.column));
                let edge = format!("{} waits for {next} at {place}", site.name);
                assert_eq!(message.matches(&edge).count(), 1, "{message}");
                assert_eq!(trace.iter().filter(|other| other.name == site.name).count(), 1);
            }
            // The error is the loop's, so all are members: those of the cycle, the two others, and the main coroutine.
            assert_eq!(crash.failures().len(), if group == Group::Always { 1 + length + 2 + 1 } else { 1 });
        }
    }
}

#[test]
fn self_await() {
    let _watched = watched();
    async fn ego(own: Rc<RefCell<Option<Coro<()>>>>) -> Result<()> {
        let own = own.take().expect("itself");
        Ok(own.await?) // for itself
    }
    for group in GROUPS {
        let slot = Rc::default();
        let coro = coro(ego(Rc::clone(&slot)));
        *slot.borrow_mut() = Some(coro.clone());
        let crash = Loop::new().group(group).run(coro).unwrap_err();
        let message = crash.downcast_ref::<Deadlock>().expect("a deadlock").to_string();
        assert!(
            message.starts_with("deadlock: a coroutine waits for itself:\n  it::errors::self_await::ego #"),
            "{message}"
        );
        let end = format!(" at {}:{}:", file!(), line("for itself"));
        assert!(message.contains(&end), "{message}");
        assert_eq!(crash.failures()[0].trace().len(), 1);
    }
}

#[test]
fn panic() {
    let _watched = watched();
    async fn boom() -> Result<()> {
        turns(5).await?;
        panic!("boom {}", std::hint::black_box(1)) // boom in a coroutine
    }
    async fn thread_boom() -> Result<()> {
        turns(5).await?;
        let boom = || -> Result<()> { std::panic::panic_any(Broken("payload")) }; // boom in a thread
        Ok(tinyio::run_in_thread(boom).await?) // awaits the thread
    }
    for group in GROUPS {
        for in_thread in [false, true] {
            let log = Log::new();
            let cleaned = log.clone();
            let bystander = async move {
                let nap = sleep(LONG).await;
                cleaned.push(nap);
                Ok::<_, tinyio::Error>(nap?)
            };
            let main = async move {
                spawn(bystander);
                if in_thread { thread_boom().await } else { boom().await }
            };
            let crash = Loop::new().group(group).run(main).unwrap_err();
            assert!(matches!(log.entries()[..], [Err(_)]));
            let mut expected = match in_thread {
                false => vec![(Panic, "panic", "panicked: boom 1")],
                true => vec![(Panic, "panic::thread_boom", "panicked: (a payload that is no text)")],
            };
            if group == Group::Always {
                expected.push((Cancelled, "panic", "cancelled"));
            }
            assert_failures(&crash, &expected);
            let payload = crash.downcast_ref::<tinyio::Panic>().expect("a panic").take_payload().expect("once");
            let trace = crash.failures()[0].trace();
            if in_thread {
                assert_eq!(payload.downcast_ref(), Some(&Broken("payload")));
                assert_trace(trace, &[("panic", "awaits the thread"), ("panic::thread_boom", "boom in a thread")]);
            } else {
                assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("boom 1"));
                assert_trace(trace, &[("panic", "boom in a coroutine")]);
            }
            assert!(crash.downcast_ref::<tinyio::Panic>().unwrap().take_payload().is_none());
        }
    }
}

#[test]
fn panic_in_cleanup() {
    let _watched = watched();
    async fn nap(log: Log<&'static str>, panics: bool) -> Result<()> {
        let nap = sleep(LONG).await; // nap
        assert!(!panics, "in cleanup"); // in cleanup
        log.push("cleaned up");
        Ok(nap?)
    }
    for group in GROUPS {
        let log = Log::new();
        let noted = log.clone();
        let main = async move {
            for panics in [false, true, false, true] {
                spawn(nap(noted.clone(), panics));
            }
            fails().await
        };
        let crash = Loop::new().group(group).run(main).unwrap_err();
        assert_eq!(log.entries(), ["cleaned up"; 2]);
        let original = (Error, "panic_in_cleanup", "broken");
        let panic = (Panic, "panic_in_cleanup::nap", "panicked: in cleanup");
        let cancelled = (Cancelled, "panic_in_cleanup::nap", "cancelled");
        match group {
            Group::Never => assert_failures(&crash, &[original]),
            Group::Auto => assert_failures(&crash, &[original, panic, panic]),
            Group::Always => assert_failures(&crash, &[original, panic, panic, cancelled, cancelled]),
        }
        if group != Group::Never {
            assert_trace(crash.failures()[1].trace(), &[("panic_in_cleanup::nap", "in cleanup")]);
        }
    }
}

#[test]
fn panic_in_drop() {
    let _watched = watched();
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop"); // in drop
        }
    }
    async fn at_ours(_bomb: Bomb) -> Result<()> {
        Ok(sleep(LONG).await?)
    }
    async fn at_foreign(_bomb: Bomb) -> Result<()> {
        pending().await
    }
    async fn output(_bomb: Bomb) -> Result<Bomb> {
        let _ = sleep(LONG).await;
        Ok(Bomb)
    }
    for group in GROUPS {
        let log = Log::new();
        let noted = log.clone();
        let main = async move {
            spawn(at_ours(Bomb));
            spawn(at_foreign(Bomb));
            spawn(async move {
                let nap = sleep(LONG).await;
                noted.push("cleaned up");
                Ok::<_, tinyio::Error>(nap?)
            });
            turns(10).await?;
            spawn(output(Bomb)); // never begins
            Err::<(), _>(tinyio::Error::from(Broken("broken")))
        };
        let crash = Loop::new().group(group).run(main).unwrap_err();
        assert_eq!(log.entries(), ["cleaned up"]);
        let original = (Error, "panic_in_drop", "broken");
        let panic = |name| (Panic, name, "panicked: in drop");
        let panics =
            [panic("panic_in_drop::at_ours"), panic("panic_in_drop::at_foreign"), panic("panic_in_drop::output")];
        let rest = [
            (Cancelled, "panic_in_drop::at_foreign", "cancelled"),
            (Cancelled, "panic_in_drop", "cancelled"),
            (NeverStarted, "panic_in_drop::output", "had not started"),
        ];
        match group {
            Group::Never => assert_failures(&crash, &[original]),
            Group::Auto => assert_failures(&crash, &[&[original][..], &panics].concat()),
            Group::Always => assert_failures(&crash, &[&[original][..], &panics, &rest].concat()),
        }
        if group != Group::Never {
            assert_trace(crash.failures()[1].trace(), &[("panic_in_drop::at_ours", "in drop")]);
        }
    }
}

#[test]
fn not_started() {
    let _watched = watched();
    for group in GROUPS {
        let log = Log::new();
        let (ran, dropped) = (log.clone(), log.clone());
        let captured = OnDrop(move || dropped.push("dropped"));
        let late = async move {
            let _captured = captured;
            ran.push("ran");
            tinyio::Ok(())
        };
        let main = async move {
            spawn(late); // never to begin
            Err::<(), _>(tinyio::Error::from(Broken("broken")))
        };
        let crash = Loop::new().group(group).run(main).unwrap_err();
        assert_eq!(log.entries(), ["dropped"]);
        let original = (Error, "not_started", "broken");
        if group == Group::Always {
            assert_failures(&crash, &[original, (NeverStarted, "not_started", "had not started")]);
            assert_trace(crash.failures()[1].trace(), &[("not_started", "never to begin")]);
        } else {
            assert_failures(&crash, &[original]);
        }
    }
}

#[test]
fn error_is_error() {
    let _watched = watched();
    async fn plain() -> Result<(), Because<Broken>> {
        Err(Because(Broken("at the bottom")))
    }
    async fn of_ours() -> Result<()> {
        Err(Because(Broken("at the bottom")))?
    }
    fn crash() -> Crash {
        Loop::new().run(plain()).unwrap_err()
    }
    for (name, crash) in [("plain", crash()), ("of_ours", Loop::new().run(of_ours()).unwrap_err())] {
        assert_eq!(crash.downcast_ref::<Because<Broken>>().unwrap().0, Broken("at the bottom"));
        assert!(crash.downcast_ref::<Broken>().is_none());
        assert!(crash.error().is::<Because<Broken>>());
        let chain: Vec<String> =
            std::iter::successors(crash.source(), |error| (*error).source()).map(ToString::to_string).collect();
        assert_eq!(chain, ["because", "at the bottom"]);
        assert_eq!(crash.to_string(), format!("it::errors::error_is_error::{name}: because"));
        let report = format!("{crash:?}");
        let head = format!("✖ it::errors::error_is_error::{name} crashed: because\n  caused by: at the bottom\n");
        assert!(report.starts_with(&head), "{report}");
        assert_eq!(crash.into_error().to_string(), "because");
    }
    fn into_eyre() -> eyre::Result<()> {
        Err(crash())?
    }
    fn into_anyhow() -> anyhow::Result<()> {
        Err(crash())?
    }
    fn into_box() -> Result<(), Box<dyn StdError>> {
        Err(crash())?
    }
    let chain = ["it::errors::error_is_error::plain: because", "because", "at the bottom"];
    let error = into_eyre().unwrap_err();
    assert_eq!(error.chain().map(ToString::to_string).collect::<Vec<_>>(), chain);
    assert!(error.downcast_ref::<Crash>().unwrap().downcast_ref::<Because<Broken>>().is_some());
    let error = into_anyhow().unwrap_err();
    assert_eq!(error.chain().map(ToString::to_string).collect::<Vec<_>>(), chain);
    assert!(error.downcast_ref::<Crash>().unwrap().downcast_ref::<Because<Broken>>().is_some());
    let error = into_box().unwrap_err();
    assert!(error.downcast_ref::<Crash>().unwrap().downcast_ref::<Because<Broken>>().is_some());
}

#[test]
fn a_place_beside_the_name_of_a_coroutine_is_where_it_awaits_or_failed() {
    let _watched = watched();
    async fn transfer(fails: bool) -> Result<()> {
        yield_now().await?; // its turn
        if fails {
            return Err(Broken("no money").into()); // refused
        }
        Ok(sleep(LONG).await?)
    }
    async fn payroll(fails: bool) -> Result<()> {
        transfer(fails).await // inline
    }
    let main = async {
        gather((payroll(true), payroll(false))).await?; // both of them
        tinyio::Ok(())
    };
    let report = format!("{:?}", Loop::new().group(Group::Always).run(main).unwrap_err());
    let test = "it::errors::a_place_beside_the_name_of_a_coroutine_is_where_it_awaits_or_failed";
    let rows = [
        (test.to_owned(), "awaits at", "both of them"),
        (format!("{test}::payroll"), "error made at", "refused"),
        (format!("{test}::payroll"), "last known at", "its turn"),
    ];
    for (name, what, mark) in rows {
        let place = format!("  {what} {}:{}:", file!(), line(mark));
        let is_row = |row: &&str| row.trim_start().starts_with(&name) && row.contains(&place);
        assert!(report.lines().any(|row| is_row(&row)), "{name}{place}\n{report}");
    }
}

#[test]
fn usage_in_group() {
    let _watched = watched();
    async fn uses() -> Result<u32> {
        let mut once = coro(async { tinyio::Ok(5) });
        (&mut once).await?;
        Ok(once.await?) // a second time
    }
    for group in GROUPS {
        let main = async {
            gather((uses(), async { Ok::<_, tinyio::Error>(sleep(LONG).await?) })).await?; // the group
            tinyio::Ok(())
        };
        let crash = Loop::new().group(group).run(main).unwrap_err();
        let usage = &crash.failures()[0];
        assert_eq!((usage.kind(), usage.name()), (Panic, "it::errors::usage_in_group::uses"));
        let place = format!("{}:{}:", file!(), line("a second time"));
        assert!(usage.message().contains(&place), "{}", usage.message());
        assert_trace(usage.trace(), &[("usage_in_group", "the group"), ("usage_in_group::uses", "a second time")]);
        assert_eq!(crash.failures().len(), if group == Group::Always { 2 } else { 1 });
    }
    // Outside of any loop it is a panic of the caller.
    let message = panic_message(|| crate::check::poll_once(yield_now()));
    assert!(message.contains("no tinyio loop is running"), "{message}");
}

//! Random programs, compared with a naive model of what they must do.
//!
//! A program is a graph of coroutines, made from a seed: each awaits, gathers or spawns some of those after it, shared
//! ones among them, sleeps, yields, takes locks and permits, moves permits to others, sets and waits for events, runs
//! functions on threads and in a pool, catches timeouts and nested loops, begins coroutines and threads and drops their
//! handles, keeps await points for another loop, receives with a limit that meets the sender's period; some fail,
//! panic, or answer their cancellation in wrong ways, also by a destructor that panics; some await a coroutine that
//! awaits them, or take a second lock; some programs stop the loop from another thread, at a step or at any time. The
//! model knows which coroutines can be reached, what each returns, and whether they must or may wait for each other for
//! ever; the rest are laws that hold for every program: see [`check`].
//!
//! `TINYIO_RANDOM=SECONDS` runs for this long, with new seeds; `TINYIO_RANDOM_PROGRAMS=N` runs the first N only;
//! `TINYIO_RANDOM_SEED=N` repeats one.

mod program;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tinyio::{
    Crash, Deadlock, Event, FailureKind, Group, Interrupted, Lock, Loop, Semaphore, ThreadPool, coro, gather, sleep,
    spawn, yield_now,
};

use crate::random::program::{Act, Program, RESOURCES, Random, Stuck};
use crate::random::world::{Fate, World, ms};

/// The number of programs in a plain `cargo test`.
const PROGRAMS: u64 = 1_500;

/// A program that has not ended by then hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the program of a seed and checks what must hold. Returns how it ended.
fn check(seed: u64) -> &'static str {
    let (how, log) = check_once(seed);
    let program = Program::new(seed);
    if program.is_determined(&program.reached()) {
        assert!(check_once(seed) == (how, log), "the same program and the same seed, but another order");
    }
    how
}

fn check_once(seed: u64) -> (&'static str, Vec<usize>) {
    let program = Program::new(seed);
    let count = program.plans.len();
    let reached = program.reached();
    let (group, shuffle) = (program.group, program.shuffle);
    let mut looped = Loop::new().group(group);
    if let Some(shuffle) = shuffle {
        looped = looped.shuffle(shuffle);
    }
    if program.virtual_time {
        looped = looped.virtual_time();
    }
    if program.grace {
        looped = looped.grace(ms(20));
    }
    let fails = program.fails(&reached);
    let stuck = program.stuck(&reached);
    let value = program.value(0, &mut vec![None; count]);
    let stops = program.stop.is_some() || program.stop_after.is_some();
    let stopper = program.stop_after.map(|after| {
        let handle = looped.handle();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(after));
            handle.cancel();
        })
    });
    let world = Rc::new(World {
        coros: RefCell::new(Vec::new()),
        fates: RefCell::new(vec![Fate::default(); count]),
        first: Cell::new(None),
        cancelled: Cell::new(false),
        locks: (0..RESOURCES).map(|_| (Lock::new(), Cell::new(0))).collect(),
        permits: (0..RESOURCES).map(|_| (Semaphore::new(2), Cell::new(0))).collect(),
        events: (0..RESOURCES).map(|_| Event::new()).collect(),
        threads: Arc::new(AtomicUsize::new(0)),
        pool: ThreadPool::new(2),
        pooled: Arc::new(AtomicUsize::new(0)),
        log: RefCell::default(),
        steps: Cell::new(0),
        handle: RefCell::new(Some(looped.handle())),
        kept: RefCell::default(),
        program,
    });
    *world.coros.borrow_mut() = (0..count).map(|own| Some(coro(world.clone().body(own)))).collect();
    let main = world.other(0);
    let ended: std::result::Result<u64, Crash> = looped.run(main);
    world.coros.borrow_mut().clear();
    let fates = world.fates.borrow().clone();

    // Every coroutine that began has ended, once, in whatever way; none began twice.
    for (n, fate) in fates.iter().enumerate() {
        assert!(fate.begun <= 1 && fate.dropped == fate.begun, "coroutine {n}: {fate:?}");
        assert!(reached[n] || fate.begun == 0, "coroutine {n} began, and nothing reaches it: {fate:?}");
    }
    // Everything was released, every function on a thread has ended, nothing is left of any coroutine.
    let held = world.locks.iter().map(|(_, held)| held).chain(world.permits.iter().map(|(_, held)| held));
    assert!(held.into_iter().all(|held| held.get() == 0));
    for (lock, _) in &world.locks {
        assert_eq!(format!("{lock:?}"), "Lock(free, 0 waiting)");
    }
    for (semaphore, _) in &world.permits {
        assert_eq!(format!("{semaphore:?}"), "Semaphore(2 free, 0 waiting)");
    }
    assert_eq!(Rc::strong_count(&world), 1, "something is left");
    assert_eq!(Arc::strong_count(&world.threads), 1, "a function on a thread is left");
    let how = match ended {
        Ok(returned) => {
            assert!(!fails, "it ended well, but one fails");
            assert!(stuck != Stuck::Must, "it ended well, but one waits for itself");
            assert_eq!(returned, value);
            for (n, fate) in fates.iter().enumerate() {
                assert!(!reached[n] || fate.returned.is_some(), "coroutine {n} has not returned: {fate:?}");
            }
            "well"
        }
        Err(crash) => {
            let first = &crash.failures()[0];
            if crash.downcast_ref::<Interrupted>().is_some() {
                assert!(stops, "nothing interrupts it");
            } else if let Some(deadlock) = crash.downcast_ref::<Deadlock>() {
                assert!(stuck != Stuck::Never, "none waits for ever: {deadlock}");
            } else {
                assert!(fails, "none fails: {crash:?}");
                // The first error wins.
                let of =
                    |own: usize| [format!("coroutine {own} is broken"), format!("panicked: coroutine {own} panics")];
                if let Some(own) = world.first.get() {
                    let thread = world
                        .program
                        .plans
                        .iter()
                        .any(|plan| plan.acts.iter().any(|act| matches!(act, Act::ThreadFails)));
                    assert!(thread || of(own).contains(&first.message()), "{own} failed first, but: {crash:?}");
                }
                assert!(matches!(first.kind(), FailureKind::Error | FailureKind::Panic));
            }
            let others = &crash.failures()[1..];
            match group {
                Group::Never => assert!(others.is_empty()),
                Group::Auto => assert!(others.iter().all(|other| other.error().is_some()), "{crash:?}"),
                Group::Always => {}
            }
            match first.kind() {
                FailureKind::Panic => "by a panic",
                _ if crash.downcast_ref::<Interrupted>().is_some() => "interrupted",
                _ if crash.downcast_ref::<Deadlock>().is_some() => "by a deadlock",
                _ if crash.is_group() => "by an error, with others",
                _ => "by an error",
            }
        }
    };
    // The loop can be used again, after a run that was stopped before it began.
    let again = |looped: &mut Loop| looped.run(async { tinyio::Ok(yield_now().await.map(|()| 3)?) });
    if let Some(stopper) = stopper {
        stopper.join().expect("it only cancels");
        assert!(again(&mut looped).is_ok_and(|three| three == 3) || again(&mut looped).is_ok());
    }
    assert_eq!(again(&mut looped).unwrap(), 3);
    // What the first run has kept disturbs no timer of another loop, be it dropped or polled there.
    let kept = world.kept.take();
    let other = Loop::new().run(async move {
        let naps = [2, 1, 3].map(|nap| spawn(sleep(ms(nap))));
        yield_now().await?;
        let mut polled = Vec::new();
        for (n, mut kept) in kept.into_iter().enumerate() {
            if n % 2 == 0 {
                std::future::poll_fn(|cx| {
                    let _ = kept.as_mut().poll(cx);
                    std::task::Poll::Ready(())
                })
                .await;
                polled.push(kept);
            }
        }
        gather(naps).await?;
        tinyio::Ok(3)
    });
    assert_eq!(other.unwrap(), 3);
    (how, Rc::into_inner(world).expect("it was the last one").log.into_inner())
}

#[test]
fn random_programs() {
    static SEED: AtomicU64 = AtomicU64::new(0);
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    // A program that hangs is named.
    let (_watched, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let mut last = u64::MAX;
        while ended.recv_timeout(TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let rounds = ROUNDS.load(Ordering::SeqCst);
            if rounds == last {
                let seed = SEED.load(Ordering::SeqCst);
                // Not by `eprintln`: its output in a test is lost with the process.
                let program = Program::new(seed);
                let _ = writeln!(std::io::stderr(), "TINYIO_RANDOM_SEED={seed} hangs: {program:#?}");
                std::process::abort();
            }
            last = rounds;
        }
    });
    // Panics that are part of the programs are not printed.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !(text.starts_with("coroutine ") && text.contains(" panics")) {
            eprintln!("seed {}:", SEED.load(Ordering::SeqCst));
            hook(info);
        }
    }));
    let mut ends = BTreeMap::<&str, u64>::new();
    let mut one = |seed: u64| {
        SEED.store(seed, Ordering::SeqCst);
        *ends.entry(check(seed)).or_default() += 1;
        ROUNDS.fetch_add(1, Ordering::SeqCst);
    };
    if let Some(seed) = number("TINYIO_RANDOM_SEED") {
        eprintln!("{:#?}", Program::new(seed));
        return one(seed);
    }
    match number("TINYIO_RANDOM") {
        None => {
            let programs = number("TINYIO_RANDOM_PROGRAMS").unwrap_or(PROGRAMS);
            (0..programs).for_each(one);
            // The programs end in all ways.
            assert!(programs < PROGRAMS || ends.len() == 6 && ends.values().all(|count| *count > 20), "{ends:?}");
        }
        Some(seconds) => {
            let start = Instant::now();
            let mut seeds = Random::new(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64);
            while start.elapsed() < Duration::from_secs(seconds) {
                one(seeds.next());
            }
            eprintln!("{} programs: {ends:?}", ROUNDS.load(Ordering::SeqCst));
        }
    }
}

//! Checkpoints of a recorded run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tinyio::{Lock, Loop, Semaphore, gather, isolate, run_in_thread, sleep, spawn, timeout, yield_now};
use tinyio_inspector::discover;
use tinyio_inspector::event::{Event, Kind};
use tinyio_inspector::model::Model;
use tinyio_inspector::ring::RingReader;
use tinyio_inspector::source::{Progress, Source};

use crate::check::{is_child, watched};
use crate::recorded::Recorded;

/// The content of a graph as text, for comparison.
fn content(model: &Model) -> BTreeMap<String, String> {
    let coros = model.live().map(|coro| {
        let waits: BTreeMap<_, _> = coro.waits().collect();
        let what = (coro.in_loop, coro.parent, coro.name, coro.site, coro.state(), coro.since, coro.thread);
        (format!("coroutine {}", coro.id), format!("{what:?} waits {waits:?} holds {:?}", coro.holds))
    });
    let loops = model.loops().filter(|one| one.ended.is_none()).map(|one| {
        (
            format!("loop {}", one.id),
            format!("{:?}", (one.parent, one.mode, one.since, one.parked, one.cancel.is_some())),
        )
    });
    let threads = model.threads().map(|one| (format!("thread {}", one.id), format!("{one:?}")));
    let resources = model.resources().map(|one| {
        let waiters: Vec<_> = one.waiters.iter().map(|(id, ())| id).collect();
        let what = (one.what, one.size, one.site, one.since, one.set, &one.holders);
        (format!("resource {}", one.id), format!("{what:?} awaited by {waiters:?}"))
    });
    coros.chain(loops).chain(threads).chain(resources).collect()
}

/// Folds what is recorded, and at each checkpoint what that contains alone.
struct Checker {
    reader: RingReader,
    whole: Model,
    alone: Option<Model>,
    compared: u32,
}

impl Checker {
    fn of_this_process() -> Checker {
        let folder = std::env::var_os("TINYIO_RING_DIR").expect("the parent has set it");
        let ring = discover::rings_in(Path::new(&folder)).unwrap().remove(0);
        let reader = RingReader::open(&ring.path).unwrap();
        Checker { whole: Model::new(reader.header()), reader, alone: None, compared: 0 }
    }

    fn check(&mut self) {
        let Checker { reader, whole, alone, compared } = self;
        let header = reader.header().clone();
        let mut see = |event: Event| {
            assert!(!matches!(event.kind, Kind::Lost { .. }), "the ring is read after each turn");
            whole.apply(&event);
            if let Kind::Checkpoint { left_out, .. } = event.kind {
                assert_eq!(left_out, 0);
                *alone = Some(Model::new(&header));
            }
            if let Some(model) = alone {
                model.apply(&event);
            }
            if matches!(event.kind, Kind::CheckpointEnd {}) {
                let (alone, whole) = (content(&alone.take().expect("it began")), content(whole));
                for (what, is) in &whole {
                    assert_eq!(alone.get(what), Some(is), "{what}, at checkpoint {compared}");
                }
                assert_eq!(alone.len(), whole.len(), "at checkpoint {compared}");
                *compared += 1;
            }
        };
        while reader.read(1000, &mut see).unwrap() == Progress::More {}
    }
}

/// Does something random, for this many turns.
async fn wander(seed: u64, turns: u32, lock: Lock, semaphore: Semaphore, event: tinyio::Event) -> tinyio::Result<()> {
    let mut random = seed;
    let mut roll = move |sides: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % sides
    };
    for _ in 0..turns {
        match roll(12) {
            0 | 1 => yield_now().await?,
            2 => sleep(Duration::from_millis(roll(5))).await?,
            3 => {
                let _held = lock.acquire().await?;
                yield_now().await?;
            }
            4 => {
                let _held = semaphore.acquire().await?;
                sleep(Duration::from_millis(1 + roll(3))).await?;
            }
            5 => drop(event.wait_timeout(Duration::from_millis(1 + roll(9))).await?),
            6 => event.set(),
            7 => event.clear(),
            8 => {
                let child = |ms| async move { Ok::<_, tinyio::Error>(sleep(Duration::from_millis(ms)).await?) };
                gather([child(roll(4)), child(roll(4)), child(roll(9))]).await?;
            }
            9 => {
                let (a, b) = (roll(5), roll(5));
                let shared = spawn(async move { Ok::<_, tinyio::Error>(sleep(Duration::from_millis(a)).await?) });
                let other = shared.clone();
                drop(spawn(async move { Ok::<_, tinyio::Error>(other.await?) }));
                sleep(Duration::from_millis(b)).await?;
                shared.await?;
            }
            10 => {
                let nap = async { Ok::<_, tinyio::Error>(sleep(Duration::from_millis(2)).await?) };
                timeout(Duration::from_millis(1 + roll(3)), nap).await?.ok();
            }
            _ => {
                let inside = async {
                    gather([yield_now(), yield_now()]).await?;
                    Err::<(), _>(tinyio::Error::msg("inside"))
                };
                isolate(inside).await?.unwrap_err();
            }
        }
    }
    Ok(())
}

#[test]
fn each_checkpoint_of_a_run_has_the_state_after_the_events_before_it() {
    let _watched = watched();
    if !is_child() {
        return Recorded::start(
            "record_checkpoints::each_checkpoint_of_a_run_has_the_state_after_the_events_before_it",
        )
        .succeeds();
    }
    let main = async {
        let (lock, semaphore, event) = (Lock::new(), Semaphore::new(2), tinyio::Event::new());
        let wanderers: Vec<_> =
            (0..24).map(|seed| spawn(wander(seed, 60, lock.clone(), semaphore.clone(), event.clone()))).collect();
        let threads = gather((0..8).map(|n| run_in_thread(move || tinyio::Ok(n))).collect::<Vec<_>>());
        let mut checker = Checker::of_this_process();
        let all = spawn(async move {
            gather(wanderers).await?;
            tinyio::Ok(threads.await?)
        });
        let done = tinyio::Event::new();
        let is_done = {
            let (done, all) = (done.clone(), all.clone());
            spawn(async move {
                all.await?;
                done.set();
                tinyio::Ok(())
            })
        };
        while !done.is_set() {
            checker.check();
            sleep(Duration::from_micros(1)).await?;
            yield_now().await?;
        }
        is_done.await?;
        assert!(checker.compared >= 5, "only {} checkpoints", checker.compared);
        all.await
    };
    Loop::new().virtual_time().run(main).unwrap();
}

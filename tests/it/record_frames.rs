//! Frames of recorded programs, as the loop answers requests and as they are read from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use tinyio::{Loop, coro, gather, isolate, sleep, spawn, yield_now};
use tinyio_inspector::event::{Kind, Stack, State, Target};
use tinyio_inspector::ring::Request;

use crate::check::{is_child, watched};
use crate::recorded::{LONG, Recorded, fails, frames, parked, sleeper};

#[test]
fn a_sleeping_loop_answers_a_request_for_frames() {
    let _watched = watched();
    if is_child() {
        Loop::new().run(sleeper(1)).unwrap();
        return;
    }
    let program = Recorded::start("record_frames::a_sleeping_loop_answers_a_request_for_frames");
    let stack = program.ask("sleeper", parked);
    assert_eq!(frames(&stack), ["sleeper"], "{stack:?}");
    assert_eq!(stack.frames[0].locals[0].value.text, "1", "{stack:?}");
}

async fn with_much(numbers: Vec<u64>) -> tinyio::Result<usize> {
    sleep(LONG).await?;
    Ok(numbers.len())
}

struct Iban(String);

async fn pays(iban: String, boxed: Box<Iban>, visible: u32) -> tinyio::Result<usize> {
    sleep(LONG).await?;
    Ok(iban.len() + boxed.0.len() + visible as usize)
}

#[test]
fn further_names_of_secrets_are_masked_for_readers_that_do_not_know_them() {
    let _watched = watched();
    const TEST: &str = "record_frames::further_names_of_secrets_are_masked_for_readers_that_do_not_know_them";
    if is_child() {
        let asleep = pays("GB33".to_owned(), Box::new(Iban("GB33".to_owned())), 7);
        Loop::new().run(async { gather((stuck(vec![]), asleep)).await.map(drop) }).unwrap();
        return;
    }
    let shown = |stack: &Stack| {
        let locals = stack.frames[0].locals.iter();
        locals.map(|local| (local.name.clone(), local.value.text.clone())).collect::<BTreeMap<_, _>>()
    };
    let masked = [("boxed", "<masked>"), ("iban", "<masked>"), ("visible", "7")];
    let masked = BTreeMap::from(masked.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let program = Recorded::with(TEST, &[("TINYIO_SECRETS", "iban")]);
    // This process has no such variable.
    let [outside] = program.read("::stuck", ["::pays"]);
    assert_eq!(shown(&outside), masked);
    // More names than can be passed to readers: they read no values.
    let many =
        (0..200_u32).map(|n| format!("name{}", "abcdefghij".repeat(2) + &letters(n))).collect::<Vec<_>>().join(",");
    let program = Recorded::with(TEST, &[("TINYIO_SECRETS", &many)]);
    let [outside] = program.read("::stuck", ["::pays"]);
    assert!(outside.frames[0].locals.is_empty() && !frames(&outside).is_empty(), "{outside:?}");
}

fn letters(number: u32) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

#[test]
fn a_request_for_frames_in_full_gets_more_of_each_value() {
    let _watched = watched();
    if is_child() {
        Loop::new().run(with_much((0..500).collect())).unwrap();
        return;
    }
    let program = Recorded::in_ring("record_frames::a_request_for_frames_in_full_gets_more_of_each_value", "4M");
    let usual = program.ask("with_much", parked);
    let numbers = |stack: &Stack| stack.frames[0].locals[0].value.children.len();
    assert!((1..500).contains(&numbers(&usual)), "{usual:?}");
    let in_full = program.ask_again(Request { coro: 1, in_full: true });
    assert_eq!(numbers(&in_full), 500, "{in_full:?}");
    assert_eq!(in_full.frames[0].locals[0].value.children[499].1.text, "499");
    assert_eq!(program.ask_again(1.into()), usual, "only that once");
}

async fn held_up(given: [tinyio::Semaphore; 2], lazy: tinyio::Coro<u32>) -> tinyio::Result<usize> {
    let (checking, unnamed) = (tinyio::Lock::new().named("checking"), tinyio::Lock::new());
    let guards = [checking.acquire().await?, unnamed.acquire().await?];
    let [slots, _] = &given;
    let many = slots.acquire_many(3).await?;
    let acquire = checking.acquire();
    let (ready, done) = (tinyio::Event::new().named("ready"), tinyio::Event::new());
    ready.set();
    let start = tinyio::Barrier::new(3).named("start");
    let (waits, early) = (spawn(start.wait()), spawn(async { tinyio::Ok(7) }));
    let error = tinyio::Error::msg("too late");
    yield_now().await?;
    let nap = sleep(Duration::from_secs(2));
    sleep(LONG).await?;
    drop((checking, unnamed, guards, many, acquire, start, waits, early, nap, error, lazy));
    Ok(usize::from(ready.is_set() || done.is_set()) + given.len())
}

#[test]
fn handles_and_primitives_are_shown_by_name_and_state() {
    let _watched = watched();
    if is_child() {
        let semaphores = ["slots", "rest"].map(|name| tinyio::Semaphore::new(5).named(name));
        Loop::new().run(held_up(semaphores, coro(async { tinyio::Ok(1) }))).unwrap();
        return;
    }
    let program = Recorded::in_ring("record_frames::handles_and_primitives_are_shown_by_name_and_state", "4M");
    let stack = program.ask("held_up", |model| parked(model) && model.live().count() == 2);
    let of = |name: &str| &stack.frames[0].locals.iter().find(|local| local.name == name).unwrap().value;
    let made = |name: &str| of(name).children.iter().find(|child| child.0 == "made at").map(|made| &made.1.text);
    let shown = [
        ("checking", "Lock \"checking\" (held)"),
        ("unnamed", "Lock #2 (held)"),
        ("guards", "[Guard of \"checking\", Guard of lock #2]"),
        ("given", "[Semaphore \"slots\" (2 of 5 free), Semaphore \"rest\" (5 of 5 free)]"),
        ("many", "Guard of \"slots\" (3 permits)"),
        ("acquire", "Acquire of \"checking\""),
        ("ready", "Event \"ready\" (set)"),
        ("start", "Barrier \"start\" (1 of 3 here)"),
        ("waits", "coroutine 2 BarrierWait"),
        ("early", "coroutine 3 (ended)"),
        ("lazy", "coroutine (not scheduled)"),
        ("error", "Error(\"too late\")"),
        ("nap", "Sleep(2s)"),
    ];
    for (name, text) in shown {
        assert_eq!(of(name).text, text, "{stack:?}");
    }
    assert_eq!((of("waits").coro, of("early").coro), (2, 0), "a link to what is alive");
    // Without a name and not used yet, the line where it was made tells it from others.
    let made_at = made("done").expect("a place");
    assert!(made_at.contains("record_frames.rs:"), "{made_at}");
    assert_eq!(of("done").text, format!("Event made at {made_at} (not set)"));
}

/// Blocked until a line is written to stdin.
async fn stuck(words: Vec<String>) -> tinyio::Result<usize> {
    yield_now().await?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    sleep(Duration::ZERO).await?;
    Ok(words.len() + line.len())
}

async fn waits(on: tinyio::Coro<u32>, password: &str) -> tinyio::Result<usize> {
    // The clone is moved into the await, and `on` stays.
    Ok(on.clone().await? as usize + password.len())
}

#[test]
fn while_a_coroutine_blocks_its_loop_frames_are_read_from_outside() {
    let _watched = watched();
    if is_child() {
        let inner = async {
            let asleep = spawn(sleeper(7));
            let words = ["a", "b"].map(String::from).to_vec();
            gather((stuck(words), waits(asleep.clone(), "1234"))).await?;
            tinyio::Ok(())
        };
        // A coroutine in a loop that encloses the blocked one.
        let outer = gather((sleeper(8), isolate(inner)));
        Loop::new().run(async { outer.await.map(drop) }).unwrap();
        return;
    }
    let program = Recorded::start("record_frames::while_a_coroutine_blocks_its_loop_frames_are_read_from_outside");
    let [asleep, waits, stuck] = program.read("::stuck", ["::sleeper", "::waits", "::stuck"]);
    let values = |stack: &Stack| {
        let locals = stack.frames[0].locals.iter();
        locals.map(|local| (local.name.clone(), local.value.text.clone(), local.mark.clone())).collect::<Vec<_>>()
    };
    let value = |name: &str, text: &str, mark: &str| (name.to_owned(), text.to_owned(), mark.to_owned());
    // Of the two, the outer one: it came first.
    assert_eq!((frames(&asleep), values(&asleep)), (vec!["sleeper"], vec![value("nights", "8", "")]));
    assert_eq!(frames(&waits), ["waits"], "{waits:?}");
    let password = waits.frames[0].locals.iter().find(|local| local.name == "password");
    assert_eq!(password.unwrap().value.text, "<masked>");
    let on = waits.frames[0].locals.iter().find(|local| local.name == "on").unwrap();
    assert!(on.value.coro > 0, "a link to the other: {on:?}");
    assert!(stuck.mid_step && !waits.mid_step, "{stuck:?}");
    assert_eq!(values(&stuck), [value("words", r#"["a", "b"]"#, "mid-step")]);
    assert!(stuck.frames[0].source.iter().any(|(_, line)| line.contains("yield_now().await?")), "{stuck:?}");
}

#[test]
fn a_driven_loop_answers_a_request_for_frames() {
    let _watched = watched();
    if is_child() {
        pollster::block_on(async { Loop::new().drive(sleeper(2)).await.map(drop) }).unwrap();
        return;
    }
    let program = Recorded::start("record_frames::a_driven_loop_answers_a_request_for_frames");
    let stack = program.ask("sleeper", |model| {
        model
            .live()
            .all(|coro| coro.state() == State::Waiting && coro.waits().any(|(on, _)| matches!(on, Target::Timer(_))))
    });
    assert_eq!(frames(&stack), ["sleeper"], "{stack:?}");
}

#[test]
fn the_frames_of_an_outer_loop_are_answered_while_an_inner_one_sleeps() {
    let _watched = watched();
    if is_child() {
        let main = async {
            spawn(sleeper(3));
            tinyio::yield_now().await?;
            tinyio::Ok(Loop::new().run(async { Ok::<_, tinyio::Error>(sleep(LONG).await?) })?)
        };
        Loop::new().run(main).unwrap();
        return;
    }
    let program = Recorded::start("record_frames::the_frames_of_an_outer_loop_are_answered_while_an_inner_one_sleeps");
    let stack =
        program.ask("sleeper", |model| model.loops().count() == 2 && model.loops().any(|one| one.parked.is_some()));
    assert_eq!(frames(&stack), ["sleeper"], "{stack:?}");
}

async fn naps() -> tinyio::Result<()> {
    std::thread::sleep(Duration::from_millis(150));
    Ok(())
}

/// Reading debug info for the first error takes longer than a step may.
#[test]
fn a_step_that_sleeps_is_reported_as_blocking_but_not_one_in_which_frames_were_read() {
    let _watched = watched();
    if is_child() {
        let _ = Loop::new().run(async {
            assert!(isolate(fails()).await?.is_err());
            coro(naps()).await?;
            sleep(LONG).await
        });
        return;
    }
    let recorded = Recorded::start(
        "record_frames::a_step_that_sleeps_is_reported_as_blocking_but_not_one_in_which_frames_were_read",
    );
    let blamed = recorded.read_until(None, |model, _| {
        let sleeps = model.loops().any(|one| one.parent == 0 && one.parked.is_some_and(|(_, until)| until.is_some()));
        let blamed = || tinyio_inspector::lint::check(model, model.now()).into_iter().map(|lint| lint.text);
        sleeps.then(|| blamed().filter(|text| text.contains("blocked the loop")).collect::<Vec<_>>())
    });
    assert!(matches!(&blamed[..], [text] if text.starts_with("naps")), "{blamed:?}");
}

#[test]
fn the_time_in_which_frames_are_read_is_recorded_in_the_step_and_between_two_steps() {
    let _watched = watched();
    if is_child() {
        let _ = Loop::new().run(async {
            assert!(isolate(fails()).await?.is_err());
            sleep(LONG).await
        });
        return;
    }
    let recorded = Recorded::start(
        "record_frames::the_time_in_which_frames_are_read_is_recorded_in_the_step_and_between_two_steps",
    );
    let (mut in_step, mut between) = (0, 0);
    recorded.read_until(None, |model, kind| {
        if let Kind::Away { coro, nanos } = kind {
            let is_failing = model.full_name(*coro).ends_with("fails");
            *(if is_failing { &mut in_step } else { &mut between }) += nanos;
            assert!(is_failing || *coro == 0, "{}", model.label(*coro));
        }
        (in_step > 0 && between > 0).then_some(())
    });
}

#[test]
fn a_coroutine_that_blocks_is_seen_running_and_the_others_as_they_are() {
    let _watched = watched();
    if is_child() {
        let main = async {
            spawn(sleeper(1));
            yield_now().await?;
            // Nothing is recorded from here on.
            loop {
                std::thread::park();
            }
            #[allow(unreachable_code, reason = "its type")]
            tinyio::Ok(())
        };
        Loop::new().run(main).unwrap();
    }
    let program = Recorded::start("record_frames::a_coroutine_that_blocks_is_seen_running_and_the_others_as_they_are");
    program.read_until(None, |model, _| {
        let state = |id| model.coro(id).map(|coro| (coro.state(), coro.steps));
        let main = (1..=2).find(|id| !model.full_name(*id).ends_with("sleeper"))?;
        (state(main) == Some((State::Running, 2)) && state(3 - main) == Some((State::Waiting, 1))).then_some(())
    });
}

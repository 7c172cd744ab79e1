//! What the fold makes of small streams.

use tinyio_events::event::{Event, Kind, LoopMode, LoopOutcome, Outcome, ResKind, State};

use super::*;
use crate::test_script::{Script, cancelling, crawl, observed, verify};

fn at(model: &Model, id: CoroId) -> Activity {
    model.coro(id).unwrap().activity
}

/// The live counts, counted one by one.
fn recount(model: &Model) -> Counts {
    let mut counts = Counts::default();
    model.live().for_each(|coro| counts.add(coro.activity));
    counts
}

fn check_invariants(model: &Model) {
    for (activity, count) in recount(model).iter() {
        assert_eq!(model.counts().get(activity), count, "{activity:?}");
    }
    let mut seen = 0;
    let parents = model.loops().map(|one| Parent::Loop(one.id)).chain(model.live().map(|coro| Parent::Coro(coro.id)));
    for parent in parents {
        for group in model.groups(parent) {
            let mut counts = Counts::default();
            for id in group.members.ids() {
                let coro = model.coro(id).unwrap();
                assert_eq!((model.parent_of(coro), coro.name), (parent, group.name));
                counts.add(coro.activity);
                seen += 1;
            }
            assert_eq!(counts, group.counts);
        }
    }
    assert_eq!(seen, model.live_count(), "every live coroutine hangs somewhere, once");
    for coro in model.live() {
        for target in coro.on_coros.ids() {
            assert!(model.coro(target).unwrap().waiters.contains(coro.id), "an edge has two ends");
        }
        for waiter in coro.waiters.ids() {
            assert!(model.coro(waiter).unwrap().on_coros.contains(coro.id), "an edge has two ends");
        }
    }
}

#[test]
fn a_life_from_spawn_to_end() {
    let mut s = Script::new("life");
    s.start().spawn(1, 0, "main", "a.rs:1:1");
    assert_eq!(at(&s.model(), 1), Activity::Ready);
    s.at(10).begin(1);
    assert_eq!(at(&s.model(), 1), Activity::Running);
    s.wait(1, Target::Timer(90_000), "a.rs:2:3").at(15).pause(1);
    let model = s.model();
    assert_eq!((at(&model, 1), model.coro(1).unwrap().busy), (Activity::Sleeping, 5_000));
    s.at(90).wake(1, Waker::Timer);
    assert_eq!(at(&s.model(), 1), Activity::Ready);
    s.begin(1).end(1, Outcome::Ok).at(91).pause(1).stop(LoopOutcome::Ok);
    let model = s.model();
    let coro = model.coro(1).unwrap();
    assert_eq!((coro.activity, coro.steps, coro.busy), (Activity::Done, 2, 6_000));
    assert_eq!((model.live_count(), model.counts().get(Activity::Done)), (0, 1));
    assert_eq!(*model.lost(), Lost::default());
}

#[test]
fn a_gather_loses_an_edge_with_each_child_that_ends_and_keeps_the_others_over_steps() {
    let mut s = Script::new("gather");
    s.start().spawn(1, 0, "main", "a.rs:1:1").begin(1);
    for id in 2..5 {
        s.spawn(id, 1, "child", "a.rs:2:1").wait(1, Target::Coro(id), "a.rs:3:1");
    }
    s.pause(1).begin(3).end(3, Outcome::Ok).pause(3).wake(1, Waker::Coro(3)).begin(1).pause(1);
    let model = s.model();
    assert_eq!(model.coro(1).unwrap().on_coros.ids().collect::<Vec<_>>(), [2, 4]);
    check_invariants(&model);
}

#[test]
fn edges_on_other_things_go_when_the_next_step_begins() {
    let mut s = Script::new("edges");
    s.start().spawn(1, 0, "main", "a.rs:1:1").resource(1, ResKind::Event, 0, "a.rs:1:2");
    s.begin(1).wait(1, Target::Res(1), "a.rs:2:1").wait(1, Target::Timer(5), "a.rs:2:1").pause(1);
    let model = s.model();
    assert_eq!((at(&model, 1), model.resource(1).unwrap().waiters.len()), (Activity::OnEvent, 1));
    s.wake(1, Waker::Timer);
    assert_eq!(s.model().coro(1).unwrap().wait_count(), 2, "woken, but it has not run yet");
    s.begin(1);
    let model = s.model();
    assert_eq!((model.coro(1).unwrap().wait_count(), model.resource(1).unwrap().waiters.len()), (0, 0));
}

#[test]
fn woken_while_it_runs_it_is_ready_after_the_step() {
    let mut s = Script::new("yield");
    s.start().spawn(1, 0, "main", "a.rs:1:1").begin(1).wait(1, Target::Turn, "a.rs:1:1").wake(1, Waker::Own);
    assert_eq!(at(&s.model(), 1), Activity::Running);
    s.pause(1);
    assert_eq!(at(&s.model(), 1), Activity::Ready);
}

#[test]
fn children_of_one_that_ended_move_up_and_stay_counted() {
    let mut s = Script::new("orphans");
    s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "mid", "a.rs:2:1");
    s.spawn(3, 2, "leaf", "a.rs:3:1").spawn(4, 2, "leaf", "a.rs:3:1").spawn(5, 1, "leaf", "a.rs:3:1");
    s.end(2, Outcome::Ok);
    let model = s.model();
    let leaves = model.groups(Parent::Coro(1)).next().unwrap();
    assert_eq!(leaves.members.ids().collect::<Vec<_>>(), [3, 4, 5]);
    check_invariants(&model);
}

#[test]
fn why_goes_through_locks_to_their_holders() {
    let model = crawl().model();
    let why = model.why(5);
    assert_eq!(
        why.chain.iter().map(|link| (link.coro, link.on, link.holder)).collect::<Vec<_>>(),
        [(5, Target::Res(1), 9)]
    );
    assert_eq!(why.leaf, Leaf::Running(9, 1_200_100_000));
    assert_eq!(model.why(17).leaf, Leaf::Thread(3));
    assert_eq!(model.why(99).leaf, Leaf::Unknown(99));
}

#[test]
fn why_finds_the_cycle_through_two_locks() {
    let mut s = Script::new("deadlock");
    s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:2:1").spawn(3, 1, "right", "a.rs:3:1");
    s.resource(1, ResKind::Lock, 1, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
    s.step(1, Target::Coro(2), "a.rs:4:1").hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1");
    s.step(2, Target::Res(2), "a.rs:7:1").step(3, Target::Res(1), "a.rs:8:1");
    let why = s.model().why(1);
    assert_eq!(why.leaf, Leaf::LikelyCycle(2), "a guard can be moved");
    assert_eq!(why.cycle().iter().map(|link| link.coro).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn why_names_the_coroutine_that_blocks_the_loop() {
    let mut s = Script::new("blocked");
    s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "hogs", "a.rs:2:1").spawn(3, 1, "sleeps", "a.rs:3:1");
    s.step(1, Target::Coro(3), "a.rs:1:9").step(3, Target::Timer(50_000_000), "a.rs:3:9");
    s.step(2, Target::Timer(1_000_000), "a.rs:2:9").at(1_100).wake(2, Waker::Timer).begin(2);
    let at = |s: &mut Script, time: u64| {
        s.at(time).push(Kind::Diag { coro: 0, text: "later".into() });
        s.model()
    };
    assert_eq!(at(&mut s, 40_000).why(1).leaf, Leaf::Timer(50_000_000), "it is not due");
    assert_eq!(at(&mut s, 60_000).why(1).leaf, Leaf::Timer(50_000_000), "the step is not long");
    let model = at(&mut s, 300_000);
    assert_eq!(model.why(1).leaf, Leaf::Blocked(2, 1_100_000));
    let text = crate::describe::leaf(&model, &model.why(1).leaf, model.now()).0;
    assert_eq!(
        text,
        "hogs #2 blocks the loop: it has been in one step for 298 ms; its last recorded wait is at a.rs:2"
    );
    assert_eq!(model.why(2).leaf, Leaf::Running(2, 1_100_000));
    s.pause(2).wake(3, Waker::Timer);
    assert_eq!(s.model().why(1).leaf, Leaf::Ready(3, 300_000_000), "the step is over");
}

#[test]
fn a_cycle_is_certain_only_where_it_was_proved() {
    let leaf = |proved: &[CoroId]| {
        let mut s = Script::new("cycle");
        s.start();
        if !proved.is_empty() {
            let (reason, coros) = ("waits_on_dead".to_owned(), proved.to_vec());
            s.push(Kind::Picture { number: 1, stopped: 0 });
            s.push(Kind::Finding { reason, coros, text: String::new(), proof: Vec::new() });
        }
        s.spawn(1, 0, "left", "a.rs:1:1").spawn(2, 0, "right", "a.rs:2:1");
        s.step(1, Target::Coro(2), "a.rs:1:9").step(2, Target::Coro(1), "a.rs:2:9").model().why(1).leaf
    };
    assert_eq!([leaf(&[]), leaf(&[3]), leaf(&[1, 2])], [Leaf::LikelyCycle(1), Leaf::LikelyCycle(1), Leaf::Cycle(1)]);
}

#[test]
fn why_enters_the_loop_that_runs_inside_a_coroutine() {
    let mut s = Script::new("nested");
    s.start().spawn(1, 0, "main", "a.rs:1:1").begin(1);
    s.push(Kind::LoopStart { id: 2, parent: 1, mode: LoopMode::Run });
    let (name, site) = (s.name("inner"), s.site("a.rs:2:1"));
    s.push(Kind::Spawn { coro: 2, in_loop: 2, parent: 0, name, site }).step(2, Target::Timer(70), "a.rs:3:1");
    let model = s.model();
    assert_eq!(model.why(1).leaf, Leaf::Timer(70));
    assert_eq!(model.loops_in(1).map(|one| one.id).collect::<Vec<_>>(), [2]);
    assert_eq!(model.roots().map(|coro| coro.id).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_crash_keeps_the_coroutines_that_it_names() {
    let mut s = verify();
    s.events.pop();
    for id in 1000..1000 + FINISHED as u64 + 50 {
        s.spawn(id, 0, "later", "a.rs:1:1").end(id, Outcome::Ok);
    }
    let model = s.model();
    assert_eq!(model.crash().unwrap().failures.len(), 6);
    let coro = model.coro(783).expect("named by the crash");
    assert_eq!(coro.at_cancel.as_ref().unwrap()[0].0, Target::Thread(12), "what it was at is known");
    assert_eq!(coro.activity, Activity::Cancelled);
    assert!(model.coro(1000).is_none(), "others are forgotten");
    assert!(model.finished().count() <= FINISHED + 7);
}

#[test]
fn a_checkpoint_is_skipped_by_readers_that_missed_nothing() {
    let mut s = crawl();
    let before = s.model();
    checkpoint(&mut s);
    let after = s.model();
    assert_eq!(after.lost(), before.lost());
    assert_eq!(after.coro(17).unwrap().history, before.coro(17).unwrap().history);
    assert!(after.is_sure());
}

#[test]
fn a_checkpoint_replaces_what_is_known_after_a_loss() {
    let mut s = crawl();
    let gone = s.events.len();
    checkpoint(&mut s);
    s.at(2_000_000).wake(50, Waker::Timer);
    let mut model = Model::new(&s.header);
    // Seen to the middle, then a gap up to the checkpoint.
    s.events[..gone / 2].iter().for_each(|event| model.apply(event));
    s.events[gone..].iter().for_each(|event| model.apply(event));
    assert!(model.is_sure());
    assert_eq!(model.lost().gaps, (gone - gone / 2) as u64);
    assert_eq!(model.live().map(|coro| coro.id).collect::<Vec<_>>(), [50, 51]);
    assert_eq!((at(&model, 50), at(&model, 51)), (Activity::Ready, Activity::OnCoro));
    check_invariants(&model);
}

fn checkpoint(s: &mut Script) {
    let (name, site) = (s.name("crawl::fetch"), s.site("crawl.rs:41:9"));
    s.at(1_900_000).push(Kind::Checkpoint { coros: 2, left_out: 0 });
    s.push(Kind::LoopState { id: 1, parent: 0, mode: LoopMode::Run, since: 0 });
    for coro in [50, 51] {
        s.push(Kind::CoroState { coro, in_loop: 1, parent: 0, name, site, state: State::Waiting, since: 7 });
    }
    s.wait(50, Target::Timer(1), "crawl.rs:41:9").wait(51, Target::Coro(50), "crawl.rs:41:9");
    s.push(Kind::CheckpointEnd {});
}

#[test]
fn what_cannot_be_true_is_counted_and_passed_over() {
    let mut s = Script::new("odd");
    s.begin(9)
        .pause(9)
        .end(9, Outcome::Ok)
        .wake(9, Waker::Own)
        .wait(9, Target::Coro(8), "a.rs:1:1")
        .clear(9, Target::Coro(8));
    s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(1, 0, "main", "a.rs:1:1").end(1, Outcome::Ok).end(1, Outcome::Ok);
    s.push(Kind::Release { res: 5, coro: 1 }).push(Kind::ThreadEnd { thread: 4, outcome: Outcome::Ok });
    s.push(Kind::Unknown).push(Kind::Lost { events: 7, why: "dropped".into() });
    // A parent with a higher number than its child could close a circle in the tree.
    s.spawn(20, 30, "child", "a.rs:1:1").spawn(30, 20, "parent", "a.rs:1:1").spawn(40, 40, "own", "a.rs:1:1");
    let model = s.model();
    check_invariants(&model);
    assert_eq!(model.lost().dropped, 7);
    assert!(model.lost().odd >= 8, "{:?}", model.lost());
    assert!(!model.is_sure());
}

#[test]
fn any_stream_whatever_leaves_the_model_consistent() {
    // A linear congruence is enough to shuffle, drop and repeat what small streams say.
    let mut seed = 1_u64;
    let mut roll = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..200 {
        let scripts = [crawl(), verify()];
        let mut model = Model::new(&scripts[0].header);
        for seq in 0..300 {
            let script = &scripts[roll(2)];
            let event = &script.events[roll(script.events.len())];
            model.apply(&Event { seq, ..event.clone() });
        }
        check_invariants(&model);
        for id in 0..20 {
            model.why(id);
        }
    }
}

#[test]
fn a_resource_is_shown_by_the_name_that_the_program_gave_it() {
    let mut s = Script::new("named");
    s.start().resource(1, ResKind::Lock, 1, "a.rs:1:5");
    s.push(Kind::Name { id: 70, text: "accounts".to_owned() });
    s.push(Kind::ResNew { res: 2, what: ResKind::Semaphore, size: 2, site: 0, name: 70 });
    assert_eq!(s.model().resource_label(1), "lock #1");
    assert_eq!(s.model().resource_label(2), "semaphore accounts");
    // As JSON it carries the name only if there is one; a trace from before there were names is read.
    let line =
        |name| serde_json::to_string(&Kind::ResNew { res: 2, what: ResKind::Lock, size: 1, site: 3, name }).unwrap();
    assert!(line(70).ends_with(r#""site":3,"name":70}"#) && line(0).ends_with(r#""site":3}"#), "{}", line(70));
    let read: Kind = serde_json::from_str(&line(0)).unwrap();
    assert_eq!(read, Kind::ResNew { res: 2, what: ResKind::Lock, size: 1, site: 3, name: 0 });
}

#[test]
fn coroutines_and_loops_are_shown_by_the_names_that_the_program_gave_them() {
    let mut s = Script::new("named");
    s.start().spawn(1, 0, "crawl::main", "a.rs:1:5").spawn(2, 1, "crawl::worker", "a.rs:2:5");
    s.spawn(3, 1, "crawl::worker", "a.rs:2:5");
    s.push(Kind::Name { id: 70, text: "worker 3".to_owned() }).push(Kind::Name { id: 71, text: "uploads".to_owned() });
    s.push(Kind::Named { what: Target::Coro(2), name: 70 }).push(Kind::Named { what: Target::Loop(1), name: 71 });
    let model = s.model();
    assert_eq!([1, 2, 3].map(|id| model.label(id)), ["main", "worker 3", "worker #3"]);
    assert_eq!(model.target_label(Target::Coro(2)), "worker 3");
    assert_eq!([Target::Loop(1), Target::Loop(2)].map(|on| model.target_label(on)), ["loop uploads", "loop 2"]);
    let names: Vec<_> = model.live().map(|coro| model.short_name_of(coro)).collect();
    assert_eq!(names, ["main", "worker 3", "worker"]);
}

#[test]
fn a_name_that_the_program_gave_twice_is_shown_with_the_number() {
    let mut s = Script::new("named");
    s.start().spawn(1, 0, "main", "a.rs:1:5").spawn(2, 1, "fetch", "a.rs:2:5").spawn(3, 1, "fetch", "a.rs:2:5");
    s.named(2, "mirror").named_resource(1, ResKind::Lock, 1, "mirror", "a.rs:1:5");
    assert_eq!([s.model().label(2), s.model().resource_label(1)], ["mirror", "lock mirror"]);
    s.named(3, "mirror").named_resource(2, ResKind::Lock, 1, "mirror", "a.rs:1:5");
    assert_eq!([2, 3].map(|id| s.model().label(id)), ["mirror #2", "mirror #3"]);
    assert_eq!([1, 2].map(|id| s.model().resource_label(id)), ["lock mirror #1", "lock mirror #2"]);
    // A checkpoint repeats the name of what is known.
    let (mut again, text) = (s.clone(), "lone");
    again.spawn(4, 1, "fetch", "a.rs:2:5").named(4, text).named(4, text);
    assert_eq!(again.model().label(4), text);
}

#[test]
fn a_group_is_called_by_the_names_of_its_members_if_all_are_named_alike() {
    let group = |s: &Script| {
        let model = s.model();
        let group = model.groups(Parent::Coro(1)).next().map(|group| model.group_label(group).to_owned());
        let ids: Vec<u64> = model.children(Parent::Coro(1)).map(|coro| coro.id).collect();
        assert_eq!(group.as_deref(), Some(model.common_label(&ids)));
        group.unwrap()
    };
    let mut s = Script::new("named");
    s.start().spawn(1, 0, "main", "a.rs:1:5");
    s.spawn(2, 1, "shop::serve", "a.rs:2:5").spawn(3, 1, "shop::serve", "a.rs:2:5");
    assert_eq!(group(&s), "serve");
    s.named(2, "worker 1");
    assert_eq!(group(&s), "serve", "one has no name");
    s.named(3, "worker 2");
    assert_eq!(group(&s), "worker");
    s.spawn(4, 1, "shop::serve", "a.rs:2:5").end(4, Outcome::Ok);
    assert_eq!(group(&s), "worker", "the one without a name has ended");
    s.spawn(5, 1, "shop::serve", "a.rs:2:5").named(5, "ticker");
    assert_eq!(group(&s), "serve", "the names differ");
}

#[test]
fn what_a_future_of_another_library_is_is_shown_with_its_line_if_the_stack_is_known() {
    let s = crate::test_script::named();
    let (model, now) = (s.model(), s.model().now());
    let coro = model.coro(6).unwrap();
    assert_eq!(crate::describe::doing_at(&model, coro, now), "Recv<Job>, shop.rs:57");
    let leaf = crate::describe::leaf(&model, &model.why(6).leaf, now).0;
    assert_eq!(leaf, "Recv<Job>, at shop.rs:57, a future that is not of tinyio");
    let mut unknown = s.clone();
    unknown.at(500).wake(6, Waker::External).begin(6).pause(6);
    let model = unknown.model();
    assert_eq!(crate::describe::doing_at(&model, model.coro(6).unwrap(), now), "external", "read before it waited");
}

#[test]
fn a_timer_is_not_late_by_the_time_in_which_frames_were_read() {
    let mut s = Script::new("late");
    s.start().spawn(1, 0, "main", "a.rs:1:1").step(1, Target::Timer(1_000_000), "a.rs:2:1");
    // Due after 1 ms; from 2 ms to 902 ms tinyio read frames, in two parts.
    s.at(502_000).push(Kind::Away { coro: 0, nanos: 500_000_000 });
    s.at(902_000).push(Kind::Away { coro: 0, nanos: 400_000_000 });
    let text = |s: &Script| crate::describe::target(&s.model(), Target::Timer(1_000_000), s.model().now());
    assert_eq!(text(&s), "due 1.0 ms ago");
    s.at(905_000).push(Kind::Diag { coro: 0, text: "later".into() });
    assert_eq!(text(&s), "due 4.0 ms ago");
}

/// Steps and delays counted, the longest of each, and how many of each were left out.
#[cfg(feature = "analysis")]
fn times(times: &Times) -> [(u64, u64, u64); 2] {
    [&times.steps, &times.delays].map(|one| (one.len(), one.max(), one.left_out()))
}

#[test]
#[cfg(feature = "analysis")]
fn a_delay_begins_when_a_coroutine_becomes_ready_and_ends_when_its_step_begins() {
    let mut s = Script::new("times");
    s.start().spawn(1, 0, "main", "a.rs:1:1");
    s.at(10).begin(1).at(15).wait(1, Target::Timer(9), "a.rs:2:1").pause(1);
    assert_eq!(times(s.model().times()), [(1, 5_000, 0), (1, 10_000, 0)], "from when it was scheduled");
    // The second wake changes nothing: it was ready before.
    s.at(100).wake(1, Waker::Timer).at(120).wake(1, Waker::External).at(130).begin(1);
    assert_eq!(times(s.model().times()), [(1, 5_000, 0), (2, 30_000, 0)], "a step that has not ended is not counted");
    // Woken in the step: it is ready when that has ended.
    s.at(140).wake(1, Waker::Own).at(170).pause(1).at(177).begin(1).at(178).end(1, Outcome::Ok).pause(1);
    let model = s.model();
    assert_eq!(times(model.times()), [(3, 40_000, 0), (3, 30_000, 0)]);
    assert_eq!(times(model.coro(1).unwrap().times().unwrap()), times(model.times()), "of an ended one, too");
}

#[test]
#[cfg(feature = "analysis")]
fn time_that_was_not_the_programs_is_not_in_a_step() {
    let mut s = Script::new("times");
    s.start().spawn(1, 0, "main", "a.rs:1:1").at(10).begin(1).at(60);
    s.push(Kind::Away { coro: 1, nanos: 30_000 });
    s.at(70).pause(1);
    assert_eq!(times(s.model().times())[0], (1, 30_000, 0));
}

#[test]
#[cfg(feature = "analysis")]
fn what_was_measured_across_lost_events_is_left_out_and_counted_as_such() {
    let mut s = Script::new("times");
    s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 0, "main", "a.rs:1:1");
    s.at(10).begin(1).at(20);
    s.push(Kind::Lost { events: 5, why: "lapped".into() });
    s.at(50).pause(1).at(60).begin(2).at(62).pause(2);
    assert_eq!(times(s.model().times()), [(1, 2_000, 1), (1, 10_000, 1)]);
    // No wake of it is in the record.
    s.at(80).begin(1).at(90).pause(1);
    assert_eq!(times(s.model().times()), [(2, 10_000, 1), (1, 10_000, 2)]);
    // A line of the log that was lost is no part of it.
    s.at(100).wake(1, Waker::Own).at(101);
    s.push(Kind::Lost { events: 1, why: "log".into() });
    s.at(103).begin(1).at(104).pause(1);
    assert_eq!(times(s.model().times()), [(3, 10_000, 1), (2, 10_000, 2)]);
}

#[test]
#[cfg(feature = "analysis")]
fn a_checkpoint_states_since_when_a_coroutine_is_ready() {
    let mut s = Script::new("times");
    s.start().spawn(1, 0, "main", "a.rs:1:1").at(10).begin(1).at(11).pause(1).at(20);
    s.push(Kind::Lost { events: 5, why: "lapped".into() });
    s.at(30);
    s.push(Kind::Checkpoint { coros: 1, left_out: 0 });
    s.push(Kind::CoroState { coro: 1, in_loop: 1, parent: 0, name: 1, site: 1, state: State::Ready, since: 25_000 });
    s.push(Kind::CheckpointEnd {});
    s.at(40).begin(1).at(41).pause(1);
    let model = s.model();
    assert_eq!(times(model.times()), [(2, 1_000, 0), (2, 15_000, 0)], "those of before stay");
    assert_eq!(times(model.coro(1).unwrap().times().unwrap()), [(1, 1_000, 0), (1, 15_000, 0)]);
}

#[test]
fn a_thread_has_the_name_of_the_pool_that_its_permit_is_of() {
    let mut s = Script::new("pool");
    s.start().spawn(1, 0, "main", "a.rs:1:1").named_resource(1, ResKind::Semaphore, 2, "hashing", "a.rs:2:1");
    s.spawn(2, 1, "hash", "a.rs:3:1").begin(2).hold(1, 2, "a.rs:3:1").thread(7, 2, "hash", "a.rs:3:1").pause(2);
    // As in a checkpoint, which has threads first.
    s.spawn(3, 1, "hash", "a.rs:3:1").thread(8, 3, "hash", "a.rs:3:1").hold(1, 3, "a.rs:3:1");
    s.spawn(4, 1, "load", "a.rs:4:1").thread(9, 4, "load", "a.rs:4:1");
    // It is remembered of those that have ended.
    s.push(Kind::ThreadEnd { thread: 7, outcome: Outcome::Ok }).push(Kind::Release { res: 1, coro: 2 });
    let model = s.model();
    let pool = |id| model.name(model.thread(id).unwrap().pool).to_owned();
    assert_eq!((pool(7), pool(8)), ("hashing".to_owned(), "hashing".to_owned()));
    assert_eq!(model.thread(9).unwrap().pool, 0);
}

#[test]
fn a_resource_that_is_gone_keeps_its_name() {
    let mut s = Script::new("gone");
    s.start().spawn(1, 0, "main", "a.rs:1:1").named_resource(1, ResKind::Lock, 1, "accounts", "a.rs:2:1");
    s.resource(2, ResKind::Event, 0, "a.rs:3:1").begin(1).hold(1, 1, "a.rs:4:1");
    s.push(Kind::Release { res: 1, coro: 1 }).push(Kind::ResDrop { res: 1 }).push(Kind::ResDrop { res: 2 });
    let model = s.model();
    assert_eq!(model.resource(1), None);
    assert_eq!((&*model.resource_label(1), &*model.resource_label(2)), ("lock accounts", "event #2"));
    assert_eq!(model.resource_label(3), "resource #3", "of which nothing is known");
}

#[test]
fn coroutines_of_several_workers_run_at_the_same_time() {
    let script = observed();
    let model = script.model();
    assert_eq!(model.lost().odd, 0);
    let of = |id: u32| model.get_loop(id).unwrap();
    let running = |id| (of(id).outer.iter().map(|outer| outer.coro).collect::<Vec<_>>(), of(id).running);
    assert_eq!(running(2), (vec![2], Some((4, 25_200_000))), "one polls the other");
    assert_eq!(running(3), (vec![], None));
    let busy = |id: CoroId| model.coro(id).unwrap().busy / 1_000;
    assert_eq!([busy(1), busy(2), busy(3), busy(4)], [4_800, 8_800 + 3_500 + 1_500, 500, 6_500], "each has its own");
    let now = model.now();
    assert_eq!([of(2), of(3), of(4)].map(|one| one.busy_at(now) / 1_000), [15_800, 12_800, 0]);
    assert_eq!([of(1), of(2), of(3), of(4)].map(|one| one.steps), [0, 6, 3, 0]);
    assert_eq!(model.coro(2).unwrap().worker, 2);
    assert_eq!(model.loops_in(0).map(|one| one.id).collect::<Vec<_>>(), [1], "workers have no coroutines of their own");
    let labels = [model.waker_label(Waker::Loop(4)), model.loop_label(1)];
    assert_eq!(labels, ["thread 4 signals", "observed"]);
}

#[test]
fn a_checkpoint_states_in_which_workers_coroutines_run() {
    let mut s = observed();
    s.push(Kind::Lost { events: 5, why: "lapped".into() }).push(Kind::Checkpoint { coros: 3, left_out: 0 });
    for (id, mode) in [(1, LoopMode::Observed), (2, LoopMode::Worker), (3, LoopMode::Worker)] {
        s.push(Kind::LoopState { id, parent: 0, mode, since: 0 });
    }
    // The innermost one comes first.
    for (coro, since, worker) in [(4, 25_200, 2), (1, 26_000, 3), (2, 25_000, 2)] {
        let state = State::Running;
        s.push(Kind::CoroState { coro, in_loop: 1, parent: 0, name: 1, site: 1, state, since: since * 1_000 });
        s.moved(coro, worker);
    }
    s.push(Kind::CheckpointEnd {});
    let model = s.model();
    let of = |id: u32| model.get_loop(id).unwrap();
    let running = |id| (of(id).outer.iter().map(|outer| outer.coro).collect::<Vec<_>>(), of(id).running);
    assert_eq!(running(1), (vec![], None));
    assert_eq!(running(2), (vec![2], Some((4, 25_200_000))));
    assert_eq!(running(3), (vec![], Some((1, 26_000_000))));
    s.at(29_000).pause(4).at(30_000).pause(2);
    assert_eq!(s.model().get_loop(2).unwrap().busy_at(31_000_000), 5_000_000);
}

#[test]
fn a_warning_that_is_printed_is_one_line_of_the_log() {
    let mut s = Script::new("warned");
    let printed = |text: &str| Kind::Output { stream: 2, text: text.to_owned(), printed: 0 };
    s.start().push(Kind::Diag { coro: 0, text: "probably a deadlock\n  The loop continues".into() });
    s.push(printed("tinyio: warning: probably a deadlock")).push(printed("own")).push(printed("  The loop continues"));
    // Once more is what the program prints itself.
    s.push(printed("  The loop continues"));
    let texts: Vec<String> = s.model().log().iter().map(|line| line.text.clone()).collect();
    assert_eq!(texts, ["probably a deadlock\n  The loop continues", "own", "  The loop continues"]);
}

#[test]
fn a_crash_begins_with_the_cancellation_and_is_replaced_by_the_whole() {
    let crashes = |script: &Script| {
        let model = script.model();
        model.crashes().iter().map(|crash| (crash.is_over, crash.failures.len())).collect::<Vec<_>>()
    };
    let mut s = cancelling();
    assert_eq!(crashes(&s), [(false, 1)]);
    let whole = verify().events.into_iter().find(|event| matches!(event.kind, Kind::Crash { .. })).unwrap().kind;
    s.push(whole);
    assert_eq!(crashes(&s), [(true, 6)]);
    s.stop(LoopOutcome::Crashed);
    assert_eq!(crashes(&s), [(true, 6)]);
    // The event with all failures was lost.
    let mut s = cancelling();
    s.stop(LoopOutcome::Crashed);
    assert_eq!(crashes(&s), [(true, 1)]);
    // The loop was dropped, and the one after it runs.
    let mut s = cancelling();
    s.stop(LoopOutcome::Dropped);
    assert_eq!(crashes(&s), []);
    // A checkpoint after a loss has those that have begun and are not over.
    for is_still_cancelling in [true, false] {
        let mut s = cancelling();
        let begin = s.events.iter().find(|event| matches!(event.kind, Kind::CancelBegin { .. })).unwrap().kind.clone();
        s.push(Kind::Lost { events: 3, why: "dropped".into() });
        s.push(Kind::Checkpoint { coros: 0, left_out: 0 });
        if is_still_cancelling {
            s.push(Kind::LoopState { id: 1, parent: 0, mode: LoopMode::Run, since: 0 }).push(begin);
        }
        s.push(Kind::CheckpointEnd {});
        assert_eq!(crashes(&s), if is_still_cancelling { vec![(false, 1)] } else { vec![] });
    }
}

#[test]
fn the_crash_of_the_program_is_the_one_that_ended_last_not_the_one_that_began_last() {
    let failure = |coro: u64| {
        let failures = verify().events.into_iter().find_map(|event| match event.kind {
            Kind::Crash { failures, .. } => Some(failures),
            _ => None,
        });
        tinyio_events::event::Failure { coro, ..failures.unwrap().swap_remove(0) }
    };
    let mut s = Script::new("two");
    for id in [1, 2] {
        s.push(Kind::LoopStart { id, parent: 0, mode: LoopMode::Drive });
    }
    for id in [1, 2] {
        let failure = Some(Box::new(failure(id.into())));
        s.push(Kind::CancelBegin { id, origin: id.into(), reason: "no".into(), failure });
    }
    for id in [2, 1] {
        s.push(Kind::Crash { id, failures: vec![failure(id.into())] });
        s.push(Kind::LoopEnd { id, outcome: LoopOutcome::Crashed });
    }
    let model = s.model();
    assert_eq!(model.crash().map(|crash| crash.in_loop), Some(1));
    assert_eq!(model.crashes().iter().map(|crash| crash.in_loop).collect::<Vec<_>>(), [2, 1]);
}

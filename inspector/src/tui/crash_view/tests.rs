//! Which stacks and frames of a crash are listed, and which one is selected at first.

use super::*;
use crate::event::{Frame, Stack};
use crate::report::NativeKind;
use crate::test_script::verify;

fn crash_stacks() -> CrashStacks {
    let model = verify().model();
    CrashStacks::new(&model, model.crash().unwrap(), &[])
}

#[test]
fn the_origin_is_first_and_alike_ones_are_one() {
    let all: Vec<_> = crash_stacks().stacks.into_iter().map(|stack| (stack.title, stack.note)).collect();
    let all: Vec<_> = all.iter().map(|(title, note)| (title.as_str(), note.as_str())).collect();
    assert_eq!(
        all,
        [
            ("check #780", "origin"),
            ("progress #3", "answered Ok(5)"),
            ("check ×3", "cancelled, alike"),
            ("thread 10 hash", "cancelled"),
        ]
    );
}

#[test]
fn alike_ones_can_be_looked_at_one_by_one() {
    let model = verify().model();
    let mut all = crash_stacks();
    let titles = |all: &CrashStacks| all.stacks.iter().map(|stack| stack.title.clone()).collect::<Vec<_>>();
    let before = titles(&all);
    assert!(all.unfold(&model, 2));
    let unfolded = titles(&all);
    assert_eq!(unfolded.len(), before.len() + 2);
    assert!(unfolded[2..5].iter().all(|title| title.starts_with("check #")), "{unfolded:?}");
    assert!(!all.unfold(&model, 3), "it is one already");
    assert_eq!(all.fold(&model, 4), Some(2));
    assert_eq!(titles(&all), before);
    assert_eq!(all.fold(&model, 0), None, "the origin is like no other");
}

#[test]
fn frames_run_from_the_root_to_the_error_and_the_deepest_visible_one_is_found() {
    let all = crash_stacks();
    let functions: Vec<_> = all.stacks[0].frames.iter().map(|located| located.frame.function.as_str()).collect();
    assert_eq!(functions, ["verify::main", "verify::verify", "verify::check", "tinyio::error::Error::from"]);
    assert_eq!(all.deepest(0), 2);
}

#[test]
fn crashes_of_isolated_loops_come_after_it_with_their_own_errors() {
    let model = verify().model();
    let crash = model.crash().unwrap();
    let mut inner = (**crash).clone();
    inner.in_loop = 7;
    inner.failures.truncate(1);
    inner.failures[0].message = "handled".into();
    let all = CrashStacks::new(&model, crash, &[Arc::new(inner)]);
    let last = all.stacks.len() - 1;
    assert_eq!((all.stacks[last].note.as_str(), all.stacks[0].note.as_str()), ("loop 7: origin", "origin"));
    assert_eq!(all.failure(last).unwrap().message, "handled");
    assert_eq!((all.crash_of(last).in_loop, all.crash_of(0).in_loop), (7, crash.in_loop));
}

#[test]
fn a_last_await_is_marked_and_a_backtrace_of_the_error_is_looked_at_first() {
    let mut crash = (**verify().model().crash().unwrap()).clone();
    let origin = &mut crash.failures[0];
    origin.trace.last_mut().unwrap().last_await = true;
    let model = verify().model();
    let all = CrashStacks::new(&model, &Arc::new(crash.clone()), &[]);
    let marked: Vec<_> = all.stacks[0].frames.iter().map(|located| located.before_place).collect();
    assert_eq!(marked, ["", "", "last suspended at ", ""]);
    assert_eq!(all.deepest(0), 2);
    crash.failures[0].error_backtrace = vec![crate::test_script::trace(0, "verify::check", "examples/verify.rs:130:3")];
    let all = CrashStacks::new(&model, &Arc::new(crash), &[]);
    let first = &all.stacks[0].frames[all.deepest(0)];
    assert_eq!((first.native, first.frame.line), (Some(NativeKind::Error), 130));
}

/// A worker that panicked in a function that it had called, with the native stack of that moment.
fn panicked() -> Failure {
    let located = |function: &str, line: u32| Frame {
        function: format!("site::{function}"),
        file: "/w/site/src/check.rs".into(),
        line,
        ..Frame::default()
    };
    let called = Frame { note: "called, not awaited".into(), ..located("Shared::seconds", 148) };
    let frames = vec![located("worker", 95), located("Shared::check", 132), called];
    let mut failure = verify().model().crash().unwrap().failures[0].clone();
    failure.kind = Outcome::Panic;
    failure.message = "panicked: no digits".into();
    failure.trace = vec![
        crate::test_script::trace(1, "site::check", "src/check.rs:87:41"),
        crate::test_script::trace(780, "site::worker", "src/check.rs:148:33"),
    ];
    failure.backtrace = [("Shared::seconds", 148), ("Shared::check", 132), ("worker", 95), ("main", 80)]
        .map(|(name, line)| {
            crate::test_script::trace(0, &format!("site::{name}"), &format!("/w/site/src/check.rs:{line}:9"))
        })
        .to_vec();
    failure.stack = Some(Stack { frames, ..Stack::default() });
    failure
}

fn of(failures: Vec<Failure>) -> CrashStacks {
    let model = verify().model();
    let mut crash = (**model.crash().unwrap()).clone();
    crash.failures = failures;
    CrashStacks::new(&model, &Arc::new(crash), &[])
}

#[test]
fn native_frames_that_are_await_frames_too_are_listed_once_and_the_called_function_is_selected() {
    let all = of(vec![panicked()]);
    let frames = &all.stacks[0].frames;
    let listed: Vec<_> = frames.iter().map(|one| (short_name(&one.frame.function), one.native)).collect();
    let native = Some(NativeKind::Failure);
    let expected = [("check", None), ("worker", None), ("check", None), ("seconds", None), ("main", native)];
    assert_eq!(listed, expected);
    assert_eq!(all.deepest(0), 3);
    // Without the called function in the await stack, it is in the native one.
    let mut failure = panicked();
    failure.stack.as_mut().unwrap().frames.pop();
    let all = of(vec![failure]);
    let selected = &all.stacks[0].frames[all.deepest(0)];
    assert_eq!((selected.frame.line, selected.native), (148, native));
}

#[test]
fn names_of_files_become_absolute_by_the_debug_info_of_the_crash_wherever_the_program_was_started() {
    let all = of(vec![panicked()]);
    assert_eq!(all.stacks[0].frames[0].frame.file, "/w/site/src/check.rs");
    // Two files that may be meant: neither is taken.
    let mut failure = panicked();
    failure.backtrace.push(crate::test_script::trace(0, "other::main", "/w/other/src/check.rs:1:1"));
    assert_eq!(of(vec![failure]).stacks[0].frames[0].frame.file, "src/check.rs");
}

#[test]
fn after_an_interrupt_or_a_deadlock_a_stack_that_was_cancelled_at_its_own_await_is_selected() {
    let interrupted = |failure: &Failure| Failure {
        name: "the loop".into(),
        coro: 0,
        message: "interrupted".into(),
        trace: Vec::new(),
        stack: None,
        ..failure.clone()
    };
    let model = verify().model();
    let failures = &model.crash().unwrap().failures;
    let check = failures.iter().find(|one| one.kind == Outcome::Cancelled && one.thread == 0).unwrap();
    let mut parent = Failure { coro: 2, name: "verify::verify".into(), ..check.clone() };
    parent.trace.pop();
    let view = CrashView::new(of(vec![interrupted(&failures[0]), parent, check.clone()]));
    assert_eq!((view.stack, view.current().unwrap().coro), (2, check.coro));
    assert!(view.current().unwrap().frame.line > 0);
    let view = CrashView::new(of(vec![interrupted(&failures[0])]));
    assert_eq!(view.stack, 0, "there is no other");
    // The trace of a deadlock has the coroutines that wait, without their variables.
    let deadlock = Failure { trace: failures[0].trace.clone(), ..interrupted(&failures[0]) };
    let view = CrashView::new(of(vec![deadlock, check.clone()]));
    assert_eq!((view.stack, view.current().unwrap().coro), (1, check.coro));
}

#[test]
fn a_frame_with_a_place_is_selected_before_a_future_of_a_library_that_has_none() {
    let model = verify().model();
    let failures = &model.crash().unwrap().failures;
    let check = failures.iter().find(|one| one.kind == Outcome::Cancelled && one.thread == 0).unwrap();
    let worker = Frame { function: "site::worker".into(), file: "/w/check.rs".into(), line: 93, ..Frame::default() };
    let receive = Frame { function: "async_channel::Recv<site::Link>".into(), ..Frame::default() };
    let stack = |frames: Vec<Frame>| Some(Stack { frames, ..Stack::default() });
    let waiting = Failure { stack: stack(vec![worker, receive.clone()]), ..check.clone() };
    let view = CrashView::new(of(vec![waiting]));
    assert_eq!(view.current().unwrap().frame.function, "site::worker");
    let view = CrashView::new(of(vec![Failure { stack: stack(vec![receive]), trace: Vec::new(), ..check.clone() }]));
    assert_eq!(view.current().unwrap().frame.function, "async_channel::Recv<site::Link>");
}

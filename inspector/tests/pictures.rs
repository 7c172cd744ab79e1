//! Pictures of programs that are not recorded: as events, in the screens, and in the commands that read recordings.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod session;
mod stuck;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use session::Session;
use stuck::Stuck;
use tinyio_inspector::event::{Event, Frame, Kind, Local, ResKind, Stack, State as CoroState, Target, Value};
use tinyio_inspector::lint;
use tinyio_inspector::model::{Activity, Change, Changes, Model};
use tinyio_tasks::{
    Hold, Options, Picture, Role, Runtime, Share, State, Task, Took, Wait, WaitKind, check, events, take,
};

/// Pictures as a model has them, one after the other.
struct Folded {
    recording: events::Recording,
    model: Model,
    events: Vec<Event>,
}

impl Folded {
    fn new(picture: &Picture) -> Folded {
        let model = Model::new(&events::header(picture, 1));
        let mut folded = Folded { recording: events::Recording::default(), model, events: Vec::new() };
        folded.add(picture, 0);
        folded
    }

    fn add(&mut self, picture: &Picture, at: u64) {
        let model = &mut self.model;
        let all = &mut self.events;
        self.recording.add(picture, at, &mut |event| {
            model.apply(&event);
            all.push(event);
        });
        assert_eq!(self.model.lost().events() + self.model.lost().odd, 0, "no event contradicts another");
        assert!(self.model.is_sure());
    }
}

/// The model has each task of the picture, with its state, its edges, its stack and what it holds, and no more.
/// Locks that variables lead to have these labels.
fn assert_same(model: &Model, picture: &Picture, labels: &[(&str, u64)]) {
    let address = |res: u64| {
        let label = model.resource_label(res);
        if let Some((_, address)) = labels.iter().find(|(known, _)| *known == label) {
            return *address;
        }
        u64::from_str_radix(label.rsplit_once(" at 0x").expect(&label).1, 16).expect(&label)
    };
    for task in &picture.tasks {
        let coro = model.coro(task.id).unwrap_or_else(|| panic!("{} is there", task.id));
        assert_eq!(model.name(coro.name), task.name);
        let runtime = &picture.runtimes[task.runtime];
        assert!(model.loop_label(coro.in_loop).starts_with(&format!("{} {}", runtime.kind, runtime.flavor)));
        let state = match task.state {
            State::Running => Some(CoroState::Running),
            State::Ready => Some(CoroState::Ready),
            State::Waiting => Some(CoroState::Waiting),
            State::Finished => None,
        };
        assert_eq!(coro.is_live().then(|| coro.state()), state, "{}", task.name);
        let stack = coro.stack.as_ref().map_or_else(Stack::default, |(_, stack)| (**stack).clone());
        assert_eq!(stack, task.stack);

        // A wait that has no number is the stack's, unless it is one of several.
        let target = |wait: &Wait| match (wait.kind, wait.due) {
            _ if wait.is_uncertain => "external".to_owned(),
            (WaitKind::Task, _) => format!("task {}", wait.id),
            (WaitKind::Lock | WaitKind::Semaphore | WaitKind::Event, _) if wait.id != 0 => format!("at {:#x}", wait.id),
            // Room in a channel has an address within that of the channel.
            (WaitKind::Channel, _) if wait.id != 0 => {
                let channel = task.shares.iter().find(|share| share.memory.contains(&wait.id));
                format!("at {:#x}", channel.map_or(wait.id, |share| share.memory.start))
            }
            (WaitKind::Timer, Some(due)) => format!("due {due}"),
            _ => "external".to_owned(),
        };
        let mut wanted: BTreeSet<String> = task.waits_on.iter().map(target).collect();
        if wanted.iter().all(|target| target == "external") {
            wanted.clear();
        }
        let now = i128::from(model.now());
        let waits = coro.waits().map(|(on, _)| match on {
            Target::Coro(id) => format!("task {id}"),
            Target::Res(id) => format!("at {:#x}", address(id)),
            Target::Timer(due) => format!("due {}", i128::from(due) - now),
            other => format!("{other:?}").to_lowercase(),
        });
        let ended = |target: &String| {
            target.strip_prefix("task ").is_some_and(|id| !model.coro(id.parse().unwrap()).unwrap().is_live())
        };
        wanted.retain(|target| !ended(target));
        assert_eq!(waits.collect::<BTreeSet<_>>(), wanted, "{}", task.name);

        let held: BTreeSet<u64> = coro.holds.iter().map(|res| address(*res)).collect();
        assert_eq!(held, task.holds.iter().map(|hold| hold.id).collect::<BTreeSet<_>>());
        for res in &coro.holds {
            assert!(model.resource(*res).unwrap().holders.iter().any(|holder| holder.coro == coro.id));
        }
    }
    assert_eq!(model.live_count() + model.finished().count(), picture.tasks.len());
}

fn stack(function: &str, line: u32) -> Stack {
    let frame = Frame { function: function.into(), file: "/src/main.rs".into(), line, ..Frame::default() };
    Stack { frames: vec![frame], ..Stack::default() }
}

fn task(id: u64, name: &str, line: u32, waits_on: &[(WaitKind, u64, Option<i64>)]) -> Task {
    let wait = |(kind, id, due): &(WaitKind, u64, Option<i64>)| Wait { due: *due, ..Wait::new(*kind, *id, "") };
    Task {
        id,
        thread: None,
        runtime: 0,
        name: name.into(),
        state: State::Waiting,
        waits_on: waits_on.iter().map(wait).collect(),
        holds: Vec::new(),
        never_woken: false,
        stack: stack(name, line),
        note: String::new(),
        waits_on_nothing_else: waits_on.len() == 1,
        shares: Vec::new(),
    }
}

fn picture(tasks: Vec<Task>) -> Picture {
    let runtime = |kind, flavor| Runtime { kind, flavor, tasks: 0 };
    Picture {
        schema: 1,
        program: "/bin/shop".into(),
        pid: 7,
        runtimes: vec![runtime("tokio", "multi_thread"), runtime("async-executor", "executor")],
        tasks,
        left_out: 0,
        notes: vec!["a note".into()],
        stopped: Some(Duration::from_millis(4)),
        is_of_one_moment: true,
        directory: "/src".into(),
        copied: 0,
        took: Took::default(),
    }
}

/// Of each state, each kind of wait and both runtimes some.
fn all_kinds() -> Picture {
    const ADDRESS: u64 = 0x7f12_3456_7890;
    let holds =
        |id| vec![Hold { kind: WaitKind::Lock, id, text: String::new(), name: None, future: None, is_exclusive: true }];
    let end = Share { memory: 0xd0..0xf0, role: Role::Sender, total: Some(1) };
    let mut tasks = vec![
        task(1, "shop::sell", 10, &[(WaitKind::Lock, 0xa0, None)]),
        Task { holds: holds(0xa0), ..task(2, "shop::buy", 20, &[(WaitKind::Timer, 0, Some(2_000_000_000))]) },
        task(3, "shop::late", 30, &[(WaitKind::Timer, 0, Some(-1)), (WaitKind::Channel, 0, None)]),
        task(4, "shop::join", 40, &[(WaitKind::Task, 1, None), (WaitKind::Semaphore, 0xb0, None)]),
        task(5, "shop::read", 50, &[(WaitKind::Io, 0, None)]),
        task(6, "shop::ended", 60, &[]),
        task(8, "shop::busy", 80, &[]),
        task(9, "shop::woken", 90, &[]),
        task(10, "shop::after", 95, &[(WaitKind::Task, 6, None)]),
        task(12, "shop::hear", 98, &[(WaitKind::Channel, 0xd0, None)]),
        Task { shares: vec![end], ..task(13, "shop::fill", 98, &[(WaitKind::Channel, 0xd8, None)]) },
        task(11, "shop::perhaps", 97, &[(WaitKind::Task, 1, None), (WaitKind::Task, 2, None)]),
        Task { runtime: 1, note: "or shop::twin".into(), ..task(ADDRESS, "shop::other", 99, &[]) },
    ];
    tasks[5].state = State::Finished;
    tasks[6].state = State::Running;
    tasks[7].state = State::Ready;
    tasks[11].waits_on[1].is_uncertain = true;
    picture(tasks)
}

#[test]
fn a_picture_as_events_has_each_task_each_edge_and_each_stack() {
    let picture = all_kinds();
    // A time before which a timer can have been due.
    let mut folded = Folded::new(&picture);
    folded.add(&picture, 1_000_000_000);
    let Folded { model, events, .. } = folded;
    assert_same(&model, &picture, &[]);
    assert_eq!(model.label(0x7f12_3456_7890), "other #0x7f1234567890");
    assert_eq!(model.resource_label(1), "lock at 0xa0", "no number, as it is the only one");
    let channel = model.resources().find(|one| one.what == ResKind::Channel).expect("a channel");
    assert_eq!((&*model.resource_label(channel.id), channel.waiters.len()), ("channel at 0xd0", 2));
    let mut named = picture.clone();
    let lock = Value { text: "Mutex at 0xa0 (held)".into(), ..Value::default() };
    let guard = Value { text: "MutexGuard of lock at 0xb0".into(), ..Value::default() };
    let shop = Value { children: vec![("guard".into(), guard), ("rows".into(), lock)], ..Value::default() };
    let shop = Value { children: vec![("*".into(), shop)], ..Value::default() };
    let local = |name: &str, mark: &str| Local { name: name.into(), value: shop.clone(), mark: mark.into() };
    named.tasks[0].stack.frames[0].locals.extend([local("gone", "may be moved"), local("left", "mid-step")]);
    named.tasks[1].stack.frames[0].locals.push(local("shop", ""));
    let mut folded = Folded::new(&named);
    folded.add(&named, 1_000_000_000);
    assert_same(&folded.model, &named, &[("lock shop.rows", 0xa0)]);
    assert_eq!(folded.model.resource_label(1), "lock shop.rows");
    // In the next picture no local shows it.
    folded.add(&picture, 2_000_000_000);
    assert_eq!(folded.model.resource_label(1), "lock shop.rows");
    assert_eq!(model.coro(0x7f12_3456_7890).unwrap().fields, [("note".to_owned(), "or shop::twin".to_owned())]);
    assert_eq!(model.coro(6).unwrap().activity, Activity::Done);
    assert_eq!((model.header().program.as_str(), model.picture().unwrap().number), ("shop", 2));
    assert_eq!(model.picture().unwrap().stopped, Some(4_000_000));
    assert_eq!(model.log().iter().filter(|line| line.text == "a note").count(), 1, "once");
    assert!(matches!(events[0].kind, Kind::Picture { number: 1, stopped: 4_000_000 }), "before the checkpoint");
    // All of it survives being written as a trace.
    for event in events {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
    }
}

#[test]
fn tasks_of_two_runtimes_with_one_number_are_two_coroutines() {
    let twins = vec![task(1, "shop::left", 1, &[]), Task { runtime: 1, ..task(1, "shop::right", 2, &[]) }];
    let Folded { model, .. } = Folded::new(&picture(twins));
    let names: Vec<&str> = model.live().map(|coro| model.name(coro.name)).collect();
    assert_eq!(names, ["shop::left", "shop::right"]);
}

#[test]
fn what_changed_between_two_pictures_is_known() {
    let first = picture(vec![task(1, "shop::a", 1, &[]), task(2, "shop::b", 1, &[]), task(3, "shop::c", 1, &[])]);
    let mut folded = Folded::new(&first);
    assert_eq!(folded.model.changes(), None, "there is nothing to compare with");
    folded.add(&picture(vec![task(1, "shop::a", 1, &[]), task(2, "shop::b", 2, &[]), task(4, "shop::d", 1, &[])]), 5);
    let model = &folded.model;
    assert_eq!(model.changes(), Some(Changes { new: 1, moved: 1, gone: 1 }));
    let all = [1, 2, 3, 4].map(|id| model.change_of(id));
    assert_eq!(all, [None, Some(Change::Moved), None, Some(Change::New)]);
    assert_eq!(model.gone().map(|coro| coro.id).collect::<Vec<_>>(), [3]);
    folded.add(&first, 9);
    assert_eq!(folded.model.changes(), Some(Changes { new: 1, moved: 1, gone: 1 }), "and back");
}

#[test]
fn of_a_picture_nothing_is_claimed_but_what_is_proved() {
    let lock =
        |id| vec![Hold { kind: WaitKind::Lock, id, text: String::new(), name: None, future: None, is_exclusive: true }];
    let crossed = |mut one: Task, held| {
        one.holds = lock(held);
        one
    };
    let mut tasks = vec![
        crossed(task(3, "shop::left", 1, &[(WaitKind::Lock, 0xa0, None)]), 0xb0),
        crossed(task(4, "shop::right", 2, &[(WaitKind::Lock, 0xb0, None)]), 0xa0),
    ];
    let sentence = |model: &Model| tinyio_inspector::why::text(model, 3).unwrap();
    let Folded { model, .. } = Folded::new(&picture(tasks.clone()));
    let lints: Vec<String> =
        lint::check(&model, model.now() + 3_600_000_000_000).into_iter().map(|one| one.text).collect();
    assert_eq!(lints, ["#3 shop::left and #4 shop::right wait on each other"]);
    assert!(sentence(&model).contains("none of them can ever go on"), "{}", sentence(&model));
    // One of them may wait on more than is known.
    tasks[1].waits_on_nothing_else = false;
    let Folded { model, .. } = Folded::new(&picture(tasks));
    assert_eq!(lint::check(&model, model.now() + 3_600_000_000_000), []);
    assert!(sentence(&model).contains("again: a cycle of waits\n"), "{}", sentence(&model));
}

#[test]
fn a_picture_of_a_program_is_the_same_as_events() {
    let program = Stuck::start();
    let picture = take(program.pid(), &Options::default()).expect("a picture");
    let Folded { model, .. } = Folded::new(&picture);
    let [from, to] = ["transfer", "audit"]
        .map(|name| picture.tasks.iter().find(|task| task.name.ends_with(name)).expect(name).holds[0].id);
    assert_same(&model, &picture, &[("lock accounts.from", from), ("lock accounts.to", to)]);
    let found = check(&picture).expect("it was stopped");
    let kept = &model.picture().unwrap().findings;
    assert_eq!(
        kept.iter().map(|one| &one.text).collect::<Vec<_>>(),
        found.findings.iter().map(|one| &one.text).collect::<Vec<_>>()
    );
    assert_eq!(kept.len(), 2);
    assert!(found.findings.iter().zip(kept).all(|(one, kept)| one.kind.word() == kept.reason));
}

fn inspector(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector")).args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn attach_shows_a_program_that_is_not_recorded_picture_by_picture() {
    let program = Stuck::start();
    let pid = program.pid();
    let mut session = Session::start(&format!("exec $INSPECTOR attach {pid}"), (120, 40));
    session.wait_for(&format!("picture 1 of PID {pid}, taken "));
    session.wait_for("stopped for ");
    session.wait_for("transfer #3");
    session.wait_for("DEADLOCK, ! shows");
    session.press("2");
    session.wait("unknown times", |screen| {
        let text = screen.contents();
        text.contains("what it is at") && text.lines().any(|line| line.contains("report") && line.contains(" – "))
    });
    session.press("r");
    session.wait_for(&format!("picture 2 of PID {pid}"));
    session.wait_for("nothing changed");
    session.press("[");
    session.wait_for(&format!("picture 1 of PID {pid}"));
    session.press(",");
    session.wait_for("no picture before this");
    session.press("0");
    session.wait_for(&format!("picture 2 of PID {pid}"));
    session.press("w");
    session.wait_for("again: a cycle, none of them can ever go on");
    session.press("\u{1b}");
    session.wait("the page is closed", |screen| !screen.contents().contains("esc back"));
    session.press("4j\r");
    session.wait_for("Held by");
    session.press("q");
    session.wait("the page is closed", |screen| !screen.contents().contains("esc back"));
    session.press("!");
    session.wait_for("wait on each other");
    session.wait_for("check_programs::deadlock::audit holds");
    session.press("q");
    session.wait("the page is closed", |screen| !screen.contents().contains("esc back"));
    // Of what is not known there is no screen.
    session.press("5");
    session.wait_for("of a program that is not recorded no times are known");
    session.press("R");
    session.wait_for("each second");
    session.wait_for(&format!("picture 4 of PID {pid}"));
    session.press("R");
    session.wait_for("no more pictures are taken");
    drop(program);
    session.wait_for(&format!("process {pid} has ended: this is the last picture of it"));
    session.wait_for("ENDED, last picture ");
    session.wait_for("lock accounts.");
    session.press("r");
    session.wait_for(&format!("process {pid} has ended: this is the last picture of it"));
    session.press("q");
    session.end();
}

#[test]
fn a_core_file_is_shown_in_the_same_screens() {
    let program = Stuck::start();
    let Some(core) = program.core() else { return stuck::skipped() };
    let pid = program.pid();
    drop(program);
    let mut session = Session::start(&format!("exec $INSPECTOR core {}", core.display()), (80, 24));
    session.wait_for(&format!("core file of PID {pid}"));
    session.wait_for("transfer #3");
    session.press("2\r");
    session.wait_for("amount = 10");
    session.press("r");
    session.wait_for("a core file has one picture only");
    session.press("qq");
    session.end();

    let core = core.display().to_string();
    let (text, error, code) = inspector(&["why", &core, "5"]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(text.starts_with("report #5") && text.contains("audit #4 again: a cycle"), "{text}");
    let (text, _, code) = inspector(&["check", &core]);
    assert!(code == Some(1) && text.contains("wait on each other"), "{text}");
    std::fs::remove_file(core).expect("it was there");
}

#[test]
fn commands_for_recordings_read_a_process_that_is_not_recorded() {
    let program = Stuck::start();
    let pid = program.pid().to_string();
    let (text, error, code) = inspector(&["report", &pid]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let head = format!("● check-programs (pid {pid}), as it was read: 3 tasks\n");
    assert!(text.starts_with(&head) && text.contains("wait on each other"), "{text}");
    assert!(!text.contains("replay") && !text.contains(" 0 ns"), "{text}");

    let (text, error, code) = inspector(&["tree", &pid]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(text.starts_with(&format!("check-programs · pid {pid} · picture 1 · 3 ")), "{text}");
    let (text, ..) = inspector(&["tree", "--json", &pid]);
    let tree: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let coroutines = tree["coroutines"].as_array().expect("a list");
    assert!(coroutines.len() == 3 && coroutines.iter().all(|coro| coro["since"].is_null()), "{text}");

    let (text, error, code) = inspector(&["export", "--to", "dot", &pid]);
    assert!(code == Some(0) && text.contains("label=\"held by\""), "{error}");
    for format in ["chrome", "perfetto", "folded"] {
        let (text, error, code) = inspector(&["export", "--to", format, &pid]);
        assert_eq!((code, text.as_str()), (Some(2), ""), "{format}");
        assert!(error.contains("no times are known"), "{error}");
    }

    // A picture that was written as a trace is read as one.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("picture.jsonl").display().to_string();
    let (_, error, code) = inspector(&["export", "--to", "jsonl", "-o", &file, &pid]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let (text, _, code) = inspector(&["check", &file]);
    assert!(code == Some(1) && text.contains("wait on each other"), "{text}");
}

#[test]
fn what_a_picture_of_no_program_is_is_an_error() {
    let (_, error, code) = inspector(&["report", "4194305"]);
    assert_eq!(code, Some(2));
    assert_eq!(error, "tinyio-inspector: there is no process 4194305 here\n");
}

//! Waits on several things at once.

use tinyio_tasks::{Picture, State, Task, text};

use super::program::{Program, build_other};

fn function(task: &Task) -> &str {
    task.name.strip_prefix("combinators::").unwrap_or(&task.name)
}

/// Whether all tasks have got as far as they will.
fn is_settled(picture: &Picture) -> bool {
    let of = |name: &str| picture.tasks.iter().find(|task| function(task) == name);
    let is_off = of("turned_off").is_some_and(|task| task.waits_on.len() == 1);
    is_off && picture.tasks.iter().all(|task| task.state == State::Waiting)
}

#[test]
fn what_is_waited_on_in_combinators_is_named_and_what_they_do_not_poll_is_not() {
    for profile in ["dev", "release"] {
        let program = Program::start_binary(&build_other(profile, "combinators"), "", 0);
        let picture = program.tasks_when(is_settled);
        let picture = if profile == "dev" { picture } else { program.read(true, false) };
        // How many things of each kind, and in what.
        let expected = [
            ("joins_all", "in JoinAll: task 3"),
            ("tries_all", "in TryJoinAll: task 3"),
            ("unordered", "in FuturesUnordered: task 3"),
            ("set", "in JoinSet: task 3"),
            ("joins", "in Join: task 2"),
            ("joins_by_macro", "in join!: task 2"),
            ("tries_by_macro", "in join!: task 2"),
            ("selects", "in Select: task 2"),
            ("selects_all", "in SelectAll: task 3"),
            ("timed", "in Timeout: task 1, in Timeout: timer 1"),
            ("timed_set", "in Timeout: task 3, in Timeout: timer 1"),
            ("mapped", "in Map: task 1"),
            ("then", "in Then: task 1"),
            ("boxed", "task 1"),
            ("buffered", "in BufferUnordered: task 2"),
            ("ticks", "in Interval: timer 1"),
            ("disabled", "in select!: task 1"),
            ("turned_off", "in select!: timer 1"),
            ("turned_on", "in select!: lock 1, in select!: timer 1"),
            ("boxed_select", "in Select: lock 1"),
            ("chooses", "perhaps, in Chooses: task 2"),
            ("chooses_by_closure", "perhaps, in PollFn: task 1"),
        ];
        assert_eq!(program.started.len(), expected.len());
        for (name, expected) in expected {
            let task = picture.tasks.iter().find(|task| function(task) == name).expect("a task");
            let waits = task.waits_on.iter().map(|wait| {
                let (within, rest) =
                    wait.text.split_once(": ").map_or(("", &*wait.text), |(within, rest)| (within, rest));
                let kind = serde_json::to_value(wait.kind).expect("JSON");
                let kind = kind.as_str().expect("a word").to_owned();
                assert_eq!(rest.starts_with("task #"), kind == "task", "{rest}");
                assert_eq!(
                    (wait.is_among_others, wait.is_uncertain),
                    (!within.is_empty(), within.starts_with("perhaps"))
                );
                if within.is_empty() { kind } else { format!("{within}: {kind}") }
            });
            let mut waits: Vec<String> = waits.collect();
            waits.sort();
            let counted = waits.chunk_by(|one, other| one == other).map(|all| format!("{} {}", all[0], all.len()));
            let counted: Vec<String> = counted.collect();
            assert_eq!(counted.join(", "), expected, "{profile} {name}\n{}", text(&picture));
            let is_alone = ["boxed"].contains(&name);
            assert_eq!(task.waits_on.iter().all(|wait| !wait.is_among_others), is_alone, "{profile} {name}");
            assert!(is_alone || !task.waits_on_nothing_else, "{profile} {name}");
        }
        // What is in a box and no async function is called by its type.
        let boxed: Vec<&Task> = picture.tasks.iter().filter(|task| task.name == "Pending<()>").collect();
        let [boxed] = boxed[..] else { panic!("{profile}\n{}", text(&picture)) };
        assert_eq!(boxed.waits_on[0].text, "Pending<()>", "{profile}");
        // Each task that is waited on is another one.
        let mut ids: Vec<u64> = picture.tasks.iter().flat_map(|task| &task.waits_on).map(|wait| wait.id).collect();
        ids.retain(|id| *id > 0 && *id < 1 << 32);
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{profile}");
    }
}

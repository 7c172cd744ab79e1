//! What tasks hold, wherever the guard is.

use tinyio_tasks::{State, Task, text};

use super::program::{Program, build_other};

/// Whether a local of a task has a mark that says that it may be gone.
fn may_have_moved(task: &Task) -> bool {
    task.stack.frames.iter().flat_map(|frame| &frame.locals).any(|local| local.mark == "may be moved")
}

#[test]
fn a_guard_is_found_wherever_a_task_keeps_it_and_one_that_is_gone_is_not() {
    for profile in ["dev", "release"] {
        let program = Program::start_binary(&build_other(profile, "holders"), "", 0);
        program.tasks_when(|picture| picture.tasks.iter().all(|task| task.state == State::Waiting));
        let picture = program.read(true, false);
        assert_eq!(picture.tasks.len(), program.started.len(), "{profile}\n{}", text(&picture));
        let mut uncertain = Vec::new();
        let outer = picture.tasks.iter().find(|task| task.name.ends_with("::of_outer_locks")).expect("a task");
        for hold in &outer.holds {
            let shown = format!(" at {:#x} (", hold.id);
            let locks = outer.stack.frames[0].locals.iter().filter(|local| local.value.text.contains(&shown));
            assert_eq!(locks.count(), 1, "{profile}: {outer:?}");
        }
        for task in &picture.tasks {
            let name = task.name.strip_prefix("holders::").expect("a function of the program");
            let (found, there) = (task.holds.len(), program.started[name]);
            if profile == "release" && found < there && may_have_moved(task) {
                uncertain.push(name);
            } else {
                assert_eq!(found, there, "{profile} {name}\n{}", text(&picture));
            }
        }
        // Optimisation leaves little of the code that drops a guard: how little differs between versions of tokio.
        assert!(uncertain.len() * 3 <= picture.tasks.len(), "{profile}: {uncertain:?}\n{}", text(&picture));
    }
}

//! Processes that are forked: the child has the memory of its parent, and one thread.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};
use tinyio::{Loop, ThreadPool, gather, run_in_thread, sleep, spawn, thread, yield_now};
use tinyio_inspector::discover::{Ring, State, rings_in};

use crate::check::{Child, is_child, watched};

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(3600);

/// Runs `child` in a forked process, and expects that it is true. A child that hangs is ended by a signal.
fn forked(child: impl FnOnce() -> bool) {
    // SAFETY: the child needs no lock that another thread of the parent may hold: those threads wait.
    match unsafe { fork() }.expect("a child") {
        ForkResult::Child => {
            alarm::set(60);
            let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
            std::process::exit(i32::from(!well))
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).expect("it ends"), WaitStatus::Exited(child, 0));
        }
    }
}

/// Uses threads of the pool, and that of the timers.
fn everything_works() -> bool {
    let main = async {
        let squares = ThreadPool::new(4).map(|n: u32| tinyio::Ok(n * n), 0..10).await?;
        sleep(SHORT).await?;
        tinyio::Ok(squares.len())
    };
    let driven = async { gather([run_in_thread(|| tinyio::Ok(1)), run_in_thread(|| tinyio::Ok(2))]).await };
    Loop::new().run(main).unwrap() == 10
        && pollster::block_on(Loop::new().drive(sleep(SHORT))).is_ok()
        && pollster::block_on(Loop::new().drive(driven)).unwrap() == [1, 2]
}

#[test]
fn a_loop_in_a_forked_child_has_threads_and_timers_of_its_own() {
    let _watched = watched();
    if is_child() {
        assert!(everything_works());
        // Also in a child of the child.
        forked(|| {
            let well = everything_works();
            forked(everything_works);
            well && everything_works()
        });
        assert!(everything_works());
        return;
    }
    Child::start("forked::a_loop_in_a_forked_child_has_threads_and_timers_of_its_own").finish();
}

#[test]
fn a_loop_that_is_forked_goes_on_in_both() {
    let _watched = watched();
    if is_child() {
        let main = async {
            spawn(async { tinyio::Ok(sleep(SHORT).await?) });
            yield_now().await?;
            // The child's part of this run ends inside it, and the parent's continues.
            forked(everything_works);
            tinyio::Ok(sleep(SHORT).await?)
        };
        return Loop::new().run(main).unwrap();
    }
    Child::start("forked::a_loop_that_is_forked_goes_on_in_both").finish();
}

#[test]
fn a_loop_that_is_forked_while_a_function_is_on_a_thread_fails_in_the_child() {
    let _watched = watched();
    if is_child() {
        for grace in [None, Some(SHORT)] {
            let main = async {
                let work = spawn(run_in_thread(|| thread::sleep(LONG)));
                spawn(async { tinyio::Ok(sleep(LONG).await?) });
                sleep(SHORT).await?;
                // SAFETY: as in `forked`.
                match unsafe { fork() }.expect("a child") {
                    ForkResult::Child => {
                        alarm::set(60);
                        work.await?;
                    }
                    ForkResult::Parent { child } => {
                        let ended = waitpid(child, None).expect("it ends");
                        assert_eq!(ended, WaitStatus::Exited(child, 0));
                    }
                }
                Err::<(), _>(tinyio::Error::msg("the parent's end"))
            };
            let parent = std::process::id();
            let mut looped = Loop::new();
            if let Some(grace) = grace {
                looped = looped.grace(grace);
            }
            let error = looped.run(main).unwrap_err().error().to_string();
            if std::process::id() != parent {
                let well = error.starts_with("the process was forked while functions ran on threads");
                std::process::exit(i32::from(!(well && everything_works())));
            }
            assert_eq!(error, "the parent's end");
        }
        return;
    }
    Child::start("forked::a_loop_that_is_forked_while_a_function_is_on_a_thread_fails_in_the_child").finish();
}

/// Becomes a daemon: two forks, a session of its own, another directory. Returns in the daemon alone.
#[cfg(feature = "record")]
fn daemonise() {
    for is_first in [true, false] {
        // SAFETY: as in `forked`.
        if let ForkResult::Parent { .. } = unsafe { fork() }.expect("a child") {
            std::process::exit(0);
        }
        if is_first {
            nix::unistd::setsid().expect("a session");
        }
    }
    std::env::set_current_dir("/").expect("a directory");
    alarm::set(60);
}

#[test]
#[cfg(feature = "record")]
fn a_daemon_is_recorded_beside_the_process_that_started_it() {
    let _watched = watched();
    if let Some(go) = std::env::var_os("TINYIO_TEST_GO") {
        Loop::new().run(async { yield_now().await }).unwrap();
        daemonise();
        let main = async {
            while !std::path::Path::new(&go).exists() {
                sleep(SHORT).await?;
            }
            tinyio::Ok(())
        };
        Loop::new().run(main).unwrap();
        std::process::exit(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["forked::a_daemon_is_recorded_beside_the_process_that_started_it", "--exact", "--test-threads=1"])
        .env("TINYIO_TEST_GO", file("go"))
        .env("TINYIO_TRACE", file("t.jsonl"))
        .env("TINYIO_RING_DIR", file("rings"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let rings_are = |wanted: [State; 2]| -> [Ring; 2] {
        loop {
            // The newest first: the daemon.
            let rings = rings_in(&file("rings")).unwrap_or_default();
            if let [daemon, before] = &rings[..]
                && [daemon.state, before.state] == wanted
            {
                return [daemon.clone(), before.clone()];
            }
            std::thread::yield_now();
        }
    };
    assert!(parent.wait().unwrap().success());
    let [daemon, before] = rings_are([State::Living, State::Ended]);
    assert_eq!(before.header.pid, parent.id());
    assert_ne!(daemon.header.pid, parent.id());
    assert_eq!(daemon.header.directory, "/");
    std::fs::write(file("go"), "").unwrap();
    rings_are([State::Ended; 2]);
    for (name, pid) in [("t.jsonl", parent.id()), ("t.2.jsonl", daemon.header.pid)] {
        let trace = std::fs::read_to_string(file(name)).unwrap();
        assert!(trace.contains(&format!("\"pid\":{pid},")));
        assert_eq!(trace.matches("\"loop_end\"").count(), 1, "{name}: {trace}");
        assert!(trace.trim_end().ends_with("\"trace_end\"}"), "{name}: {trace}");
    }
}

//! Recorded programs in a sandbox that forbids the system calls that recording uses where it can.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::libc::{MADV_DONTNEED, SYS_fallocate, SYS_madvise, SYS_process_vm_readv};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use tinyio::{Loop, coro, sleep};

use crate::check::{Child, is_child, watched};

/// The action of the filter, set by the parent.
const ACTION: &str = "TINYIO_TEST_ACTION";

/// Makes these calls fail with this error, or end the process.
fn forbid(action: SeccompAction, rules: BTreeMap<i64, Vec<SeccompRule>>) {
    let arch = std::env::consts::ARCH.try_into().expect("a filter for this processor");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a filter");
    seccompiler::apply_filter(&program).expect("a program may restrict itself");
}

/// The calls that recording uses where it can. Not the `madvise` of the C library at the end of each thread, which
/// every program needs.
fn calls_of_recordings() -> BTreeMap<i64, Vec<SeccompRule>> {
    let (advice, ends) = (2, MADV_DONTNEED as u64);
    let not_at_the_end = SeccompCondition::new(advice, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, ends);
    let ours = SeccompRule::new(vec![not_at_the_end.expect("an argument")]).expect("a condition");
    [(SYS_fallocate, vec![]), (SYS_madvise, vec![ours]), (SYS_process_vm_readv, vec![])].into()
}

/// Fails with a value in a variable.
fn fails() {
    let crash = Loop::new().run(async {
        coro(async {
            for number in 0..100 {
                sleep(Duration::from_nanos(1)).await?;
                std::hint::black_box(number);
            }
            let answer = 424_242;
            sleep(Duration::from_millis(1)).await?;
            std::hint::black_box(&answer);
            Err::<(), _>(tinyio::Error::msg("it fails"))
        })
        .await
    });
    eprintln!("{:?}", crash.unwrap_err());
}

#[test]
fn a_recorded_program_lives_where_a_filter_refuses_calls_or_kills_at_them() {
    let _watched = watched();
    if is_child() {
        match std::env::var(ACTION).as_deref() {
            Ok("refuse") => forbid(SeccompAction::Errno(1), calls_of_recordings()),
            Ok("kill") => forbid(SeccompAction::KillProcess, calls_of_recordings()),
            _ => {}
        }
        return fails();
    }
    for action in ["none", "refuse", "kill"] {
        let folder = tempfile::tempdir().expect("a folder");
        let rings = folder.path().join("rings");
        let variables =
            [(ACTION, action.as_ref()), ("TINYIO_INSPECT", "record".as_ref()), ("TINYIO_RING_DIR", rings.as_os_str())];
        let test = "sandbox::a_recorded_program_lives_where_a_filter_refuses_calls_or_kills_at_them";
        let printed = Child::start_with(test, &variables).finish();
        assert!(printed.contains("it fails"), "{action}: {printed}");
        assert!(printed.contains("answer = 424242") || printed.contains("answer: i32 = 424242"), "{action}: {printed}");
        assert_eq!(std::fs::read_dir(&rings).expect("recordings").count(), 1, "{action}");
    }
}

/// What SECURITY.md states about filters that kill at each `madvise`: they end programs without a loop, too.
#[test]
#[cfg(target_env = "gnu")]
fn the_c_library_calls_madvise_when_a_thread_ends() {
    let _watched = watched();
    if is_child() {
        forbid(SeccompAction::KillProcess, [(SYS_madvise, vec![])].into());
        eprintln!("restricted");
        std::thread::spawn(|| ()).join().expect("it ends");
        eprintln!("joined");
        return;
    }
    let mut child = Child::start("sandbox::the_c_library_calls_madvise_when_a_thread_ends");
    child.wait_for("restricted");
    assert_eq!(child.ended_by(), Some(nix::libc::SIGSYS));
}

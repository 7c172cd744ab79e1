//! Helpers of the tests.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{self, Location};
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll};
use std::time::Duration;

use tinyio::{Crash, Failure, FailureKind, Group, Result, Site, yield_now};

/// All policies: behaviour that holds for each of them is tested with each.
pub const GROUPS: [Group; 3] = [Group::Auto, Group::Never, Group::Always];

/// How long a test may take: long enough for a busy machine. `TINYIO_TEST_SECONDS` overrides it.
const DEFAULT_SECONDS: u64 = 120;

/// Ends the process if the test does not: without that, one that hangs would block all others and never fail. For the
/// first line of each test.
#[must_use]
#[track_caller]
pub fn watched() -> Watched {
    let test = Location::caller();
    let seconds = std::env::var("TINYIO_TEST_SECONDS").map_or(DEFAULT_SECONDS, |text| text.parse().expect("seconds"));
    let (watched, ended) = mpsc::channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
            // Not by `eprintln`: its output in a test is lost with the process.
            let _ = writeln!(std::io::stderr(), "the test at {test} has not ended after {seconds} s");
            std::process::abort();
        }
    });
    Watched(watched)
}

/// Lives as long as a test that is watched.
pub struct Watched(#[expect(dead_code, reason = "its end is the message")] mpsc::Sender<()>);

/// What coroutines of a test record, in order.
#[derive(Clone, Debug)]
pub struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T: Clone> Log<T> {
    pub fn new() -> Log<T> {
        Log(Rc::default())
    }

    pub fn push(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    pub fn entries(&self) -> Vec<T> {
        self.0.borrow().clone()
    }
}

/// Calls its function when it is dropped: the cleanup of a coroutine.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Gives the others this many turns.
pub async fn turns(n: u32) -> Result<()> {
    for _ in 0..n {
        yield_now().await?;
    }
    Ok(())
}

/// Polls a future once, outside of a loop.
pub fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = Box::pin(future);
    future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
}

/// The message of the panic of `f`.
pub fn panic_message<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = panic::catch_unwind(panic::AssertUnwindSafe(f)) else { panic!("it does not panic") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a message").to_string(),
    }
}

/// The line of the caller's file that ends with the comment `// mark`.
#[track_caller]
pub fn line(mark: &str) -> u32 {
    line_in(Location::caller().file(), mark)
}

fn line_in(file: &str, mark: &str) -> u32 {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&file).expect("the test's source");
    let end = format!(" // {mark}");
    let mut lines = text.lines().zip(1..).filter(|(text, _)| text.ends_with(&end));
    let (_, line) = lines.next().unwrap_or_else(|| panic!("no line of {} ends with `{end}`", file.display()));
    assert_eq!(lines.next(), None, "the mark `{mark}` is there twice");
    line
}

/// Expects exactly these sites, root first: the name, from the test on, and the mark at the end of the line.
#[track_caller]
pub fn assert_trace(trace: &[Site], expected: &[(&str, &str)]) {
    let file = Location::caller().file();
    let module = Path::new(file).file_stem().expect("a name").to_str().expect("ASCII");
    let expected: Vec<String> =
        expected.iter().map(|(name, mark)| format!("it::{module}::{name} {file}:{}", line_in(file, mark))).collect();
    let got: Vec<String> = trace.iter().map(|Site { name, file, line, .. }| format!("{name} {file}:{line}")).collect();
    assert_eq!(got, expected);
    assert!(trace.iter().all(|site| site.column > 1));
}

/// Expects exactly these failures, in this order: kind, name from the test on unless it is one of tinyio's, message.
#[track_caller]
pub fn assert_failures(crash: &Crash, expected: &[(FailureKind, &str, &str)]) {
    let module = Path::new(Location::caller().file()).file_stem().expect("a name").to_str().expect("ASCII");
    let expected: Vec<(FailureKind, String, String)> = expected
        .iter()
        .map(|(kind, name, message)| {
            let of_ours = name.starts_with("tinyio::");
            let name = if of_ours { (*name).to_owned() } else { format!("it::{module}::{name}") };
            (*kind, name, (*message).to_owned())
        })
        .collect();
    let of = |failure: &Failure| (failure.kind(), failure.name().to_owned(), failure.message());
    assert_eq!(crash.failures().iter().map(of).collect::<Vec<_>>(), expected, "{crash:?}");
    assert_eq!(crash.is_group(), expected.len() > 1);
}

/// Runs a test of this program in a process of its own, in which [`is_child`] is true.
pub struct Child(std::process::Child);

pub fn is_child() -> bool {
    std::env::var_os("TINYIO_TEST_CHILD").is_some()
}

impl Child {
    pub fn start(test: &str) -> Child {
        Child::start_with(test, &[])
    }

    /// Like [`Child::start`], with these variables.
    pub fn start_with(test: &str, variables: &[(&str, &OsStr)]) -> Child {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env("TINYIO_TEST_CHILD", "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        Child(child)
    }

    /// Waits for a line of its stderr with this text in it, and returns it; its end is a failure.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.read_until(text).lines().next_back().unwrap_or_default().to_owned()
    }

    /// As [`wait_for`](Child::wait_for), but returns the lines before it as well.
    pub fn read_until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        // One byte at a time: the rest is for the next reader.
        let mut lines = BufReader::with_capacity(1, self.0.stderr.as_mut().expect("piped"));
        loop {
            let start = seen.len();
            let read = lines.read_line(&mut seen).expect("text");
            assert!(read > 0, "its stderr ended without `{text}`:\n{seen}");
            if seen[start..].contains(text) {
                return seen;
            }
        }
    }

    /// Writes a line to its stdin.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.0.stdin.as_mut().expect("piped"), "{line}").expect("it reads");
    }

    /// Sends Ctrl-C.
    #[cfg(unix)]
    pub fn interrupt(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        kill_process(Pid::from_child(&self.0), Signal::INT).expect("it runs");
    }

    /// The signal that ended it.
    #[cfg(unix)]
    pub fn ended_by(mut self) -> Option<i32> {
        // `wait` closes it, which the child would take as an answer.
        let _stdin = self.0.stdin.take();
        std::os::unix::process::ExitStatusExt::signal(&self.0.wait().expect("it ends"))
    }

    /// Gives its stderr until it ends, which must be with success.
    pub fn finish(mut self) -> String {
        let mut stderr = String::new();
        self.0.stderr.as_mut().expect("piped").read_to_string(&mut stderr).expect("text");
        assert!(self.0.wait().expect("it ends").success(), "{stderr}");
        stderr
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a test of this program alone; gives its stderr.
pub fn stderr_of(test: &str) -> String {
    Child::start(test).finish()
}

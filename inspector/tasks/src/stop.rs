//! Stops all threads of a process for a moment.
//!
//! `PTRACE_SEIZE` and `PTRACE_INTERRUPT` send no signal: neither the parent of the process nor job control notices.
//! The system lets all threads go when the thread that stopped them ends, in whatever way: `kill -9` included. So the
//! stop is made on a thread of its own.
//!
//! A thread that waits in `epoll_wait` or `nanosleep` gets `EINTR` from it, as after SIGSTOP and SIGCONT.

use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tinyio_frames::{NOT_ALLOWED, Registers};

use crate::process::threads;
use crate::roots::Thread;

/// A thread that is in the system and cannot be interrupted does not run code of the program: it is not waited for
/// longer than this. One that could run is, when the system is busy.
const PATIENCE: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);
/// New threads are looked for so often: each time there may be some that a thread not stopped yet has started.
const ROUNDS: usize = 64;

/// What a stop was like.
pub struct Stopped<T> {
    /// What was done meanwhile.
    pub value: T,
    /// How long it took until all threads went on.
    pub time: Duration,
    /// No thread ran code of the program meanwhile.
    pub is_complete: bool,
}

/// Calls `work` with the threads of a process while they are stopped.
///
/// # Errors
///
/// When the system does not allow it: a sentence that says what to do.
pub fn stopped<T: Send>(pid: u32, work: impl FnOnce(&[Thread]) -> T + Send) -> Result<Stopped<T>, String> {
    let run = || {
        let start = Instant::now();
        let mut stop = Stop { held: Vec::new(), is_complete: false };
        stop.all(pid)?;
        let threads: Vec<Thread> = stop.held.iter().filter(|held| held.is_stopped).filter_map(Held::thread).collect();
        let value = work(&threads);
        let is_complete =
            stop.is_complete && stop.held.iter().all(|held| held.is_stopped || is_uninterruptible(pid, held.id));
        drop(stop);
        Ok(Stopped { value, time: start.elapsed(), is_complete })
    };
    std::thread::scope(|scope| match scope.spawn(run).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// The threads that this thread traces. Dropping it lets them go.
struct Stop {
    held: Vec<Held>,
    /// There are no threads but those that are held.
    is_complete: bool,
}

struct Held {
    id: Pid,
    is_stopped: bool,
    /// A signal that was about to be delivered when it stopped.
    signal: Option<Signal>,
}

impl Held {
    /// The thread, if its registers are known.
    fn thread(&self) -> Option<Thread> {
        let (registers, locals) = registers(self.id)?;
        Some(Thread { id: self.id.as_raw(), registers, locals: Some(locals) })
    }
}

/// The registers of a thread, and where its variables are.
#[cfg(target_arch = "x86_64")]
fn registers(thread: Pid) -> Option<(Registers, u64)> {
    let known = ptrace::getregs(thread).ok()?;
    let preserved = [known.rbx, known.rbp, known.r12, known.r13, known.r14, known.r15];
    Some((Registers::of_thread(known.rip, known.rsp, preserved), known.fs_base))
}

#[cfg(not(target_arch = "x86_64"))]
fn registers(_thread: Pid) -> Option<(Registers, u64)> {
    None
}

impl Stop {
    fn all(&mut self, pid: u32) -> Result<(), String> {
        for _ in 0..ROUNDS {
            let all = threads(pid).map_err(|error| refused(pid, &error))?;
            let is_new = |id: &i32| !self.held.iter().any(|held| held.id.as_raw() == *id);
            let new: Vec<i32> = all.into_iter().filter(is_new).collect();
            if new.is_empty() {
                self.is_complete = true;
                return Ok(());
            }
            let first = self.held.len();
            for id in new {
                let id = Pid::from_raw(id);
                match ptrace::seize(id, ptrace::Options::empty()) {
                    Ok(()) => {}
                    // It has ended meanwhile.
                    Err(Errno::ESRCH) => continue,
                    Err(error) => return Err(refused(pid, &error.into())),
                }
                self.held.push(Held { id, is_stopped: false, signal: None });
                let _ = ptrace::interrupt(id);
            }
            self.wait(pid, first);
        }
        Ok(())
    }

    /// Waits until the threads from the index on have stopped.
    fn wait(&mut self, pid: u32, first: usize) {
        let start = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            self.held.retain_mut(|held| held.is_stopped || look(held));
            let first = first.min(self.held.len());
            let running = self.held[first..].iter().filter(|held| !held.is_stopped);
            let time = start.elapsed();
            let is_over = || time >= PATIENCE && running.clone().all(|held| is_uninterruptible(pid, held.id));
            if self.held[first..].iter().all(|held| held.is_stopped) || time >= LONGEST || is_over() {
                return;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
        }
    }
}

/// Whether a thread is in the system and cannot be interrupted, as by a stop.
fn is_uninterruptible(pid: u32, thread: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).unwrap_or_default();
    // 1234 (name) D …
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('D'))
}

/// Asks whether a thread has stopped; false if it has ended.
fn look(held: &mut Held) -> bool {
    match waitpid(held.id, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::PtraceEvent(..)) => held.is_stopped = true,
        Ok(WaitStatus::Stopped(_, signal)) => (held.is_stopped, held.signal) = (true, Some(signal)),
        Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD | Errno::ESRCH) => return false,
        Ok(_) | Err(_) => {}
    }
    true
}

impl Drop for Stop {
    fn drop(&mut self) {
        for held in &self.held {
            // One that has not stopped is let go when this thread ends.
            let _ = ptrace::detach(held.id, held.signal);
        }
    }
}

/// Why a process cannot be stopped.
fn refused(pid: u32, error: &io::Error) -> String {
    let field = |id: &str, name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    // It is a thread that traces.
    let tracer = field(&pid.to_string(), "TracerPid:").unwrap_or_default();
    let tracer = field(&tracer, "Tgid:").unwrap_or_else(|| "0".into());
    let what = format!("process {pid} cannot be stopped");
    match error.kind() {
        io::ErrorKind::PermissionDenied if tracer != "0" => {
            format!("{what}: process {tracer} traces it, such as a debugger; end that one, or use --no-stop")
        }
        io::ErrorKind::PermissionDenied => format!("{what}: {NOT_ALLOWED}"),
        io::ErrorKind::NotFound => format!("process {pid} has ended"),
        _ => format!("{what}: {error}"),
    }
}

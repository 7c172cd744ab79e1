//! Pictures of a program that is not recorded, and of core files, as a stream of events.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tinyio_inspector::event::{Event, Header};
use tinyio_inspector::source::{Progress, Source};
use tinyio_tasks::{Options, Picture, events};

/// Pictures: a first one, and of a process more if they are asked for.
pub struct Pictures {
    header: Header,
    recording: events::Recording,
    /// What has not been read yet.
    events: VecDeque<Event>,
    /// The time of the latest picture.
    at: u64,
    /// What takes further pictures; none of a core file.
    process: Option<Process>,
    is_over: bool,
}

/// A process, and the thread that takes pictures of it.
struct Process {
    pid: u32,
    handle: OwnedFd,
    requests: Sender<()>,
    taken: Receiver<(Result<Picture, String>, SystemTime)>,
    is_busy: bool,
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Pictures {
    /// Takes the first picture of a process.
    ///
    /// # Errors
    ///
    /// One sentence that says why there is none, and what to do.
    pub fn of_process(pid: u32, options: Options) -> io::Result<Pictures> {
        let picture = tinyio_tasks::take(pid, &options).map_err(io::Error::other)?;
        let time = SystemTime::now();
        let gone = || io::Error::other(format!("process {pid} has ended while it was read"));
        let handle = Pid::from_raw(pid.cast_signed()).ok_or_else(gone)?;
        let handle = pidfd_open(handle, PidfdFlags::empty()).map_err(|_| gone())?;
        let (requests, asked) = channel();
        let (send, taken) = channel();
        // Reading debug info takes longer than a frame of the screens.
        std::thread::Builder::new().name("pictures".to_owned()).spawn(move || {
            while asked.recv().is_ok() {
                let picture = tinyio_tasks::take(pid, &options);
                if send.send((picture, SystemTime::now())).is_err() {
                    return;
                }
            }
        })?;
        let process = Process { pid, handle, requests, taken, is_busy: false };
        Ok(Pictures::new(&picture, nanos(time), Some(process)))
    }

    /// The picture that a core file is.
    ///
    /// # Errors
    ///
    /// One sentence that says why there is none, and what to do.
    pub fn of_core(file: &Path, options: &Options) -> io::Result<Pictures> {
        let picture = tinyio_tasks::take_core(file, options).map_err(io::Error::other)?;
        Ok(Pictures::new(&picture, 0, None))
    }

    fn new(picture: &Picture, started: u64, process: Option<Process>) -> Pictures {
        let mut recording = events::Recording::default();
        let mut events = VecDeque::new();
        recording.add(picture, 0, &mut |event| events.push_back(event));
        let header = events::header(picture, started);
        Pictures { header, recording, events, at: 0, process, is_over: false }
    }

    /// Adds a picture that has been taken since, or why there is none, or that the process has ended.
    fn receive(&mut self) {
        let Pictures { process: Some(process), recording, events, .. } = self else { return };
        let mut sink = |event| events.push_back(event);
        // A picture that was taken when the process had ended may be of another one with its number.
        let has_ended = process.has_ended();
        if let Ok((picture, time)) = process.taken.try_recv() {
            process.is_busy = false;
            match picture {
                _ if has_ended => {}
                Ok(picture) => {
                    self.at = nanos(time).saturating_sub(self.header.started).max(self.at + 1);
                    recording.add(&picture, self.at, &mut sink);
                }
                Err(why) => recording.note(&format!("no picture: {why}"), self.at, &mut sink),
            }
        }
        if has_ended && !self.is_over {
            recording.note(&process.last_words(), self.at, &mut sink);
            self.is_over = true;
        }
    }
}

impl Process {
    fn has_ended(&self) -> bool {
        let mut handles = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut handles, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn last_words(&self) -> String {
        format!("process {} has ended: this is the last picture of it", self.pid)
    }
}

impl Source for Pictures {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress> {
        if self.events.is_empty() && !self.is_over {
            self.receive();
        }
        let count = self.events.len().min(limit);
        self.events.drain(..count).for_each(sink);
        Ok(match (&self.process, self.is_over) {
            _ if !self.events.is_empty() => Progress::More,
            (None, _) => Progress::Ended,
            (Some(_), true) => Progress::Died,
            (Some(_), false) => Progress::Idle,
        })
    }

    fn take_picture(&mut self) -> Result<(), String> {
        match &mut self.process {
            None => Err("a core file has one picture only".to_owned()),
            Some(process) if self.is_over => Err(process.last_words()),
            Some(process) if process.is_busy => Ok(()),
            Some(process) => {
                process.is_busy = process.requests.send(()).is_ok();
                Ok(())
            }
        }
    }
}

/// Whether a file is a core file: all others are recordings.
pub fn is_core(file: &Path) -> bool {
    let mut start = [0; 18];
    const CORE: u8 = 4;
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start.starts_with(b"\x7fELF") && start[16] == CORE
}

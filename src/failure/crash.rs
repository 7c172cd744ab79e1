//! How a loop ends when something goes wrong.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;

use crate::failure::error::{original, source_texts, text};
use crate::failure::moment::Moment;
use crate::task::{BoxError, WakeToken};

/// What a [`Loop`](crate::Loop) puts into its [`Crash`] in addition to the original error. Python tinyio's
/// `exception_group`.
///
/// ```
/// use tinyio::{Group, Loop};
/// async fn fails() -> tinyio::Result<()> {
///     tinyio::spawn(tinyio::sleep(std::time::Duration::from_secs(60)));
///     tinyio::yield_now().await?;
///     Err(tinyio::Error::msg("enough"))
/// }
/// let members = |group| Loop::new().group(group).run(fails()).unwrap_err().failures().len();
/// assert_eq!([Group::Auto, Group::Never, Group::Always].map(members), [1, 1, 2]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// The original error alone, unless another coroutine or thread failed while it was being cancelled (`None` in
    /// Python).
    #[default]
    Auto,
    /// The original error alone, whatever else happens (`False` in Python).
    Never,
    /// All coroutines and threads that did not finish, also those that were cancelled properly (`True` in Python).
    Always,
}

/// The error of [`Loop::run`](crate::Loop::run): what failed first, and what was cancelled for it.
///
/// `Display` is one line. `Debug`, which is what `fn main() -> Result<(), tinyio::Crash>` prints, is the full report:
/// the error and its sources, its trace, the group.
///
/// ```
/// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
/// assert_eq!(crash.error().to_string(), "broken");
/// println!("{crash}"); // one line
/// println!("{crash:?}"); // the full report
/// ```
pub struct Crash {
    failures: Vec<Failure>,
    /// With what was recorded of it.
    report: Option<Box<dyn Report>>,
}

/// The report of a crash.
pub(crate) trait Report: Send + Sync {
    fn text(&self) -> String;
}

/// One coroutine or thread of a [`Crash`].
///
/// ```
/// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
/// let failure: &tinyio::Failure = &crash.failures()[0];
/// println!("{:?} of {}: {}", failure.kind(), failure.name(), failure.message());
/// ```
pub struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) name: String,
    /// The text of its answer, where that is no error.
    pub(crate) answer: String,
    pub(crate) error: Option<BoxError>,
    pub(crate) trace: Vec<Site>,
    /// Whether the last line of the trace is not where the error was made: see [`Failure::is_last_await`].
    pub(crate) last_await: bool,
    /// The wake token of the coroutine, if there is one.
    pub(crate) wake_token: WakeToken,
    pub(crate) id: u64,
    /// The numbers of the coroutines in the trace.
    pub(crate) ids: Vec<u64>,
    #[cfg_attr(not(feature = "record"), expect(dead_code, reason = "only the record has it"))]
    pub(crate) error_type: &'static str,
    pub(crate) moment: Moment,
}

/// How a coroutine or thread failed.
///
/// ```
/// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
/// assert_eq!(crash.failures()[0].kind(), tinyio::FailureKind::Error);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// It returned an error.
    Error,
    /// It panicked.
    Panic,
    /// It was cancelled, and answered properly: with the [`CancelledError`](crate::CancelledError), or by being dropped
    /// inside a future that tinyio does not know.
    Cancelled,
    /// It was cancelled, and answered in another way: it returned a value, awaited again, or hid the cancellation in an
    /// error of its own (a thread).
    Improper,
    /// It was scheduled, and never started.
    NeverStarted,
}

/// One line of a trace.
///
/// ```
/// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
/// for tinyio::Site { name, file, line, .. } in crash.failures()[0].trace() {
///     println!("{name}: {file}:{line}");
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The coroutine: its path, such as `crawl::fetch`. Of a deadlock with its number, `crawl::fetch #7`, and while the
    /// program is recorded with the name that it was given in place of the path.
    pub name: String,
    /// The file of its place, which may be in a function that the coroutine awaits without a coroutine of its own
    /// (`f().await`); as the compiler was given it.
    pub file: &'static str,
    /// From 1.
    pub line: u32,
    /// From 1; 0 where it is not known: debug info, which is used for recorded programs, has no columns.
    pub column: u32,
}

/// The error of a [`Crash`] that comes from [`Handle::cancel`](crate::Handle::cancel) or Ctrl-C.
///
/// ```
/// let mut looped = tinyio::Loop::new();
/// looped.handle().cancel();
/// let crash = looped.run(tinyio::sleep(std::time::Duration::from_secs(60))).unwrap_err();
/// assert_eq!(crash.downcast_ref(), Some(&tinyio::Interrupted));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl StdError for Interrupted {}

/// The error of a [`Crash`] whose coroutines can never continue: they wait for each other.
///
/// ```
/// let crash = tinyio::Loop::new().run(async {
///     let lock = tinyio::Lock::new();
///     let _held = lock.acquire().await?;
///     tinyio::Ok(drop(lock.acquire().await?)) // for ever
/// });
/// let crash = crash.unwrap_err();
/// println!("{}", crash.downcast_ref::<tinyio::Deadlock>().expect("a deadlock"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock(pub(crate) String);

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Deadlock {}

/// The error of a [`Failure`] that panicked: the message, and the payload to be resumed with.
///
/// ```
/// # std::panic::set_hook(Box::new(|_| ()));
/// let crash = tinyio::Loop::new().run(async { if true { panic!("no") } else { tinyio::Ok(()) } }).unwrap_err();
/// assert_eq!(crash.downcast_ref::<tinyio::Panic>().expect("a panic").to_string(), "panicked: no");
/// ```
#[derive(Debug)]
pub struct Panic {
    pub(crate) message: String,
    pub(crate) payload: std::sync::Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

impl Panic {
    /// What `panic!` was given, for [`std::panic::resume_unwind`]. `None` the second time.
    ///
    /// ```
    /// # std::panic::set_hook(Box::new(|_| ()));
    /// let main = async { if true { std::panic::panic_any(7) } else { tinyio::Ok(()) } };
    /// let crash = tinyio::Loop::new().run(main).unwrap_err();
    /// let payload = crash.downcast_ref::<tinyio::Panic>().and_then(tinyio::Panic::take_payload);
    /// assert_eq!(payload.expect("not taken yet").downcast_ref(), Some(&7));
    /// ```
    pub fn take_payload(&self) -> Option<Box<dyn std::any::Any + Send>> {
        self.payload.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl StdError for Panic {}

impl Crash {
    /// The original failure first.
    pub(crate) fn new(failures: Vec<Failure>, report: Option<Box<dyn Report>>) -> Crash {
        Crash { failures, report }
    }

    /// The original error.
    ///
    /// ```
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
    /// assert!(crash.error().is::<std::io::Error>());
    /// ```
    pub fn error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self.failures[0].error().expect("what crashes a loop is an error")
    }

    /// The original error, by value.
    pub fn into_error(mut self) -> Box<dyn StdError + Send + Sync> {
        self.failures.swap_remove(0).error.expect("what crashes a loop is an error")
    }

    /// The original error as `E`, if it is one. Looks through [`Error`](crate::Error).
    ///
    /// ```
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
    /// assert!(crash.downcast_ref::<std::io::Error>().is_some());
    /// assert!(crash.downcast_ref::<tinyio::Interrupted>().is_none());
    /// ```
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.error().downcast_ref()
    }

    /// Whether it contains more than the original error, by the loop's [`Group`].
    pub fn is_group(&self) -> bool {
        self.failures.len() > 1
    }

    /// The original failure, and in a group the others after it: coroutines in the order in which they were scheduled.
    ///
    /// ```
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
    /// for failure in crash.failures() {
    ///     println!("{}: {}", failure.name(), failure.message());
    /// }
    /// ```
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}

impl Failure {
    /// How it failed.
    ///
    /// ```
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
    /// assert_eq!(crash.failures()[0].kind(), tinyio::FailureKind::Error);
    /// ```
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The path of the coroutine or of the thread's function, such as `crawl::fetch`.
    ///
    /// ```
    /// async fn fetch() -> tinyio::Result<()> {
    ///     Err(tinyio::Error::msg("offline"))
    /// }
    /// let crash = tinyio::Loop::new().run(fetch()).unwrap_err();
    /// assert!(crash.failures()[0].name().ends_with("::fetch"));
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The error, the panic, or what it answered instead.
    ///
    /// ```
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
    /// assert_eq!(crash.failures()[0].message(), "broken");
    /// ```
    pub fn message(&self) -> String {
        match self.error() {
            Some(error) if self.answer.is_empty() => text(error),
            _ => self.answer.clone(),
        }
    }

    /// The error it returned; a [`Panic`] if it panicked. `None` if it returned a value, was dropped or never started.
    ///
    /// ```
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
    /// assert!(crash.failures()[0].error().is_some_and(|error| error.is::<std::io::Error>()));
    /// ```
    pub fn error(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.error.as_deref().map(original)
    }

    /// Root first: which coroutine awaited which, down to where the error was made, or, if
    /// [`is_last_await`](Failure::is_last_await), to the last known place of the coroutine that returned it.
    ///
    /// ```
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) }).unwrap_err();
    /// let root = &crash.failures()[0].trace()[0];
    /// println!("{}: {}:{}", root.name, root.file, root.line);
    /// ```
    pub fn trace(&self) -> &[Site] {
        &self.trace
    }

    /// Whether the last line of the trace is the last known `.await` of the coroutine, and not the place of the error.
    /// A [`tinyio::Error`](crate::Error) remembers where it was made, and so does a panic that was not resumed
    /// ([`std::panic::resume_unwind`]); of any other error the loop learns only when the coroutine returns it. A
    /// coroutine that never waited has no `.await` yet: the line is where it was made.
    ///
    /// ```
    /// let last_await = |crash: tinyio::Crash| crash.failures()[0].is_last_await();
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(std::io::Error::other("broken")) });
    /// assert!(last_await(crash.unwrap_err()));
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(tinyio::Error::msg("broken")) });
    /// assert!(!last_await(crash.unwrap_err()));
    ///
    /// async fn resumed() -> tinyio::Result<()> {
    ///     std::panic::resume_unwind(Box::new("no"))
    /// }
    /// assert!(last_await(tinyio::Loop::new().run(resumed()).unwrap_err()));
    /// ```
    pub fn is_last_await(&self) -> bool {
        self.last_await
    }
}

impl Site {
    fn place(&self) -> String {
        let Site { file, line, column, .. } = self;
        if *line == 0 {
            return "an unknown place".to_owned();
        }
        if *column > 0 { format!("{file}:{line}:{column}") } else { format!("{file}:{line}") }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.name, self.place())
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = &self.failures[0];
        write!(f, "{}: {}", first.name, one_line(&first.message()))?;
        match self.failures.len() - 1 {
            0 => Result::Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl StdError for Crash {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.error())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Debug for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(report) = &self.report {
            return f.write_str(&report.text());
        }
        let (first, others) = self.failures.split_first().expect("a crash has its original failure");
        writeln!(f, "✖ {} crashed: {}", first.name, first.message())?;
        for source in first.error().into_iter().flat_map(source_texts) {
            writeln!(f, "  caused by: {source}")?;
        }
        writeln!(f)?;
        trace(f, first)?;
        // Failures with equal text are shown once.
        let mut shown: Vec<(&Failure, usize)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for failure in others {
            let key = format!(
                "{:?} {} {}",
                failure.kind,
                failure.message(),
                failure.trace.iter().map(Site::to_string).collect::<String>()
            );
            let index = *known.entry(key).or_insert_with(|| {
                shown.push((failure, 0));
                shown.len() - 1
            });
            shown[index].1 += 1;
        }
        for (failure, count) in shown {
            write!(f, "\n{} {}", failure.kind.glyph(), failure.name)?;
            if count > 1 {
                write!(f, " ×{count}")?;
            }
            writeln!(f, ": {}", failure.message())?;
            for source in failure.error().into_iter().flat_map(source_texts) {
                writeln!(f, "  caused by: {source}")?;
            }
            trace(f, failure)?;
        }
        if cfg!(all(feature = "record", unix)) {
            writeln!(
                f,
                "\nnote: with `TINYIO_INSPECT=record` in the environment it has await stacks and local variables"
            )?;
        }
        Result::Ok(())
    }
}

fn trace(f: &mut fmt::Formatter<'_>, failure: &Failure) -> fmt::Result {
    let width = failure.trace.iter().map(|site| site.name.chars().count()).max().unwrap_or(0);
    for (left, site) in (0..failure.trace.len()).rev().zip(&failure.trace) {
        writeln!(f, "  {:width$}  {}{}", site.name, failure.before_place(left == 0), site.place())?;
    }
    Result::Ok(())
}

impl Failure {
    /// The text before a place of the trace. It stands beside the name of a coroutine, and the place may be in a
    /// function that the coroutine awaits inline.
    fn before_place(&self, is_last: bool) -> &'static str {
        // The places of a deadlock are of the coroutines that wait.
        let is_of_loop = self.ids.is_empty() && self.kind == FailureKind::Error;
        match self.kind {
            _ if !is_last || is_of_loop => "awaits at ",
            FailureKind::Error if !self.last_await => "error made at ",
            FailureKind::Panic if !self.last_await => "panicked at ",
            FailureKind::NeverStarted => "made at ",
            _ => "last known at ",
        }
    }
}

impl FailureKind {
    fn glyph(self) -> char {
        match self {
            FailureKind::Error | FailureKind::Panic => '✖',
            FailureKind::Cancelled | FailureKind::NeverStarted => '⊘',
            FailureKind::Improper => '!',
        }
    }
}

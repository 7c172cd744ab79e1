//! Errors: what a coroutine returns, and what it gets when it is cancelled.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::panic::Location;

use crate::failure::moment::Moment;
use crate::failure::place::{Place, is_library};
use crate::panics;
use crate::task::{BoxError, Fault, Reason};

/// `Result` with tinyio's [`Error`], for coroutines that do not need their own.
///
/// ```
/// async fn answer() -> tinyio::Result<u32> {
///     Ok("42".parse()?)
/// }
/// assert_eq!(tinyio::Loop::new().run(answer()).unwrap(), 42);
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// `Ok` for async blocks, where the compiler cannot tell the error's type.
///
/// ```
/// let answer = tinyio::Loop::new().run(async {
///     tinyio::yield_now().await?;
///     tinyio::Ok(42)
/// })?;
/// assert_eq!(answer, 42);
/// # Ok::<_, tinyio::Crash>(())
/// ```
#[allow(non_snake_case, reason = "it stands for the variant")]
pub fn Ok<T>(value: T) -> Result<T> {
    Result::Ok(value)
}

/// Any error, and the place where `?` made it one of these.
///
/// Like `anyhow::Error`: made from every `std::error::Error` by `?`, and itself no `std::error::Error`. It works best
/// as the error of a coroutine, because it remembers where it arose: a [`Crash`](crate::Crash) shows that line.
///
/// ```
/// async fn size(path: &str) -> tinyio::Result<u64> {
///     Ok(std::fs::metadata(path)?.len()) // a crash points here
/// }
/// # let crash = tinyio::Loop::new().run(size("/no/such/file")).unwrap_err();
/// # assert_eq!(crash.failures()[0].trace().last().unwrap().column, 8);
/// ```
pub struct Error(Box<Located>);

/// The error of an [`Error`], with its place. A loop finds this type in a `Box<dyn Error>`.
pub(crate) struct Located {
    pub(crate) error: BoxError,
    pub(crate) site: &'static Location<'static>,
    /// The place in the program, if it is known.
    pub(crate) place: Option<Place>,
    /// The type of `error`, if it was known; empty otherwise.
    pub(crate) type_name: &'static str,
    pub(crate) moment: Moment,
}

impl Error {
    /// An error that is only a message.
    ///
    /// ```
    /// async fn check(free: u64) -> tinyio::Result<()> {
    ///     if free < 1024 {
    ///         return Err(tinyio::Error::msg(format!("only {free} bytes left")));
    ///     }
    ///     Ok(())
    /// }
    /// # assert_eq!(tinyio::Loop::new().run(check(3)).unwrap_err().error().to_string(), "only 3 bytes left");
    /// ```
    #[track_caller]
    pub fn msg(message: impl fmt::Display) -> Error {
        Error::at(message.to_string().into(), "", Location::caller())
    }

    fn at(error: BoxError, type_name: &'static str, site: &'static Location<'static>) -> Error {
        // A cancellation passes through every `?` of a crash: its place is known, and its moment is never used.
        let moment = if error.is::<CancelledError>() { Moment::default() } else { Moment::here() };
        let place = if is_library(site.file()) { moment.place() } else { Some(site.into()) };
        Error(Box::new(Located { error, site, place, type_name, moment }))
    }

    /// The error itself.
    ///
    /// ```
    /// let error = tinyio::Error::from(std::io::Error::other("broken"));
    /// assert!(error.error().is::<std::io::Error>());
    /// ```
    pub fn error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0.error
    }

    /// The error as `E`, if it is one.
    ///
    /// ```
    /// let error = tinyio::Error::from(std::io::Error::other("broken"));
    /// assert!(error.downcast_ref::<std::io::Error>().is_some());
    /// ```
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.error().downcast_ref()
    }

    /// Where it was made. It is a line of the standard library if it was made through a pointer to a function, such as
    /// by `.map_err(tinyio::Error::msg)`; `.map_err(|error| tinyio::Error::msg(error))` has a line of the program.
    ///
    /// ```
    /// let error = tinyio::Error::msg("broken");
    /// assert_eq!(error.location().file(), file!());
    /// ```
    pub fn location(&self) -> &'static Location<'static> {
        self.0.site
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Error {
        Error::at(Box::new(error), std::any::type_name::<E>(), Location::caller())
    }
}

impl From<Error> for BoxError {
    fn from(error: Error) -> BoxError {
        error.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.error)?;
        for source in sources(&*self.0.error) {
            write!(f, "\n  caused by: {source}")?;
        }
        match self.0.place {
            Some(Place { file, line, column }) => write!(f, "\n  at {file}:{line}:{column}"),
            None => fmt::Result::Ok(()),
        }
    }
}

// Transparent: it displays as its error, and has its sources.
impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for Located {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

/// The innermost error: looks through [`Error`], and through the box of `io::Error::other` and the like where it holds
/// one.
pub(crate) fn original<'a>(
    error: &'a (dyn StdError + Send + Sync + 'static),
) -> &'a (dyn StdError + Send + Sync + 'static) {
    match error.downcast_ref::<Located>() {
        Some(located) => original(&*located.error),
        None => error,
    }
}

/// The errors behind an error, outermost first.
pub(crate) fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    // Bounded, because an error may name itself as its source.
    std::iter::successors(error.source(), |error| (*error).source()).filter(|error| !error.is::<Reason>()).take(64)
}

/// What every await point of tinyio returns once its coroutine is cancelled, because another one failed, its time is
/// up, or the loop is being stopped.
///
/// Clean up and return it (`?` does): any error that has it among its sources counts as a proper answer.
///
/// ```
/// # use std::time::Duration;
/// async fn worker() -> tinyio::Result<()> {
///     if let Err(cancelled) = tinyio::sleep(Duration::from_secs(3600)).await {
///         println!("cleaning up");
///         return Err(cancelled.into());
///     }
///     Ok(())
/// }
/// # let crash = tinyio::Loop::new().group(tinyio::Group::Always).run(async {
/// #     tinyio::spawn(worker());
/// #     tinyio::sleep(Duration::ZERO).await?;
/// #     Err::<(), _>(tinyio::Error::msg("stop"))
/// # }).unwrap_err();
/// # assert_eq!(crash.failures()[1].kind(), tinyio::FailureKind::Cancelled);
/// ```
#[derive(Clone, Copy)]
pub struct CancelledError(Reason);

// Every await point returns one: in two registers.
const _: () = assert!(size_of::<std::task::Poll<Result<(), CancelledError>>>() == 16);

impl CancelledError {
    pub(crate) fn new(reason: Reason) -> CancelledError {
        CancelledError(reason)
    }

    pub(crate) fn reason(self) -> Reason {
        self.0
    }

    /// It was [`timeout`](crate::timeout) that cancelled this coroutine, and nothing else has failed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # tinyio::Loop::new().run(async {
    /// let slow = async {
    ///     let cancelled = tinyio::sleep(Duration::from_secs(60)).await.unwrap_err();
    ///     assert!(cancelled.is_timeout());
    ///     Err::<(), _>(cancelled)
    /// };
    /// assert!(tinyio::timeout(Duration::from_millis(1), slow).await?.is_err());
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, Reason::Timeout(_))
    }

    /// What caused the cancellation: the coroutine that failed, the call of `timeout`, or the coroutine that dropped
    /// the last handle.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # tinyio::Loop::new().run(async {
    /// let slow = async {
    ///     let cancelled = tinyio::sleep(Duration::from_secs(60)).await.unwrap_err();
    ///     let call = cancelled.cause().location().expect("the call of `timeout`");
    ///     assert_eq!(call.file(), file!());
    ///     Err::<(), _>(cancelled)
    /// };
    /// assert!(tinyio::timeout(Duration::from_millis(1), slow).await?.is_err());
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn cause(&self) -> Cause {
        Cause(self.0)
    }
}

/// Two are equal if they are of the same kind: a crash, a timeout, a dropped handle.
impl PartialEq for CancelledError {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.0) == std::mem::discriminant(&other.0)
    }
}

impl Eq for CancelledError {}

/// What caused a cancellation, see [`CancelledError::cause`]. `Display` is a phrase such as `crawl::fetch failed`.
///
/// ```
/// let crash = tinyio::Loop::new().run(async {
///     tinyio::spawn(async {
///         let cancelled = tinyio::sleep(std::time::Duration::from_secs(60)).await.unwrap_err();
///         let cause: tinyio::Cause = cancelled.cause();
///         println!("{cause}");
///         Err::<(), _>(cancelled)
///     });
///     tinyio::yield_now().await?;
///     Err::<(), _>(tinyio::Error::msg("enough"))
/// });
/// assert!(crash.is_err());
/// ```
#[derive(Clone, Copy)]
pub struct Cause(Reason);

impl Cause {
    /// The path of the coroutine that failed, dropped the last handle, or was awaited and cancelled. `None` for a
    /// timeout, and where no coroutine caused it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # tinyio::Loop::new().run(async {
    /// let slow = async {
    ///     let cancelled = tinyio::sleep(Duration::from_secs(60)).await.unwrap_err();
    ///     assert_eq!(cancelled.cause().name(), None); // a call of `timeout`
    ///     Err::<(), _>(cancelled)
    /// };
    /// assert!(tinyio::timeout(Duration::from_millis(1), slow).await?.is_err());
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn name(&self) -> Option<&'static str> {
        match self.0 {
            Reason::Crash(name) | Reason::Dropped(name) => name.map(|name| crate::failure::type_name::path(name())),
            Reason::Gone(name) => Some(crate::failure::type_name::path(name())),
            Reason::Timeout(_) => None,
        }
    }

    /// Where [`timeout`](crate::timeout) was called, if that was the cause.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # tinyio::Loop::new().run(async {
    /// let slow = async {
    ///     let cancelled = tinyio::sleep(Duration::from_secs(60)).await.unwrap_err();
    ///     println!("the limit was set at {}", cancelled.cause().location().unwrap());
    ///     Err::<(), _>(cancelled)
    /// };
    /// assert!(tinyio::timeout(Duration::from_millis(1), slow).await?.is_err());
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn location(&self) -> Option<&'static Location<'static>> {
        match self.0 {
            Reason::Timeout(at) => Some(at),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cause({})", self.0)
    }
}

impl fmt::Display for CancelledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // The crash itself shows what failed.
            Reason::Crash(_) => f.write_str("cancelled"),
            reason => write!(f, "cancelled: {reason}"),
        }
    }
}

impl fmt::Debug for CancelledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelledError({})", self.0)
    }
}

impl StdError for CancelledError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Crash(None) => f.write_str("the loop is stopping"),
            Reason::Crash(Some(name)) => write!(f, "{} failed", crate::failure::type_name::path(name())),
            Reason::Timeout(at) => write!(f, "its time is up, by the limit set at {at}"),
            Reason::Dropped(None) => f.write_str("its last handle was dropped"),
            Reason::Dropped(Some(name)) => {
                write!(f, "its last handle was dropped by {}", crate::failure::type_name::path(name()))
            }
            Reason::Gone(name) => {
                write!(f, "{}, which was awaited, has been cancelled", crate::failure::type_name::path(name()))
            }
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// It is the source of every [`CancelledError`]. Report types of other crates hide the type of the outermost error when
/// they are turned into a `Box<dyn Error>`, but not its sources: so a cancellation is recognised by this source.
impl StdError for Reason {}

impl From<CancelledError> for io::Error {
    fn from(error: CancelledError) -> io::Error {
        io::Error::other(error)
    }
}

impl Fault {
    /// The cancellation in it.
    pub(crate) fn cancellation(&self) -> Option<FoundIn> {
        match self {
            Fault::Cancelled(_) => Some(FoundIn::Itself),
            Fault::Error(error, _) => cancellation(&**error),
        }
    }

    /// The error, unless it is a cancellation alone.
    pub(crate) fn error(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match self {
            Fault::Cancelled(_) => None,
            Fault::Error(error, _) => Some(&**error),
        }
    }

    /// The error, and the name of its type, empty where it is not known.
    pub(crate) fn into_error(self) -> (BoxError, &'static str) {
        match self {
            Fault::Cancelled(reason) => (CancelledError(reason).into(), ""),
            Fault::Error(error, type_name) => (error, type_name),
        }
    }
}

/// The text of an error. Its `Display` is code of the program, which may panic.
pub(crate) fn text(error: &(dyn StdError + 'static)) -> String {
    panics::contain(|| error.to_string()).unwrap_or_else(|| "(the `Display` of this error panicked)".to_owned())
}

/// The texts of its sources.
pub(crate) fn source_texts(error: &(dyn StdError + Send + Sync + 'static)) -> Vec<String> {
    panics::contain(|| sources(error).map(text).collect()).unwrap_or_default()
}

/// Where in an error a cancellation was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundIn {
    /// It is one, perhaps in the box of another error type.
    Itself,
    /// It is among the sources of an error of the coroutine's own.
    Source,
}

/// Looks for a cancellation in an error and its sources.
pub(crate) fn cancellation(error: &(dyn StdError + Send + Sync + 'static)) -> Option<FoundIn> {
    let error = original(error);
    if error.is::<CancelledError>() || error.source().is_some_and(|source| source.is::<Reason>()) {
        return Some(FoundIn::Itself);
    }
    let deeper = std::iter::successors(error.source(), |error| (*error).source())
        .take(64)
        .any(|error| error.is::<CancelledError>() || error.is::<Reason>());
    deeper.then_some(FoundIn::Source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Own(CancelledError);

    impl fmt::Display for Own {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("own")
        }
    }

    impl StdError for Own {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_cancellation_is_found_wherever_it_sits() {
        let cancelled = CancelledError::new(Reason::Crash(None));
        let find = |error: BoxError| cancellation(&*error);
        assert_eq!(find(cancelled.into()), Some(FoundIn::Itself));
        assert_eq!(find(io::Error::from(cancelled).into()), Some(FoundIn::Itself));
        assert_eq!(find(Error::from(io::Error::from(cancelled)).into()), Some(FoundIn::Itself));
        assert_eq!(find(Own(cancelled).into()), Some(FoundIn::Source));
        assert_eq!(find(Error::from(io::Error::other(Own(cancelled))).into()), Some(FoundIn::Source));
        assert_eq!(find("else".into()), None);
    }

    #[test]
    fn an_error_has_its_place() {
        fn fails() -> Result<()> {
            Err(io::Error::other("no"))?;
            Ok(())
        }
        let error = fails().unwrap_err();
        assert_eq!((error.location().file(), error.location().line()), (file!(), line!() - 4));
        assert!(format!("{error:?}").starts_with("no\n  at "));
    }
}

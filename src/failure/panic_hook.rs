//! Records where threads panic, which a payload does not contain.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::{Mutex, Once, PoisonError};

use crate::failure::crash::Panic;
use crate::failure::moment::Moment;
use crate::failure::place::{Place, is_library};
use crate::panics;
use crate::task::Payload;

impl Panic {
    pub(crate) fn new(payload: Payload) -> Panic {
        let message = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "(a payload that is no text)".to_owned(),
        };
        Panic { message, payload: Mutex::new(Some(payload)) }
    }
}

impl Drop for Panic {
    fn drop(&mut self) {
        panics::dispose(self.take_payload());
    }
}

thread_local! {
    /// Where this thread last panicked, which a payload does not contain.
    static PANIC: Cell<Option<Place>> = const { Cell::new(None) };
    static MOMENT: RefCell<Moment> = RefCell::default();
    /// The place to report for the next panic.
    static MISUSE: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Panics because of a misuse at this place in the caller's program: a crash shows that line.
#[cold]
pub(crate) fn misused(at: &'static Location<'static>, message: &str) -> ! {
    MISUSE.set(Some(at));
    panic!("tinyio: {message}")
}

/// Installs a panic hook that records where threads panic. The previous hook is still called. A thread that is
/// panicking may not change the hook: the next loop does it.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = MISUSE.try_with(Cell::take).ok().flatten().or(info.location());
            let moment = Moment::here();
            let place = place.map(|at| match moment.place() {
                Some(place) if is_library(at.file()) => place,
                _ => Place { file: keep(at.file()), line: at.line(), column: at.column() },
            });
            let _ = PANIC.try_with(|last| last.set(place));
            let _ = MOMENT.try_with(|last| last.replace(moment));
            hook(info);
        }));
    });
}

/// Gives the name of a file a `'static` lifetime: the hook borrows its place for the call only. A program is built from
/// a bounded number of files, and each name is kept once.
pub(crate) fn keep(file: &str) -> &'static str {
    static FILES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    match files.get(file) {
        Some(kept) => kept,
        None => {
            let kept: &'static str = Box::leak(file.into());
            files.insert(kept);
            kept
        }
    }
}

/// Takes the place where this thread last panicked.
pub(crate) fn take_place() -> Option<Place> {
    PANIC.take()
}

/// Sets the place of a panic of another thread that is about to be resumed on this one.
pub(crate) fn set_place(place: Option<Place>) {
    PANIC.set(place);
}

/// Takes what the coroutine that panicked last on this thread was at.
pub(crate) fn take_moment() -> Moment {
    MOMENT.take()
}

//! The type [`Moment`]: what a coroutine was at when its error was made. `observe::moments` captures it.

use std::sync::OnceLock;

#[cfg(feature = "record")]
use tinyio_events::event::{Stack, TraceSite};

use crate::failure::place::Place;

/// What a failing coroutine was at when its error was made. Empty where nothing is recorded.
#[derive(Clone, Default)]
pub(crate) struct Moment {
    #[cfg(feature = "record")]
    pub(crate) stack: Option<Stack>,
    #[cfg(feature = "record")]
    pub(crate) backtrace: Vec<TraceSite>,
    #[cfg(feature = "record")]
    pub(crate) error_backtrace: Vec<TraceSite>,
    /// Where the program was, if that is certain.
    #[cfg(feature = "record")]
    pub(crate) place: Option<Place>,
}

/// Captures the running coroutine, once something is recorded in this process.
static CAPTURE: OnceLock<fn() -> Moment> = OnceLock::new();

impl Moment {
    /// Captures what the running coroutine is at.
    pub(crate) fn here() -> Moment {
        CAPTURE.get().map_or_else(Moment::default, |capture| capture())
    }

    /// Has moments captured by this function.
    #[cfg(feature = "record")]
    pub(crate) fn capture_by(capture: fn() -> Moment) {
        CAPTURE.get_or_init(|| capture);
    }

    /// The innermost place of the program on the native stack, if that is certain.
    pub(crate) fn place(&self) -> Option<Place> {
        #[cfg(feature = "record")]
        return self.place;
        #[cfg(not(feature = "record"))]
        None
    }

    /// Adds the native stack of the moment in which the error was made.
    #[cfg(feature = "record")]
    pub(crate) fn made_in(self, made: Moment) -> Moment {
        let error_backtrace = if made.backtrace.is_empty() { self.error_backtrace } else { made.backtrace };
        Moment { error_backtrace, ..self }
    }
}

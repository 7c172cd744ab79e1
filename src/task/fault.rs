//! How a task fails, and why it is cancelled.

use std::any::Any;
use std::error::Error;
use std::panic::Location;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
pub(crate) type Payload = Box<dyn Any + Send>;

/// Gives the name of a task's type, also when the task is gone.
pub(crate) type TypeName = fn() -> &'static str;

/// How a task failed.
pub(crate) enum Fault {
    /// With its cancellation, unboxed, since there may be a million at once.
    Cancelled(Reason),
    /// With an error and the name of its type, empty where it is not known.
    Error(BoxError, &'static str),
}

impl Fault {
    /// The fault of an error that a task returned.
    pub(crate) fn of<E: Into<BoxError>>(error: E) -> Fault {
        let name = std::any::type_name::<E>();
        // The type in a box is not known.
        let is_known = !name.starts_with("alloc::boxed::Box<");
        Fault::Error(error.into(), if is_known { name } else { "" })
    }
}

/// Why a task is cancelled.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// This task failed; without a name, the loop itself was stopped.
    Crash(Option<TypeName>),
    /// The time limit set at this place has passed.
    Timeout(&'static Location<'static>),
    /// The last handle was dropped, by this task, or by code outside of any task.
    Dropped(Option<TypeName>),
    /// This task, which was awaited, has been cancelled.
    Gone(TypeName),
}

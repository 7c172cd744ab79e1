//! What tasks and their wakers need of the loops.

use std::panic::Location;
use std::task::RawWakerVTable;

use super::fault::TypeName;
use super::wake_token::WakeToken;

/// The functions of the wakers of all tasks. Only `waker` makes one.
pub(crate) struct WakerVtable(pub(super) RawWakerVTable);

/// The loops, as tasks and their wakers see them. The functions find the loop of a token by themselves, and do nothing
/// if it is gone. Those about wakers may be called on any thread, the others on that of the loop.
pub(crate) trait Schedule: 'static {
    /// The functions of the wakers, always the same ones: wakers are recognised by them.
    fn wakers() -> &'static WakerVtable;

    /// Wakes the target of a token.
    fn wake(wake_token: WakeToken);

    /// Wakes the target of a token by a waker that is dropped with it.
    fn wake_owned(wake_token: WakeToken);

    /// A waker with this token was cloned: code outside of the loop may wake its target until the clone is dropped.
    fn waker_cloned(wake_token: WakeToken);

    /// Such a clone was dropped.
    fn waker_dropped(wake_token: WakeToken);

    /// The last handle of a task was dropped that is scheduled, and is not detached.
    fn abandoned(wake_token: WakeToken);

    /// The task with its header at this address is about to be freed; it was made at this place and never scheduled.
    fn never_scheduled(address: usize, place: &'static Location<'static>, name: TypeName);
}

//! Locks: one permit.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::observe::ResKind;
use crate::sync::permits::{Acquire, Guard, Permits};
use crate::sync::wait_list::Waitable;

/// A lock that one coroutine holds at a time. Requests are granted in the order in which they were first polled (FIFO):
/// a later one never overtakes one that waits. Clones are the same lock. It contains no value: coroutines of one loop
/// share values by `Rc<RefCell<_>>`.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let lock = tinyio::Lock::new();
/// let guard = lock.acquire().await?;
/// // no other coroutine holds it
/// drop(guard);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Lock(Arc<Permits>);

impl Lock {
    /// Creates a free lock.
    ///
    /// ```
    /// let lock = tinyio::Lock::new();
    /// ```
    #[track_caller]
    pub fn new() -> Lock {
        Lock(Permits::new(1, ResKind::Lock))
    }

    /// Gives the lock a name, which the inspector and deadlock messages show. Set it before the first use, which
    /// records it; the first name stays.
    ///
    /// ```
    /// let accounts = tinyio::Lock::new().named("accounts");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Lock {
        self.0.set_name(name.into());
        self
    }

    /// Waits for the lock.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let lock = tinyio::Lock::new();
    /// let guard = lock.acquire().await?;
    /// drop(guard); // free again
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn acquire(&self) -> Acquire {
        self.0.acquire(1)
    }

    /// Takes the lock if it is free and no coroutine waits for it. Works outside of a loop, too.
    ///
    /// ```
    /// let lock = tinyio::Lock::new();
    /// let guard = lock.try_acquire().expect("it is free");
    /// assert!(lock.try_acquire().is_none());
    /// drop(guard);
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Option<Guard> {
        self.0.try_acquire()
    }
}

impl Default for Lock {
    #[track_caller]
    fn default() -> Self {
        Lock::new()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.0.wait_list().lock();
        write!(f, "Lock({}, {} waiting)", if list.free > 0 { "free" } else { "held" }, list.waiting())
    }
}

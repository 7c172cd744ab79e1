//! Semaphores: a number of permits.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::executor::waits::Resource;
use crate::observe::ResKind;
use crate::sync::permits::{Acquire, Guard, Permits};
use crate::sync::wait_list::Waitable;

/// Lets at most this many coroutines continue at once, in the order of their requests. Clones are the same semaphore.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let two = tinyio::Semaphore::new(2);
/// let jobs = (0..10).map(|n| {
///     let two = two.clone();
///     async move {
///         let _permit = two.acquire().await?; // given back when it is dropped
///         tinyio::yield_now().await?;
///         tinyio::Ok(n)
///     }
/// });
/// tinyio::gather(jobs.collect::<Vec<_>>()).await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Semaphore(Arc<Permits>);

impl Semaphore {
    /// Creates a semaphore with this many permits.
    ///
    /// ```
    /// let two = tinyio::Semaphore::new(2);
    /// ```
    ///
    /// # Panics
    ///
    /// If `permits` is 0.
    #[track_caller]
    pub fn new(permits: usize) -> Semaphore {
        assert!(
            permits > 0,
            "tinyio::Semaphore::new({permits}): there must be at least one permit, or it is never acquired"
        );
        Semaphore(Permits::new(permits, ResKind::Semaphore))
    }

    /// Gives the semaphore a name, which the inspector and deadlock messages show. Set it before the first use, which
    /// records it; the first name stays.
    ///
    /// ```
    /// let downloads = tinyio::Semaphore::new(2).named("downloads");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Semaphore {
        self.0.set_name(name.into());
        self
    }

    /// Waits for a permit.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let semaphore = tinyio::Semaphore::new(1);
    /// let permit = semaphore.acquire().await?;
    /// drop(permit); // given back
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn acquire(&self) -> Acquire {
        self.0.acquire(1)
    }

    /// Takes a permit if one is free and no coroutine waits for one. Works outside of a loop, too.
    ///
    /// ```
    /// let semaphore = tinyio::Semaphore::new(1);
    /// let permit = semaphore.try_acquire().expect("it is free");
    /// assert!(semaphore.try_acquire().is_none());
    /// drop(permit);
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Option<Guard> {
        self.0.try_acquire()
    }

    /// Waits for several permits, which one guard holds. Requests are granted in the order in which they were first
    /// polled: while this one waits, later ones wait, too, however few permits they want. A request for no permits is
    /// granted at once.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let semaphore = tinyio::Semaphore::new(3);
    /// let two = semaphore.acquire_many(2).await?;
    /// assert!(semaphore.try_acquire().is_some());
    /// drop(two); // gives both back
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// If the semaphore does not have that many permits.
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> Acquire {
        let size = self.0.size();
        assert!(
            permits <= size,
            "tinyio::Semaphore::acquire_many({permits}): {} has {size} permits, so it would wait for ever",
            self.0.describe()
        );
        self.0.acquire(permits)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.0.wait_list().lock();
        write!(f, "Semaphore({} free, {} waiting)", list.free, list.waiting())
    }
}

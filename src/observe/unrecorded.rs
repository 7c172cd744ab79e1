//! Names, resources and threads in builds without the `record` feature: nothing is kept of them.

use std::borrow::Cow;
use std::panic::Location;

use super::event::ResKind;
use super::noop::Noop;
use super::observer::Observed;

/// The name of a loop.
#[derive(Clone, Default)]
pub(crate) struct Name;

impl Name {
    #[inline]
    pub(crate) fn new(_name: Cow<'static, str>) -> Name {
        Name
    }
}

/// The recorded state of a resource.
pub(crate) struct Res;

impl Res {
    #[inline]
    pub(crate) fn new(_what: ResKind, _size: u64) -> Res {
        Res
    }
    #[inline]
    pub(crate) fn set_name(&self, _name: Cow<'static, str>) {}
    #[inline]
    pub(crate) fn id(&self, _executor: &impl Observed) -> u64 {
        0
    }
    #[inline]
    pub(crate) fn set(&self, _set: bool) {}
    #[inline]
    pub(crate) fn hold(&self, _executor: &impl Observed, _at: &'static Location<'static>, _permits: usize) -> Hold {
        Hold
    }
    #[inline]
    pub(crate) fn release(&self, _hold: &Hold) {}
}

/// The recorded state of permits that are taken.
#[derive(Default)]
pub(crate) struct Hold;

/// The recorded state of a function on a thread.
pub(crate) type Thread = Noop;

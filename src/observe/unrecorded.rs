//! Names, resources and threads in builds without the `record` feature: nothing is kept of them.

use std::borrow::Cow;

use super::noop::Noop;

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
pub(crate) type Res = Noop;

/// The recorded state of permits that are taken.
pub(crate) type Hold = Noop;

/// The recorded state of a function on a thread.
pub(crate) type Thread = Noop;

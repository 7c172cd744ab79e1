//! No-op implementation for builds without the `record` feature.

pub(crate) const FIELD: &str = "";

pub(crate) fn may_record() -> bool {
    false
}

/// The author of a message, empty here.
#[derive(Clone, PartialEq)]
pub(crate) enum Author {}

impl Author {
    pub(crate) fn here() -> Option<Author> {
        None
    }

    pub(crate) fn is_coroutine(&self) -> bool {
        match *self {}
    }

    pub(crate) fn record(&self, _level: &str, _target: String, _message: String, _fields: Vec<(&'static str, String)>) {
        match *self {}
    }
}

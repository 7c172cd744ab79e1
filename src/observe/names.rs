//! Names that the program gives to coroutines and loops.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::task::Header;

/// The name of a loop.
#[derive(Clone, Default)]
pub(crate) struct Name(Option<Cow<'static, str>>);

impl Name {
    pub(crate) fn new(name: Cow<'static, str>) -> Name {
        Name(Some(name))
    }

    pub(super) fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

thread_local! {
    /// The names of coroutines that have not been scheduled, by the address of the header.
    static UNSCHEDULED: RefCell<HashMap<usize, Cow<'static, str>>> = RefCell::default();
    /// How many there are: looked at for each coroutine that is scheduled.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// Keeps the name of a coroutine that has not been scheduled.
pub(super) fn keep(task: &Header, name: Cow<'static, str>) {
    let _ = UNSCHEDULED.try_with(|names| {
        names.borrow_mut().insert(address(task), name);
        COUNT.set(names.borrow().len());
    });
}

/// Takes the name of a coroutine that is scheduled now, or never will be.
#[inline]
pub(super) fn take(address: usize) -> Option<Cow<'static, str>> {
    if COUNT.get() == 0 { None } else { take_it(address) }
}

#[cold]
fn take_it(address: usize) -> Option<Cow<'static, str>> {
    let taken = UNSCHEDULED.try_with(|names| {
        let mut names = names.borrow_mut();
        let name = names.remove(&address);
        COUNT.set(names.len());
        name
    });
    taken.ok().flatten()
}

pub(super) fn address(task: &Header) -> usize {
    std::ptr::from_ref(task).addr()
}

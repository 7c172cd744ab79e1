//! Names that the program gives to coroutines and loops.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use tinyio_events::event::{Kind, Target};

use super::observed;
use super::recording::Recording;
use crate::task::Header;

/// The name of a loop.
#[derive(Clone, Default)]
pub(crate) struct Name(Option<Cow<'static, str>>);

impl Name {
    pub(crate) fn new(name: Cow<'static, str>) -> Name {
        Name(Some(name))
    }
}

thread_local! {
    /// The names of coroutines that have not been scheduled, by the address of the header.
    static UNSCHEDULED: RefCell<HashMap<usize, Cow<'static, str>>> = RefCell::default();
    /// How many there are: looked at for each coroutine that is scheduled.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// Names a coroutine: in the record, or, before it is scheduled, for the time when it is.
pub(crate) fn name_task(task: &Header, name: Cow<'static, str>) {
    if !task.is_scheduled() {
        let _ = UNSCHEDULED.try_with(|names| {
            names.borrow_mut().insert(address(task), name);
            COUNT.set(names.borrow().len());
        });
    } else if !task.is_done() && !task.is_gone() {
        observed::current(|executor| {
            if let Some(recording) = executor.and_then(|executor| executor.rec().on()) {
                recording.named(Target::Coro(task.id()), &name);
            }
        });
    }
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

impl Recording {
    /// Records the name of a coroutine or a loop.
    #[cold]
    pub(super) fn named(&self, what: Target, name: &str) {
        let name = self.recorder.borrow_mut().recorder().intern(name);
        self.emit(Kind::Named { what, name });
    }

    /// Records the name of a loop, if it has one.
    pub(super) fn loop_named(&self, id: u32, name: &Name) {
        if let Name(Some(name)) = name {
            self.named(Target::Loop(id), name);
        }
    }
}

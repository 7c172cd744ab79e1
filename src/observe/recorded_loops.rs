//! The recorded loops that a thread is in: nested ones, the innermost first.

use std::collections::HashMap;

use super::observer::Observed;
use super::recording::Addresses;
use crate::failure::type_name;
use crate::task::{Context, Entered, Header, TaskTable};

crate::threading::per_thread! {
    // Without a destructor, so that it can be used for as long as the thread runs code.
    static CONTEXT: Context<dyn Observed> = const { Context::new() };
}

/// The recorded loops of this thread.
pub(super) const RECORDED_LOOPS: Entered<dyn Observed> = Entered::new(&CONTEXT);

/// The numbers and names of these tasks.
pub(super) fn addresses(tasks: &TaskTable) -> Addresses {
    let mut addresses = HashMap::with_capacity(tasks.len());
    tasks.each(|task| {
        let known = (task.id(), type_name::path(task.type_name()));
        addresses.insert(std::ptr::from_ref::<Header>(task).addr() as u64, known);
    });
    addresses
}

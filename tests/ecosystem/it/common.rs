//! Helpers of these tests.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

pub const LONG: Duration = Duration::from_secs(3600);

/// An error of the program's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Broken(pub &'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Broken {}

/// What coroutines of a test record, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    pub fn push(&self, entry: &'static str) {
        self.0.borrow_mut().push(entry);
    }

    pub fn entries(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }
}

/// Calls its function when it is dropped: the cleanup of a future.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Sleeps until it is cancelled, and records that.
pub async fn naps(log: Log) -> tinyio::Result<()> {
    let nap = tinyio::sleep(LONG).await;
    log.push(if nap.is_err() { "cancelled" } else { "slept" });
    Ok(nap?)
}

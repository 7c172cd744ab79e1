//! Runs many work items on few coroutines.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::vec;

use tinyio::{CancelledError, gather};

/// The number of coroutines that share the work: enough to keep the threads busy, and few enough to watch.
const WORKERS: usize = 32;

/// Work that several coroutines take from.
pub struct Queue<T>(Rc<RefCell<vec::IntoIter<T>>>);

impl<T> Queue<T> {
    /// Processes `items` by a few coroutines concurrently, each taking one after the other, and concatenates what they
    /// return.
    ///
    /// Gathering a coroutine for each item would be simpler. But then a million items are a million coroutines.
    pub async fn work_off<F, U, E>(items: Vec<T>, worker: impl Fn(Queue<T>) -> F) -> Result<Vec<U>, CancelledError>
    where
        F: Future<Output = Result<Vec<U>, E>> + 'static,
        U: 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let workers = WORKERS.min(items.len());
        let queue = Rc::new(RefCell::new(items.into_iter()));
        let workers: Vec<F> = (0..workers).map(|_| worker(Queue(queue.clone()))).collect();
        Ok(gather(workers).await?.into_iter().flatten().collect())
    }

    /// The next item, until there are no more.
    pub fn next(&self) -> Option<T> {
        self.0.borrow_mut().next()
    }
}

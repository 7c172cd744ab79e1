//! No more than so many threads at once.
//!
//! Stands in for `tinyio::ThreadPool` and is used in the same way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::rc::Rc;

use tinyio::{CancelledError, Event, run_in_thread};

/// Runs blocking functions, at most `n` at a time; the others wait their turn.
#[derive(Clone)]
pub struct ThreadPool(Rc<Slots>);

struct Slots {
    free: Cell<usize>,
    waiting: RefCell<VecDeque<Event>>,
}

/// A thread's permission to run; given back when dropped.
struct Slot(Rc<Slots>);

impl ThreadPool {
    pub fn new(n: usize) -> ThreadPool {
        ThreadPool(Rc::new(Slots { free: Cell::new(n), waiting: RefCell::default() }))
    }

    pub async fn run_in_thread<F, T, E>(&self, f: F) -> Result<T, CancelledError>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        let _slot = self.slot().await?;
        run_in_thread(f).await
    }

    async fn slot(&self) -> Result<Slot, CancelledError> {
        while self.0.free.get() == 0 {
            let turn = Event::new();
            self.0.waiting.borrow_mut().push_back(turn.clone());
            turn.wait().await?;
        }
        self.0.free.update(|free| free - 1);
        Ok(Slot(self.0.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.free.update(|free| free + 1);
        if let Some(turn) = self.0.waiting.borrow_mut().pop_front() {
            turn.set();
        }
    }
}

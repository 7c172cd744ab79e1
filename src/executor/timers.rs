//! The clock of a loop, and what is set by it.

use std::cell::RefCell;

use crate::executor::clock::Clock;
use crate::executor::timer_wheel::Wheel;

pub(crate) struct Timers {
    pub(super) clock: Clock,
    pub(super) wheel: RefCell<Wheel>,
}

impl Timers {
    pub(super) fn new() -> Timers {
        let (clock, mut wheel) = (Clock::default(), Wheel::new());
        wheel.begin_at(clock.now());
        Timers { clock, wheel: RefCell::new(wheel) }
    }
}

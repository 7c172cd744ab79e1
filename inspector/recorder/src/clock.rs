//! Nanoseconds since the recording started, for half the price of `Instant::now()`.
//!
//! Reading the clock is most of the cost of an event. Where the kernel itself trusts the processor's time stamp counter
//! (Linux on x86-64, clock source `tsc`), it is read directly and scaled. The scale is derived during the recording,
//! from two readings of the ordinary clock a while apart, so the start waits for no calibration (`quanta` spins for up
//! to 200 ms there); the ordinary clock is used until then. Every few ms the counter is compared with the ordinary
//! clock, so the error stays under a microsecond, and the move of a virtual machine is noticed.

use std::time::Instant;

/// A clock that never goes back.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// The time that was returned last: the lower bound of the next one.
    last: u64,
    /// `None`: only the ordinary clock is available.
    counter: Option<Counter>,
}

#[derive(Debug)]
struct Counter {
    /// Counter and ordinary clock, as last read together.
    read: (u64, u64),
    /// Counter and time the present scale starts at. The time is that of `read`, or what was given out already.
    base: (u64, u64),
    /// Nanoseconds per tick, times 2^32; 0 as long as it is not known.
    scale: u64,
    /// Ticks after `base` for which the scale is good.
    span: u64,
}

/// Time between two readings of the ordinary clock. Spread over that time, their cost is negligible.
const SPAN: u64 = 20_000_000;

/// Scales of a counter of 100 GHz and of 10 MHz: a scale outside of this range is wrong.
const SLOWEST: u128 = (1 << 32) / 100;
const FASTEST: u128 = (1 << 32) * 100;

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that starts now.
    pub fn new() -> Self {
        let start = Instant::now();
        let counter = tsc::usable().then(|| {
            let read = pair(start);
            Counter { read, base: read, scale: 0, span: 0 }
        });
        Clock { start, last: 0, counter }
    }

    /// Nanoseconds since the start.
    #[inline]
    pub fn now(&mut self) -> u64 {
        let Some(counter) = &self.counter else { return self.now_slow() };
        let ticks = tsc::read().wrapping_sub(counter.base.0);
        // Counters of other cores may be a little behind: then `ticks` wraps to a huge number, which the slow path
        // handles.
        if ticks >= counter.span {
            return self.now_slow();
        }
        let now = counter.base.1 + ((ticks as u128 * counter.scale as u128) >> 32) as u64;
        self.last = self.last.max(now);
        self.last
    }

    #[cold]
    #[inline(never)]
    fn now_slow(&mut self) -> u64 {
        match &mut self.counter {
            None => self.last = self.last.max(elapsed(self.start)),
            Some(counter) => {
                let (ticks_before, before) = counter.read;
                // As long as nothing can be learnt, one look is enough.
                let now = elapsed(self.start);
                if now < before + SPAN / 4 && tsc::read() >= ticks_before {
                    self.last = self.last.max(now);
                    return self.last;
                }
                let (ticks, now) = pair(self.start);
                self.last = self.last.max(now);
                let passed = ticks.wrapping_sub(ticks_before);
                let promised = before + ((passed as u128 * counter.scale as u128) >> 32) as u64;
                let scale = (((now - before) as u128) << 32).checked_div(passed as u128).unwrap_or(0);
                if counter.scale != 0 && promised.abs_diff(now) > 1_000_000 {
                    // The counter jumped, or the clock was not read for so long that the two drifted apart: derive the
                    // scale again.
                    (counter.scale, counter.span) = (0, 0);
                } else if (SLOWEST..=FASTEST).contains(&scale) {
                    counter.scale = scale as u64;
                    counter.span = (((SPAN as u128) << 32) / scale) as u64;
                } else {
                    self.counter = None;
                    return self.last;
                }
                counter.read = (ticks, now);
                counter.base = (ticks, self.last);
            }
        }
        self.last
    }
}

fn elapsed(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Counter and time, read as closely together as can be had: the best of three.
fn pair(start: Instant) -> (u64, u64) {
    let mut best = (u64::MAX, (0, 0));
    for _ in 0..3 {
        let before = tsc::read();
        let now = elapsed(start);
        let width = tsc::read().wrapping_sub(before);
        if width < best.0 {
            best = (width, (before.wrapping_add(width / 2), now));
        }
    }
    best.1
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tsc {
    use std::sync::OnceLock;

    #[inline(always)]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    /// The kernel has checked that the counter is steady and the same on all cores, or it would not use it itself.
    pub(super) fn usable() -> bool {
        static USABLE: OnceLock<bool> = OnceLock::new();
        *USABLE.get_or_init(|| {
            std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
                .is_ok_and(|source| source.trim() == "tsc")
        })
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod tsc {
    #[inline(always)]
    pub(super) fn read() -> u64 {
        0
    }

    pub(super) fn usable() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back_and_keeps_to_the_ordinary_clock() {
        let mut clock = Clock::new();
        let mut last = 0;
        // Long enough for the scale to be learnt and held against the ordinary clock several times over.
        while elapsed(clock.start) < 5 * SPAN {
            let before = elapsed(clock.start);
            let now = clock.now();
            let after = elapsed(clock.start);
            assert!(now >= last, "{now} after {last}");
            assert!(now + 20_000 >= before && now <= after + 20_000, "{before} <= {now} <= {after}");
            last = now;
        }
    }

    #[test]
    fn a_counter_that_jumps_does_not_drag_the_time_along() {
        let mut clock = Clock::new();
        if clock.counter.is_none() {
            return;
        }
        while clock.counter.as_ref().is_some_and(|counter| counter.scale == 0) {
            clock.now();
        }
        // As if the machine had been moved: the counter is an hour ahead of what it was.
        if let Some(counter) = &mut clock.counter {
            counter.base.0 = counter.base.0.wrapping_sub(3600 * 3_000_000_000);
            counter.read.0 = counter.read.0.wrapping_sub(3600 * 3_000_000_000);
        }
        let now = clock.now();
        assert!(now <= elapsed(clock.start), "{now}");
        while elapsed(clock.start) < 4 * SPAN {
            let now = clock.now();
            assert!(now <= elapsed(clock.start) + 20_000, "{now}");
        }
    }
}

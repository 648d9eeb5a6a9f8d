//! The time of a campaign: one monotonic clock for all processes, and the clock of a node, which can be stepped.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tricache::{Clock, SystemClock};

/// Nanoseconds of `CLOCK_MONOTONIC`: the same clock in every process of the machine.
pub(super) fn now() -> u64 {
    let at = clock_gettime(ClockId::Monotonic);
    // The time since the machine was started: neither part is negative.
    at.tv_sec.unsigned_abs() * NANOS + at.tv_nsec.unsigned_abs()
}

/// Nanoseconds as milliseconds.
pub(super) fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// A duration in nanoseconds; far futures saturate.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The machine's clock as a node sees it: with an origin of its own, and steps forward.
///
/// A step back is none of the faults: the clock that tricache asks for never goes back.
#[derive(Debug)]
pub(super) struct SteppedClock {
    machine: SystemClock,
    ahead: AtomicU64,
}

impl SteppedClock {
    /// A clock that is ahead from its beginning.
    pub(super) fn ahead_by(ahead: Duration) -> Self {
        Self {
            machine: SystemClock::new(),
            ahead: AtomicU64::new(nanos(ahead)),
        }
    }

    /// Steps forward.
    pub(super) fn step(&self, by: Duration) {
        self.ahead.fetch_add(nanos(by), Ordering::Relaxed);
    }

    fn ahead(&self) -> Duration {
        Duration::from_nanos(self.ahead.load(Ordering::Relaxed))
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Duration {
        self.machine.now() + self.ahead()
    }

    fn precise(&self) -> Duration {
        self.machine.precise() + self.ahead()
    }
}

const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_moves_both_times_of_the_clock() {
        let clock = SteppedClock::ahead_by(Duration::from_secs(60));

        clock.step(Duration::from_secs(600));

        for time in [clock.now(), clock.precise()] {
            assert!((660..700).contains(&time.as_secs()), "{time:?}");
        }
    }
}

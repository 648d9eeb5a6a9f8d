//! Time as a parameter: the library reads it here and nowhere else.
//!
//! Only differences count, so the origin is any. Two nodes' clocks are never compared: what crosses the
//! network is Redis time, and each node keeps its own offset to it.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A clock that never goes back.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Time since the clock's own origin. Read at each hit, so it must be quick; it may be ahead of [`precise`](Self::precise) by a
    /// few milliseconds, so that nothing lives longer than it should.
    fn now(&self) -> Duration;

    /// The same as exactly as the clock can tell: when something was asked, how long something took.
    ///
    /// Default: [`now`](Self::now).
    fn precise(&self) -> Duration {
        self.now()
    }
}

/// The machine's monotonic clock; the default.
///
/// On Linux [`now`](Clock::now) is a time at most two of the kernel's ticks ahead, of 1 to 10 ms each, at a tenth of the cost.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Duration);

impl SystemClock {
    /// A clock whose origin is now.
    #[must_use]
    pub fn new() -> Self {
        Self(machine::precise())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        machine::quick().saturating_sub(self.0)
    }

    fn precise(&self) -> Duration {
        machine::precise().saturating_sub(self.0)
    }
}

/// `CLOCK_MONOTONIC`, and a time that it has not passed yet.
#[cfg(target_os = "linux")]
mod machine {
    use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
    use std::{sync::LazyLock, time::Duration};

    static TICK: LazyLock<Duration> =
        LazyLock::new(|| duration(clock_getres(ClockId::MonotonicCoarse)));

    pub(super) fn precise() -> Duration {
        duration(clock_gettime(ClockId::Monotonic))
    }

    pub(super) fn quick() -> Duration {
        // At each tick the kernel adds up whole ticks only, so what it shows is up to two behind.
        duration(clock_gettime(ClockId::MonotonicCoarse)) + *TICK * 2
    }

    fn duration(at: Timespec) -> Duration {
        // The time since the machine was started: neither part is negative.
        Duration::new(at.tv_sec.unsigned_abs(), at.tv_nsec.unsigned_abs() as u32)
    }
}

/// Time since the first question.
#[cfg(not(target_os = "linux"))]
mod machine {
    use std::{
        sync::OnceLock,
        time::{Duration, Instant},
    };

    static BEGAN: OnceLock<Instant> = OnceLock::new();

    pub(super) fn precise() -> Duration {
        BEGAN.get_or_init(Instant::now).elapsed()
    }

    pub(super) use precise as quick;
}

/// A clock that moves only when told, for tests. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at one hour after its origin.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(3_600_000_000)))
    }

    /// Moves the clock on. Steps below a microsecond are lost.
    pub fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX / 2);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the clock back, which a monotonic clock never does: only for a hub that stands for a server's wall clock.
    pub fn step_back(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX / 2);
        let step = |now: u64| Some(now.saturating_sub(micros));
        // The closure always answers `Some`, so this cannot fail.
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A duration in whole milliseconds, the unit of every deadline in this crate. Far futures saturate.
pub(crate) fn millis(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1000)
        .saturating_add(u64::from(duration.subsec_millis()))
}

/// Whole milliseconds as a duration.
pub(crate) fn to_duration(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_time_differs_from_the_precise_one_by_a_few_ticks_at_most() {
        let clock = SystemClock::new();
        for _ in 0..100_000 {
            let before = clock.precise();
            let now = clock.now();
            let after = clock.precise();

            // A test that was not scheduled in between is late on both.
            let slack = Duration::from_millis(20);
            assert!(now + slack >= before, "{now:?} {before:?}");
            assert!(now <= after + slack, "{now:?} {after:?}");
        }
    }

    #[test]
    fn it_never_goes_back() {
        let clock = SystemClock::new();
        let mut last = Duration::ZERO;
        for _ in 0..100_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }
}

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
    time::{Duration, Instant},
};

/// A clock that never goes back.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Time since the clock's own origin.
    fn now(&self) -> Duration;
}

/// The machine's monotonic clock; the default.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock whose origin is now.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
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

//! Whether Redis is worth asking: away after a few failures in a row, up again at the first answered heartbeat.
//!
//! While it is away a read costs no round trip, only the store's latency. The heartbeat is the probe.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Counts failures in a row.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: AtomicU32,
    away: AtomicBool,
}

impl Breaker {
    /// Away until the first answer.
    pub(super) fn new() -> Self {
        Self {
            failures: AtomicU32::new(0),
            away: AtomicBool::new(true),
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// An ordinary call was answered.
    pub(super) fn answered(&self) {
        // A store only where something is to be forgotten: this line is shared by all threads.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A call failed; answers true for the one that opened the breaker.
    pub(super) fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        failures >= TOLERATED && !self.away.swap(true, Ordering::Relaxed)
    }

    /// The probe was answered; answers true if Redis was away before.
    pub(super) fn probed(&self) -> bool {
        self.failures.store(0, Ordering::Relaxed);
        self.away.swap(false, Ordering::Relaxed)
    }
}

/// Failures in a row that open the breaker.
const TOLERATED: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_open_it_and_a_probe_closes_it() {
        let breaker = Breaker::new();
        assert!(breaker.is_away());
        assert!(breaker.probed());

        assert!(!breaker.failed());
        assert!(!breaker.failed());
        breaker.answered();
        assert!(!breaker.failed() && !breaker.is_away());
        assert!(!breaker.failed());
        assert!(breaker.failed() && breaker.is_away());
        assert!(!breaker.failed());

        assert!(breaker.probed() && !breaker.is_away());
        assert!(!breaker.probed());
    }
}

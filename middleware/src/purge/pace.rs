//! When a vendor may be called: its quota, and the pauses after failures.
//!
//! Pure: time is an argument. The quota is kept as one instant, that at which the bucket will be full again.

use std::time::Duration;

use tokio::time::Instant;

use super::limits::Quota;

/// How long to pause after failures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    pub(crate) locked_out: Duration,
}

/// One vendor's pace.
#[derive(Debug)]
pub(crate) struct Pace {
    pauses: Pauses,
    quota: Option<Quota>,
    full_at: Instant,
    failures: u32,
    not_before: Instant,
}

impl Pace {
    pub(crate) fn new(pauses: Pauses, quota: Option<Quota>, now: Instant) -> Self {
        Self {
            pauses,
            quota,
            full_at: now,
            failures: 0,
            not_before: now,
        }
    }

    /// The earliest time for a call with so many keys.
    pub(crate) fn earliest(&self, keys: usize) -> Instant {
        self.bucket_has(keys).max(self.not_before)
    }

    fn bucket_has(&self, keys: usize) -> Instant {
        let Some(quota) = self.quota else {
            return self.not_before;
        };
        let cost = quota.cost(keys).min(quota.burst());
        let missing = quota.period().saturating_mul(quota.burst() - cost);
        self.full_at.checked_sub(missing).unwrap_or(self.not_before)
    }

    /// A call with so many keys begins.
    pub(crate) fn call(&mut self, keys: usize, now: Instant) {
        if let Some(quota) = self.quota {
            let cost = quota.period().saturating_mul(quota.cost(keys));
            self.full_at = later(self.full_at.max(now), cost);
        }
    }

    /// The last call went well.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The last call failed in passing. The pause doubles with each failure in a row, and is never shorter than the vendor wants.
    pub(crate) fn failed(&mut self, wanted: Option<Duration>, now: Instant) {
        let doubled = self
            .pauses
            .first
            .saturating_mul(1 << self.failures.min(20))
            .min(self.pauses.longest);
        self.failures = self.failures.saturating_add(1);
        let wanted = wanted.unwrap_or_default().min(LONGEST_WISH);
        self.not_before = later(now, jittered(doubled).max(wanted));
    }

    /// The vendor takes nothing from us.
    pub(crate) fn locked_out(&mut self, now: Instant) {
        self.not_before = later(now, self.pauses.locked_out);
    }
}

/// Between a half and the whole, so that nodes that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}

fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by.min(FAR)).unwrap_or(from)
}

/// A vendor that asks for a longer silence is asked again after this: no answer may switch purging off for good.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

/// Further than any quota reaches.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_one_in_each_period() {
        let start = Instant::now();
        let mut pace = paced(Quota::calls(3, Duration::from_secs(12)), start);

        for _ in 0..3 {
            assert!(pace.earliest(100) <= start);
            pace.call(100, start);
        }

        assert_eq!(pace.earliest(1), start + Duration::from_secs(12));
        pace.call(1, start + Duration::from_secs(12));
        assert_eq!(pace.earliest(1), start + Duration::from_secs(24));
    }

    #[test]
    fn a_bucket_is_never_fuller_than_full() {
        let start = Instant::now();
        let mut pace = paced(Quota::calls(2, Duration::from_secs(1)), start);
        let later = start + Duration::from_secs(1000);

        pace.call(1, later);
        pace.call(1, later);

        assert_eq!(pace.earliest(1), later + Duration::from_secs(1));
    }

    #[test]
    fn where_keys_are_counted_a_call_costs_its_keys() {
        let start = Instant::now();
        let mut pace = paced(Quota::keys(100, Duration::from_secs(1)), start);

        pace.call(90, start);

        assert!(pace.earliest(10) <= start);
        assert_eq!(pace.earliest(30), start + Duration::from_secs(20));
    }

    #[test]
    fn pauses_double_up_to_the_longest_with_at_most_half_of_them_left_to_chance() {
        let start = Instant::now();
        let mut pace = Pace::new(pauses(), None, start);

        for whole in [1, 2, 4, 8, 10, 10, 10] {
            pace.failed(None, start);
            let pause = pace.earliest(1) - start;
            assert!(
                pause <= Duration::from_secs(whole),
                "{pause:?} of {whole} s"
            );
            assert!(
                pause >= Duration::from_secs(whole) / 2,
                "{pause:?} of {whole} s"
            );
        }
    }

    #[test]
    fn a_success_makes_the_next_pause_the_first_again() {
        let start = Instant::now();
        let mut pace = Pace::new(pauses(), None, start);
        (0..5).for_each(|_| pace.failed(None, start));

        pace.succeeded();
        pace.failed(None, start);

        assert!(pace.earliest(1) - start <= Duration::from_secs(1));
    }

    #[test]
    fn what_the_vendor_wants_is_kept_but_not_for_ever() {
        let start = Instant::now();
        let mut pace = Pace::new(pauses(), None, start);

        pace.failed(Some(Duration::from_secs(77)), start);
        assert_eq!(pace.earliest(1), start + Duration::from_secs(77));

        pace.failed(Some(Duration::MAX), start);
        assert_eq!(pace.earliest(1), start + LONGEST_WISH);
    }

    #[test]
    fn a_quota_of_a_thousand_years_is_not_a_panic() {
        let start = Instant::now();
        let mut pace = paced(Quota::keys(u32::MAX, Duration::MAX), start);

        pace.call(usize::MAX, start);

        assert!(pace.earliest(1) >= start);
    }

    fn paced(quota: Quota, now: Instant) -> Pace {
        Pace::new(pauses(), Some(quota), now)
    }

    fn pauses() -> Pauses {
        Pauses {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(10),
            locked_out: Duration::from_secs(60),
        }
    }
}

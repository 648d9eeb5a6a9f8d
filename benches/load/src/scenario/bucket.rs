//! A tenth of a second of a pass: what its calls were answered, and how long that took.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::reader::Served;

/// The calls that began within this piece of time.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Microseconds until the answer.
    latency: Histogram<u64>,
    pub(super) worst: Duration,
    pub(super) hits: u64,
    pub(super) stale: u64,
    pub(super) stand_ins: u64,
    pub(super) unproven: u64,
    pub(super) loaded: u64,
    pub(super) errors: u64,
    pub(super) late: u64,
    /// How much later than wanted the tool itself was woken.
    pub(super) stall: Duration,
}

impl Bucket {
    /// A bucket without calls.
    pub(super) fn new() -> Self {
        Self {
            latency: Histogram::new_with_max(LONGEST, DIGITS)
                .expect("a minute with two digits is within what it can do"),
            worst: Duration::ZERO,
            hits: 0,
            stale: 0,
            stand_ins: 0,
            unproven: 0,
            loaded: 0,
            errors: 0,
            late: 0,
            stall: Duration::ZERO,
        }
    }

    /// Takes down one call.
    pub(super) fn add(&mut self, served: Option<Served>, took: Duration, is_late: bool) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.latency.saturating_record(micros);
        self.worst = self.worst.max(took);
        self.late += u64::from(is_late);
        *match served {
            Some(Served::Hit) => &mut self.hits,
            Some(Served::Stale) => &mut self.stale,
            Some(Served::StandIn) => &mut self.stand_ins,
            Some(Served::Unproven) => &mut self.unproven,
            Some(Served::Loaded) => &mut self.loaded,
            None => &mut self.errors,
        } += 1;
    }

    /// The calls of several pieces as if they were one.
    pub(super) fn sum<'a>(buckets: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::new();
        for bucket in buckets {
            sum.latency
                .add(&bucket.latency)
                .expect("all of them have the same bounds");
            sum.worst = sum.worst.max(bucket.worst);
            sum.stall = sum.stall.max(bucket.stall);
            sum.hits += bucket.hits;
            sum.stale += bucket.stale;
            sum.stand_ins += bucket.stand_ins;
            sum.unproven += bucket.unproven;
            sum.loaded += bucket.loaded;
            sum.errors += bucket.errors;
            sum.late += bucket.late;
        }
        sum
    }

    /// How many calls began.
    pub(super) fn reads(&self) -> u64 {
        self.latency.len()
    }

    /// The share of the calls that a tier has answered as in the best of times: proven, within the TTL or while a load
    /// replaces the value.
    pub(super) fn hit_share(&self) -> f64 {
        (self.hits + self.stale) as f64 / self.reads().max(1) as f64
    }

    /// How long this share of the calls took at most.
    pub(super) fn latency(&self, share: f64) -> Duration {
        if self.latency.is_empty() {
            return Duration::ZERO;
        }
        Duration::from_micros(self.latency.value_at_quantile(share))
    }
}

/// The bucket of a moment, since the beginning of the pass.
pub(super) fn place(since: Duration) -> usize {
    usize::try_from(since.as_millis() / BUCKET.as_millis()).unwrap_or(usize::MAX)
}

/// How long a bucket is.
pub(super) const BUCKET: Duration = Duration::from_millis(100);
/// In microseconds; no call is waited for that long.
const LONGEST: u64 = 60_000_000;
/// A latency is right to one per cent.
const DIGITS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_calls_are_as_slow_as_they_were_also_in_a_sum() {
        let mut buckets = [Bucket::new(), Bucket::new()];
        for (bucket, millis) in buckets.iter_mut().zip([1, 3000]) {
            for _ in 0..100 {
                bucket.add(Some(Served::Hit), Duration::from_millis(millis), false);
            }
        }

        let sum = Bucket::sum(&buckets);

        assert_eq!(sum.reads(), 200);
        assert_eq!(sum.latency(0.25).as_millis(), 1);
        assert_eq!(sum.latency(0.99).as_millis() / 100, 30);
        assert_eq!(sum.worst.as_millis(), 3000);
    }

    #[test]
    fn only_what_a_tier_answers_as_ever_is_a_hit() {
        let mut bucket = Bucket::new();
        for served in [
            Served::Hit,
            Served::Stale,
            Served::StandIn,
            Served::Unproven,
        ] {
            bucket.add(Some(served), BUCKET, false);
        }

        bucket.add(None, BUCKET, true);

        assert_eq!(bucket.hit_share(), 0.4);
        assert_eq!((bucket.errors, bucket.late), (1, 1));
    }
}

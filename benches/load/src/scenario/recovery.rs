//! When it is again as it was: how long after the mending callers are answered as before.

use std::time::Duration;

use super::bucket::{BUCKET, Bucket, place};

/// How long after `mends` the first half second begins in which callers are answered as they were before `breaks`: as many
/// hits, but for two in a hundred, and a p99 that is at most twice as long and 5 ms. `None`: not within the pass.
pub(super) fn recovered(buckets: &[Bucket], breaks: Duration, mends: Duration) -> Option<Duration> {
    let before = Bucket::sum(&buckets[..place(breaks).min(buckets.len())]);
    if before.reads() == 0 {
        return None;
    }
    let longest = before.latency(0.99) * 2 + SLACK;
    let windows = buckets.windows(WINDOW).enumerate().skip(place(mends));
    let mut as_before = windows.filter(|(_, window)| {
        let window = Bucket::sum(*window);
        window.reads() > 0
            && window.hit_share() >= before.hit_share() - FEWER
            && window.latency(0.99) <= longest
    });
    let (first, _) = as_before.next()?;
    let begins = BUCKET * u32::try_from(first).ok()?;
    Some(begins.saturating_sub(mends))
}

/// Half a second.
const WINDOW: usize = 5;
const FEWER: f64 = 0.02;
const SLACK: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::reader::Served;

    fn bucket(served: Served, took: Duration) -> Bucket {
        let mut bucket = Bucket::new();
        for _ in 0..100 {
            bucket.add(Some(served), took, false);
        }
        bucket
    }

    /// Ten buckets as ever, ten of these, and ten as ever.
    fn history(broken: &Bucket) -> Vec<Bucket> {
        let calm = bucket(Served::Hit, MILLISECOND);
        [
            vec![calm.clone(); 10],
            vec![broken.clone(); 10],
            vec![calm; 10],
        ]
        .concat()
    }

    #[test]
    fn what_is_as_before_at_once_has_recovered_at_once() {
        let broken = bucket(Served::Loaded, MILLISECOND * 50);

        let recovered = recovered(&history(&broken), SECOND, SECOND * 2);

        assert_eq!(recovered, Some(Duration::ZERO));
    }

    #[test]
    fn fewer_hits_and_slower_answers_are_not_as_before() {
        for broken in [
            bucket(Served::Loaded, MILLISECOND),
            bucket(Served::Unproven, MILLISECOND),
            bucket(Served::Hit, MILLISECOND * 20),
        ] {
            let recovered = recovered(&history(&broken), SECOND, MILLISECOND * 1500);

            assert_eq!(recovered, Some(MILLISECOND * 500));
        }
    }

    #[test]
    fn what_never_mends_has_not_recovered() {
        let mut history = history(&bucket(Served::Loaded, MILLISECOND));
        history.truncate(20);

        assert_eq!(recovered(&history, SECOND, MILLISECOND * 1500), None);
    }

    #[test]
    fn without_a_time_before_there_is_nothing_to_come_back_to() {
        let history = history(&bucket(Served::Hit, MILLISECOND));

        assert_eq!(recovered(&history, Duration::ZERO, SECOND), None);
    }

    const MILLISECOND: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);
}

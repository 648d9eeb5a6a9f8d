//! What the callers saw, over time: a call belongs to the moment at which it began.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    bucket::{BUCKET, Bucket, place},
    reader::Served,
};

/// The record of one pass.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) origin: Instant,
    /// An answer after this time is late.
    late_after: Duration,
    seen: Mutex<Seen>,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) buckets: Vec<Bucket>,
    pub(super) first_error: Option<String>,
}

impl Timeline {
    /// An empty record that begins now and has room for a pass of this length.
    pub(super) fn new(lasts: Duration, late_after: Duration) -> Self {
        let buckets = lasts.as_millis().div_ceil(BUCKET.as_millis());
        let buckets = usize::try_from(buckets).unwrap_or(usize::MAX);
        Self {
            origin: Instant::now(),
            late_after,
            seen: Mutex::new(Seen {
                buckets: vec![Bucket::new(); buckets.max(1)],
                first_error: None,
            }),
        }
    }

    /// Takes down a call that began at `begun` and is answered now.
    pub(super) fn answered(&self, begun: Instant, answer: Result<Served, String>) {
        let took = begun.elapsed();
        let mut seen = self.lock();
        let served = match answer {
            Ok(served) => Some(served),
            Err(error) => {
                seen.first_error.get_or_insert(error);
                None
            }
        };
        self.bucket(&mut seen, begun)
            .add(served, took, took > self.late_after);
    }

    /// Takes down that the tool itself was woken so much too late.
    pub(super) fn stalled(&self, wanted: Instant, late: Duration) {
        let mut seen = self.lock();
        let bucket = self.bucket(&mut seen, wanted);
        bucket.stall = bucket.stall.max(late);
    }

    /// What was seen until now.
    pub(super) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn bucket<'a>(&self, seen: &'a mut Seen, at: Instant) -> &'a mut Bucket {
        let last = seen.buckets.len() - 1;
        let place = place(at.saturating_duration_since(self.origin)).min(last);
        &mut seen.buckets[place]
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Counts are never half written, so a panic elsewhere spoils nothing.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_call_belongs_to_the_moment_at_which_it_began() {
        let timeline = Timeline::new(BUCKET * 3, BUCKET);
        let begun = Instant::now();
        advance(BUCKET * 2).await;

        timeline.answered(begun, Ok(Served::Hit));

        let seen = timeline.seen();
        assert_eq!(seen.buckets[0].reads(), 1);
        assert_eq!(
            (seen.buckets[0].worst, seen.buckets[0].late),
            (BUCKET * 2, 1)
        );
        assert_eq!(seen.buckets[2].reads(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_time_is_not_late() {
        let timeline = Timeline::new(BUCKET, BUCKET);
        let begun = Instant::now();
        advance(BUCKET).await;

        timeline.answered(begun, Ok(Served::Loaded));

        assert_eq!(timeline.seen().buckets[0].late, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_error_is_kept_and_all_are_counted() {
        let timeline = Timeline::new(BUCKET, BUCKET);

        timeline.answered(Instant::now(), Err("first".to_owned()));
        timeline.answered(Instant::now(), Err("second".to_owned()));

        let seen = timeline.seen();
        assert_eq!(seen.first_error.as_deref(), Some("first"));
        assert_eq!(seen.buckets[0].errors, 2);
    }
}

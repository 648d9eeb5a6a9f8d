//! Whether Redis is quicker than the store: a read that waits for it longer than a load takes gains nothing by it.
//!
//! Only reads and leases are skipped meanwhile. Invalidations are sent and heard as ever, so nothing that is promised gets
//! weaker; and each heartbeat is a probe.

use super::Remote;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

impl Remote {
    /// The store has answered a load.
    pub(crate) fn loaded(&self, took: Duration) {
        match self {
            Self::Redis(redis) => redis.nodes.loaded(took),
            Self::Memory(_) => {}
        }
    }
}

/// The pace of Redis against that of the store.
#[derive(Debug)]
pub(super) struct Pace {
    loads: Mutex<Loads>,
    /// What counts as slow, in microseconds: the store's median, but not less than the floor. `NEVER` while little is known.
    limit: AtomicU64,
    floor: u64,
    /// Slow answers against quick ones.
    score: AtomicU32,
    /// Probes in a row that were quick.
    passed: AtomicU32,
    slow: AtomicBool,
    /// Whether anybody wants to know.
    watched: bool,
}

impl Pace {
    /// `remote_limit` is that of one call: what takes a small part of it is never slow.
    pub(super) fn new(remote_limit: Duration, watched: bool) -> Self {
        Self {
            loads: Mutex::default(),
            limit: AtomicU64::new(NEVER),
            floor: micros(remote_limit / FLOOR),
            score: AtomicU32::new(0),
            passed: AtomicU32::new(0),
            slow: AtomicBool::new(false),
            watched,
        }
    }

    pub(super) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    /// The store has answered.
    pub(super) fn loaded(&self, took: Duration) {
        if !self.watched {
            return;
        }
        // Counts are whole after every step, so a panic elsewhere spoils nothing.
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        loads.add(micros(took));
        let limit = loads.median().map_or(NEVER, |it| it.max(self.floor));
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Redis has answered a call; true if it counts as slow from here on.
    pub(super) fn answered(&self, took: Duration) -> bool {
        let score = self.score.load(Ordering::Relaxed);
        if !self.is_within(took) {
            // Two at once may lose a point, and the next answers tell the same.
            self.score.store(score + 1, Ordering::Relaxed);
            return score + 1 >= SLOW_ANSWERS && !self.slow.swap(true, Ordering::Relaxed);
        }
        if score > 0 {
            self.score.store(score - 1, Ordering::Relaxed);
        }
        false
    }

    /// A probe was answered; true if Redis counts as quick again.
    pub(super) fn probed(&self, took: Duration) -> bool {
        if !self.is_slow() {
            return false;
        }
        if !self.is_within(took) {
            self.passed.store(0, Ordering::Relaxed);
            return false;
        }
        if self.passed.fetch_add(1, Ordering::Relaxed) + 1 < QUICK_PROBES {
            return false;
        }
        self.passed.store(0, Ordering::Relaxed);
        self.score.store(0, Ordering::Relaxed);
        self.slow.swap(false, Ordering::Relaxed)
    }

    fn is_within(&self, took: Duration) -> bool {
        micros(took) <= self.limit.load(Ordering::Relaxed)
    }
}

/// How long the last loads took: how many lie between two powers of two, in microseconds.
#[derive(Debug, Default)]
struct Loads {
    counts: [u32; 32],
    total: u32,
}

impl Loads {
    fn add(&mut self, micros: u64) {
        if self.total >= REMEMBERED {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        let place = micros.max(1).ilog2().min(31);
        self.counts[place as usize] += 1;
        self.total += 1;
    }

    /// The power of two above it; `None` while it would say little.
    fn median(&self) -> Option<u64> {
        if self.total < KNOWN {
            return None;
        }
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen * 2 >= self.total
        });
        place.map(|place| 2 << place)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const NEVER: u64 = u64::MAX;
/// The part of a call's limit in which no answer is slow.
const FLOOR: u32 = 5;
/// So many more slow answers than quick ones, and Redis is skipped.
const SLOW_ANSWERS: u32 = 32;
/// So many quick probes in a row, and it is asked again.
const QUICK_PROBES: u32 = 3;
/// Loads that must be known before anything is compared with them.
const KNOWN: u32 = 32;
/// Older loads than about these count less and less.
const REMEMBERED: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace(load: Duration) -> Pace {
        let pace = Pace::new(MS * 50, true);
        (0..KNOWN).for_each(|_| pace.loaded(load));
        pace
    }

    fn answers(pace: &Pace, took: Duration, count: u32) -> bool {
        (0..count).fold(false, |slowed, _| pace.answered(took) || slowed)
    }

    #[test]
    fn many_answers_slower_than_a_load_make_it_slow_and_quick_probes_quick() {
        let pace = pace(MS);

        assert!(!answers(&pace, MS * 20, SLOW_ANSWERS - 1) && !pace.is_slow());
        assert!(answers(&pace, MS * 20, 1) && pace.is_slow());

        assert!(!pace.probed(MS) && !pace.probed(MS * 20));
        assert!(!pace.probed(MS) && !pace.probed(MS) && pace.is_slow());
        assert!(pace.probed(MS) && !pace.is_slow());
        assert!(!answers(&pace, MS * 20, SLOW_ANSWERS - 1));
    }

    #[test]
    fn a_slow_moment_among_quick_ones_is_none() {
        let pace = pace(MS);

        for _ in 0..10 {
            assert!(!answers(&pace, MS * 20, SLOW_ANSWERS / 2));
            assert!(!answers(&pace, MS, SLOW_ANSWERS / 2));
        }
    }

    #[test]
    fn what_is_quicker_than_a_load_or_than_anybody_notices_is_not_slow() {
        // The store takes 100 ms, Redis 40.
        assert!(!answers(&pace(MS * 100), MS * 40, 1000));
        // The store is quick, but Redis takes a fifth of its limit and no more.
        assert!(!answers(&pace(MS), MS * 10, 1000));
    }

    #[test]
    fn nothing_is_compared_with_a_few_loads() {
        let pace = Pace::new(MS * 50, true);
        (1..KNOWN).for_each(|_| pace.loaded(MS));

        assert!(!answers(&pace, MS * 40, 1000));
    }

    #[test]
    fn where_nobody_asked_for_it_nothing_is_slow() {
        let pace = Pace::new(MS * 50, false);
        (0..KNOWN).for_each(|_| pace.loaded(MS));

        assert!(!answers(&pace, MS * 40, 1000));
    }

    #[test]
    fn a_store_that_gets_slow_makes_redis_worth_asking() {
        let pace = pace(MS);
        assert!(answers(&pace, MS * 20, SLOW_ANSWERS));

        (0..REMEMBERED * 2).for_each(|_| pace.loaded(MS * 100));

        assert!(!pace.probed(MS * 20) && !pace.probed(MS * 20) && pace.probed(MS * 20));
    }
}

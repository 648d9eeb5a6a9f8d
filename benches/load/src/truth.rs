//! What every read should have known: which commits of which keys had been acknowledged when.
//!
//! A commit counts as **acknowledged** from the instant at which an invalidation that was called after it returned a
//! receipt that is not pending, or whose pending part was taken later. Commits of a key are numbered in their order, so
//! the invalidation after commit *c* acknowledges all commits of that key up to *c*.
//!
//! A write invalidates its key first and then the tag of its list, and each of them answers for itself ([`Owed`]): a row
//! is owed from the acknowledgement of the key on; so is a list that was made of cached rows, which depends on each of
//! them. A list that was read from the store is owed from the acknowledgement of its tag on. A list is as stale as the
//! stalest row that it shows.
//!
//! A read that began at *t* and returned the row of commit *r* is **stale** if a commit above *r* had been acknowledged
//! before *t*; its **staleness** is *t* minus the acknowledgement of the *first* such commit: the longest time for
//! which something newer was owed. (Measured against the newest one, a key written all the time would never look
//! old.)
//!
//! # Why no stale read is missed and no fresh one accused
//!
//! A writer does, in this order: commit in the store; [`Truth::committed`]; invalidate; take the instant *a*;
//! [`Truth::acknowledged`] with *a*. A reader does: take the instant *t*; read; [`Truth::suspects`]; and, much later,
//! [`Truth::staleness`].
//!
//! - *Missed:* a stale read has *a* < *t*, so `committed` came before the read began, and `suspects`, which comes after
//!   the read, sees the number (a locked instruction stored it before *a* was taken). The judgement itself waits: a
//!   writer may be held up between taking *a* and recording it, so a suspect is judged only when the run is over
//!   or many other suspects have come after it.
//! - *Accused:* the judgement compares instants of one monotonic clock. *a* is taken after the invalidation
//!   returned and *t* before the read was called, so *a* < *t* proves that the read began after the acknowledgement.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The history of all keys, which are named by their dense index.
#[derive(Debug)]
pub(crate) struct Truth {
    /// The latest commit per key; 0: never written. What the hot path asks, without a lock.
    latest: Vec<OnceLock<Box<[AtomicU64]>>>,
    keys: Shards,
    tags: Shards,
}

type Shards = [Mutex<HashMap<u32, Acknowledgements>>; SHARDS];

/// Whose acknowledgement it is from which on a newer row is owed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Owed {
    /// That of the key's invalidation.
    Key,
    /// That of the invalidation of the tag, which follows it.
    Tag,
}

/// A row that was shown although there was a newer one: stale, or only in time with a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspect {
    /// The key of the row.
    pub(crate) index: u32,
    /// The commit of the row that was returned.
    pub(crate) commit: u64,
    /// When the read began.
    pub(crate) begun: Instant,
    /// From when on the newer row was owed to that read.
    pub(crate) owed: Owed,
}

impl Truth {
    /// The truth about keys that were never written.
    pub(crate) fn new() -> Self {
        Self {
            latest: std::iter::repeat_with(OnceLock::new).take(CHUNKS).collect(),
            keys: std::array::from_fn(|_| Mutex::default()),
            tags: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Takes down that a commit was made. To be called before its invalidation.
    pub(crate) fn committed(&self, index: u32, commit: u64) {
        let (chunk, place) = split(index);
        let chunk = self.latest[chunk].get_or_init(|| {
            std::iter::repeat_with(AtomicU64::default)
                .take(CHUNK)
                .collect()
        });
        chunk[place].fetch_max(commit, Ordering::SeqCst);
    }

    /// Takes down that an invalidation called after `commit` was acknowledged `at` this instant.
    pub(crate) fn acknowledged(&self, owed: Owed, index: u32, commit: u64, at: Instant) {
        let mut shard = self.shard(owed, index);
        shard.entry(index).or_default().add(commit, at);
    }

    /// Whether a read that has just returned the row of `commit` must be judged.
    pub(crate) fn suspects(&self, index: u32, commit: u64) -> bool {
        commit < self.latest(index)
    }

    /// The latest commit of a key; 0 if it was never written.
    pub(crate) fn latest(&self, index: u32) -> u64 {
        let (chunk, place) = split(index);
        self.latest[chunk]
            .get()
            .map_or(0, |chunk| chunk[place].load(Ordering::SeqCst))
    }

    /// How stale the suspect was; `None`: it was not.
    pub(crate) fn staleness(&self, suspect: &Suspect) -> Option<Duration> {
        let shard = self.shard(suspect.owed, suspect.index);
        let first = shard.get(&suspect.index)?.first_from(suspect.commit + 1)?;
        let staleness = suspect.begun.checked_duration_since(first)?;
        (!staleness.is_zero()).then_some(staleness)
    }

    fn shard(&self, owed: Owed, index: u32) -> MutexGuard<'_, HashMap<u32, Acknowledgements>> {
        let shards = match owed {
            Owed::Key => &self.keys,
            Owed::Tag => &self.tags,
        };
        let shard = &shards[index as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The acknowledgements of one key that matter: growing in commit and in time alike.
///
/// One that came later than another for the same or a newer commit told nobody anything new.
#[derive(Debug, Default)]
struct Acknowledgements(Vec<(u64, Instant)>);

impl Acknowledgements {
    fn add(&mut self, commit: u64, at: Instant) {
        if self.first_from(commit).is_some_and(|first| first <= at) {
            return;
        }
        let end = self.0.partition_point(|known| known.0 <= commit);
        let start = self.0[..end].partition_point(|known| known.1 < at);
        self.0.splice(start..end, [(commit, at)]);
    }

    /// When the first of the commits from this one on was acknowledged.
    fn first_from(&self, commit: u64) -> Option<Instant> {
        let place = self.0.partition_point(|known| known.0 < commit);
        self.0.get(place).map(|known| known.1)
    }
}

fn split(index: u32) -> (usize, usize) {
    (index as usize / CHUNK, index as usize % CHUNK)
}

/// Chunks come to be when they are needed: 8 bytes per key, for up to 2³² keys.
const CHUNK: usize = 1 << 16;
const CHUNKS: usize = 1 << 16;
const SHARDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: u32 = 3;

    /// A history of one key, in milliseconds after its beginning.
    struct History {
        truth: Truth,
        origin: Instant,
    }

    impl History {
        fn new() -> Self {
            Self {
                truth: Truth::new(),
                origin: Instant::now(),
            }
        }

        fn commit(self, commit: u64) -> Self {
            self.truth.committed(KEY, commit);
            self
        }

        fn acknowledge(self, commit: u64, at: u64) -> Self {
            self.truth.acknowledged(
                Owed::Key,
                KEY,
                commit,
                self.origin + Duration::from_millis(at),
            );
            self
        }

        /// The staleness, in milliseconds, of a read that began at `begun` and returned `commit`.
        fn staleness(&self, begun: u64, commit: u64) -> Option<u64> {
            let begun = self.origin + Duration::from_millis(begun);
            let suspect = Suspect {
                index: KEY,
                commit,
                begun,
                owed: Owed::Key,
            };
            let staleness = self.truth.staleness(&suspect)?;
            assert!(
                self.truth.suspects(KEY, commit),
                "a stale read must be suspected"
            );
            Some(staleness.as_millis() as u64)
        }
    }

    #[test]
    fn a_key_that_was_never_written_is_beyond_suspicion() {
        let history = History::new();

        assert!(!history.truth.suspects(KEY, 0));
        assert!(!history.truth.suspects(u32::MAX, 0));
        assert_eq!(history.staleness(1_000, 0), None);
    }

    #[test]
    fn the_old_row_read_after_the_acknowledgement_is_stale_since_then() {
        let history = History::new().commit(1).acknowledge(1, 100);

        assert_eq!(history.staleness(130, 0), Some(30));
    }

    #[test]
    fn a_read_that_began_before_the_acknowledgement_may_return_the_old_row() {
        let history = History::new().commit(1).acknowledge(1, 100);

        assert_eq!(history.staleness(99, 0), None);
        assert_eq!(history.staleness(100, 0), None);
    }

    #[test]
    fn the_new_row_is_never_stale() {
        let history = History::new().commit(1).acknowledge(1, 100);

        assert!(!history.truth.suspects(KEY, 1));
        assert_eq!(history.staleness(1_000, 1), None);
    }

    #[test]
    fn a_commit_whose_invalidation_is_pending_is_owed_to_nobody() {
        let history = History::new().commit(1);

        assert!(history.truth.suspects(KEY, 0));
        assert_eq!(history.staleness(1_000, 0), None);
    }

    #[test]
    fn staleness_counts_from_the_first_commit_that_was_missed() {
        let history = History::new()
            .commit(1)
            .acknowledge(1, 100)
            .commit(2)
            .acknowledge(2, 200);

        assert_eq!(history.staleness(250, 0), Some(150));
        assert_eq!(history.staleness(250, 1), Some(50));
        assert_eq!(history.staleness(250, 2), None);
    }

    #[test]
    fn an_acknowledgement_covers_the_commits_before_its_own() {
        let history = History::new()
            .commit(1)
            .commit(2)
            .acknowledge(2, 100)
            .acknowledge(1, 300);

        assert_eq!(history.staleness(150, 0), Some(50));
        assert_eq!(history.staleness(150, 1), Some(50));
        assert_eq!(history.staleness(400, 0), Some(300));
    }

    #[test]
    fn a_later_acknowledgement_does_not_cover_a_commit_above_it() {
        let history = History::new().commit(1).commit(2).acknowledge(1, 100);

        assert_eq!(history.staleness(500, 1), None);
        assert_eq!(history.staleness(500, 0), Some(400));
    }

    #[test]
    fn a_row_newer_than_the_acknowledged_one_is_fresh() {
        let history = History::new().commit(1).acknowledge(1, 100).commit(2);

        assert!(!history.truth.suspects(KEY, 2));
        assert!(
            !history.truth.suspects(KEY, 3),
            "the store commits before the truth is told"
        );
    }

    #[test]
    fn commits_told_out_of_order_leave_the_latest() {
        let history = History::new().commit(2).commit(1);

        assert!(history.truth.suspects(KEY, 1));
    }

    #[test]
    fn the_short_history_answers_as_the_whole_one_would() {
        let origin = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            let whole: Vec<(u64, Instant)> = (0..30)
                .map(|_| {
                    (
                        random.u64(1..20),
                        origin + Duration::from_millis(random.u64(..50)),
                    )
                })
                .collect();
            let mut short = Acknowledgements::default();
            whole
                .iter()
                .for_each(|(commit, at)| short.add(*commit, *at));

            for row in 0..21 {
                let missed = whole.iter().filter(|known| known.0 > row);
                assert_eq!(short.first_from(row + 1), missed.map(|known| known.1).min());
            }
        }
    }

    #[test]
    fn key_and_tag_answer_for_themselves() {
        let history = History::new().commit(1).acknowledge(1, 100);
        let at = |milliseconds| history.origin + Duration::from_millis(milliseconds);
        let shown_by_a_tagged_list = Suspect {
            index: KEY,
            commit: 0,
            begun: at(300),
            owed: Owed::Tag,
        };

        assert_eq!(history.truth.staleness(&shown_by_a_tagged_list), None);

        history.truth.acknowledged(Owed::Tag, KEY, 1, at(200));
        assert_eq!(
            history.truth.staleness(&shown_by_a_tagged_list),
            Some(Duration::from_millis(100))
        );
        assert_eq!(history.staleness(300, 0), Some(200));
    }

    #[test]
    fn keys_do_not_answer_for_each_other() {
        let history = History::new().commit(1).acknowledge(1, 100);
        let neighbours = [KEY - 1, KEY + 1, KEY + SHARDS as u32, KEY + CHUNK as u32];

        for index in neighbours {
            let begun = history.origin + Duration::from_secs(1);
            assert!(!history.truth.suspects(index, 0));
            assert_eq!(
                history.truth.staleness(&Suspect {
                    index,
                    commit: 0,
                    begun,
                    owed: Owed::Key,
                }),
                None
            );
        }
    }
}

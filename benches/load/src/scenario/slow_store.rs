//! The store behind the callers: it takes as long as it is told, fails when it is told, and counts what is asked of it.
//!
//! It does not get slower when it is asked more, as a real one would; who asks it too much is not punished here.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::bucket::place;
use crate::store::Row;

/// The store of one pass.
#[derive(Debug)]
pub(super) struct SlowStore {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    latency: Duration,
    fails: bool,
    commit: u64,
    gauge: Gauge,
}

/// What the store was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// In each bucket of time: loads that began, and the most at once.
    pub(super) buckets: Vec<(u64, usize)>,
    /// The most loads at once.
    pub(super) peak: usize,
    /// The most loads at once between which nothing was invalidated.
    pub(super) peak_of_one_version: usize,
}

impl SlowStore {
    /// A store that answers after `latency`.
    pub(super) fn new(latency: Duration) -> Self {
        let state = State {
            latency,
            fails: false,
            commit: 0,
            gauge: Gauge::default(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// From here on loads take this long.
    pub(super) fn take(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// From here on loads fail, or do not any more.
    pub(super) fn fail(&self, fails: bool) {
        self.lock().fails = fails;
    }

    /// Forgets what was asked before `origin`, and counts from there.
    pub(super) fn count_from(&self, origin: Instant) {
        self.lock().gauge.begin(origin);
    }

    /// Writes all rows, and notes that what was read before is told to be old from now until the answer is dropped.
    pub(super) fn write(&self) -> Writing<'_> {
        let mut state = self.lock();
        state.commit += 1;
        state.gauge.tells_begun += 1;
        Writing(self)
    }

    /// Reads a row.
    ///
    /// # Errors
    /// While the store is down.
    ///
    /// # Cancel safety
    /// Dropped, the load is over for the store, too.
    pub(super) async fn load(&self, id: u32) -> io::Result<Row> {
        let (_load, latency) = self.begin();
        sleep(latency).await;
        let state = self.lock();
        if state.fails {
            return Err(io::Error::other("the store is down"));
        }
        Ok(Row::new(id, state.commit))
    }

    /// What was asked until now.
    pub(super) fn asked(&self) -> Asked {
        let mut state = self.lock();
        state.gauge.roll(Instant::now());
        state.gauge.asked.clone()
    }

    fn begin(&self) -> (Load<'_>, Duration) {
        let mut state = self.lock();
        let number = state.gauge.load_begins(Instant::now());
        let load = Load {
            store: self,
            number,
        };
        (load, state.latency)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers are never half written, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that is told to the caches.
pub(super) struct Writing<'a>(&'a SlowStore);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.lock().gauge.tells_ended += 1;
    }
}

struct Load<'a> {
    store: &'a SlowStore,
    number: u64,
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.store
            .lock()
            .gauge
            .load_ends(self.number, Instant::now());
    }
}

#[derive(Debug, Default)]
struct Gauge {
    origin: Option<Instant>,
    /// Of each load under way: its number, and how many tellings had ended when it began. In the order of their beginnings.
    under_way: Vec<(u64, u64)>,
    next: u64,
    tells_begun: u64,
    tells_ended: u64,
    asked: Asked,
}

impl Gauge {
    fn begin(&mut self, origin: Instant) {
        self.origin = Some(origin);
        self.asked = Asked::default();
    }

    fn load_begins(&mut self, now: Instant) -> u64 {
        self.roll(now);
        self.next += 1;
        self.under_way.push((self.next, self.tells_ended));
        let at_once = self.under_way.len();
        self.asked.peak = self.asked.peak.max(at_once);
        let one_version = at_once.saturating_sub(self.told_meanwhile());
        self.asked.peak_of_one_version = self.asked.peak_of_one_version.max(one_version);
        if let Some((loads, peak)) = self.asked.buckets.last_mut() {
            *loads += 1;
            *peak = (*peak).max(at_once);
        }
        self.next
    }

    fn load_ends(&mut self, number: u64, now: Instant) {
        self.roll(now);
        self.under_way.retain(|(under_way, _)| *under_way != number);
    }

    /// Invalidations that may have come after the oldest load began: each calls for one load more.
    fn told_meanwhile(&self) -> usize {
        let before = self.under_way.first().map_or(0, |(_, ended)| *ended);
        usize::try_from(self.tells_begun - before).unwrap_or(usize::MAX)
    }

    /// Opens the buckets up to now. What is under way is under way in all of them.
    fn roll(&mut self, now: Instant) {
        let Some(origin) = self.origin else {
            return;
        };
        let at_once = self.under_way.len();
        let last = place(now.saturating_duration_since(origin));
        while self.asked.buckets.len() <= last {
            self.asked.buckets.push((0, at_once));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::bucket::BUCKET;
    use tokio::time::advance;

    const LATENCY: Duration = Duration::from_millis(10);

    fn counting() -> SlowStore {
        let store = SlowStore::new(LATENCY);
        store.count_from(Instant::now());
        store
    }

    #[tokio::test(start_paused = true)]
    async fn loads_are_counted_where_they_begin_and_under_way_until_they_end() {
        let store = counting();

        let (long, _) = store.begin();
        advance(BUCKET * 2).await;
        let (short, _) = store.begin();
        drop(long);
        drop(short);
        advance(BUCKET).await;

        assert_eq!(store.asked().buckets, [(1, 1), (0, 1), (1, 2), (0, 0)]);
        assert_eq!(store.asked().peak, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_fails_while_it_is_down_and_counts_that_as_a_load() {
        let store = counting();

        store.fail(true);
        assert!(store.load(7).await.is_err());
        store.fail(false);
        assert_eq!(store.load(7).await.unwrap().id, 7);

        assert_eq!(store.asked().buckets, [(2, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn two_loads_of_one_version_are_found() {
        let store = counting();

        let _first = store.begin();
        let _second = store.begin();

        assert_eq!(store.asked().peak_of_one_version, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_an_invalidation_calls_for_is_of_another_version() {
        let store = counting();
        let _first = store.begin();

        drop(store.write());
        let _second = store.begin();
        assert_eq!(store.asked().peak_of_one_version, 1);

        let _third = store.begin();
        assert_eq!(store.asked().peak_of_one_version, 2);
        assert_eq!(store.asked().peak, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_before_the_beginning_is_forgotten() {
        let store = SlowStore::new(LATENCY);
        drop((store.begin(), store.begin()));

        store.count_from(Instant::now());

        assert_eq!(store.asked().peak, 0);
        assert_eq!(store.asked().buckets, [(0, 0)]);
    }
}

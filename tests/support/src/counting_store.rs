//! The slow source of truth, in memory: each key has the number of its last commit.
//!
//! A load reads its number *first* and then takes its time, as a query does that began before a commit
//! and answers after it. A test that holds a load, commits and releases has built the classic race.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::LIMIT;

/// A store of commit numbers that counts its loads. Clones are the same store.
///
/// A key that was never committed has the number 0. Later numbers are larger, so a reader that sees a
/// number below an acknowledged commit has seen stale data.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = tricache_test_support::CountingStore::new();
/// store.commit(&42);
///
/// assert_eq!(store.load(&42).await, 1);
/// assert_eq!(store.loads(), 1);
/// # }
/// ```
pub struct CountingStore<K = u64> {
    shared: Arc<Shared<K>>,
}

impl<K: Clone + Eq + Hash> CountingStore<K> {
    /// An empty store whose loads answer at once.
    #[must_use]
    pub fn new() -> Self {
        Self::with_latency(Duration::ZERO)
    }

    /// An empty store whose loads take `latency` of tokio's time.
    #[must_use]
    pub fn with_latency(latency: Duration) -> Self {
        let state = State {
            rows: HashMap::new(),
            total: 0,
            in_flight: 0,
            peak: 0,
        };
        let shared = Shared {
            state: Mutex::new(state),
            latency,
            held: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Changes the value of `key` and returns its new number.
    pub fn commit(&self, key: &K) -> u64 {
        let mut state = self.shared.lock();
        let row = state.rows.entry(key.clone()).or_default();
        row.number += 1;
        row.number
    }

    /// The number of the last commit of `key`, without counting as a load.
    #[must_use]
    pub fn committed(&self, key: &K) -> u64 {
        self.shared.lock().rows.get(key).map_or(0, |row| row.number)
    }

    /// Loads `key`: what a loader calls. Counted when it starts.
    ///
    /// # Cancel safety
    /// A dropped load stays counted; it is no longer in flight and no longer waits.
    pub async fn load(&self, key: &K) -> u64 {
        let number = self.shared.begin(key);
        let _in_flight = InFlight(&*self.shared);
        self.shared.pass_gate().await;
        if !self.shared.latency.is_zero() {
            sleep(self.shared.latency).await;
        }
        number
    }

    /// How many loads have started.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.shared.lock().total
    }

    /// How many loads of `key` have started.
    #[must_use]
    pub fn loads_of(&self, key: &K) -> u64 {
        self.shared.lock().rows.get(key).map_or(0, |row| row.loads)
    }

    /// The largest number of loads that were in flight at the same time.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.shared.lock().peak
    }

    /// Holds every load that starts from now on at a gate, after it has read its number.
    pub fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Opens the gate: held loads go on, later ones do not wait.
    pub fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// How many loads wait at the gate.
    #[must_use]
    pub fn waiting(&self) -> usize {
        *self.shared.waiting.borrow()
    }

    /// Waits until at least `count` loads wait at the gate.
    ///
    /// # Panics
    /// When that has not happened within [`LIMIT`].
    pub async fn wait_for_waiting(&self, count: usize) {
        let mut waiting = self.shared.waiting.subscribe();
        let enough = timeout(LIMIT, waiting.wait_for(|now| *now >= count))
            .await
            .is_ok();
        assert!(
            enough,
            "{} of {count} loads wait at the gate after {LIMIT:?}",
            self.waiting()
        );
    }
}

impl<K: Clone + Eq + Hash> Default for CountingStore<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Clone for CountingStore<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K> Debug for CountingStore<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingStore")
            .field("loads", &self.shared.lock().total)
            .finish_non_exhaustive()
    }
}

struct Shared<K> {
    state: Mutex<State<K>>,
    latency: Duration,
    held: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

struct State<K> {
    rows: HashMap<K, Row>,
    total: u64,
    in_flight: usize,
    peak: usize,
}

#[derive(Default)]
struct Row {
    number: u64,
    loads: u64,
}

impl<K: Clone + Eq + Hash> Shared<K> {
    fn begin(&self, key: &K) -> u64 {
        let mut state = self.lock();
        state.total += 1;
        state.in_flight += 1;
        state.peak = state.peak.max(state.in_flight);
        let row = state.rows.entry(key.clone()).or_default();
        row.loads += 1;
        row.number
    }
}

impl<K> Shared<K> {
    async fn pass_gate(&self) {
        let mut held = self.held.subscribe();
        if !*held.borrow() {
            return;
        }
        self.waiting.send_modify(|count| *count += 1);
        let _waiting = Waiting(&self.waiting);
        // The sender is a field of `self`, so the channel cannot be closed here.
        let _open = held.wait_for(|held| !held).await;
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct InFlight<'a, K>(&'a Shared<K>);

impl<K> Drop for InFlight<'_, K> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

struct Waiting<'a>(&'a watch::Sender<usize>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn counts_loads_per_key_and_in_total() {
        let store = CountingStore::new();
        store.commit(&"lamp");

        assert_eq!(store.load(&"lamp").await, 1);
        assert_eq!(store.load(&"lamp").await, 1);
        assert_eq!(store.load(&"desk").await, 0);

        assert_eq!(
            (
                store.loads(),
                store.loads_of(&"lamp"),
                store.loads_of(&"desk")
            ),
            (3, 2, 1)
        );
    }

    #[tokio::test]
    async fn a_held_load_answers_what_was_committed_before_it_began() {
        let store = CountingStore::new();
        store.hold();
        let load = tokio::spawn({
            let store = store.clone();
            async move { store.load(&1).await }
        });
        store.wait_for_waiting(1).await;

        assert_eq!(store.commit(&1), 1);
        store.release();

        assert_eq!(load.await.unwrap(), 0);
        assert_eq!((store.committed(&1), store.waiting()), (1, 0));
    }

    #[tokio::test]
    async fn a_dropped_load_no_longer_waits() {
        let store = CountingStore::<u64>::new();
        store.hold();
        let load = tokio::spawn({
            let store = store.clone();
            async move { store.load(&1).await }
        });
        store.wait_for_waiting(1).await;

        load.abort();

        assert!(load.await.unwrap_err().is_cancelled());
        assert_eq!((store.waiting(), store.loads()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_peak_is_the_most_loads_at_one_time() {
        let store = CountingStore::<u64>::with_latency(Duration::from_millis(50));

        tokio::join!(store.load(&1), store.load(&1), store.load(&2));
        store.load(&3).await;

        assert_eq!(store.peak(), 3);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "0 of 1 loads wait at the gate")]
    async fn waiting_for_a_load_that_never_comes_panics() {
        CountingStore::<u64>::new().wait_for_waiting(1).await;
    }
}

//! What a read owes its caller: nothing older than what was acknowledged before it began.
//!
//! Two judges of the same promise. [`Floors`] knows no time: it says which commit a read on a node must at least
//! show. [`Acknowledgements`] knows nothing of nodes: it says how old an answer was, on one monotonic clock.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The oldest commit of each key that a read may still show, per node.
pub(crate) struct Floors<K = u64>(Mutex<HashMap<(Option<usize>, K), u64>>);

impl<K: Copy + Eq + Hash> Floors<K> {
    /// What a read on this node that begins now must at least show.
    pub(crate) fn floor(&self, node: usize, key: K) -> u64 {
        let floors = locked(&self.0);
        let of = |place| floors.get(&(place, key)).copied().unwrap_or(0);
        of(Some(node)).max(of(None))
    }

    /// This node acknowledged the commit: its own reads see it from now on.
    pub(crate) fn acknowledged(&self, node: usize, key: K, commit: u64) {
        self.raise(Some(node), key, commit);
    }

    /// Every node has applied the commit's event: all reads see it from now on.
    pub(crate) fn applied_everywhere(&self, key: K, commit: u64) {
        self.raise(None, key, commit);
    }

    fn raise(&self, place: Option<usize>, key: K, commit: u64) {
        let mut floors = locked(&self.0);
        let floor = floors.entry((place, key)).or_default();
        *floor = (*floor).max(commit);
    }
}

impl<K> Default for Floors<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// When each commit was acknowledged.
#[derive(Default)]
pub(crate) struct Acknowledgements(Mutex<HashMap<u64, Vec<(u64, Instant)>>>);

impl Acknowledgements {
    /// The commit was acknowledged now.
    pub(crate) fn add(&self, key: u64, commit: u64) {
        let mut commits = locked(&self.0);
        commits
            .entry(key)
            .or_default()
            .push((commit, Instant::now()));
    }

    /// How old the answer `shown` of a read was that began at `start`: since when it had missed something.
    pub(crate) fn staleness(&self, key: u64, shown: u64, start: Instant) -> Duration {
        let commits = locked(&self.0);
        let missed = commits
            .get(&key)
            .into_iter()
            .flatten()
            .filter(|(commit, at)| *commit > shown && *at <= start)
            .map(|(_, at)| start.duration_since(*at));
        missed.max().unwrap_or_default()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

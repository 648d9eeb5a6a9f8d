//! Who counts what: one observer for the caches of each name, and one for what concerns them all.

use super::{Counters, Observer};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The observers of one `Tiers`.
pub(crate) struct Observers {
    shared: Arc<Observer>,
    of_caches: Mutex<BTreeMap<String, Arc<Observer>>>,
}

impl Observers {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        super::exported::describe();
        Self {
            shared: Arc::new(Observer::new(ALL_CACHES)),
            of_caches: Mutex::default(),
        }
    }

    /// That of what concerns all caches.
    pub(crate) fn shared(&self) -> Arc<Observer> {
        Arc::clone(&self.shared)
    }

    /// That of the caches of this name; it stays when they are dropped, so nothing is forgotten.
    pub(crate) fn of(&self, cache: &str) -> Arc<Observer> {
        let mut of_caches = self.of_caches();
        if let Some(observer) = of_caches.get(cache) {
            return Arc::clone(observer);
        }
        let observer = Arc::new(Observer::new(cache));
        of_caches.insert(cache.to_owned(), Arc::clone(&observer));
        observer
    }

    /// The sums over all threads and caches.
    pub(crate) fn counters(&self) -> Counters {
        let mut counters = self.shared.counters();
        for observer in self.of_caches().values() {
            counters.add(&observer.counters());
        }
        counters
    }

    fn of_caches(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Observer>>> {
        // A map of counters is whole after every step, so a panic elsewhere spoils nothing.
        self.of_caches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "metrics")]
impl Observers {
    /// Hands on what was counted since the last time.
    pub(crate) fn publish(&self) {
        let of_caches: Vec<_> = self.of_caches().values().cloned().collect();
        for observer in of_caches.iter().chain([&self.shared]) {
            observer.publish();
        }
    }
}

/// So that no count is lost with the `Tiers`.
#[cfg(feature = "metrics")]
impl Drop for Observers {
    fn drop(&mut self) {
        self.publish();
    }
}

/// The label of what concerns all caches. No cache has this name.
pub(crate) const ALL_CACHES: &str = "*";

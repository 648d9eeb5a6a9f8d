//! Who must hear of an invalidation in this process: the caches.

use crate::model::{EntityId, Generation, Strength};
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// A cache, as the feed sees it.
pub(crate) trait Listener: Send + Sync {
    /// The number by which events name it.
    fn cache(&self) -> u32;
    /// An entity of it has this generation now.
    fn bumped(&self, id: EntityId, generation: Generation, strength: Strength);
    /// An entity of it was invalidated, and its generation is not known yet.
    fn doubted(&self, id: EntityId);
    /// Something about the bucket was lost: loads under way may be of old data.
    fn lost(&self, bucket: u16);
    /// Another node filled this key, or gave up.
    fn woken(&self, entity: u64);
}

/// All caches of a `Tiers`. One that is dropped is forgotten.
#[derive(Default)]
pub(crate) struct Audience(RwLock<Vec<Weak<dyn Listener>>>);

impl Audience {
    pub(crate) fn add(&self, listener: Weak<dyn Listener>) {
        let mut listeners = self.0.write().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(listener);
    }

    /// Tells all caches of this number: two of one name may hold different types.
    pub(crate) fn tell(&self, cache: u32, what: impl Fn(&dyn Listener)) {
        self.each(|listener| {
            if listener.cache() == cache {
                what(listener);
            }
        });
    }

    pub(crate) fn tell_all(&self, what: impl Fn(&dyn Listener)) {
        self.each(what);
    }

    fn each(&self, what: impl Fn(&dyn Listener)) {
        // Collected first: a listener may be the last to be dropped, and must not be under the lock then.
        let listeners: Vec<Arc<dyn Listener>> = {
            let listeners = self.0.read().unwrap_or_else(PoisonError::into_inner);
            listeners.iter().filter_map(Weak::upgrade).collect()
        };
        listeners.iter().for_each(|listener| what(&**listener));
    }
}

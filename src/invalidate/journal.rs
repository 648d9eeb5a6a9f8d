//! Invalidations that Redis did not take yet: one per entity, sent until it does.
//!
//! While an entity stands here, this node asks the store for it: what Redis holds may be old.

use crate::{
    error::Error,
    model::{Address, EntityId},
};
use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// The pending invalidations of a `Tiers`.
#[derive(Default)]
pub(crate) struct Journal {
    pending: Mutex<HashMap<(u32, u64), Pending>>,
    count: AtomicUsize,
    /// Nobody sends any more.
    closed: AtomicBool,
    changed: Notify,
}

/// An invalidation that Redis did not take.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) at: Address,
    pub(crate) pointer_ttl: u64,
    /// Grows when the entity is invalidated again: the earlier sending does not speak for the later one.
    times: u64,
}

impl Journal {
    /// Takes an invalidation over.
    ///
    /// # Errors
    /// When the journal is full: nothing is dropped in silence.
    pub(crate) fn add(&self, at: &Address, pointer_ttl: u64) -> Result<(), Error> {
        let mut pending = self.lock();
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::closed());
        }
        let full = pending.len() >= CAPACITY;
        match pending.entry(name(at.id)) {
            std::collections::hash_map::Entry::Occupied(mut entry) => entry.get_mut().times += 1,
            std::collections::hash_map::Entry::Vacant(_) if full => {
                return Err(Error::overloaded(format!(
                    "{CAPACITY} invalidations wait for Redis: no more are taken"
                )));
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Pending {
                    at: at.clone(),
                    pointer_ttl,
                    times: 0,
                });
            }
        }
        self.count.store(pending.len(), Ordering::SeqCst);
        self.changed.notify_one();
        Ok(())
    }

    /// From now on nothing is taken over.
    pub(crate) fn close(&self) {
        // Under the lock: who adds is either before this, or is told.
        let _pending = self.lock();
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether this node must not believe what Redis says of the entity.
    pub(crate) fn holds(&self, id: EntityId) -> bool {
        self.len() > 0 && self.lock().contains_key(&name(id))
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Some of what waits, once anything does.
    ///
    /// The first `skip` are left out where there are more: what Redis refuses for good must not keep the others back.
    pub(super) async fn next(&self, at_most: usize, skip: &mut usize) -> Vec<Pending> {
        loop {
            let changed = self.changed.notified();
            let batch: Vec<_> = {
                let pending = self.lock();
                if *skip >= pending.len() {
                    *skip = 0;
                }
                pending
                    .values()
                    .skip(*skip)
                    .take(at_most)
                    .cloned()
                    .collect()
            };
            if !batch.is_empty() {
                return batch;
            }
            changed.await;
        }
    }

    /// Redis took it.
    pub(super) fn sent(&self, sent: &Pending) {
        let mut pending = self.lock();
        if pending
            .get(&name(sent.at.id))
            .is_some_and(|held| held.times == sent.times)
        {
            pending.remove(&name(sent.at.id));
        }
        self.count.store(pending.len(), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(u32, u64), Pending>> {
        // The map is whole after every step, so a panic elsewhere spoils nothing.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(id: EntityId) -> (u32, u64) {
    (id.cache, id.hash)
}

/// About 300 MB at worst.
const CAPACITY: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CacheName, RenderedKey};
    use std::sync::Arc;

    fn address(key: u64) -> Address {
        let cache = Arc::new(CacheName::new("c").unwrap());
        Address::new(&cache, RenderedKey::new(&key, cache.seed), 0, 64)
    }

    #[tokio::test]
    async fn an_entity_stands_once_however_often_it_is_invalidated() {
        let journal = Journal::default();
        journal.add(&address(1), 1).unwrap();
        journal.add(&address(1), 1).unwrap();
        journal.add(&address(2), 1).unwrap();

        assert_eq!(journal.len(), 2);
        assert_eq!(journal.next(10, &mut 0).await.len(), 2);
        assert!(journal.holds(address(1).id) && !journal.holds(address(3).id));
    }

    #[tokio::test]
    async fn what_was_invalidated_again_while_it_was_sent_is_sent_again() {
        let journal = Journal::default();
        journal.add(&address(1), 1).unwrap();
        let sent = journal.next(1, &mut 0).await.remove(0);

        journal.add(&address(1), 1).unwrap();
        journal.sent(&sent);
        assert!(journal.holds(address(1).id));

        let sent = journal.next(1, &mut 0).await.remove(0);
        journal.sent(&sent);
        assert!(!journal.holds(address(1).id));
    }

    /// Redis refused the bumps of one bucket for good. They were always the first to be sent again, and whatever else
    /// waited was never reached.
    #[tokio::test]
    async fn what_redis_refuses_does_not_keep_the_others_back() {
        let journal = Journal::default();
        for key in 1..=3 {
            journal.add(&address(key), 1).unwrap();
        }

        let first = journal.next(2, &mut 0).await;
        let mut skip = 2;
        let last = journal.next(2, &mut skip).await;

        assert_eq!((first.len(), last.len()), (2, 1));
        assert!(first.iter().all(|pending| pending.at.id != last[0].at.id));
        skip = 9;
        assert_eq!(journal.next(2, &mut skip).await.len(), 2);
    }

    #[test]
    fn a_closed_journal_says_that_nobody_would_send() {
        let journal = Journal::default();
        journal.add(&address(1), 1).unwrap();

        journal.close();

        assert_eq!(journal.len(), 1);
        assert!(journal.add(&address(2), 1).unwrap_err().is_closed());
    }
}

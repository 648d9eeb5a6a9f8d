//! Invalidations that Redis did not take yet: one per entity or tag, sent until it does.
//!
//! While an entity stands here, this node asks the store for it: what Redis holds may be old. Tags that wait stand in
//! the tag table too, which refuses whatever carries them.

use crate::{
    error::Error,
    model::{Address, EdgeSubject, EntityId, Stamp, Strength},
};
use std::{
    collections::{HashMap, hash_map},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// The pending invalidations of a `Tiers`.
pub(crate) struct Journal {
    pending: Mutex<HashMap<Name, Pending>>,
    count: AtomicUsize,
    /// Entities and tags that may wait at once.
    capacity: usize,
    /// Nobody sends any more.
    closed: AtomicBool,
    changed: Notify,
}

/// What is to be invalidated.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Entity { at: Address, pointer_ttl: u64 },
    Tag(OldTag),
}

/// A tag whose values are old, and what that means for the edge.
#[derive(Clone, Debug)]
pub(crate) struct OldTag {
    pub(crate) hash: u64,
    /// What is to be purged; that of an entity whose own bump sees to it, if the tag names what shows it.
    pub(crate) edge: Option<EdgeSubject>,
    /// The tag stands for itself: with its bump the purge is noted and begun.
    pub(crate) purges: bool,
}

/// Redis has taken an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) stamp: Stamp,
    pub(crate) at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Entity(u32, u64),
    Tag(u64),
}

/// An invalidation that Redis did not take.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) subject: Subject,
    /// Hard if any of those that it stands for is.
    pub(super) strength: Strength,
    /// Grows when the subject is invalidated again: the earlier sending does not speak for the later one.
    times: u64,
    /// Who waits to hear that Redis took it: those of the subject, and those that it swallowed.
    told: Vec<watch::Sender<Option<Taken>>>,
}

/// What became of an invalidation that the journal was to take over.
pub(crate) enum Place {
    /// It waits; the receiver hears when Redis has it.
    Waits(Awaited),
    /// Too many wait already.
    Full,
}

/// A tag waits in place of others.
pub(crate) struct Swallowed {
    pub(crate) awaited: Awaited,
    /// The entities among them.
    pub(crate) entities: Vec<EntityId>,
}

/// Hears the stamp of a pending invalidation once Redis has taken it.
pub(crate) type Awaited = watch::Receiver<Option<Taken>>;

impl Default for Journal {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Journal {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            pending: Mutex::default(),
            count: AtomicUsize::new(0),
            capacity,
            closed: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// Takes an invalidation over, unless too many wait: then something larger must wait in their place.
    ///
    /// # Errors
    /// When nobody sends any more.
    pub(crate) fn add(&self, subject: Subject, strength: Strength) -> Result<Place, Error> {
        let mut pending = self.lock();
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::closed());
        }
        let full = pending.len() >= self.capacity;
        let taken = match pending.entry(subject.name()) {
            hash_map::Entry::Occupied(entry) => Place::Waits(entry.into_mut().again(strength)),
            hash_map::Entry::Vacant(_) if full => Place::Full,
            hash_map::Entry::Vacant(entry) => Place::Waits(
                entry
                    .insert(Pending::new(subject, strength))
                    .again(strength),
            ),
        };
        self.count.store(pending.len(), Ordering::SeqCst);
        self.changed.notify_one();
        Ok(taken)
    }

    /// Lets a tag wait in place of all entities of a cache or, without one, of whatever waits.
    ///
    /// # Errors
    /// When nobody sends any more.
    pub(crate) fn swallow(&self, cache: Option<u32>, tag: OldTag) -> Result<Swallowed, Error> {
        let mut pending = self.lock();
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::closed());
        }
        let swallowed = |name: &Name| match cache {
            Some(cache) => matches!(name, Name::Entity(of, _) if *of == cache),
            None => true,
        };
        let (mut told, mut entities) = (Vec::new(), Vec::new());
        // Where a cache's tag waits already, no entity of it came after that.
        if cache.is_none() || !pending.contains_key(&Name::Tag(tag.hash)) {
            pending.retain(|name, held| {
                let swallow = swallowed(name);
                if swallow {
                    told.append(&mut held.told);
                    if let Subject::Entity { at, .. } = &held.subject {
                        entities.push(at.id);
                    }
                }
                !swallow
            });
        }
        let held = pending
            .entry(Name::Tag(tag.hash))
            .or_insert_with(|| Pending::new(Subject::Tag(tag), Strength::Hard));
        held.told.append(&mut told);
        let awaited = held.again(Strength::Hard);
        self.count.store(pending.len(), Ordering::SeqCst);
        self.changed.notify_one();
        Ok(Swallowed { awaited, entities })
    }

    /// From now on nothing is taken over.
    pub(crate) fn close(&self) {
        // Under the lock: who adds is either before this, or is told.
        let _pending = self.lock();
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether this node must not believe what Redis says of the entity.
    pub(crate) fn holds(&self, id: EntityId) -> bool {
        self.len() > 0 && self.lock().contains_key(&Name::Entity(id.cache, id.hash))
    }

    /// Whether an invalidation of the tag waits.
    pub(crate) fn holds_tag(&self, tag: u64) -> bool {
        self.len() > 0 && self.lock().contains_key(&Name::Tag(tag))
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
    pub(super) fn sent(&self, sent: &Pending, stamp: Stamp) {
        let mut pending = self.lock();
        let name = sent.subject.name();
        let at = Instant::now();
        let taken = Taken { stamp, at };
        if pending
            .get(&name)
            .is_some_and(|held| held.times == sent.times)
        {
            for told in pending.remove(&name).into_iter().flat_map(|held| held.told) {
                // Nobody may be listening any more.
                told.send_replace(Some(taken));
            }
        }
        self.count.store(pending.len(), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Pending>> {
        // The map is whole after every step, so a panic elsewhere spoils nothing.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn new(subject: Subject, strength: Strength) -> Self {
        Self {
            subject,
            strength,
            times: 0,
            told: Vec::new(),
        }
    }

    /// It is invalidated once more.
    fn again(&mut self, strength: Strength) -> Awaited {
        self.times += 1;
        self.strength = self.strength.with(strength);
        // Receipts that nobody keeps are most of them.
        self.told.retain(|told| told.receiver_count() > 0);
        let (told, awaited) = watch::channel(None);
        self.told.push(told);
        awaited
    }
}

impl Subject {
    fn name(&self) -> Name {
        match self {
            Self::Entity { at, .. } => Name::Entity(at.id.cache, at.id.hash),
            Self::Tag(tag) => Name::Tag(tag.hash),
        }
    }
}

/// Entities and tags that wait at most: beyond, a whole cache is invalidated in one, or everything. About 25 MB at worst.
const CAPACITY: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CacheName, Epoch, RenderedKey};
    use std::sync::Arc;

    fn address(key: u64) -> Address {
        let cache = Arc::new(CacheName::new("c").unwrap());
        Address::new(&cache, RenderedKey::new(&key, cache.seed), 0, 64)
    }

    fn entity(key: u64) -> Subject {
        Subject::Entity {
            at: address(key),
            pointer_ttl: 1,
        }
    }

    fn add(journal: &Journal, subject: Subject) -> Awaited {
        match journal.add(subject, Strength::Hard).unwrap() {
            Place::Waits(awaited) => awaited,
            Place::Full => panic!("the journal is full"),
        }
    }

    fn tag(hash: u64) -> OldTag {
        OldTag {
            hash,
            edge: None,
            purges: true,
        }
    }

    fn heard(awaited: &Awaited) -> Option<Stamp> {
        awaited.borrow().map(|taken| taken.stamp)
    }

    fn stamp(n: u64) -> Stamp {
        Stamp {
            bucket: 0,
            epoch: Epoch(1),
            n,
        }
    }

    #[tokio::test]
    async fn an_entity_stands_once_however_often_it_is_invalidated() {
        let journal = Journal::default();
        add(&journal, entity(1));
        add(&journal, entity(1));
        add(&journal, entity(2));

        assert_eq!(journal.len(), 2);
        assert_eq!(journal.next(10, &mut 0).await.len(), 2);
        assert!(journal.holds(address(1).id) && !journal.holds(address(3).id));
    }

    #[tokio::test]
    async fn what_was_invalidated_again_while_it_was_sent_is_sent_again() {
        let journal = Journal::default();
        add(&journal, entity(1));
        let sent = journal.next(1, &mut 0).await.remove(0);

        add(&journal, entity(1));
        journal.sent(&sent, stamp(5));
        assert!(journal.holds(address(1).id));

        let sent = journal.next(1, &mut 0).await.remove(0);
        journal.sent(&sent, stamp(6));
        assert!(!journal.holds(address(1).id));
    }

    #[tokio::test]
    async fn who_waits_hears_the_stamp_of_the_sending_that_speaks_for_it() {
        let journal = Journal::default();
        let first = add(&journal, entity(1));
        let second = add(&journal, entity(1));

        let sent = journal.next(1, &mut 0).await.remove(0);
        assert_eq!(heard(&first), None);
        journal.sent(&sent, stamp(5));

        assert_eq!(heard(&first), Some(stamp(5)));
        assert_eq!(heard(&second), Some(stamp(5)));
    }

    /// Redis refused the bumps of one bucket for good. They were always the first to be sent again, and whatever else
    /// waited was never reached.
    #[tokio::test]
    async fn what_redis_refuses_does_not_keep_the_others_back() {
        let journal = Journal::default();
        for key in 1..=3 {
            add(&journal, entity(key));
        }

        let first = journal.next(2, &mut 0).await;
        let mut skip = 2;
        let last = journal.next(2, &mut skip).await;

        assert_eq!((first.len(), last.len()), (2, 1));
        let name = last[0].subject.name();
        assert!(first.iter().all(|pending| pending.subject.name() != name));
        skip = 9;
        assert_eq!(journal.next(2, &mut skip).await.len(), 2);
    }

    #[tokio::test]
    async fn where_too_many_entities_wait_their_cache_waits_in_their_place() {
        let journal = Journal::with_capacity(2);
        let first = add(&journal, entity(1));
        add(&journal, entity(2));
        add(&journal, entity(2));

        assert!(matches!(
            journal.add(entity(3), Strength::Hard).unwrap(),
            Place::Full
        ));
        let cache = address(3).id.cache;
        let third = journal.swallow(Some(cache), tag(77)).unwrap().awaited;

        assert_eq!(journal.len(), 1);
        assert!(journal.holds_tag(77) && !journal.holds(address(1).id));
        let sent = journal.next(9, &mut 0).await.remove(0);
        journal.sent(&sent, stamp(5));
        assert_eq!(heard(&first), Some(stamp(5)));
        assert_eq!(heard(&third), Some(stamp(5)));
    }

    /// Tags were not counted: a service that invalidates by tags could fill its memory with them while Redis was away.
    #[tokio::test]
    async fn where_too_many_tags_wait_everything_waits_in_their_place() {
        let journal = Journal::with_capacity(2);
        let first = add(&journal, Subject::Tag(tag(1)));
        let second = add(&journal, entity(2));

        assert!(matches!(
            journal.add(Subject::Tag(tag(3)), Strength::Hard).unwrap(),
            Place::Full
        ));
        let third = journal.swallow(None, tag(77)).unwrap().awaited;

        assert_eq!(journal.len(), 1);
        let sent = journal.next(9, &mut 0).await.remove(0);
        journal.sent(&sent, stamp(5));
        for told in [first, second, third] {
            assert_eq!(heard(&told), Some(stamp(5)));
        }
    }

    #[tokio::test]
    async fn a_hard_invalidation_makes_a_soft_one_hard_and_not_the_other_way_round() {
        for strengths in [
            [Strength::Soft, Strength::Hard],
            [Strength::Hard, Strength::Soft],
        ] {
            let journal = Journal::default();
            for strength in strengths {
                journal.add(entity(1), strength).unwrap();
            }

            let sent = journal.next(1, &mut 0).await.remove(0);

            assert_eq!(sent.strength, Strength::Hard);
        }
        let journal = Journal::default();
        journal.add(entity(1), Strength::Soft).unwrap();
        let sent = journal.next(1, &mut 0).await.remove(0);
        assert_eq!(sent.strength, Strength::Soft);
    }

    #[test]
    fn a_closed_journal_says_that_nobody_would_send() {
        let journal = Journal::default();
        add(&journal, entity(1));

        journal.close();

        assert_eq!(journal.len(), 1);
        assert!(
            journal
                .add(entity(2), Strength::Hard)
                .is_err_and(|error| error.is_closed())
        );
        assert!(
            journal
                .swallow(None, tag(2))
                .is_err_and(|error| error.is_closed())
        );
    }
}

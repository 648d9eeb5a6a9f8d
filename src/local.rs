//! The local tier: moka, in this process, bounded by bytes.
//!
//! A hit costs no allocation and no copy of the value. What is easy to get wrong is putting: an invalidation may
//! pass between the read of a value and its put. So each read takes a [`Ticket`] *before* it asks anybody, and a
//! put presents it; both happen under the lock of the key's cell, as does the removal by an event, so that no order
//! of the two leaves an old value behind. See `docs/coherence.md`.

use crate::model::{EntityId, Entry, Generation, Place, Strength};
use moka::sync::Cache;
use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The values of one cache in this process, by the hash of their rendered key.
pub(crate) struct Local<V> {
    entries: Cache<u64, Arc<Entry<V>>, BuildHasherDefault<KeyHash>>,
    cells: Box<[Mutex<Cell>]>,
    guarded: bool,
}

/// What this process had been told of a key, and of those that share its cell, when a read began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    seen: u64,
    blind: u64,
    /// The gap generation of the key's bucket, by which the entry will be judged.
    pub(crate) gap: u32,
    /// Where the node stood in the tag feed, by which what is loaded will be judged.
    pub(crate) place: Place,
}

impl Ticket {
    /// The same ticket for what began earlier in the tag feed.
    pub(crate) fn from(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

/// What happened to a key, as far as this process knows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Touch {
    /// It has this generation now. Softly: what is held is past its TTL.
    Bumped(Generation, Strength),
    /// It was invalidated, and nobody knows the version yet.
    Unknown,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// Events applied.
    seen: u64,
    /// Invalidations without a version.
    blind: u64,
    /// Newest generation applied.
    newest: Option<Generation>,
}

impl<V: Send + Sync + 'static> Local<V> {
    /// A tier of at most `capacity` bytes whose entries live at most `ttl`.
    ///
    /// `guarded` is always true, but in tests that prove what the tickets are good for.
    pub(crate) fn new(capacity: u64, ttl: Duration, buckets: u16, guarded: bool) -> Self {
        let entries = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_, entry: &Arc<Entry<V>>| entry.weight)
            .time_to_live(ttl)
            .build_with_hasher(BuildHasherDefault::default());
        let cells = (0..usize::from(buckets) * CELLS_PER_BUCKET)
            .map(|_| Mutex::default())
            .collect();
        Self {
            entries,
            cells,
            guarded,
        }
    }

    /// The entry under `hash`, if it is this key's.
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<Arc<Entry<V>>> {
        self.entries.get(&hash).filter(|entry| entry.is_of(key))
    }

    /// Notes what is known of the key now. `gap` is the gap generation of its bucket and `place` that in the tag feed,
    /// both read before.
    pub(crate) fn ticket(&self, id: EntityId, gap: u32, place: Place) -> Ticket {
        let cell = self.cell(id);
        Ticket {
            seen: cell.seen,
            blind: cell.blind,
            gap,
            place,
        }
    }

    /// Puts the entry unless its key was touched since the ticket was taken; says whether it did.
    pub(crate) fn put(&self, id: EntityId, entry: Arc<Entry<V>>, ticket: Ticket) -> bool {
        let cell = self.cell(id);
        let admitted = !self.guarded || cell.admits(ticket, entry.generation);
        if admitted {
            self.entries.insert(id.hash, entry);
        }
        admitted
    }

    /// Marks an entry as proven by Redis, under the same condition as a put.
    pub(crate) fn renew(
        &self,
        id: EntityId,
        entry: &Entry<V>,
        fresh_until: u64,
        ticket: Ticket,
    ) -> bool {
        let cell = self.cell(id);
        let admitted = !self.guarded || cell.admits(ticket, entry.generation);
        if admitted {
            entry.prove(fresh_until, ticket.gap);
        }
        admitted
    }

    /// Removes what an invalidation made old: everything under the hash but the version that it gave, and newer ones.
    pub(crate) fn touch(&self, id: EntityId, touch: Touch, now: u64) {
        let mut cell = self.cell(id);
        let keeps = cell.note(touch);
        // One of the event's own version, or of a newer one: the event is late.
        let current = |entry: &Arc<Entry<V>>| {
            let of_epoch = |held: &&Generation| keeps.is_some_and(|it| it.epoch == held.epoch);
            let held = entry.generation.as_ref().filter(of_epoch);
            held.is_some_and(|held| Some(held.version) >= keeps.map(|it| it.version))
        };
        if let Touch::Bumped(generation, Strength::Soft) = touch
            && let Some(entry) = self.entries.get(&id.hash)
            && let Some(held) = entry
                .generation
                .filter(|held| held.epoch == generation.epoch)
        {
            // One that is newer is not concerned.
            if held.version < generation.version {
                entry.expire(now);
            }
            return;
        }
        if self
            .entries
            .get(&id.hash)
            .is_some_and(|entry| !current(&entry))
        {
            self.entries.invalidate(&id.hash);
        }
    }

    /// Removes the entry if it is still this one.
    pub(crate) fn remove(&self, id: EntityId, entry: &Arc<Entry<V>>) {
        let _cell = self.cell(id);
        if self
            .entries
            .get(&id.hash)
            .is_some_and(|held| Arc::ptr_eq(&held, entry))
        {
            self.entries.invalidate(&id.hash);
        }
    }

    /// Entries held and their bytes, roughly: both lag behind a little.
    pub(crate) fn usage(&self) -> (u64, u64) {
        (self.entries.entry_count(), self.entries.weighted_size())
    }

    /// A cell serves one bucket only: versions are ordered within a bucket, and epochs change there alone.
    fn cell(&self, id: EntityId) -> MutexGuard<'_, Cell> {
        let index = usize::from(id.bucket) * CELLS_PER_BUCKET + id.hash as usize % CELLS_PER_BUCKET;
        // A cell is numbers only and never left half written, so a panic elsewhere under its lock spoils nothing.
        self.cells[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cell {
    /// Whether a value read under `ticket` may still be put.
    ///
    /// Nothing was applied since, or what was applied is not newer than the value: no event can be missing then,
    /// because a later one will come and remove it.
    fn admits(&self, ticket: Ticket, generation: Option<Generation>) -> bool {
        self.blind == ticket.blind && (self.seen == ticket.seen || self.is_covered_by(generation))
    }

    fn is_covered_by(&self, generation: Option<Generation>) -> bool {
        match (self.newest, generation) {
            (Some(newest), Some(value)) => {
                value.epoch == newest.epoch && value.version >= newest.version
            }
            _ => false,
        }
    }

    /// Takes note of an invalidation; answers the generation that survives it.
    fn note(&mut self, touch: Touch) -> Option<Generation> {
        self.seen += 1;
        match touch {
            Touch::Unknown => {
                self.blind += 1;
                None
            }
            Touch::Bumped(generation, _) => {
                let newer = |newest: &Generation| {
                    newest.epoch == generation.epoch && newest.version > generation.version
                };
                if !self.newest.as_ref().is_some_and(newer) {
                    self.newest = Some(generation);
                }
                Some(generation)
            }
        }
    }
}

/// Keys are hashes already.
#[derive(Default)]
pub(crate) struct KeyHash(u64);

impl Hasher for KeyHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` keys are hashed, so this is never reached; it must still be a hash.
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

const CELLS_PER_BUCKET: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Content, Epoch, Lifetime, Version};

    const ID: EntityId = EntityId {
        cache: 0,
        hash: 1,
        bucket: 0,
    };

    const PLACE: Place = Place {
        position: None,
        generation: 0,
    };

    fn generation(version: u64) -> Generation {
        Generation {
            epoch: Epoch(1),
            version: Version(version),
        }
    }

    fn entry(version: u64) -> Arc<Entry<u64>> {
        let lifetime = Lifetime {
            born: 0,
            deadline: 1000,
        };
        Arc::new(Entry::new(
            b"k",
            Content::Own(version),
            Some(generation(version)),
            lifetime,
            PLACE,
        ))
    }

    fn local() -> Local<u64> {
        Local::new(1 << 20, Duration::from_secs(60), 1, true)
    }

    #[test]
    fn a_put_after_an_invalidation_is_refused() {
        let local = local();
        let ticket = local.ticket(ID, 0, PLACE);

        local.touch(ID, Touch::Bumped(generation(2), Strength::Hard), 0);

        assert!(!local.put(ID, entry(1), ticket));
        assert!(local.get(1, b"k").is_none());
    }

    #[test]
    fn an_event_that_comes_late_leaves_a_newer_entry_alone() {
        let local = local();
        let ticket = local.ticket(ID, 0, PLACE);
        assert!(local.put(ID, entry(3), ticket));

        local.touch(ID, Touch::Bumped(generation(2), Strength::Hard), 0);
        assert!(local.get(1, b"k").is_some());
        local.touch(ID, Touch::Bumped(generation(3), Strength::Hard), 0);
        assert!(local.get(1, b"k").is_some());

        let other_epoch = Generation {
            epoch: Epoch(2),
            version: Version(2),
        };
        local.touch(ID, Touch::Bumped(other_epoch, Strength::Hard), 0);
        assert!(local.get(1, b"k").is_none());
    }

    #[test]
    fn a_put_of_the_version_that_the_event_gave_is_admitted() {
        let local = local();
        let ticket = local.ticket(ID, 0, PLACE);

        local.touch(ID, Touch::Bumped(generation(2), Strength::Hard), 0);

        assert!(local.put(ID, entry(2), ticket));
    }

    #[test]
    fn an_event_removes_every_version_but_its_own() {
        let local = local();
        local.put(ID, entry(2), local.ticket(ID, 0, PLACE));

        local.touch(ID, Touch::Bumped(generation(2), Strength::Hard), 0);
        assert!(local.get(1, b"k").is_some());

        local.touch(ID, Touch::Bumped(generation(3), Strength::Hard), 0);
        assert!(local.get(1, b"k").is_none());
    }

    #[test]
    fn an_invalidation_without_a_version_refuses_whatever_was_read_before() {
        let local = local();
        let ticket = local.ticket(ID, 0, PLACE);
        local.touch(ID, Touch::Bumped(generation(2), Strength::Hard), 0);

        local.touch(ID, Touch::Unknown, 0);

        assert!(!local.put(ID, entry(2), ticket));
        assert!(!local.put(ID, entry(9), ticket));
    }

    #[test]
    fn a_value_of_another_epoch_does_not_slip_past_an_event() {
        let local = local();
        let ticket = local.ticket(ID, 0, PLACE);
        local.touch(
            ID,
            Touch::Bumped(
                Generation {
                    epoch: Epoch(2),
                    version: Version(1),
                },
                Strength::Hard,
            ),
            0,
        );

        assert!(!local.put(ID, entry(5), ticket));
    }

    #[test]
    fn a_renewal_is_refused_like_a_put() {
        let local = local();
        let old = entry(1);
        local.put(ID, Arc::clone(&old), local.ticket(ID, 0, PLACE));
        let ticket = local.ticket(ID, 0, PLACE);

        local.touch(ID, Touch::Bumped(generation(2), Strength::Hard), 0);

        assert!(!local.renew(ID, &old, 500, ticket));
        assert!(!old.is_fresh(1));
    }

    #[test]
    fn a_key_whose_hash_another_key_shares_is_not_answered() {
        let local = local();
        local.put(ID, entry(1), local.ticket(ID, 0, PLACE));

        assert!(local.get(1, b"other").is_none());
    }

    #[test]
    fn the_tier_is_bounded_by_bytes() {
        let local = Local::new(10_000, Duration::from_secs(60), 1, true);
        for hash in 0..1000 {
            let mut big = Entry::new(
                b"k",
                Content::Own(hash),
                None,
                Lifetime {
                    born: 0,
                    deadline: 1,
                },
                PLACE,
            );
            big.weight = 100;
            let id = EntityId { hash, ..ID };
            local.put(id, Arc::new(big), local.ticket(id, 0, PLACE));
        }
        local.entries.run_pending_tasks();

        assert!(local.usage().1 <= 10_000);
        assert!(local.usage().0 > 0);
    }
}

//! What this node knows of invalidated tags: which were bumped, and when.
//!
//! An entry stores the place in the tag feed that its node had applied before the load; it is refused once any of its
//! tags was bumped later. So a tag of a million entries is one number here, and a tag that nobody bumped is none.
//!
//! The hot path is one comparison: an entry remembers the generation of this table at its last check. A change writes
//! the table first and the generation afterwards; a reader loads the generation first and the table afterwards, and
//! remembers what it loaded. In any other order an entry that a bump has just outdated could pass for checked.

use crate::model::{Epoch, Place, Position, Strength, TagBump, everything_tag};
use std::{
    collections::{HashMap, hash_map},
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// The table of one `Tiers`.
#[derive(Debug)]
pub(crate) struct TagTable {
    generation: AtomicU64,
    known: RwLock<Known>,
    applied: Notify,
}

#[derive(Debug)]
struct Known {
    /// `None` before anything is known, and while the feed's control record is missing.
    epoch: Option<Epoch>,
    /// Bumps after here are all in the table; of those before it Redis must be asked.
    complete_from: u64,
    /// How far the feed was applied.
    applied: u64,
    /// The generation at which the epoch changed last, or something was told of another one.
    begun: u64,
    bumped: HashMap<u64, Bump>,
    /// The newest bump among all tags that share a slot: most tags are answered without the map.
    slots: Box<[u64]>,
    /// Bumps that Redis did not take yet, with the generation that each was noted at.
    pending: HashMap<u64, u64>,
    /// The last bump by this node: the feed's next beginning may lie before it.
    own: Option<Position>,
}

#[derive(Clone, Copy, Debug)]
struct Bump {
    at: TagBump,
    /// The generation that it was noted at.
    noted: u64,
}

/// What the table says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None of its tags was bumped since its place.
    Current,
    /// One was, or its epoch is over.
    Refused,
    /// One was softly bumped, at this place.
    Expired(u64),
    /// The entry is older than the table: Redis must be asked.
    Unknown,
}

impl TagTable {
    pub(crate) fn new() -> Self {
        let known = Known {
            epoch: None,
            complete_from: 0,
            applied: 0,
            begun: 0,
            bumped: HashMap::new(),
            slots: vec![0; SLOTS].into(),
            pending: HashMap::new(),
            own: None,
        };
        Self {
            generation: AtomicU64::new(1),
            known: RwLock::new(known),
            applied: Notify::new(),
        }
    }

    /// Grows with each change. To be loaded before whatever is judged.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Where a load that begins now stands.
    pub(crate) fn place(&self) -> Place {
        let generation = self.generation();
        let known = self.read();
        Place {
            position: known.epoch.map(|epoch| Position {
                epoch,
                n: known.applied,
            }),
            generation,
        }
    }

    /// Judges an entry of this place that carries these tags.
    pub(crate) fn check(&self, place: Place, tags: impl Iterator<Item = u64> + Clone) -> Standing {
        let known = self.read();
        if known.is_pending(place, tags.clone()) {
            return Standing::Refused;
        }
        let Some(position) = place.position else {
            return known.check_by_time(place, tags);
        };
        if known.epoch != Some(position.epoch) {
            return Standing::Refused;
        }
        match known.bumped_after(position.n, tags) {
            bump if bump.hard > position.n => Standing::Refused,
            _ if position.n < known.complete_from => Standing::Unknown,
            bump if bump.n > position.n => Standing::Expired(bump.n),
            _ => Standing::Current,
        }
    }

    /// A tag was bumped, as the feed tells: everything before this event was applied.
    pub(crate) fn applied(&self, epoch: Epoch, tag: u64, n: u64, strength: Strength) {
        self.change(|known, generation| {
            known.note(epoch, tag, TagBump::new(n, strength), generation);
            if known.epoch == Some(epoch) {
                known.applied = known.applied.max(n);
            }
        });
        self.applied.notify_waiters();
    }

    /// A tag was bumped by this node: the feed will tell of it too, in its place.
    ///
    /// `sent_at` is the generation from before it was sent: what was invalidated later still waits. In an epoch that the
    /// feed has not told of yet, or not any more, nothing counts until it does.
    pub(crate) fn bumped(&self, epoch: Epoch, tag: u64, bump: TagBump, sent_at: u64) {
        self.change(|known, generation| {
            known.own = Some(Position { epoch, n: bump.n });
            if known.epoch != Some(epoch) {
                known.begin(None, generation);
            }
            known.note(epoch, tag, bump, generation);
            if tag == everything_tag() {
                // Some of them may have been swallowed by it.
                known.pending.retain(|_, noted| *noted > sent_at);
            } else {
                known.told(tag, sent_at);
            }
        });
    }

    /// A tag was invalidated and Redis did not take it: whatever this node holds of it is old from here on.
    pub(crate) fn pend(&self, tag: u64) {
        self.change(|known, generation| {
            known.pending.insert(tag, generation);
        });
    }

    /// Tags that need not wait any more: nobody has to be told, or another one waits in their place.
    pub(crate) fn settled(&self, tags: impl Iterator<Item = u64>, sent_at: u64) {
        self.change(|known, _| tags.for_each(|tag| known.told(tag, sent_at)));
    }

    /// What was before this place of the feed is not known, or no longer: entries from before it must ask.
    pub(crate) fn begin(&self, at: Option<Position>) {
        self.change(|known, generation| known.begin(at, generation));
        self.applied.notify_waiters();
    }

    /// All bumps after `floor` that Redis knows, read in this epoch.
    pub(crate) fn complete(&self, epoch: Epoch, floor: u64, bumps: &[(u64, TagBump)]) {
        self.change(|known, generation| {
            if known.epoch != Some(epoch) {
                return;
            }
            for (tag, bump) in bumps {
                known.note(epoch, *tag, *bump, generation);
            }
            known.complete_from = known.complete_from.min(floor);
        });
    }

    /// Forgets bumps before `before`: entries from before the last of them must ask.
    pub(crate) fn prune(&self, before: u64) {
        let old = |bump: &Bump| bump.at.n < before;
        if !self.read().bumped.values().any(old) {
            return;
        }
        self.change(|known, _| {
            let last = known
                .bumped
                .values()
                .filter(|bump| old(bump))
                .map(|bump| bump.at.n)
                .max();
            known.bumped.retain(|_, bump| !old(bump));
            known.complete_from = known.complete_from.max(last.unwrap_or(0));
        });
    }

    /// Resolves once the feed has applied `n` of this epoch, or another epoch began.
    ///
    /// # Cancel safety
    /// It may be dropped at any time.
    pub(crate) async fn until_applied(&self, epoch: Epoch, n: u64) {
        loop {
            let applied = self.applied.notified();
            {
                let known = self.read();
                if known.epoch != Some(epoch) || known.applied >= n {
                    return;
                }
            }
            applied.await;
        }
    }

    /// The epoch that the table is of.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.read().epoch
    }

    /// Tags that the table holds.
    pub(crate) fn len(&self) -> usize {
        self.read().bumped.len()
    }

    fn change(&self, change: impl FnOnce(&mut Known, u64)) {
        let mut known = self.write();
        let next = self.generation.load(Ordering::Relaxed) + 1;
        change(&mut known, next);
        // Table first, generation afterwards: see the head of this file.
        self.generation.store(next, Ordering::Release);
    }

    // The table is whole after every step, so a panic elsewhere spoils nothing.
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn note(&mut self, epoch: Epoch, tag: u64, at: TagBump, generation: u64) {
        if self.epoch != Some(epoch) {
            // Of another epoch nothing is noted, so what can only be judged by time is judged by this moment.
            self.begun = generation;
            return;
        }
        let bump = self.bumped.entry(tag).or_insert(Bump {
            at: TagBump::default(),
            noted: 0,
        });
        if at.n > bump.at.n {
            bump.noted = generation;
        }
        bump.at = bump.at.with(at);
        let slot = &mut self.slots[slot(tag)];
        *slot = (*slot).max(at.n);
    }

    fn told(&mut self, tag: u64, sent_at: u64) {
        if let hash_map::Entry::Occupied(pending) = self.pending.entry(tag)
            && *pending.get() <= sent_at
        {
            pending.remove();
        }
    }

    fn begin(&mut self, at: Option<Position>, generation: u64) {
        let epoch = at.map(|at| at.epoch);
        if self.epoch != epoch {
            self.bumped.clear();
            self.slots.fill(0);
            self.begun = generation;
        }
        self.epoch = epoch;
        self.applied = at.map_or(0, |at| at.n);
        let own = self.own.filter(|own| epoch == Some(own.epoch));
        self.complete_from = own.map_or(0, |own| own.n).max(self.applied);
    }

    /// The newest bump and the newest hard one of these tags, as far as they lie behind `after`; else zero.
    fn bumped_after(&self, after: u64, tags: impl Iterator<Item = u64>) -> TagBump {
        let mut newest = TagBump::default();
        for tag in tags {
            if self.slots[slot(tag)] > after
                && let Some(bump) = self.bumped.get(&tag)
            {
                newest = newest.with(bump.at);
            }
        }
        newest
    }

    /// Refused unless this node has loaded the entry after it was told.
    fn is_pending(&self, place: Place, mut tags: impl Iterator<Item = u64>) -> bool {
        !self.pending.is_empty()
            && tags.any(|tag| {
                self.pending
                    .get(&tag)
                    .is_some_and(|noted| place.generation < *noted)
            })
    }

    /// For an entry without a place in the feed: whether this node was told of anything since its load began.
    fn check_by_time(&self, place: Place, mut tags: impl Iterator<Item = u64>) -> Standing {
        let told = tags.any(|tag| {
            self.bumped
                .get(&tag)
                .is_some_and(|bump| bump.noted > place.generation)
        });
        if told || self.begun > place.generation {
            Standing::Refused
        } else {
            Standing::Current
        }
    }
}

fn slot(tag: u64) -> usize {
    tag as usize % SLOTS
}

/// A power of two: half a megabyte.
const SLOTS: usize = 1 << 16;

#[cfg(test)]
mod tests;

//! A value in this process, with all that decides whether it may still be served.

use super::Generation;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering};

/// When a value was born and when it is dead, in milliseconds of this node's clock.
///
/// Birth is the start of the load, so a slow load does not make a value live longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) born: u64,
    pub(crate) deadline: u64,
}

impl Lifetime {
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now >= self.deadline
    }

    pub(crate) fn remaining(&self, now: u64) -> u64 {
        self.deadline.saturating_sub(now)
    }
}

/// A value, immutable but for two marks that tell when it was last proven.
// What a hit reads comes first, so that it lies in one cache line with the count of the `Arc` around it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry<V> {
    fresh_until: AtomicU64,
    gap: AtomicU64,
    /// The rendered key, short ones in place.
    key: SmallVec<[u8; 16]>,
    /// `None`: loaded while Redis could not be asked, so nothing can ever prove it.
    pub(crate) generation: Option<Generation>,
    pub(crate) lifetime: Lifetime,
    pub(crate) value: V,
    /// Hash of the encoded body, where it was encoded.
    pub(crate) content_id: Option<u64>,
    /// Bytes to count against the local capacity.
    pub(crate) weight: u32,
}

impl<V> Entry<V> {
    pub(crate) fn new(
        key: &[u8],
        value: V,
        generation: Option<Generation>,
        lifetime: Lifetime,
    ) -> Self {
        Self {
            key: SmallVec::from_slice(key),
            value,
            generation,
            lifetime,
            content_id: None,
            weight: 0,
            fresh_until: AtomicU64::new(0),
            gap: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_of(&self, key: &[u8]) -> bool {
        *self.key == *key
    }

    /// Lets an entry that nothing proves be served as such, for its short life.
    pub(crate) fn keep_unproven(&self) {
        self.prove(self.lifetime.deadline, UNPROVABLE);
    }

    /// Marks the entry as proven: servable until `fresh_until`, as long as its bucket sees no gap after `gap`.
    pub(crate) fn prove(&self, fresh_until: u64, gap: u64) {
        self.fresh_until
            .store(fresh_until.min(self.lifetime.deadline), Ordering::Relaxed);
        // The gap is what readers check last: they must not see it without the time that belongs to it.
        self.gap.store(gap, Ordering::Release);
    }

    /// Whether the local TTL still runs.
    pub(crate) fn is_fresh(&self, now: u64) -> bool {
        now < self.fresh_until.load(Ordering::Relaxed)
    }

    /// The gap generation under which the entry was last proven.
    pub(crate) fn gap(&self) -> u64 {
        self.gap.load(Ordering::Acquire)
    }
}

/// A gap generation that no bucket ever has.
const UNPROVABLE: u64 = u64::MAX;

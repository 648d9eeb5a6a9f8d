//! What a scope has read, kept past its end: whether all of it could be read again as it was, by this process alone.
//!
//! It keeps no value alive. An entry that its cache has let go of is gone from here, too.

use super::{Claim, Read, RequestScope, Shown, Source, collected::Collected};
use crate::outcome::Outcome;
use std::{
    fmt,
    sync::{Arc, Weak},
};

/// What a request has read out of this process; see [`RequestScope::reads`].
pub struct ReadSet(Box<[Kept]>);

/// One entry, as long as it is held by its cache.
struct Kept {
    source: Weak<Source>,
    entry: Weak<dyn Shown>,
    hash: u64,
}

impl ReadSet {
    /// `None` if a read was not answered by this process at once, or was another one when it was repeated.
    pub(super) fn of(collected: &Collected) -> Option<Self> {
        let whole = !collected.seen.is_empty() && collected.is_of_this_process();
        whole.then(|| Self(collected.each_claim().map(Kept::of).collect()))
    }

    /// How many entities were read; at least one.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.0.len()
    }

    /// Whether what was read in `scope` are these values, no more and no others, each from this process at once.
    #[must_use]
    pub fn are_those_of(&self, scope: &RequestScope) -> bool {
        let collected = scope.lock();
        let mut claims = collected.each_claim();
        collected.is_of_this_process()
            && self
                .0
                .iter()
                .all(|kept| claims.next().is_some_and(|claim| kept.is(claim)))
            && claims.next().is_none()
    }

    /// Reads all of it again: a scope in which each entity has the very value of then, read now.
    ///
    /// `None` if only one of them would not be answered by this process at once with that value: because it was
    /// invalidated, by this node or another, it or a tag of it, or has passed its TTL or its local TTL, because the feed
    /// is not proven to be live, or because another value took its place, even an equal one. Neither the remote tier nor
    /// a loader is asked, and no counter of the caches moves.
    #[must_use]
    pub fn again(&self) -> Option<RequestScope> {
        let mut again = Collected::default();
        for kept in &self.0 {
            let (source, entry) = (kept.source.upgrade()?, kept.entry.upgrade()?);
            let keeper = source.keeper.upgrade()?;
            if !keeper.serves(kept.hash, &*entry) {
                return None;
            }
            again.add(Read {
                source: &source,
                entry,
                hash: kept.hash,
                outcome: Outcome::LocalHit,
            });
        }
        Some(RequestScope::from(again))
    }
}

impl Kept {
    fn of(claim: &Claim) -> Self {
        Self {
            source: Arc::downgrade(&claim.source),
            entry: Arc::downgrade(&claim.entry),
            hash: claim.hash,
        }
    }

    fn is(&self, claim: &Claim) -> bool {
        // The allocation is held as long as this is, so no other entry has its address.
        std::ptr::addr_eq(self.entry.as_ptr(), Arc::as_ptr(&claim.entry))
    }
}

impl fmt::Debug for ReadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadSet")
            .field("entities", &self.entities())
            .finish_non_exhaustive()
    }
}

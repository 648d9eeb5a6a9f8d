//! One invalidation on its way to the nodes.
//!
//! Events are idempotent and carry names and versions, never values. A fill makes none.

use super::version::{Epoch, Nonce};

/// An event of a bucket's feed, linked to the one before it by that one's nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) epoch: Epoch,
    /// Position in the feed, and the version that it gave.
    pub(crate) n: u64,
    /// The nonce of the event before; a fence has none.
    pub(crate) previous: Nonce,
    pub(crate) nonce: Nonce,
    pub(crate) kind: EventKind,
}

/// What an invalidation leaves of a value, and a purge of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strength {
    /// Nothing.
    Hard,
    /// It is past its TTL from here on, and may be served inside its stale windows.
    Soft,
}

impl Strength {
    /// What is left after both.
    pub(crate) fn with(self, other: Self) -> Self {
        if self == Self::Hard { self } else { other }
    }
}

/// Where a tag was bumped last in the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TagBump {
    pub(crate) n: u64,
    /// The last hard one; zero if all that is known were soft.
    pub(crate) hard: u64,
}

impl TagBump {
    pub(crate) fn new(n: u64, strength: Strength) -> Self {
        let hard = if strength == Strength::Hard { n } else { 0 };
        Self { n, hard }
    }

    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            n: self.n.max(other.n),
            hard: self.hard.max(other.hard),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// An entity has a new version.
    Invalidated {
        cache: u32,
        entity: u64,
        strength: Strength,
    },
    /// A tag was invalidated.
    Tagged { tag: u64, strength: Strength },
    /// A new epoch began: whatever was known of the bucket must prove itself.
    Fence,
}

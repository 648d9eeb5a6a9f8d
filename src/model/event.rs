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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// An entity has a new version.
    Invalidated { cache: u32, entity: u64 },
    /// A tag was invalidated.
    Tagged { tag: u64 },
    /// A new epoch began: whatever was known of the bucket must prove itself.
    Fence,
}

//! What a scope keeps of a read: the entry itself, and what all entries of its cache have in common.
//!
//! Both are shared with the cache, so that a read in a scope copies neither a name nor a tag.

use super::Witness;
use crate::model::{CacheName, Clock, EntityId, Entry, Generation, Place, Tag, Visibility};
use crate::outcome::Outcome;
use std::sync::{Arc, Weak};

/// One read, as a scope is told of it.
pub(crate) struct Read<'a> {
    pub(crate) source: &'a Arc<Source>,
    pub(crate) entry: Arc<dyn Shown>,
    /// The hash of its key.
    pub(crate) hash: u64,
    pub(crate) outcome: Outcome,
}

/// An entry that was read, whatever its value is.
pub(crate) trait Shown: Send + Sync {
    /// The rendered key.
    fn key(&self) -> &str;
    /// The hash of what is read; `None` if that was not encoded.
    fn content_id(&self) -> Option<u64>;
    fn tags(&self) -> &[Tag];
    /// What its load has read.
    fn dependencies(&self) -> &[u64];
    /// By which the tag table knows it, beside what all of its cache carry.
    fn tag_hashes(&self) -> &[u64];
    fn visibility(&self) -> Visibility;
    /// `None`: nobody can prove it.
    fn generation(&self) -> Option<Generation>;
    /// Its place in the tag feed, as far as it was judged by now.
    fn place(&self) -> Place;
    /// The end of its life as far as is known by now, in ms of its cache's clock.
    fn stale_from(&self) -> u64;
}

impl<V: Send + Sync> Shown for Entry<V> {
    fn key(&self) -> &str {
        Self::key(self)
    }

    fn content_id(&self) -> Option<u64> {
        self.content_id_of_what_is_read()
    }

    fn tags(&self) -> &[Tag] {
        Self::tags(self)
    }

    fn dependencies(&self) -> &[u64] {
        self.shown()
    }

    fn tag_hashes(&self) -> &[u64] {
        Self::tag_hashes(self)
    }

    fn visibility(&self) -> Visibility {
        self.visibility
    }

    fn generation(&self) -> Option<Generation> {
        self.generation
    }

    fn place(&self) -> Place {
        Self::place(self)
    }

    fn stale_from(&self) -> u64 {
        Self::stale_from(self)
    }
}

/// The cache that entries were read from, as scopes know it.
pub(crate) struct Source {
    pub(crate) name: Arc<CacheName>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) witness: Arc<dyn Witness>,
    pub(crate) keeper: Weak<dyn Keeper>,
    pub(crate) schema: u64,
    pub(crate) buckets: u16,
    /// By which the tag table knows what every entry of the cache carries.
    pub(crate) implied: [u64; 2],
}

impl Source {
    pub(crate) fn id(&self, hash: u64) -> EntityId {
        EntityId::new(self.name.id, hash, self.buckets)
    }
}

/// Who can say whether an entry would be served again: the cache that holds it in this process.
pub(crate) trait Keeper: Send + Sync {
    /// Whether a read that begins now would be answered with this very entry, without asking anybody, and would not even
    /// think of a new load.
    fn serves(&self, hash: u64, entry: &dyn Shown) -> bool;
}

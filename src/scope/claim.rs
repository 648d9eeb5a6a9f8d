//! What a scope has been told, as something that can be asked about again.

use super::{Confirmation, Read, Shown, Source};
use crate::model::{Address, EntityId, EntityName, Generation, Place, Position, RenderedKey};
use std::{future::Future, pin::Pin, sync::Arc};

/// Who can say whether claims still hold: the engine of the `Tiers` that they were read from.
pub(crate) trait Witness: Send + Sync {
    /// Asks the remote tier about claims that are all this witness' own.
    fn confirm<'a>(&'a self, claims: &'a [Claim]) -> Testimony<'a>;
}

/// The answer of a [`Witness`], on its way.
pub(crate) type Testimony<'a> = Pin<Box<dyn Future<Output = Confirmation> + Send + 'a>>;

/// An entity was shown, and this is what proved it.
#[derive(Clone)]
pub(crate) struct Claim {
    pub(super) source: Arc<Source>,
    pub(super) entry: Arc<dyn Shown>,
    /// The hash of its key.
    pub(super) hash: u64,
    /// Where the entry stood in the tag feed when it was read: what it has learned since was not shown.
    n: u64,
    /// The generation of the tag table of its load.
    generation: u64,
}

impl Claim {
    pub(super) fn of(read: Read<'_>) -> Self {
        let Place {
            position,
            generation,
        } = read.entry.place();
        Self {
            source: Arc::clone(read.source),
            entry: read.entry,
            hash: read.hash,
            n: position.map_or(0, |position| position.n),
            generation,
        }
    }

    pub(super) fn name(&self) -> EntityName {
        EntityName::new(self.source.name.as_str(), self.entry.key())
    }

    /// Appends the name of the entity.
    pub(super) fn push_name(&self, names: &mut String) {
        names.push_str(self.source.name.as_str());
        names.push('/');
        names.push_str(self.entry.key());
    }

    pub(crate) fn id(&self) -> EntityId {
        self.source.id(self.hash)
    }

    pub(crate) fn address(&self) -> Address {
        let key = RenderedKey::rendered(self.entry.key(), self.hash);
        let (name, schema, buckets) = (&self.source.name, self.source.schema, self.source.buckets);
        Address::new(name, key, schema, buckets)
    }

    /// `None`: it was loaded while nobody could prove it, so nobody can now.
    pub(crate) fn generation(&self) -> Option<Generation> {
        self.entry.generation()
    }

    pub(crate) fn place(&self) -> Place {
        let position = self.entry.place().position;
        Place {
            position: position.map(|position| Position {
                n: self.n,
                ..position
            }),
            generation: self.generation,
        }
    }

    /// The hash of what was read; `None` if that was not encoded.
    pub(super) fn content(&self) -> Option<u64> {
        self.entry.content_id()
    }

    /// By which the tag table knows it.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> + Clone {
        let own = self.entry.tag_hashes().iter().copied();
        self.source.implied.into_iter().chain(own)
    }

    /// Whether both are about an entity of the same name.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.source.name.as_str() == other.source.name.as_str()
            && self.entry.key() == other.entry.key()
    }

    /// Takes over another claim about the same entity, if one of the two says all that both do.
    pub(super) fn covers(&mut self, other: &Self) -> bool {
        let same = self.is_of(&other.source.witness)
            && (Arc::ptr_eq(&self.entry, &other.entry) || self.is_alike(other));
        if same {
            // Of two places in one epoch the one that knows of fewer invalidations is to be judged by.
            self.n = self.n.min(other.n);
            self.generation = self.generation.min(other.generation);
        }
        same
    }

    fn is_alike(&self, other: &Self) -> bool {
        let epoch = |claim: &Self| (claim.entry.place().position).map(|position| position.epoch);
        self.id() == other.id()
            && self.generation() == other.generation()
            && epoch(self) == epoch(other)
            && self.hashes().eq(other.hashes())
            && self.entry.tags() == other.entry.tags()
    }

    pub(super) fn witness(&self) -> &Arc<dyn Witness> {
        &self.source.witness
    }

    /// Whether `witness` can tell.
    pub(super) fn is_of(&self, witness: &Arc<dyn Witness>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.source.witness), Arc::as_ptr(witness))
    }
}

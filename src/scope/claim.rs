//! What a scope has been told, as something that can be asked about again.

use super::Confirmation;
use crate::model::{Address, Generation, Place};
use smallvec::SmallVec;
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
    pub(crate) witness: Arc<dyn Witness>,
    pub(crate) at: Address,
    /// `None`: it was loaded while nobody could prove it, so nobody can now.
    pub(crate) generation: Option<Generation>,
    pub(crate) place: Place,
    /// By which the tag table knows it.
    pub(crate) hashes: Hashes,
}

/// Usually those of the cache and of everything, and of a tag or two.
pub(crate) type Hashes = SmallVec<[u64; 4]>;

impl Claim {
    /// Takes over another claim about the same entity, if one of the two says all that both do.
    pub(super) fn covers(&mut self, other: &Self) -> bool {
        let epoch = |claim: &Self| claim.place.position.map(|position| position.epoch);
        let same = self.is_of(&other.witness)
            && self.at.id == other.at.id
            && self.generation == other.generation
            && epoch(self) == epoch(other)
            && self.hashes == other.hashes;
        if same {
            self.place = earlier(self.place, other.place);
        }
        same
    }

    /// Whether `witness` can tell.
    pub(super) fn is_of(&self, witness: &Arc<dyn Witness>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.witness), Arc::as_ptr(witness))
    }
}

/// The one that knows of fewer invalidations: it is the one to be judged by.
fn earlier(one: Place, other: Place) -> Place {
    let n = |place: Place| place.position.map(|position| position.n);
    Place {
        position: if n(other) < n(one) {
            other.position
        } else {
            one.position
        },
        generation: one.generation.min(other.generation),
    }
}

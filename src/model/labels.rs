//! What a value carries beside itself: its tags, what its load has read, and who may see it.

use super::{Epoch, Tag};
use serde::Serialize;

/// Who may see a value.
///
/// The stricter one wins wherever values come together: in a nested load, and in a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Visibility {
    /// Everybody: the value is the same for all.
    #[default]
    Public,
    /// One user: a response that shows it is private.
    User,
}

/// A place in the tag feed: what a node had applied before a load.
///
/// Invalidations of tags up to it are in the value; later ones are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: Epoch,
    pub(crate) n: u64,
}

/// Where a load stood in the tag feed when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `None`: this node knew of no feed then, so no other node can judge what was loaded.
    pub(crate) position: Option<Position>,
    /// The generation of this node's tag table then; zero for what this node did not load.
    pub(crate) generation: u64,
}

/// The names by which a value can be invalidated beside its own. Sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) tags: Vec<Tag>,
    /// Tag hashes of the entities that the load has read (`entity_tag`).
    pub(crate) dependencies: Vec<u64>,
}

impl Labels {
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.dependencies.is_empty()
    }

    /// Takes over what another value carries.
    pub(crate) fn add(&mut self, other: &Self) {
        self.tags.extend_from_slice(&other.tags);
        self.dependencies.extend_from_slice(&other.dependencies);
        self.settle();
    }

    /// Sorts both lists and leaves each name once.
    pub(crate) fn settle(&mut self) {
        self.tags.sort_unstable();
        self.tags.dedup();
        self.dependencies.sort_unstable();
        self.dependencies.dedup();
    }

    /// By which the tag table knows the names.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> {
        let tags = self.tags.iter().map(Tag::hash);
        tags.chain(self.dependencies.iter().copied())
    }

    /// Bytes that they take in this process, roughly.
    pub(crate) fn weight(&self) -> usize {
        let names: usize = self.tags.iter().map(|tag| tag.as_str().len() + 40).sum();
        names + self.dependencies.len() * 16
    }
}

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
}

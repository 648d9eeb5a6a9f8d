//! What a scope has collected, to be looked at.

use super::{Collected, Deadline, each_once};
use crate::{
    model::{EntityName, Tag, Visibility, nested_tag},
    outcome::Outcome,
};
use std::time::Duration;

/// What a scope has collected, with the remaining life at the moment of asking.
#[derive(Clone, Debug)]
pub struct ScopeSummary {
    entities: Vec<EntityName>,
    contents: Vec<Option<u64>>,
    outcomes: Vec<(Outcome, u32)>,
    tags: Vec<Tag>,
    dependencies: Vec<u64>,
    visibility: Visibility,
    remaining: Option<Duration>,
    objections: Vec<&'static str>,
}

impl ScopeSummary {
    pub(super) fn of(collected: &Collected) -> Self {
        let seen = &collected.seen;
        Self {
            entities: seen.iter().map(|seen| seen.entity.clone()).collect(),
            contents: seen.iter().map(|seen| seen.content).collect(),
            outcomes: collected.outcomes.clone(),
            tags: each_once(collected.tags.all.clone()),
            dependencies: dependencies(&collected.dependencies.all),
            visibility: collected.visibility,
            remaining: collected.shortest.as_ref().map(Deadline::remaining),
            objections: collected.objections.clone(),
        }
    }

    /// The entities that were read, in the order of their first read.
    #[must_use]
    pub fn entities(&self) -> &[EntityName] {
        &self.entities
    }

    /// What each of [`entities`](Self::entities) held, in the same order, as [`Cached::content_id`](crate::Cached::content_id).
    ///
    /// What does not exist has an id of its own. `None` if the value was not encoded, or was read twice and had changed
    /// in between.
    #[must_use]
    pub fn content_ids(&self) -> &[Option<u64>] {
        &self.contents
    }

    /// How many reads were answered in which way, in the order of their first; what was read twice counts twice.
    #[must_use]
    pub fn outcomes(&self) -> &[(Outcome, u32)] {
        &self.outcomes
    }

    /// The tags of what was read, each once, in their order.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// What the entities show of others, which their loads have read: numbers, each once, in their order.
    ///
    /// Those of entities are [`EntityName::dependency`] of their names. Beside them stand numbers of whole caches, so the
    /// list is longer than what is shown.
    #[must_use]
    pub fn dependencies(&self) -> &[u64] {
        &self.dependencies
    }

    /// Who may see what was read: the strictest of all.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        self.visibility
    }

    /// The least remaining life of what was read; `None` if nothing was.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining
    }

    /// Why what is made of it must not be shared, as [`RequestScope::object`](super::RequestScope::object) was told;
    /// each reason once, in their order.
    #[must_use]
    pub fn objections(&self) -> &[&'static str] {
        &self.objections
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }
}

/// What all nested values carry alike says nothing of what is shown.
fn dependencies(all: &[u64]) -> Vec<u64> {
    let shown = all.iter().copied().filter(|number| *number != nested_tag());
    each_once(shown.collect())
}

//! What a scope has collected, to be looked at.

use super::collected::{Collected, Deadline, Seen};
use crate::{
    model::{EntityName, Tag, Visibility, nested_tag},
    outcome::Outcome,
};
use std::{sync::OnceLock, time::Duration};

/// What a scope has collected, with the remaining life at the moment of asking.
#[derive(Clone, Debug)]
pub struct ScopeSummary {
    /// All names in one text, as most who ask want to see each only once.
    names: String,
    ends: Vec<usize>,
    entities: OnceLock<Vec<EntityName>>,
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
        let (names, ends) = names(seen);
        Self {
            names,
            ends,
            entities: OnceLock::new(),
            contents: seen.iter().map(Seen::content).collect(),
            outcomes: collected.outcomes.clone(),
            tags: tags(collected),
            dependencies: dependencies(collected),
            visibility: collected.visibility,
            remaining: collected.shortest.as_ref().map(Deadline::remaining),
            objections: collected.objections.clone(),
        }
    }

    /// The entities that were read, in the order of their first read.
    #[must_use]
    pub fn entities(&self) -> &[EntityName] {
        self.entities
            .get_or_init(|| self.entity_names().map(EntityName::named).collect())
    }

    /// The names of [`entities`](Self::entities) as texts, in the same order.
    pub fn entity_names(&self) -> impl ExactSizeIterator<Item = &str> {
        let name = |place: usize| {
            let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.names[start..self.ends[place]]
        };
        (0..self.ends.len()).map(name)
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
        self.ends.is_empty()
    }
}

fn names(seen: &[Seen]) -> (String, Vec<usize>) {
    let mut names = String::with_capacity(seen.len() * TYPICAL_LEN);
    let mut ends = Vec::with_capacity(seen.len());
    for seen in seen {
        seen.claim.push_name(&mut names);
        ends.push(names.len());
    }
    (names, ends)
}

fn tags(collected: &Collected) -> Vec<Tag> {
    let lists = collected.each_claim().map(|claim| claim.entry.tags());
    let mut all = Vec::with_capacity(lists.clone().map(<[Tag]>::len).sum());
    lists.for_each(|tags| all.extend(tags));
    each_once(all).into_iter().cloned().collect()
}

/// What all nested values carry alike says nothing of what is shown.
fn dependencies(collected: &Collected) -> Vec<u64> {
    let all = collected.each_claim();
    let all = all.flat_map(|claim| claim.entry.dependencies()).copied();
    let shown = all.filter(|number| *number != nested_tag());
    each_once(shown.collect())
}

/// In their order.
fn each_once<T: Ord>(mut names: Vec<T>) -> Vec<T> {
    names.sort_unstable();
    names.dedup();
    names
}

/// Most names are no longer.
const TYPICAL_LEN: usize = 32;

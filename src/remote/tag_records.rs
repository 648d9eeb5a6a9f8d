//! The tag table in memory, step for step as `scripts/tags_*.lua` have it.

use super::{Server, TagsKnown, records::Now, records::Records, tags::MANY};
use crate::model::{Event, EventKind, Head, Strength, TagBump};
use std::collections::HashMap;

/// What Redis would hold in its tag table. A wipe takes it together with the control record.
#[derive(Clone, Debug, Default)]
pub(super) struct TagRecords {
    bumps: HashMap<u64, TagBump>,
    floor: u64,
    longest: u64,
}

impl Records {
    /// Gives a tag a position in the feed, and links the event.
    pub(super) fn bump_tag(&mut self, tag: u64, strength: Strength, now: Now) -> Event {
        let (head, _) = self.control(now);
        let event = self.append(head, EventKind::Tagged { tag, strength }, None, now);
        let bump = self.tags.bumps.entry(tag).or_default();
        *bump = bump.with(TagBump::new(event.n, strength));
        event
    }

    /// What is known of these tags, or of all where none is named.
    pub(super) fn tags_known(&self, tags: &[u64]) -> TagsKnown {
        let Some(head) = self.control else {
            return TagsKnown::default();
        };
        let record = |tag: &u64| Some((*tag, *self.tags.bumps.get(tag)?));
        let mut known = TagsKnown {
            by: Server::Known(self.server),
            head: Some(head),
            floor: self.tags.floor,
            bumps: tags.iter().filter_map(record).collect(),
        };
        if tags.is_empty() {
            self.all_known(&mut known, &head);
        }
        known
    }

    fn all_known(&self, known: &mut TagsKnown, head: &Head) {
        if self.tags.bumps.len() > MANY {
            known.floor = head.n;
        } else {
            known.bumps = self
                .tags
                .bumps
                .iter()
                .map(|(tag, bump)| (*tag, *bump))
                .collect();
        }
    }

    pub(super) fn prune_tags(&mut self, longest: u64, now: Now) {
        self.tags.longest = self.tags.longest.max(longest);
        let before = now.0.saturating_sub(self.tags.longest.saturating_mul(1000));
        let all = self.tags.bumps.values().map(|bump| bump.n);
        let old = all.filter(|n| *n < before).max();
        // The floor first: an entry from before a forgotten bump must not pass.
        self.tags.floor = self.tags.floor.max(old.unwrap_or(0));
        self.tags.bumps.retain(|_, bump| bump.n >= before);
    }
}

//! Entries and caches of which a test says what it likes.

use super::*;
use crate::model::{CacheName, RenderedKey};
use std::sync::Weak;

/// An entry of which a test says what it likes.
pub(super) struct Fake {
    pub(super) key: String,
    pub(super) content_id: Option<u64>,
    pub(super) tags: Vec<Tag>,
    pub(super) dependencies: Vec<u64>,
    pub(super) hashes: Vec<u64>,
    pub(super) visibility: Visibility,
    pub(super) generation: Option<Generation>,
    pub(super) place: Place,
    pub(super) deadline: u64,
}

impl Fake {
    pub(super) fn read_from(self, source: &Arc<Source>) -> Read<'_> {
        Read {
            source,
            hash: RenderedKey::hash_of(self.key.as_bytes(), source.name.seed),
            entry: Arc::new(self),
            outcome: Outcome::LocalHit,
        }
    }
}

impl Shown for Fake {
    fn key(&self) -> &str {
        &self.key
    }

    fn content_id(&self) -> Option<u64> {
        self.content_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tags
    }

    fn dependencies(&self) -> &[u64] {
        &self.dependencies
    }

    fn tag_hashes(&self) -> &[u64] {
        &self.hashes
    }

    fn visibility(&self) -> Visibility {
        self.visibility
    }

    fn generation(&self) -> Option<Generation> {
        self.generation
    }

    fn place(&self) -> Place {
        self.place
    }

    fn stale_from(&self) -> u64 {
        self.deadline
    }
}

/// A value without names, which lives for `remaining` ms more.
pub(super) fn one(key: &str, clock: &Arc<dyn Clock>, remaining: u64) -> Fake {
    Fake {
        key: key.to_owned(),
        content_id: None,
        tags: Vec::new(),
        dependencies: Vec::new(),
        hashes: Vec::new(),
        visibility: Visibility::Public,
        generation: None,
        place: Place {
            position: None,
            generation: 0,
        },
        deadline: millis(clock.now()) + remaining,
    }
}

pub(super) fn source(witness: &Arc<dyn Witness>, clock: &Arc<dyn Clock>) -> Arc<Source> {
    let nobody: Weak<Nobody> = Weak::new();
    Arc::new(Source {
        name: Arc::new(CacheName::new("product").unwrap()),
        clock: Arc::clone(clock),
        witness: Arc::clone(witness),
        keeper: nobody,
        schema: 0,
        buckets: 64,
        implied: [1, 2],
    })
}

/// Holds nothing.
struct Nobody;

impl Keeper for Nobody {
    fn serves(&self, _: u64, _: &dyn Shown) -> bool {
        false
    }
}

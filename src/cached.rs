//! What a read returns: the value, shared, with what is known about it.

use crate::model::{Entry, Version, to_duration};
use crate::outcome::Outcome;
use serde::{Serialize, Serializer};
use std::{fmt, ops::Deref, sync::Arc, time::Duration};

/// A value out of the cache.
///
/// It derefs to the value and shares it: cloning copies no data and needs no `V: Clone`. The ages are those at the
/// time of the read.
pub struct Cached<V> {
    entry: Arc<Entry<V>>,
    read_at: u64,
    outcome: Outcome,
}

impl<V> Cached<V> {
    pub(crate) fn new(entry: Arc<Entry<V>>, read_at: u64, outcome: Outcome) -> Self {
        Self {
            entry,
            read_at,
            outcome,
        }
    }

    /// How old the value was when it was read, counted from the start of its load.
    #[must_use]
    pub fn age(&self) -> Duration {
        to_duration(self.read_at.saturating_sub(self.entry.lifetime.born))
    }

    /// How long the value could still be served when it was read. A copy in any further tier must not live longer.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        to_duration(self.entry.lifetime.remaining(self.read_at))
    }

    /// Where the answer came from.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The generation of the value; `None` if it was loaded while Redis could not be asked.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.entry.generation.map(|generation| generation.version)
    }

    /// 64-bit hash of the encoded value: equal for equal bytes, also over versions. `None` if the value was not encoded.
    #[must_use]
    pub fn content_id(&self) -> Option<u64> {
        self.entry.content_id
    }

    pub(crate) fn entry(&self) -> &Entry<V> {
        &self.entry
    }
}

impl<V> Deref for Cached<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.entry.value
    }
}

impl<V> AsRef<V> for Cached<V> {
    fn as_ref(&self) -> &V {
        self
    }
}

impl<V> Clone for Cached<V> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
            ..*self
        }
    }
}

impl<V: fmt::Debug> fmt::Debug for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("value", &**self)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl<V: Serialize> Serialize for Cached<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

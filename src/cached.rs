//! What a read returns: the value, shared, with what is known about it.

#[cfg(feature = "test-util")]
mod assertions;

use crate::error::Error;
use crate::model::{Entry, Tag, Version, Visibility, to_duration};
use crate::outcome::Outcome;
use serde::{Serialize, Serializer};
use std::{fmt, ops::Deref, sync::Arc, time::Duration};

/// A value out of the cache.
///
/// It derefs to the value and shares it: cloning copies no data and needs no `V: Clone`. The ages are those at the
/// time of the read.
pub struct Cached<V>(Found<V>);

/// What a read has found: a value, or that there is none.
pub(crate) struct Found<V> {
    pub(crate) entry: Arc<Entry<V>>,
    pub(crate) read_at: u64,
    pub(crate) outcome: Outcome,
}

impl<V> Found<V> {
    /// # Errors
    /// The absent one, if it is remembered that there is no such value.
    pub(crate) fn into_result(self) -> Result<Cached<V>, Error> {
        if self.entry.is_present() {
            Ok(Cached(self))
        } else {
            Err(Error::absent())
        }
    }
}

impl<V> fmt::Debug for Found<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl<V> Clone for Found<V> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
            ..*self
        }
    }
}

impl<V> Cached<V> {
    /// How old the value was when it was read, counted from the start of its load.
    #[must_use]
    pub fn age(&self) -> Duration {
        to_duration(self.0.read_at.saturating_sub(self.entry().lifetime.born))
    }

    /// How long the value could still be served when it was read. A copy in any further tier must not live longer.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        to_duration(self.entry().remaining(self.0.read_at))
    }

    /// Whether it was past its TTL when it was read, and served inside a stale window of the policy.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.outcome().is_stale()
    }

    /// Where the answer came from.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The tags that its loader gave it, and those of the cached values that its load has read; sorted.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        self.entry().tags()
    }

    /// Who may see it.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        self.entry().visibility
    }

    /// The generation of the value; `None` if it was loaded while Redis could not be asked.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.entry().generation.map(|generation| generation.version)
    }

    /// 64-bit hash of the encoded value: equal for equal bytes, also over versions. `None` if the value was not encoded.
    #[must_use]
    pub fn content_id(&self) -> Option<u64> {
        self.entry().content_id()
    }

    fn entry(&self) -> &Entry<V> {
        &self.0.entry
    }
}

impl<V> Deref for Cached<V> {
    type Target = V;

    fn deref(&self) -> &V {
        // `Found::into_result` is the only way here, and looks.
        let value = self.entry().value();
        value.expect("a `Cached` is made of a value only")
    }
}

impl<V> AsRef<V> for Cached<V> {
    fn as_ref(&self) -> &V {
        self
    }
}

impl<V> Clone for Cached<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: fmt::Debug> fmt::Debug for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("value", &**self)
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}

impl<V: Serialize> Serialize for Cached<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

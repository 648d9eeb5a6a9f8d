//! What one call to a vendor names: keys, or everything, and how they go.

use std::sync::Arc;

/// How a page goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is gone: the next visitor waits for a new one.
    Hard,
    /// It is stale: the next visitor may still see it, while the edge fetches a new one.
    Soft,
}

impl Mode {
    /// The stronger of two wishes for the same key.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Hard { self } else { other }
    }
}

/// The keys that one call purges, all in the same way.
///
/// A [`Purger`](crate::purge::Purger) never makes one that exceeds the vendor's [`Limits`](crate::purge::Limits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    keys: Vec<Arc<str>>,
    mode: Mode,
    everything: bool,
}

impl Batch {
    /// A purge of these keys, which are not checked: a [`Purger`](crate::purge::Purger) checks what it is given.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = impl AsRef<str>>, mode: Mode) -> Self {
        let keys = keys.into_iter().map(|key| Arc::from(key.as_ref()));
        Self::of(keys.collect(), mode)
    }

    /// A hard purge of all that the edge holds for this service.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            keys: Vec::new(),
            mode: Mode::Hard,
            everything: true,
        }
    }

    pub(crate) fn of(keys: Vec<Arc<str>>, mode: Mode) -> Self {
        Self {
            keys,
            mode,
            everything: false,
        }
    }

    /// The surrogate keys, each once; none if the batch [is everything](Self::is_everything).
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.keys.iter().map(AsRef::as_ref)
    }

    /// How the pages go.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether this is a purge of all that the edge holds. Only vendors whose limits offer it get one.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// The keys between separators, as headers carry them.
    pub(crate) fn joined(&self, separator: &str) -> String {
        self.keys.join(separator)
    }
}

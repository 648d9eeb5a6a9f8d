//! Whether what a scope has read is still what it was.

use std::time::Duration;

/// What the remote tier says of all that a scope has read; see [`RequestScope::confirm`](super::RequestScope::confirm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confirmation {
    /// Nothing of it was invalidated since it was read.
    #[non_exhaustive]
    Current {
        /// How long ago the last invalidation of any of it was; the longest duration if none is known.
        quiet: Duration,
    },
    /// Something of it was invalidated meanwhile.
    Moved,
    /// Nobody can tell: the remote tier did not answer in time, or something was read that it knows nothing of.
    Unknown,
}

impl Confirmation {
    /// Nothing was invalidated, as far back as anybody remembers.
    pub(crate) const UNTOUCHED: Self = Self::Current {
        quiet: Duration::MAX,
    };

    /// What is to be said of two parts: the worse of both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Moved, _) | (_, Self::Moved) => Self::Moved,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Current { quiet: one }, Self::Current { quiet: other }) => Self::Current {
                quiet: one.min(other),
            },
        }
    }
}

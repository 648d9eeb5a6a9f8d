//! How stale a read may be.

use std::time::Duration;

use super::super::{
    clock::nanos,
    words::{Label, LevelName},
};

/// The limits of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of `Eventual`, while the feed is proven: two heartbeats.
    pub(crate) proven: Duration,
    /// Of `Eventual`, for answers that say themselves that nothing proves them: the local TTL.
    pub(crate) unproven: Duration,
    /// What a machine that is busy may add to the two above.
    pub(crate) allowance: Duration,
    /// Of `Bounded`.
    pub(crate) bounded: Duration,
    /// What reading the clock may add to `Bounded`.
    pub(crate) clock: Duration,
}

impl Limits {
    /// How stale a read of this level with this answer may be, in nanoseconds.
    pub(super) fn of(&self, level: LevelName, label: Label) -> u64 {
        nanos(match (level, label) {
            (LevelName::Eventual, Label::LocalUnproven) => self.unproven + self.allowance,
            (LevelName::Eventual, _) => self.proven + self.allowance,
            (LevelName::Bounded, _) => self.bounded + self.clock,
            (LevelName::Strict, _) => Duration::ZERO,
        })
    }

    /// How long after a split a deposed node may still serve what it has from the deposed server, in nanoseconds.
    pub(super) fn after_a_split(&self) -> u64 {
        nanos(self.proven + self.allowance)
    }
}

//! What a `Tiers` says of its edge.

use crate::purge::Standing;
use serde::Serialize;
use std::time::Duration;

/// How it stands with the [edge](crate::TiersBuilder::edge), at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeReport {
    waiting: usize,
    oldest: Option<Duration>,
    refused: usize,
    recorded: Option<usize>,
    last_error: Option<String>,
}

impl EdgeReport {
    pub(super) fn of(standing: Standing) -> Self {
        Self {
            waiting: standing.waiting,
            oldest: standing.oldest,
            refused: standing.refused,
            recorded: standing.recorded,
            last_error: standing.last_error,
        }
    }

    /// Names that this process sees to, and that are not purged for good yet. Those that wait for their second purge are among
    /// them. At most 10,000, and everything as one more: beyond, names are left to the purge record.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How long the one of them waits that has waited longest, since it was handed to the edge. It grows while an edge is away.
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        self.oldest
    }

    /// Names that the edge has refused, and that are tried again after a pause. Only the node that [looks](Self::recorded) tries
    /// again.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Names in the purge record of all nodes, as this one saw it last; `None` on the nodes that leave the looking to another.
    #[must_use]
    pub fn recorded(&self) -> Option<usize> {
        self.recorded
    }

    /// Why the edge refused a purge the last time; it stays when all is well again.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

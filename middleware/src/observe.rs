//! One event and one count per decision.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    decide::{Decision, Reason},
    profile::Profile,
};

/// What an [`EdgeLayer`](crate::EdgeLayer) has decided so far, over all its clones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeReport {
    shared: u64,
    not_shared: u64,
    untouched: u64,
    over_budget: u64,
}

impl EdgeReport {
    /// Responses that an edge may keep.
    #[must_use]
    pub const fn shared(&self) -> u64 {
        self.shared
    }

    /// Responses that no edge may keep, [`over_budget`](Self::over_budget) among them.
    #[must_use]
    pub const fn not_shared(&self) -> u64 {
        self.not_shared
    }

    /// Responses with a policy of the handler's own that read no cache: passed on as they were.
    #[must_use]
    pub const fn untouched(&self) -> u64 {
        self.untouched
    }

    /// Responses that would have been shared, but whose surrogate keys exceed the edge's limit.
    ///
    /// If this grows, a page reads too many entities: cache the list as one entity.
    #[must_use]
    pub const fn over_budget(&self) -> u64 {
        self.over_budget
    }
}

/// The counts behind an [`EdgeReport`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    shared: AtomicU64,
    not_shared: AtomicU64,
    untouched: AtomicU64,
    over_budget: AtomicU64,
}

impl Counts {
    pub(crate) fn report(&self) -> EdgeReport {
        EdgeReport {
            shared: self.shared.load(Relaxed),
            not_shared: self.not_shared.load(Relaxed),
            untouched: self.untouched.load(Relaxed),
            over_budget: self.over_budget.load(Relaxed),
        }
    }
}

/// Counts a decision and tells it to the log, at debug level.
pub(crate) fn decided(counts: &Counts, profile: &Profile, decision: Decision, entities: usize) {
    let edge = profile.edge();
    match decision {
        Decision::Share(lifetimes) => {
            counts.shared.fetch_add(1, Relaxed);
            tracing::debug!(
                edge,
                seconds = lifetimes.shared,
                entities,
                "response is shared"
            );
        }
        Decision::Deny(Reason::OverBudget) => {
            counts.not_shared.fetch_add(1, Relaxed);
            over_budget(counts, edge, entities);
        }
        Decision::Deny(reason) => {
            counts.not_shared.fetch_add(1, Relaxed);
            tracing::debug!(edge, ?reason, "response is not shared");
        }
        Decision::KeepPrivate => {
            counts.not_shared.fetch_add(1, Relaxed);
            tracing::debug!(edge, "response stays private, as the handler said");
        }
        Decision::Untouched => {
            counts.untouched.fetch_add(1, Relaxed);
            tracing::debug!(edge, "response is left as it is");
        }
    }
}

/// Warns at the first, second, fourth, eighth … page that is too large: such a page may be asked for all day.
fn over_budget(counts: &Counts, edge: &str, entities: usize) {
    let pages = counts.over_budget.fetch_add(1, Relaxed) + 1;
    if pages.is_power_of_two() {
        tracing::warn!(
            edge,
            entities,
            pages,
            "response is not shared: its surrogate keys exceed the edge's limit"
        );
    }
}

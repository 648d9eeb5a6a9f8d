//! One event and one count per decision.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    decide::{Decision, Reason},
    edges::Edges,
    key_line::Form,
    write::Written,
};

/// What an [`EdgeLayer`](crate::EdgeLayer) has decided so far, over all its clones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeReport {
    shared: u64,
    not_shared: u64,
    untouched: u64,
    over_budget: u64,
    shortened: u64,
    coarsened: u64,
    moved: u64,
    unconfirmed: u64,
    clamped: u64,
    answered_ahead: u64,
}

impl EdgeReport {
    /// Responses that an edge may keep for a while.
    #[must_use]
    pub const fn shared(&self) -> u64 {
        self.shared
    }

    /// Responses that no edge may serve without asking.
    #[must_use]
    pub const fn not_shared(&self) -> u64 {
        self.not_shared
    }

    /// Responses that were passed on as they were: they read no cache, and their handler states a policy of its own.
    #[must_use]
    pub const fn untouched(&self) -> u64 {
        self.untouched
    }

    /// Responses that would have been shared, but whose surrogate keys exceed the limit of an edge.
    ///
    /// Another edge may have kept such a response: then it is one of [`shared`](Self::shared) too.
    ///
    /// If this grows, a page reads too many entities: cache the list as one entity.
    #[must_use]
    pub const fn over_budget(&self) -> u64 {
        self.over_budget
    }

    /// Shared responses with so many surrogate keys that long ones stand there in their short form.
    ///
    /// They are purged as precisely as any, if a purge names all of [`purge_keys`](crate::purge_keys).
    #[must_use]
    pub const fn shortened(&self) -> u64 {
        self.shortened
    }

    /// Shared responses with so many surrogate keys that one key stands for all of a cache.
    ///
    /// Every purge of an entity of that cache takes them, whether they show it or not. If this grows, a page reads too
    /// many entities: cache the list as one entity.
    #[must_use]
    pub const fn coarsened(&self) -> u64 {
        self.coarsened
    }

    /// Responses that would have been shared, but something that they show was invalidated while they were made.
    ///
    /// Each of them is a page that a purge would have missed.
    #[must_use]
    pub const fn moved(&self) -> u64 {
        self.moved
    }

    /// Responses that would have been shared, but nobody could tell whether they are current: the remote tier did not
    /// answer in time, or they show what was loaded without it.
    #[must_use]
    pub const fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    /// Responses that an edge may keep for a short time only, because something that they show was invalidated lately.
    #[must_use]
    pub const fn clamped(&self) -> u64 {
        self.clamped
    }

    /// Requests that were answered with a 304 ahead of their handler. Each of them is counted as what its page is, too.
    #[must_use]
    pub const fn answered_ahead(&self) -> u64 {
        self.answered_ahead
    }
}

/// The counts behind an [`EdgeReport`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    shared: AtomicU64,
    not_shared: AtomicU64,
    untouched: AtomicU64,
    over_budget: AtomicU64,
    shortened: AtomicU64,
    coarsened: AtomicU64,
    moved: AtomicU64,
    unconfirmed: AtomicU64,
    clamped: AtomicU64,
    answered_ahead: AtomicU64,
}

impl Counts {
    pub(crate) fn report(&self) -> EdgeReport {
        EdgeReport {
            shared: self.shared.load(Relaxed),
            not_shared: self.not_shared.load(Relaxed),
            untouched: self.untouched.load(Relaxed),
            over_budget: self.over_budget.load(Relaxed),
            shortened: self.shortened.load(Relaxed),
            coarsened: self.coarsened.load(Relaxed),
            moved: self.moved.load(Relaxed),
            unconfirmed: self.unconfirmed.load(Relaxed),
            clamped: self.clamped.load(Relaxed),
            answered_ahead: self.answered_ahead.load(Relaxed),
        }
    }
}

/// Counts what was written and tells it to the log, at debug level.
pub(crate) fn decided(counts: &Counts, edges: &Edges, written: &Written, entities: usize) {
    match written.decision {
        Decision::Share(lifetimes) => {
            let kept = if lifetimes.shared > 0 {
                &counts.shared
            } else {
                &counts.not_shared
            };
            kept.fetch_add(1, Relaxed);
            let (seconds, form) = (lifetimes.shared, written.form());
            count_form(counts, form);
            tracing::debug!(%edges, seconds, entities, ?form, "response is shared");
            refused_to_one(counts, edges, written.refusal(), entities);
        }
        Decision::ShareWithBrowsers(_) => {
            counts.not_shared.fetch_add(1, Relaxed);
            tracing::debug!(%edges, "response is kept from edges: it was not asked for through one");
        }
        Decision::Deny(Reason::OverBudget) => {
            counts.not_shared.fetch_add(1, Relaxed);
            over_budget(counts, edges, entities);
        }
        Decision::Deny(reason) => {
            counts.not_shared.fetch_add(1, Relaxed);
            match reason {
                Reason::Moved => drop(counts.moved.fetch_add(1, Relaxed)),
                Reason::Unconfirmed => drop(counts.unconfirmed.fetch_add(1, Relaxed)),
                _ => {}
            }
            let reason = reason.as_str();
            tracing::debug!(%edges, reason, "response is not shared");
        }
        Decision::AskEachTime | Decision::KeepOwn => {
            counts.not_shared.fetch_add(1, Relaxed);
            tracing::debug!(%edges, "response is kept from edges, as the handler said");
        }
        Decision::Untouched => {
            counts.untouched.fetch_add(1, Relaxed);
            tracing::debug!(%edges, "response is left as it is");
        }
    }
}

/// Counts a page that may not be kept for as long as it lives.
pub(crate) fn clamped(counts: &Counts, edges: &Edges) {
    counts.clamped.fetch_add(1, Relaxed);
    tracing::debug!(%edges, "response is shared for a short time: it shows what was invalidated lately");
}

/// Counts a page that its client has already, and whose handler was not asked.
pub(crate) fn answered_ahead(counts: &Counts, edges: &Edges) {
    counts.answered_ahead.fetch_add(1, Relaxed);
    tracing::debug!(%edges, "request is answered ahead of its handler: nothing that its page shows has changed");
}

/// Others may keep the page.
fn refused_to_one(counts: &Counts, edges: &Edges, reason: Option<Reason>, entities: usize) {
    match reason {
        None => {}
        Some(Reason::OverBudget) => over_budget(counts, edges, entities),
        Some(reason) => {
            let reason = reason.as_str();
            tracing::debug!(%edges, reason, "response is not shared with one of the edges");
        }
    }
}

fn count_form(counts: &Counts, form: Form) {
    match form {
        Form::Whole => {}
        Form::Shortened => {
            counts.shortened.fetch_add(1, Relaxed);
        }
        Form::Coarsened => {
            counts.coarsened.fetch_add(1, Relaxed);
        }
    }
}

/// Warns at the first, second, fourth, eighth … page that is too large: such a page may be asked for all day.
fn over_budget(counts: &Counts, edges: &Edges, entities: usize) {
    let pages = counts.over_budget.fetch_add(1, Relaxed) + 1;
    if pages.is_power_of_two() {
        tracing::warn!(
            %edges,
            entities,
            pages,
            "response is not shared: its surrogate keys exceed the limit of an edge"
        );
    }
}

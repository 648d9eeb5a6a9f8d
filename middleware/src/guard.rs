//! What becomes of a page once the remote tier has said whether it is still current.
//!
//! A purge reaches what an edge holds, and nothing that is still on its way there. So a page of which something has moved
//! goes to its client and to no edge, and one of which something moved a moment ago is not kept for long.

use std::time::Duration;

use tricache::Confirmation;

use crate::decide::{Decision, Lifetimes, Reason};

/// How a layer asks, and what it makes of the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// How long the question may take.
    pub(crate) within: Duration,
    pub(crate) share_unconfirmed: bool,
    /// For so long after an invalidation a page is kept for `at_most` only.
    pub(crate) window: Duration,
    pub(crate) at_most: Duration,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            within: Duration::from_millis(50),
            share_unconfirmed: false,
            window: Duration::from_secs(10),
            at_most: Duration::from_secs(2),
        }
    }
}

impl Guard {
    /// Whether a page that is to leave so is asked about: one that an edge may serve without asking itself.
    pub(crate) fn asks_about(decision: Decision) -> bool {
        matches!(decision, Decision::Share(lifetimes) if lifetimes.shared > 0)
    }

    /// The decision after the answer.
    pub(crate) fn judge(&self, decision: Decision, answer: Confirmation) -> Decision {
        let Decision::Share(lifetimes) = decision else {
            return decision;
        };
        match answer {
            Confirmation::Current { quiet, .. } if quiet < self.window => {
                Decision::Share(self.clamped(lifetimes))
            }
            Confirmation::Current { .. } => decision,
            Confirmation::Moved => Decision::Deny(Reason::Moved),
            _ if self.share_unconfirmed => decision,
            _ => Decision::Deny(Reason::Unconfirmed),
        }
    }

    fn clamped(&self, lifetimes: Lifetimes) -> Lifetimes {
        let at_most = self.at_most.as_secs();
        if lifetimes.shared <= at_most {
            return lifetimes;
        }
        Lifetimes {
            shared: at_most,
            browser: lifetimes.browser.min(at_most),
            // What may be served past a short life is not short-lived.
            stale: false,
        }
    }
}

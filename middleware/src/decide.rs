//! May this response be shared, and for how long: every rule, in order, as a pure function.
//!
//! The order matters. First what no handler can allow, then what the handler said itself, then what sharing needs.
//! Each rule only ever takes away: a response is shared if none of them objects. What one edge cannot take of a page that
//! may be shared is the matter of `verdict`.

use http::StatusCode;
use tricache::Visibility;

use crate::{
    facts::{Read, RequestFacts, ResponseFacts},
    profile::Profile,
    structured::LONGEST_DELTA_SECONDS,
};

/// What the headers shall say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Edges may keep the page, and browsers too.
    Share(Lifetimes),
    /// As [`Share`](Self::Share), but it was asked for past all edges: browsers alone may keep the page.
    ShareWithBrowsers(Lifetimes),
    /// Nobody may keep it: `private, no-store` in every control header.
    Deny(Reason),
    /// The handler's `no-cache`: browsers ask each time, edges are told `private, no-store`.
    AskEachTime,
    /// The handler's `Cache-Control` stands; edges are told `private, no-store`.
    KeepOwn,
    /// Not our page: nothing is touched.
    Untouched,
}

/// How long a shared page may be kept, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    /// By an edge. Zero: it asks each time.
    pub(crate) shared: u64,
    /// By a browser: at most as long as by the edge.
    pub(crate) browser: u64,
    /// Whether an edge may serve it past its life, as far as its profile does.
    pub(crate) stale: bool,
}

impl Lifetimes {
    /// As long as both the page and the profile allow; `None` if that is not at all.
    pub(crate) fn within(self, profile: &Profile) -> Option<Self> {
        let bound = profile.max_shared_seconds();
        let shared = self.shared.min(bound);
        (bound > 0).then_some(Self {
            shared,
            browser: self.browser.min(profile.browser_seconds()).min(shared),
            stale: self.stale && shared > 0,
        })
    }
}

/// Why a response is not shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Authorization,
    SetCookie,
    ErrorStatus,
    NoStore,
    NoValidator,
    ContradictedPrivate,
    UserData,
    NothingRead,
    Method,
    Status,
    NotPublic,
    Unsure,
    VariesOnAll,
    NoLife,
    OverBudget,
    IgnoresVary,
    Objection,
    Moved,
    Unconfirmed,
}

impl Reason {
    /// The stable label, for logs and for what a layer explains.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::ErrorStatus => "error-status",
            Self::NoStore => "no-store",
            Self::NoValidator => "no-cache-without-validator",
            Self::ContradictedPrivate => "contradicted-private",
            Self::UserData => "user-data",
            Self::NothingRead => "nothing-read",
            Self::Method => "method",
            Self::Status => "status",
            Self::NotPublic => "not-public",
            Self::Unsure => "unsure",
            Self::VariesOnAll => "varies-on-all",
            Self::NoLife => "no-life",
            Self::OverBudget => "over-budget",
            Self::IgnoresVary => "ignores-vary",
            Self::Objection => "objection",
            Self::Moved => "moved",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// Decides what the headers shall say.
pub(crate) fn decide(request: RequestFacts, response: &ResponseFacts, read: &Read<'_>) -> Decision {
    if response.status.is_informational() {
        return Decision::Untouched;
    }
    if let Some(reason) = forbidden(request, response) {
        return Decision::Deny(reason);
    }
    if let Some(decision) = refused_by_the_handler(response) {
        return decision;
    }
    // Not `== User`: whatever visibility is added later is stricter than `Public`.
    if read.visibility != Visibility::Public {
        return Decision::Deny(Reason::UserData);
    }
    if read.objected {
        return Decision::Deny(Reason::Objection);
    }
    if !request.is_read {
        return own_policy_or(response, Decision::KeepOwn, Reason::Method);
    }
    let Some(remaining) = read.remaining else {
        return own_policy_or(response, Decision::Untouched, Reason::NothingRead);
    };
    match objection(response) {
        Some(reason) => Decision::Deny(reason),
        None => share(request, response, remaining.as_secs()),
    }
}

/// What no mark and no header of the handler's can allow.
fn forbidden(request: RequestFacts, response: &ResponseFacts) -> Option<Reason> {
    if request.authorized {
        Some(Reason::Authorization)
    } else if response.sets_cookie {
        Some(Reason::SetCookie)
    } else if is_never_shared(response.status) {
        Some(Reason::ErrorStatus)
    } else {
        None
    }
}

/// What the handler forbids is forbidden; how much of it browsers are told depends on how clear it is.
fn refused_by_the_handler(response: &ResponseFacts) -> Option<Decision> {
    let stated = &response.stated;
    if stated.no_store {
        Some(Decision::Deny(Reason::NoStore))
    } else if stated.no_cache && response.has_validator {
        Some(Decision::AskEachTime)
    } else if stated.no_cache {
        Some(Decision::Deny(Reason::NoValidator))
    } else if stated.is_private() {
        Some(Decision::KeepOwn)
    } else if stated.private {
        Some(Decision::Deny(Reason::ContradictedPrivate))
    } else {
        None
    }
}

/// `kept` for a handler that states a lifetime. Without one nothing is invented, and no cache shall guess.
fn own_policy_or(response: &ResponseFacts, kept: Decision, reason: Reason) -> Decision {
    if response.stated.is_policy() {
        kept
    } else {
        Decision::Deny(reason)
    }
}

/// What keeps a response that read entries from being shared.
fn objection(response: &ResponseFacts) -> Option<Reason> {
    if !is_shareable(response.status) {
        Some(Reason::Status)
    } else if !response.public {
        Some(Reason::NotPublic)
    } else if response.stated.unsure {
        Some(Reason::Unsure)
    } else if response.varies_on_all {
        Some(Reason::VariesOnAll)
    } else {
        None
    }
}

/// The shortest of all that was said; a fraction of a second was dropped, never rounded up.
fn share(request: RequestFacts, response: &ResponseFacts, remaining: u64) -> Decision {
    if remaining == 0 && says_absent(response.status) {
        return Decision::Deny(Reason::NoLife);
    }
    let stated = &response.stated;
    let shared = remaining
        .min(stated.shared_seconds().unwrap_or(u64::MAX))
        .min(LONGEST_DELTA_SECONDS);
    let lifetimes = Lifetimes {
        shared,
        browser: stated.browser_seconds().unwrap_or(shared).min(shared),
        stale: shared > 0 && (response.written_before || !stated.revalidates),
    };
    if request.through_edge {
        Decision::Share(lifetimes)
    } else {
        Decision::ShareWithBrowsers(lifetimes)
    }
}

/// What is absent may begin to exist at any time: a page that says so is kept only as long as it is known to hold.
fn says_absent(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Errors that say something about this moment or this visitor.
fn is_never_shared(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED
                | StatusCode::TOO_MANY_REQUESTS
        )
}

/// The only statuses that are shared.
fn is_shareable(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::OK
            | StatusCode::NON_AUTHORITATIVE_INFORMATION
            | StatusCode::MOVED_PERMANENTLY
            // It refreshes a stored 200 and must say what that one would say (RFC 9110, 15.4.5).
            | StatusCode::NOT_MODIFIED
            | StatusCode::PERMANENT_REDIRECT
            | StatusCode::NOT_FOUND
            | StatusCode::GONE
    )
}

#[cfg(test)]
mod tests;

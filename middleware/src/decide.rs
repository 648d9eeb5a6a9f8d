//! May this response be shared, and for how long: every rule, in order, as a pure function.
//!
//! The order matters. First what no handler can allow, then what the handler said itself, then what sharing needs.
//! Each rule only ever takes away: a response is shared if none of them objects.

use std::time::Duration;

use http::StatusCode;

use crate::{
    facts::{RequestFacts, ResponseFacts},
    profile::Profile,
};

/// What the headers shall say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The edge may keep the page, and browsers too.
    Share(Lifetimes),
    /// Nobody may keep it: `private, no-store` in every control header.
    Deny(Reason),
    /// The handler's `private` stands for browsers; edges are told `private, no-store`.
    KeepPrivate,
    /// No cache was read and the handler has a policy of its own: not our page, nothing is touched.
    Untouched,
}

/// How long a shared page may be kept, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    /// By an edge: at least 1.
    pub(crate) shared: u64,
    /// By a browser: at most as long as by the edge.
    pub(crate) browser: u64,
}

/// Why a response is not shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Authorization,
    SetCookie,
    ErrorStatus,
    NoStore,
    NothingRead,
    Method,
    Status,
    NotPublic,
    Unsure,
    VariesOnAll,
    NoLife,
    OverBudget,
}

/// Decides what the headers shall say, given the least remaining life of what was read (`None`: nothing was).
pub(crate) fn decide(
    request: RequestFacts,
    response: &ResponseFacts,
    remaining: Option<Duration>,
    profile: &Profile,
) -> Decision {
    if response.status.is_informational() {
        return Decision::Untouched;
    }
    if let Some(reason) = forbidden(request, response) {
        return Decision::Deny(reason);
    }
    if response.stated.no_store {
        return Decision::Deny(Reason::NoStore);
    }
    if response.stated.private {
        return Decision::KeepPrivate;
    }
    let Some(remaining) = remaining else {
        return nothing_read(response);
    };
    match objection(request, response) {
        Some(reason) => Decision::Deny(reason),
        None => share(response, remaining, profile),
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

/// No entry was read, so no lifetime is known and none is invented.
fn nothing_read(response: &ResponseFacts) -> Decision {
    if response.stated.cache_control {
        Decision::Untouched
    } else {
        Decision::Deny(Reason::NothingRead)
    }
}

/// What keeps a response that read entries from being shared.
fn objection(request: RequestFacts, response: &ResponseFacts) -> Option<Reason> {
    if !request.is_read {
        Some(Reason::Method)
    } else if !is_shareable(response.status) {
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

/// The shortest of all that was said; a fraction of a second is dropped, never rounded up.
fn share(response: &ResponseFacts, remaining: Duration, profile: &Profile) -> Decision {
    let shared = remaining
        .as_secs()
        .min(profile.max_shared_seconds())
        .min(response.stated.shared_seconds().unwrap_or(u64::MAX))
        .min(LONGEST_DELTA_SECONDS);
    if shared == 0 {
        return Decision::Deny(Reason::NoLife);
    }
    let browser = profile
        .browser_seconds()
        .min(response.stated.browser_seconds().unwrap_or(u64::MAX))
        .min(shared);
    Decision::Share(Lifetimes { shared, browser })
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

/// The largest number of seconds that every cache reads (RFC 9111, 1.2.2).
const LONGEST_DELTA_SECONDS: u64 = (1 << 31) - 1;

#[cfg(test)]
mod tests;

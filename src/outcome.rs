//! Every way a read can be answered, each with its stable label.

use serde::Serialize;
use std::fmt;

/// Where the answer of one read came from.
///
/// The label of [`as_str`](Self::as_str) never changes; metrics, logs and headers may carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
// As wide as what stands beside it in an answer, which then moves in whole words: a hit moves it three times.
#[repr(u64)]
pub enum Outcome {
    /// From this process, proven current by a live feed.
    LocalHit,
    /// From this process, after Redis confirmed that its version is still the current one.
    LocalRevalidated,
    /// From this process although Redis could not be asked: at most one local TTL old.
    LocalUnproven,
    /// From Redis.
    RemoteHit,
    /// Past its TTL, inside [`Policy::stale_while_revalidate`](crate::Policy::stale_while_revalidate): from this process or
    /// Redis, while a load replaces it.
    Stale,
    /// Past its TTL, inside [`Policy::stale_if_error`](crate::Policy::stale_if_error): the loader has failed or is late, or the store is overrun, just now or a moment ago.
    StaleIfError,
    /// From the store, by this call's loader or by one that this call waited for.
    Loaded,
    /// From the store, by this call's loader, because the cache is switched off.
    Bypassed,
}

impl Outcome {
    pub(crate) const fn is_stale(self) -> bool {
        matches!(self, Self::Stale | Self::StaleIfError)
    }

    /// The stable label, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LocalHit => "local_hit",
            Self::LocalRevalidated => "local_revalidated",
            Self::LocalUnproven => "local_unproven",
            Self::RemoteHit => "remote_hit",
            Self::Stale => "stale",
            Self::StaleIfError => "stale_if_error",
            Self::Loaded => "loaded",
            Self::Bypassed => "bypassed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What is counted, handed to the facade `metrics`: nothing else names that crate.
//!
//! A hit pays nothing for it: it counts into its own stripe as always, and what came since the last time is handed on now and
//! then. Durations are handed on at once, since they are of things that take long.

use super::{ALL, Decision, Observer};
use metrics::{SharedString, Unit, counter, describe_counter, describe_histogram, histogram};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What was handed on so far.
pub(super) struct Exported {
    cache: Arc<str>,
    handed: Mutex<[u64; ALL.len()]>,
}

impl Exported {
    pub(super) fn new(cache: &str) -> Self {
        Self {
            cache: cache.into(),
            handed: Mutex::new([0; ALL.len()]),
        }
    }

    fn cache(&self) -> SharedString {
        Arc::clone(&self.cache).into()
    }

    pub(super) fn load_took(&self, took: Duration, ok: bool) {
        histogram!(LOAD, "cache" => self.cache(), "result" => result(ok)).record(took);
    }
}

impl Observer {
    /// Hands on what was counted since the last time.
    pub(super) fn publish(&self) {
        let exported = &self.exported;
        // Whoever panics under the lock has handed on what it noted.
        let mut handed = exported
            .handed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (decision, handed) in ALL.iter().zip(handed.iter_mut()) {
            let counted = self.sum(*decision);
            let new = counted.saturating_sub(*handed);
            if new == 0 {
                continue;
            }
            *handed = counted;
            match outcome(*decision) {
                Some(outcome) => {
                    counter!(READS, "cache" => exported.cache(), "outcome" => outcome)
                }
                None => {
                    counter!(DECISIONS, "cache" => exported.cache(), "decision" => decision.label())
                }
            }
            .increment(new);
        }
    }
}

/// A question to the remote tier was answered, or was not.
pub(super) fn round_trip(operation: &'static str, took: Duration, ok: bool) {
    histogram!(REMOTE, "operation" => operation, "result" => result(ok)).record(took);
}

pub(super) fn describe() {
    describe_counter!(READS, "Reads, by cache and outcome.");
    describe_counter!(DECISIONS, "What else was decided, by cache.");
    describe_histogram!(
        LOAD,
        Unit::Seconds,
        "Calls of loaders, by cache and result."
    );
    describe_histogram!(
        REMOTE,
        Unit::Seconds,
        "Questions to the remote tier, by operation and result."
    );
}

/// How a read has ended; `None`: the decision is another one.
fn outcome(decision: Decision) -> Option<&'static str> {
    use crate::outcome::Outcome as O;
    Some(match decision {
        Decision::LocalHit => O::LocalHit.as_str(),
        Decision::LocalRevalidated => O::LocalRevalidated.as_str(),
        Decision::LocalUnproven => O::LocalUnproven.as_str(),
        Decision::RemoteHit => O::RemoteHit.as_str(),
        Decision::Stale => O::Stale.as_str(),
        Decision::StaleIfError => O::StaleIfError.as_str(),
        Decision::Loaded => O::Loaded.as_str(),
        Decision::Bypassed => O::Bypassed.as_str(),
        Decision::Failed | Decision::Missed | Decision::Dropped => decision.label(),
        _ => return None,
    })
}

fn result(ok: bool) -> &'static str {
    if ok { "ok" } else { "failed" }
}

const READS: &str = "tricache_reads_total";
const DECISIONS: &str = "tricache_decisions_total";
const LOAD: &str = "tricache_load_duration_seconds";
const REMOTE: &str = "tricache_remote_duration_seconds";

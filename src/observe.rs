//! What happened, counted: one call per decision, and the labels of all of them.
//!
//! A hit is counted too, on every thread at once, so the counters are striped: a thread writes a cache line that is
//! rarely another's.

#[cfg(feature = "metrics")]
mod exported;
mod observers;
mod trace;

pub(crate) use self::{
    observers::{ALL_CACHES, Observers},
    trace::{Traced, ended, is_listening, told},
};

use crate::outcome::Outcome;
use serde::Serialize;
use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::Instant;

macro_rules! decisions {
    ($($(#[doc = $doc:literal])+ $variant:ident $field:ident,)+) => {
        /// One decision to count.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Decision {
            $($variant,)+
        }

        /// What a `Tiers` did since it was built.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl Counters {
            /// What was counted after `earlier`, which is of the same [`Tiers`](crate::Tiers).
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($field: self.$field.saturating_sub(earlier.$field),)+ }
            }

            fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }

            /// Name and count of all that was counted at all, in the order of the fields.
            #[must_use]
            pub fn nonzero(&self) -> Vec<(&'static str, u64)> {
                let all = [$((stringify!($field), self.$field),)+];
                all.into_iter().filter(|(_, count)| *count > 0).collect()
            }
        }

        const ALL: &[Decision] = &[$(Decision::$variant,)+];

        #[cfg(feature = "metrics")]
        impl Decision {
            /// The name of its counter.
            fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)+
                }
            }
        }

        impl Observer {
            /// The sums over all threads.
            pub(crate) fn counters(&self) -> Counters {
                Counters { $($field: self.sum(Decision::$variant),)+ }
            }
        }
    };
}

decisions! {
    /// Reads answered by this process, proven by a live feed.
    LocalHit local_hits,
    /// Reads answered by this process after Redis confirmed the version.
    LocalRevalidated local_revalidated,
    /// Reads answered by this process although Redis could not be asked.
    LocalUnproven local_unproven,
    /// Reads answered from Redis.
    RemoteHit remote_hits,
    /// Reads answered with a value past its TTL while a load replaced it.
    Stale stale,
    /// Reads answered with a value past its TTL because the loader had failed.
    StaleIfError stale_if_error,
    /// Reads answered by a load, one's own or a joined one.
    Loaded loaded,
    /// Reads answered by their own loader, because the cache is switched off.
    Bypassed bypassed,
    /// Reads answered with an error that is not an absence: the loader's, a panic, a circle, or one of those below.
    Failed failed,
    /// Reads that failed at their deadline, counted as failed too; a stale value in time is no failure.
    Timeout timeouts,
    /// Reads that do not load, of keys that no tier held.
    Missed missed,
    /// Reads whose caller went away before there was an answer.
    Dropped dropped,
    /// Keys that a loader was asked for: one for each load, and one for each key of a batch's.
    Load loads,
    /// Loads asked for in the background: the value was past its TTL, or near its end. Another node may have loaded meanwhile.
    Refresh refreshes,
    /// Keys whose loader failed or panicked.
    LoadError load_errors,
    /// Loaders that were stopped because they ran too long; each of their keys counts as a load error, too.
    LoadTimeout load_timeouts,
    /// Loads that had to queue for a place.
    QueuedLoad queued_loads,
    /// Loads that were not begun, because the queue was full too.
    ShedLoad shed_loads,
    /// Loads in the background that were not begun, because there was no place at once.
    DroppedRefresh dropped_refreshes,
    /// Keys whose loader said that the value is that of before.
    NotModified not_modified,
    /// Keys that their loader had no value for.
    Absent absences,
    /// Keys that a batch's loader answered without being asked; they were ignored.
    ForeignKey foreign_keys,
    /// Keys that a batch's loader answered more than once; the first answer counted.
    DuplicateKey duplicate_keys,
    /// Reads that waited for a load of this process.
    FlightJoined flights_joined,
    /// Flights that later reads may not join any more, because their key was invalidated.
    FlightDetached flights_detached,
    /// Waits for a load of another node.
    LeaseWait lease_waits,
    /// Loads beside another one, of another node or of this process, because waiting for it had no end in sight.
    LoadedAlone loaded_alone,
    /// Loaded values that Redis refused: the entity was invalidated meanwhile, or Redis knows a newer version of the store.
    StaleFill stale_fills,
    /// Values that this process refused to keep: the entity was invalidated meanwhile.
    StalePut stale_puts,
    /// Payloads in Redis that did not pass their checks.
    BadPayload bad_payloads,
    /// Values that are not in Redis: they could not be encoded and stayed in this process, or have too many tags and stayed nowhere.
    NotStored not_stored,
    /// Values longer than their cache takes: answered, and kept nowhere.
    TooLarge too_large,
    /// Calls to Redis that failed or were not answered in time.
    RemoteError remote_errors,
    /// Answers and heartbeats that were not believed: too few replicas followed the server that gave them, or another server answers now.
    Unconfirmed unconfirmed,
    /// Invalidations acknowledged by Redis.
    Bump bumps,
    /// Invalidations that Redis did not take at once; they were sent again until it did.
    PendingBump pending_bumps,
    /// Tags bumped by this node, those of whole caches and of entities that others show among them.
    TagBump tag_bumps,
    /// Bumps of tags that the feed told of, pushed or replayed.
    TagEvent tag_events,
    /// Values that a bump of one of their tags, their cache or of everything refused.
    TagRefusal tag_refusals,
    /// Questions to Redis whether a tag was bumped: the value was older than this node's table, or its feed was not live.
    TagLookup tag_lookups,
    /// Loaded values that were not kept: an entity that the load had read was invalidated meanwhile, or could not be marked.
    StaleDependency stale_dependencies,
    /// Loads of pinned reads that were not kept, because the loader did not confirm the version.
    OtherVersion other_versions,
    /// Times that so many invalidations waited that a whole cache, or everything, was invalidated in their place.
    Overflow overflows,
    /// Invalidations of entities applied as they were pushed.
    Event events,
    /// Lost invalidations of entities found in the log and applied.
    Replay replays,
    /// Losses that the log could not fill: everything local of a bucket had to prove itself.
    Gap gaps,
    /// Names handed to the edge, to be purged there.
    Purge purges,
    /// Those of them that another node had left in the purge record, or nobody could purge then.
    AdoptedPurge adopted_purges,
    /// Purges that the edge refused. They stay in the purge record, if they stand there, and are tried again after a pause.
    FailedPurge failed_purges,
    /// Times that everything was purged, because the purge record held too many names.
    CoarsenedPurge coarsened_purges,
    /// Notes in the purge record that could not be read. They were removed.
    BadPurgeNote bad_purge_notes,
    /// Times that the data of a bucket turned out to be of another epoch, or gone: the server was wiped, restarted or replaced. Each is a gap, too.
    NewEpoch new_epochs,
}

/// The counters while they run.
pub(crate) struct Observer {
    stripes: [Stripe; STRIPES],
    #[cfg(feature = "metrics")]
    exported: exported::Exported,
}

#[repr(align(128))]
struct Stripe([AtomicU64; ALL.len()]);

impl Observer {
    /// `cache`: whose; a label where metrics are exported.
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    fn new(cache: &str) -> Self {
        Self {
            stripes: std::array::from_fn(|_| Stripe(std::array::from_fn(|_| AtomicU64::new(0)))),
            #[cfg(feature = "metrics")]
            exported: exported::Exported::new(cache),
        }
    }

    pub(crate) fn note(&self, decision: Decision) {
        self.stripes[stripe()].0[decision as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A read was answered with a value.
    pub(crate) fn answered(&self, outcome: Outcome) {
        self.note(match outcome {
            Outcome::LocalHit => Decision::LocalHit,
            Outcome::LocalRevalidated => Decision::LocalRevalidated,
            Outcome::LocalUnproven => Decision::LocalUnproven,
            Outcome::RemoteHit => Decision::RemoteHit,
            Outcome::Stale => Decision::Stale,
            Outcome::StaleIfError => Decision::StaleIfError,
            Outcome::Loaded => Decision::Loaded,
            Outcome::Bypassed => Decision::Bypassed,
        });
    }

    /// A loader was called, and this is how long it took.
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    pub(crate) fn load_took(&self, took: Duration, ok: bool) {
        #[cfg(feature = "metrics")]
        self.exported.load_took(took, ok);
    }

    fn sum(&self, decision: Decision) -> u64 {
        self.stripes
            .iter()
            .map(|stripe| stripe.0[decision as usize].load(Ordering::Relaxed))
            .sum()
    }
}

/// A question to the remote tier that was asked at `began` has ended.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub(crate) fn round_trip(operation: &'static str, began: Instant, ok: bool) {
    #[cfg(feature = "metrics")]
    exported::round_trip(operation, began.elapsed(), ok);
}

/// A read that is under way: dropped before it is answered, it counts as such.
pub(crate) struct Unanswered<'a>(Option<&'a Observer>);

impl<'a> Unanswered<'a> {
    pub(crate) fn new(observer: &'a Observer) -> Self {
        Self(Some(observer))
    }

    /// It has an answer, which whoever found it has counted.
    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(observer) = self.0 {
            observer.note(Decision::Dropped);
        }
    }
}

fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        mine.get()
    })
}

const STRIPES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_has_its_own_counter() {
        let observer = Observer::new("c");
        for decision in ALL {
            observer.note(*decision);
        }

        let counters = serde_json::to_value(observer.counters()).unwrap();

        assert!(
            counters
                .as_object()
                .unwrap()
                .values()
                .all(|count| count == 1)
        );
        assert_eq!(counters.as_object().unwrap().len(), ALL.len());
    }

    #[test]
    fn threads_add_up() {
        let observer = Observer::new("c");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| observer.answered(Outcome::LocalHit)));
            }
        });

        assert_eq!(observer.counters().local_hits, 8000);
    }
}

//! What was raced for: a run in which a kind of race never happened would prove little.

use super::{Member, Race};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use tricache::Counters;

/// What the race itself sees happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    Commit,
    /// Answers to all reads; those below are among them.
    Answer,
    KeptPage,
    Absence,
    /// A value that a writer has put there.
    Inserted,
    /// A pinned value that some tier held.
    KeptPinned,
    /// A row or page in the answer to a batch.
    Batched,
    BatchedLoad,
    BatchedAbsence,
    /// A row that was deleted is there again.
    Creation,
    /// Keys that were invalidated together.
    ManyKeys,
    TagInvalidation,
    Clearing,
    OrderedInsert,
}

const SEEN: [(Seen, &str); 14] = [
    (Seen::Commit, "commits"),
    (Seen::Answer, "answers"),
    (Seen::KeptPage, "kept pages shown"),
    (Seen::Absence, "absences shown"),
    (Seen::Inserted, "inserts shown"),
    (Seen::KeptPinned, "kept pinned values shown"),
    (Seen::Batched, "answers of batches"),
    (Seen::BatchedLoad, "loads shown by batches"),
    (Seen::BatchedAbsence, "absences shown by batches"),
    (Seen::Creation, "creations of what was absent"),
    (Seen::ManyKeys, "keys invalidated together"),
    (Seen::TagInvalidation, "invalidations of tags"),
    (Seen::Clearing, "clearings"),
    (Seen::OrderedInsert, "ordered inserts"),
];

/// How often each was seen.
#[derive(Default)]
pub(super) struct Tally([AtomicU64; SEEN.len()]);

impl Tally {
    pub(super) fn note(&self, seen: Seen) {
        self.add(seen, 1);
    }

    pub(super) fn add(&self, seen: Seen, times: u64) {
        self.0[seen as usize].fetch_add(times, SeqCst);
    }

    pub(super) fn of(&self, seen: Seen) -> u64 {
        self.0[seen as usize].load(SeqCst)
    }
}

/// What happened, and how often.
pub(super) type Counts = Vec<(&'static str, u64)>;

pub(super) fn of(races: &[Arc<Race>]) -> Counts {
    let all = |count: fn(&Counters) -> u64| -> u64 {
        races.iter().map(|race| sum(&race.members, count)).sum()
    };
    let each = |count: &dyn Fn(&Race) -> u64| -> u64 { races.iter().map(|race| count(race)).sum() };
    let seen = SEEN.map(|(seen, name)| (name, each(&|race| race.tally.of(seen))));
    let counted = [
        ("loads", all(|it| it.loads)),
        ("loads in the background", all(|it| it.refreshes)),
        ("values past their TTL", all(|it| it.stale)),
        ("values that were confirmed", all(|it| it.not_modified)),
        ("joins", all(|it| it.flights_joined)),
        ("local hits", all(|it| it.local_hits)),
        ("copies from the remote tier", all(|it| it.remote_hits)),
        ("lease waits", all(|it| it.lease_waits)),
        ("detached flights", all(|it| it.flights_detached)),
        ("refused fills", all(|it| it.stale_fills)),
        ("refusals by tag", all(|it| it.tag_refusals)),
        ("stale dependencies", all(|it| it.stale_dependencies)),
        ("values of another version", all(|it| it.other_versions)),
        ("bumps of what pages show", each(&Race::dependents_told)),
        ("ordered inserts that came late", each(&Race::ordered_late)),
    ];
    seen.into_iter().chain(counted).collect()
}

impl Race {
    /// Tags that nobody named: those of marked entities.
    fn dependents_told(&self) -> u64 {
        let named = self.tally.of(Seen::TagInvalidation) + self.tally.of(Seen::Clearing);
        sum(&self.members, |it| it.tag_bumps) - named
    }

    fn ordered_late(&self) -> u64 {
        self.tally.of(Seen::OrderedInsert) - self.ordered_stamps.lock().unwrap().len() as u64
    }
}

/// Around a hub hardly any: nothing is waited for between a fill and its put.
pub(super) fn refused_puts(races: &[Arc<Race>]) -> u64 {
    let of = |race: &Arc<Race>| sum(&race.members, |it| it.stale_puts);
    races.iter().map(of).sum()
}

/// A counter, over all nodes.
pub(super) fn sum(members: &[Member], count: fn(&Counters) -> u64) -> u64 {
    members
        .iter()
        .map(|member| count(member.tiers.report().counters()))
        .sum()
}

pub(super) fn listed(counts: &Counts) -> String {
    let texts = counts.iter().map(|(what, count)| format!("{count} {what}"));
    texts.collect::<Vec<_>>().join(", ")
}

pub(super) fn assert_all_happened(counts: &Counts) {
    for (what, count) in counts {
        assert!(*count > 0, "no {what}");
    }
}

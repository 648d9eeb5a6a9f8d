//! What was raced for: a run in which a kind of race never happened would prove little.

use super::{Member, Race};
use std::sync::{Arc, atomic::Ordering::SeqCst};
use tricache::Counters;

/// What happened, and how often.
pub(super) type Counts = Vec<(&'static str, u64)>;

pub(super) fn of(races: &[Arc<Race>]) -> Counts {
    let all = |count: fn(&Counters) -> u64| -> u64 {
        races.iter().map(|race| sum(&race.members, count)).sum()
    };
    let each = |count: fn(&Race) -> u64| -> u64 { races.iter().map(|race| count(race)).sum() };
    vec![
        ("reads", each(|race| race.shown.rows.load(SeqCst))),
        ("commits", each(|race| race.writes.load(SeqCst))),
        ("loads", all(|it| it.loads)),
        ("joins", all(|it| it.flights_joined)),
        ("local hits", all(|it| it.local_hits)),
        ("copies from the remote tier", all(|it| it.remote_hits)),
        ("lease waits", all(|it| it.lease_waits)),
        ("detached flights", all(|it| it.flights_detached)),
        ("refused fills", all(|it| it.stale_fills)),
        ("bumps of tags", all(|it| it.tag_bumps)),
        ("refusals by tag", all(|it| it.tag_refusals)),
        ("stale dependencies", all(|it| it.stale_dependencies)),
        ("values of another version", all(|it| it.other_versions)),
        (
            "absences shown",
            each(|race| race.shown.absences.load(SeqCst)),
        ),
        (
            "kept pages shown",
            each(|race| race.shown.kept_pages.load(SeqCst)),
        ),
        (
            "inserts shown",
            each(|race| race.shown.inserts.load(SeqCst)),
        ),
        ("ordered inserts", each(Race::ordered_taken)),
        ("ordered inserts that came late", each(Race::ordered_late)),
    ]
}

impl Race {
    fn ordered_taken(&self) -> u64 {
        self.ordered_stamps.lock().unwrap().len() as u64
    }

    fn ordered_late(&self) -> u64 {
        self.ordered.load(SeqCst) - self.ordered_taken()
    }
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

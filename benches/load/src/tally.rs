//! What a node's readers have measured so far.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    node::Class,
    truth::{Suspect, Truth},
};

/// Counts and histograms of one node, or of all after [`Tally::add`].
#[derive(Debug)]
pub(crate) struct Tally {
    reads: u64,
    writes: u64,
    pending: u64,
    local: Histogram<u64>,
    remote: Histogram<u64>,
    load: Histogram<u64>,
    stale: Histogram<u64>,
    stale_over_bound: u64,
    errors: BTreeMap<Kind, Errors>,
    bound: Duration,
}

/// What failed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// A read returned an error.
    Read,
    /// A read returned a row that is not the one asked for, or not of one piece.
    WrongRow,
    /// The store refused a write.
    Write,
    /// An invalidation returned an error.
    Invalidate,
}

/// The errors of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Errors {
    /// How many there were.
    pub(crate) count: u64,
    /// What the first of them said.
    pub(crate) first: String,
}

/// What one reader has measured since it last reported: plain memory, no lock.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    reads: u64,
    writes: u64,
    pending: u64,
    latencies: Vec<(Class, Duration)>,
    errors: Vec<(Kind, String)>,
    suspects: Vec<Suspect>,
}

impl Notes {
    /// A read was answered after `latency`.
    pub(crate) fn read(&mut self, class: Class, latency: Duration) {
        self.reads += 1;
        self.latencies.push((class, latency));
    }

    /// A read of `index`, begun at `begun`, returned the row of `commit` although there is a newer one.
    pub(crate) fn suspect(&mut self, index: u32, commit: u64, begun: Instant) {
        self.suspects.push(Suspect {
            index,
            commit,
            begun,
        });
    }

    /// A write was committed, and its invalidation was acknowledged or not.
    pub(crate) fn write(&mut self, acknowledged: bool) {
        self.writes += 1;
        self.pending += u64::from(!acknowledged);
    }

    /// A read failed, or came with the wrong row.
    pub(crate) fn failed_read(&mut self, kind: Kind, message: String) {
        self.reads += 1;
        self.errors.push((kind, message));
    }

    /// The store refused a write.
    pub(crate) fn failed_write(&mut self, message: String) {
        self.errors.push((Kind::Write, message));
    }

    /// A write was committed but its invalidation failed.
    pub(crate) fn failed_invalidation(&mut self, message: String) {
        self.writes += 1;
        self.errors.push((Kind::Invalidate, message));
    }
}

impl Tally {
    /// Nothing measured yet; staleness is counted against `bound`.
    pub(crate) fn new(bound: Duration) -> Self {
        Self {
            reads: 0,
            writes: 0,
            pending: 0,
            local: nanoseconds(),
            remote: nanoseconds(),
            load: nanoseconds(),
            stale: nanoseconds(),
            stale_over_bound: 0,
            errors: BTreeMap::new(),
            bound,
        }
    }

    /// Takes over what a reader has noted, except for its suspects.
    ///
    /// Of these only the older ones are judged, and only when there are many, so that a long run needs no endless
    /// memory; the last ones wait for [`Tally::judge`].
    pub(crate) fn absorb(&mut self, notes: &mut Notes, truth: &Truth) {
        self.reads += std::mem::take(&mut notes.reads);
        self.writes += std::mem::take(&mut notes.writes);
        self.pending += std::mem::take(&mut notes.pending);
        for (class, latency) in notes.latencies.drain(..) {
            record(self.latencies(class), latency);
        }
        for (kind, first) in notes.errors.drain(..) {
            self.errors
                .entry(kind)
                .or_insert(Errors { count: 0, first })
                .count += 1;
        }
        if notes.suspects.len() >= MANY_SUSPECTS {
            self.judge(notes.suspects.drain(..MANY_SUSPECTS / 2), truth);
        }
    }

    /// Judges the suspects that are left when all readers have ended.
    pub(crate) fn finish(&mut self, mut notes: Notes, truth: &Truth) {
        self.absorb(&mut notes, truth);
        self.judge(notes.suspects, truth);
    }

    /// Adds what another node has measured.
    pub(crate) fn add(&mut self, other: &Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.pending += other.pending;
        self.stale_over_bound += other.stale_over_bound;
        merge(&mut self.local, &other.local);
        merge(&mut self.remote, &other.remote);
        merge(&mut self.load, &other.load);
        merge(&mut self.stale, &other.stale);
        for (kind, errors) in &other.errors {
            let own = self.errors.entry(*kind).or_insert(Errors {
                count: 0,
                first: errors.first.clone(),
            });
            own.count += errors.count;
        }
    }

    /// Reads that were made.
    pub(crate) fn reads(&self) -> u64 {
        self.reads
    }

    /// Writes that were committed.
    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }

    /// Invalidations that were not acknowledged, because the remote tier did not take them yet.
    pub(crate) fn pending(&self) -> u64 {
        self.pending
    }

    /// How long reads of this class took, in nanoseconds.
    pub(crate) fn latency(&self, class: Class) -> &Histogram<u64> {
        match class {
            Class::Local => &self.local,
            Class::Remote => &self.remote,
            Class::Load => &self.load,
        }
    }

    /// How stale the stale reads were, in nanoseconds.
    pub(crate) fn staleness(&self) -> &Histogram<u64> {
        &self.stale
    }

    /// Reads that were stale for longer than the bound.
    pub(crate) fn stale_over_bound(&self) -> u64 {
        self.stale_over_bound
    }

    /// What failed, by kind.
    pub(crate) fn errors(&self) -> &BTreeMap<Kind, Errors> {
        &self.errors
    }

    fn latencies(&mut self, class: Class) -> &mut Histogram<u64> {
        match class {
            Class::Local => &mut self.local,
            Class::Remote => &mut self.remote,
            Class::Load => &mut self.load,
        }
    }

    fn judge(&mut self, suspects: impl IntoIterator<Item = Suspect>, truth: &Truth) {
        for staleness in suspects
            .into_iter()
            .filter_map(|suspect| truth.staleness(&suspect))
        {
            record(&mut self.stale, staleness);
            self.stale_over_bound += u64::from(staleness > self.bound);
        }
    }
}

impl Kind {
    /// How the kind is called in the report.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::WrongRow => "wrong row",
            Self::Write => "write",
            Self::Invalidate => "invalidate",
        }
    }
}

fn nanoseconds() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST.as_nanos() as u64, DIGITS)
        .expect("the digits are at most 5 and the maximum above 2")
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(time.min(LONGEST).as_nanos() as u64);
}

fn merge(into: &mut Histogram<u64>, from: &Histogram<u64>) {
    into.add(from).expect("both have the same maximum");
}

const LONGEST: Duration = Duration::from_secs(3600);
const DIGITS: u8 = 3;
const MANY_SUSPECTS: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(50);

    #[test]
    fn suspects_are_judged_with_acknowledgements_recorded_after_their_read() {
        let truth = Truth::new();
        let origin = Instant::now();
        let mut notes = Notes::default();
        let mut tally = Tally::new(BOUND);
        truth.committed(1, 1);
        notes.suspect(1, 0, origin + Duration::from_millis(100));
        notes.suspect(1, 0, origin + Duration::from_millis(60));
        notes.suspect(1, 0, origin + Duration::from_millis(20));

        tally.absorb(&mut notes, &truth);
        truth.acknowledged(1, 1, origin + Duration::from_millis(40));
        tally.finish(notes, &truth);

        assert_eq!((tally.staleness().len(), tally.stale_over_bound()), (2, 1));
        assert_eq!(tally.staleness().max() / 1_000_000, 60);
    }

    #[test]
    fn a_staleness_of_exactly_the_bound_is_within_it() {
        let truth = Truth::new();
        let origin = Instant::now();
        let mut notes = Notes::default();
        truth.committed(1, 1);
        truth.acknowledged(1, 1, origin);
        notes.suspect(1, 0, origin + BOUND);
        notes.suspect(1, 0, origin + BOUND + Duration::from_nanos(1));
        let mut tally = Tally::new(BOUND);

        tally.finish(notes, &truth);

        assert_eq!((tally.staleness().len(), tally.stale_over_bound()), (2, 1));
    }

    #[test]
    fn many_suspects_are_judged_on_the_way() {
        let truth = Truth::new();
        let origin = Instant::now();
        let mut notes = Notes::default();
        let mut tally = Tally::new(BOUND);
        truth.committed(1, 1);
        truth.acknowledged(1, 1, origin);
        for _ in 0..MANY_SUSPECTS {
            notes.suspect(1, 0, origin + Duration::from_millis(1));
        }

        tally.absorb(&mut notes, &truth);

        assert_eq!(notes.suspects.len(), MANY_SUSPECTS / 2);
        tally.finish(notes, &truth);
        assert_eq!(tally.staleness().len(), MANY_SUSPECTS as u64);
    }

    #[test]
    fn nodes_add_up() {
        let truth = Truth::new();
        let measured = |message: &str| {
            let mut notes = Notes::default();
            notes.read(Class::Local, Duration::from_nanos(300));
            notes.read(Class::Load, Duration::from_millis(6));
            notes.failed_read(Kind::Read, message.to_owned());
            notes.write(true);
            notes.write(false);
            let mut tally = Tally::new(BOUND);
            tally.finish(notes, &truth);
            tally
        };

        let mut all = measured("first");
        all.add(&measured("second"));

        assert_eq!((all.reads(), all.writes(), all.pending()), (6, 4, 2));
        assert_eq!(all.latency(Class::Local).len(), 2);
        assert_eq!(all.latency(Class::Remote).len(), 0);
        assert_eq!(all.errors()[&Kind::Read].count, 2);
        assert_eq!(all.errors()[&Kind::Read].first, "first");
    }
}

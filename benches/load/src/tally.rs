//! What a node's readers have measured so far.

mod notes;

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

pub(crate) use self::notes::{Doubt, Kind, Notes, What};
use crate::{node::Class, truth::Truth};

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
    /// The first of these, in words.
    too_stale: Vec<String>,
    lists: ListTally,
    errors: BTreeMap<Kind, Errors>,
    bounds: Bounds,
}

/// What concerns lists alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ListTally {
    /// Reads of lists.
    pub(crate) reads: u64,
    /// Those that ended in the memory of their node.
    pub(crate) local_hits: u64,
    /// Those that missed something acknowledged.
    pub(crate) stale: u64,
    /// Those of them beyond the bound.
    pub(crate) stale_over_bound: u64,
    /// Tags that were invalidated.
    pub(crate) tag_invalidations: u64,
}

/// How stale a read may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Bounds {
    /// Any read but those that are labelled as unproven.
    pub(crate) proven: Duration,
    /// A read that says of itself that nobody could prove it.
    pub(crate) unproven: Duration,
}

/// The errors of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Errors {
    /// How many there were.
    pub(crate) count: u64,
    /// What the first of them said.
    pub(crate) first: String,
}

impl Tally {
    /// Nothing measured yet; staleness is counted against `bounds`.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            reads: 0,
            writes: 0,
            pending: 0,
            local: nanoseconds(),
            remote: nanoseconds(),
            load: nanoseconds(),
            stale: nanoseconds(),
            stale_over_bound: 0,
            too_stale: Vec::new(),
            lists: ListTally::default(),
            errors: BTreeMap::new(),
            bounds,
        }
    }

    /// Takes over what a reader has noted, except for its doubts.
    ///
    /// Of these only the older ones are judged, and only when there are many, so that a long run needs no endless
    /// memory; the last ones wait for [`Tally::judge`].
    pub(crate) fn absorb(&mut self, notes: &mut Notes, truth: &Truth) {
        self.reads += std::mem::take(&mut notes.reads);
        self.writes += std::mem::take(&mut notes.writes);
        self.pending += std::mem::take(&mut notes.pending);
        self.lists.reads += std::mem::take(&mut notes.list_reads);
        self.lists.local_hits += std::mem::take(&mut notes.list_local_hits);
        self.lists.tag_invalidations += std::mem::take(&mut notes.tag_invalidations);
        for (class, latency) in notes.latencies.drain(..) {
            record(self.latencies(class), latency);
        }
        for (kind, first) in notes.errors.drain(..) {
            self.errors
                .entry(kind)
                .or_insert(Errors { count: 0, first })
                .count += 1;
        }
        if notes.doubts.len() >= MANY_DOUBTS {
            self.judge(notes.doubts.drain(..MANY_DOUBTS / 2), truth);
        }
    }

    /// Judges the reads that are left when all readers have ended.
    pub(crate) fn finish(&mut self, mut notes: Notes, truth: &Truth) {
        self.absorb(&mut notes, truth);
        self.judge(notes.doubts, truth);
    }

    /// Adds what another node has measured.
    pub(crate) fn add(&mut self, other: &Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.pending += other.pending;
        self.stale_over_bound += other.stale_over_bound;
        let room = SHOWN.saturating_sub(self.too_stale.len());
        self.too_stale
            .extend(other.too_stale.iter().take(room).cloned());
        self.lists.add(other.lists);
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

    /// Reads of rows that were made.
    pub(crate) fn reads(&self) -> u64 {
        self.reads
    }

    /// Writes that were committed.
    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }

    /// Writes whose invalidation was not acknowledged at once, because the remote tier did not take it yet.
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

    /// What concerns lists alone.
    pub(crate) fn lists(&self) -> ListTally {
        self.lists
    }

    /// The first reads that were stale for longer than the bound, in words.
    pub(crate) fn too_stale(&self) -> &[String] {
        &self.too_stale
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

    fn judge(&mut self, doubts: impl IntoIterator<Item = Doubt>, truth: &Truth) {
        for doubt in doubts {
            if let Some(staleness) = doubt.staleness(truth) {
                let over = staleness > self.bounds.of(&doubt);
                record(&mut self.stale, staleness);
                self.stale_over_bound += u64::from(over);
                if over && self.too_stale.len() < SHOWN {
                    self.too_stale.push(doubt.in_words(staleness));
                }
                if matches!(doubt.what, What::List(_)) {
                    self.lists.stale += 1;
                    self.lists.stale_over_bound += u64::from(over);
                }
            }
        }
    }
}

impl ListTally {
    fn add(&mut self, other: Self) {
        self.reads += other.reads;
        self.local_hits += other.local_hits;
        self.stale += other.stale;
        self.stale_over_bound += other.stale_over_bound;
        self.tag_invalidations += other.tag_invalidations;
    }
}

impl Bounds {
    fn of(self, doubt: &Doubt) -> Duration {
        if doubt.is_unproven {
            self.unproven
        } else {
            self.proven
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
const SHOWN: usize = 20;
const MANY_DOUBTS: usize = 8192;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::truth::{Owed, Suspect};

    const BOUND: Duration = Duration::from_millis(50);
    const BOUNDS: Bounds = Bounds {
        proven: BOUND,
        unproven: Duration::from_secs(30),
    };

    /// A read of row 1 that began at `begun` and returned what was there before its first write.
    fn old_row(begun: Instant) -> Doubt {
        Doubt {
            what: What::Row,
            suspects: vec![old(1, begun, Owed::Key)],
            outcome: "local_hit",
            is_unproven: false,
        }
    }

    fn old(index: u32, begun: Instant, owed: Owed) -> Suspect {
        Suspect {
            index,
            commit: 0,
            begun,
            owed,
        }
    }

    #[test]
    fn reads_are_judged_with_acknowledgements_recorded_after_their_read() {
        let truth = Truth::new();
        let origin = Instant::now();
        let mut notes = Notes::default();
        let mut tally = Tally::new(BOUNDS);
        truth.committed(1, 1);
        notes.doubt(old_row(origin + Duration::from_millis(100)));
        notes.doubt(old_row(origin + Duration::from_millis(60)));
        notes.doubt(old_row(origin + Duration::from_millis(20)));

        tally.absorb(&mut notes, &truth);
        truth.acknowledged(Owed::Key, 1, 1, origin + Duration::from_millis(40));
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
        truth.acknowledged(Owed::Key, 1, 1, origin);
        notes.doubt(old_row(origin + BOUND));
        notes.doubt(old_row(origin + BOUND + Duration::from_nanos(1)));
        let mut tally = Tally::new(BOUNDS);

        tally.finish(notes, &truth);

        assert_eq!((tally.staleness().len(), tally.stale_over_bound()), (2, 1));
    }

    #[test]
    fn many_doubts_are_judged_on_the_way() {
        let truth = Truth::new();
        let origin = Instant::now();
        let mut notes = Notes::default();
        let mut tally = Tally::new(BOUNDS);
        truth.committed(1, 1);
        truth.acknowledged(Owed::Key, 1, 1, origin);
        for _ in 0..MANY_DOUBTS {
            notes.doubt(old_row(origin + Duration::from_millis(1)));
        }

        tally.absorb(&mut notes, &truth);

        assert_eq!(notes.doubts.len(), MANY_DOUBTS / 2);
        tally.finish(notes, &truth);
        assert_eq!(tally.staleness().len(), MANY_DOUBTS as u64);
    }

    #[test]
    fn a_list_is_as_stale_as_the_stalest_row_that_it_shows() {
        let truth = Truth::new();
        let origin = Instant::now();
        let at = |milliseconds| origin + Duration::from_millis(milliseconds);
        for (index, acknowledged) in [(1, 10), (2, 80), (3, 200)] {
            truth.committed(index, 1);
            truth.acknowledged(Owed::Tag, index, 1, at(acknowledged));
        }
        let list = |rows: &[u32]| Doubt {
            what: What::List(7),
            suspects: rows
                .iter()
                .map(|row| old(*row, at(100), Owed::Tag))
                .collect(),
            outcome: "local_hit",
            is_unproven: false,
        };
        let mut notes = Notes::default();
        notes.doubt(list(&[2, 1, 3]));
        notes.doubt(list(&[2, 3]));
        notes.doubt(list(&[3]));
        let mut tally = Tally::new(BOUNDS);

        tally.finish(notes, &truth);

        let lists = tally.lists();
        assert_eq!((lists.stale, lists.stale_over_bound), (2, 1));
        assert_eq!((tally.staleness().len(), tally.stale_over_bound()), (2, 1));
        assert_eq!(tally.staleness().max() / 1_000_000, 90);
        assert_eq!(
            tally.too_stale(),
            ["list 7, of cached rows, tagged: 90ms, local_hit"]
        );
    }

    #[test]
    fn a_read_that_says_it_is_unproven_has_a_bound_of_its_own() {
        let truth = Truth::new();
        let origin = Instant::now();
        truth.committed(1, 1);
        truth.acknowledged(Owed::Key, 1, 1, origin);
        let unproven = |staleness| Doubt {
            is_unproven: true,
            ..old_row(origin + staleness)
        };
        let mut notes = Notes::default();
        notes.doubt(unproven(BOUND * 2));
        notes.doubt(unproven(BOUNDS.unproven + BOUND));
        let mut tally = Tally::new(BOUNDS);

        tally.finish(notes, &truth);

        assert_eq!((tally.staleness().len(), tally.stale_over_bound()), (2, 1));
        assert_eq!(tally.lists().stale, 0);
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
            notes.list_read(Class::Local);
            notes.failed_list_read(Kind::Read, message.to_owned());
            notes.tag_invalidation();
            let mut tally = Tally::new(BOUNDS);
            tally.finish(notes, &truth);
            tally
        };

        let mut all = measured("first");
        all.add(&measured("second"));

        assert_eq!((all.reads(), all.writes(), all.pending()), (6, 4, 2));
        assert_eq!(all.latency(Class::Local).len(), 2);
        assert_eq!(all.latency(Class::Remote).len(), 0);
        let lists = all.lists();
        assert_eq!(
            (lists.reads, lists.local_hits, lists.tag_invalidations),
            (4, 2, 2)
        );
        assert_eq!(all.errors()[&Kind::Read].count, 4);
        assert_eq!(all.errors()[&Kind::Read].first, "first");
    }
}

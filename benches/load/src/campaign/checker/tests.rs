//! The checker, fed with histories that are good, bad, and exactly at the bound.

use std::time::Duration;

use super::{
    super::{
        history::{Fault, History, Read, Told},
        nemesis::Kind,
        words::{Entity, Label, LevelName},
    },
    Breach, Limits, check,
};

const MS: u64 = 1_000_000;
const WRITER: u64 = 1;
const READER: u64 = 2;

const LIMITS: Limits = Limits {
    proven: Duration::from_millis(1000),
    unproven: Duration::from_millis(5000),
    allowance: Duration::from_millis(100),
    bounded: Duration::from_millis(500),
    clock: Duration::from_millis(10),
};

/// A history of one entity, told in milliseconds.
struct Story(History, Entity);

impl Story {
    fn of(level: LevelName) -> Self {
        let mut history = History::default();
        history.lives.extend([(WRITER, 0), (READER, 1)]);
        Self(history, Entity { level, number: 7 })
    }

    fn commit(mut self, at: u64) -> Self {
        self.0.track(self.1).commits.push(at * MS);
        self
    }

    fn told(mut self, life: u64, commit: u64, at: u64, is_acknowledged: bool) -> Self {
        self.0.track(self.1).told.push(Told {
            life,
            commit,
            at: at * MS,
            is_acknowledged,
        });
        self
    }

    fn acknowledged(self, commit: u64, at: u64) -> Self {
        self.told(WRITER, commit, at, true)
    }

    fn pending(self, commit: u64, at: u64) -> Self {
        self.told(WRITER, commit, at, false)
    }

    fn labelled(mut self, life: u64, label: Label, value: u64, begin: u64) -> Self {
        self.0.track(self.1).reads.push(Read {
            life,
            label,
            value,
            begin: begin * MS,
            end: (begin + 1) * MS,
        });
        self
    }

    fn read(self, value: u64, begin: u64) -> Self {
        self.labelled(READER, Label::LocalHit, value, begin)
    }

    fn split(mut self, node: usize, begin: u64, end: u64) -> Self {
        self.0.faults.push(Fault {
            kind: Kind::Split,
            node: Some(node),
            begin: begin * MS,
            end: end * MS,
        });
        self
    }

    fn breaches(&self) -> Vec<Breach> {
        let verdict = check(&self.0, &LIMITS);
        let all = verdict.violations.iter();
        all.map(|violation| violation.breach).collect()
    }

    fn is_good(&self) -> bool {
        self.breaches().is_empty()
    }
}

/// One commit, acknowledged at 100 ms, and a read that misses it so many milliseconds later.
fn late_read(level: LevelName, label: Label, late: u64) -> Story {
    Story::of(level)
        .commit(90)
        .acknowledged(1, 100)
        .labelled(READER, label, 0, 100 + late)
}

#[test]
fn each_level_has_its_bound_and_a_read_exactly_at_it_is_good() {
    for (level, label, bound) in [
        (LevelName::Eventual, Label::LocalHit, 1100),
        (LevelName::Eventual, Label::RemoteHit, 1100),
        (LevelName::Eventual, Label::LocalUnproven, 5100),
        (LevelName::Bounded, Label::LocalHit, 510),
        (LevelName::Bounded, Label::LocalUnproven, 510),
        (LevelName::Strict, Label::LocalHit, 0),
        (LevelName::Strict, Label::LocalUnproven, 0),
    ] {
        assert!(
            late_read(level, label, bound).is_good(),
            "{level:?} {label:?}"
        );

        let breaches = late_read(level, label, bound + 1).breaches();
        let expected = Breach::Stale {
            commit: 1,
            staleness: (bound + 1) * MS,
            limit: bound * MS,
        };
        assert_eq!(breaches, [expected], "{level:?} {label:?}");
    }
}

#[test]
fn staleness_counts_from_the_oldest_commit_that_was_missed() {
    let story = Story::of(LevelName::Eventual)
        .commit(10)
        .commit(20)
        .commit(30)
        .acknowledged(1, 15)
        .acknowledged(3, 35)
        .acknowledged(2, 900)
        .read(1, 1200);

    let expected = Breach::Stale {
        commit: 3,
        staleness: 1165 * MS,
        limit: 1100 * MS,
    };
    assert_eq!(story.breaches(), [expected]);
}

#[test]
fn what_began_before_the_acknowledgement_may_miss_it() {
    let story = Story::of(LevelName::Strict).commit(90).acknowledged(1, 100);

    assert!(story.read(0, 99).is_good());
}

#[test]
fn a_pending_invalidation_binds_others_only_when_it_is_acknowledged() {
    let pending = || Story::of(LevelName::Strict).commit(90).pending(1, 100);

    assert!(pending().read(0, 5000).is_good());
    assert!(pending().acknowledged(1, 6000).read(0, 5000).is_good());
    assert!(!pending().acknowledged(1, 6000).read(0, 6001).is_good());
}

#[test]
fn a_killed_writer_whose_acknowledgement_is_unknown_binds_nobody() {
    let story = Story::of(LevelName::Strict).commit(10).commit(20);

    assert!(story.acknowledged(2, 30).read(2, 40).is_good());
    let story = Story::of(LevelName::Strict).commit(10).commit(20);
    assert!(story.read(1, 40).read(0, 50).is_good());
}

#[test]
fn a_later_acknowledgement_speaks_for_the_commit_of_a_killed_writer() {
    let story = Story::of(LevelName::Strict)
        .commit(10)
        .commit(20)
        .acknowledged(2, 30);

    assert!(!story.read(0, 40).is_good());
}

#[test]
fn a_process_sees_what_it_was_told_of_at_every_level_and_also_while_it_is_pending() {
    for level in [LevelName::Eventual, LevelName::Bounded, LevelName::Strict] {
        let story = || Story::of(level).commit(90).pending(1, 100);

        let own = story().labelled(WRITER, Label::LocalUnproven, 0, 101);
        assert_eq!(own.breaches(), [Breach::BehindOwn { commit: 1 }]);
        assert!(story().labelled(WRITER, Label::Loaded, 1, 101).is_good());
        assert!(story().labelled(WRITER, Label::LocalHit, 0, 99).is_good());
        assert!(story().read(0, 101).is_good());
    }
}

#[test]
fn a_value_that_was_not_committed_by_the_end_of_the_read_is_a_violation() {
    for level in [LevelName::Eventual, LevelName::Bounded, LevelName::Strict] {
        let story = || Story::of(level).commit(90);

        assert_eq!(story().read(2, 100).breaches(), [Breach::NeverCommitted]);
        assert_eq!(story().read(1, 88).breaches(), [Breach::NeverCommitted]);
        assert!(story().read(1, 89).is_good());
    }
}

#[test]
fn a_foreign_value_and_an_error_are_violations() {
    for (label, breach) in [
        (Label::Foreign, Breach::Foreign),
        (Label::Failed, Breach::Failed),
    ] {
        let story = Story::of(LevelName::Eventual)
            .commit(1)
            .acknowledged(1, 2)
            .labelled(READER, label, 0, 5000);

        assert_eq!(story.breaches(), [breach]);
        // They show nothing that could be stale.
        assert_eq!(check(&story.0, &LIMITS).worst(), 0);
    }
}

#[test]
fn a_reversal_to_what_nothing_acknowledged_replaces_is_counted_and_no_violation() {
    let story = Story::of(LevelName::Strict)
        .commit(10)
        .read(1, 20)
        .read(0, 22)
        .acknowledged(1, 30);

    let verdict = check(&story.0, &LIMITS);
    assert!(verdict.violations.is_empty());
    assert_eq!(verdict.levels[&LevelName::Strict].reversals, 1);
}

#[test]
fn overlapping_reads_are_no_reversal() {
    let story = Story::of(LevelName::Strict)
        .commit(10)
        .read(1, 20)
        .read(0, 21);

    let verdict = check(&story.0, &LIMITS);
    assert_eq!(verdict.levels[&LevelName::Strict].reversals, 0);
}

#[test]
fn a_split_excuses_eventual_reads_of_the_deposed_node_and_nothing_else() {
    let story = |level, node| {
        Story::of(level)
            .commit(90)
            .acknowledged(1, 100)
            .split(node, 50, 3000)
            .read(0, 2900)
    };

    let excused = story(LevelName::Eventual, 1);
    assert!(excused.is_good());
    let verdict = check(&excused.0, &LIMITS);
    assert_eq!(verdict.levels[&LevelName::Eventual].excused, 1);
    // The other node is not deposed: its writer is, whose invalidation is lost.
    assert!(story(LevelName::Eventual, 0).is_good());
    assert!(!story(LevelName::Eventual, 2).is_good());
    assert!(!story(LevelName::Bounded, 1).is_good());
    assert!(!story(LevelName::Strict, 0).is_good());
    let later = story(LevelName::Eventual, 1).read(0, 4101);
    assert!(!later.is_good());
}

#[test]
fn what_strict_calls_good_is_exactly_what_is_linearizable() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut seen = [0; 2];
    for _ in 0..20_000 {
        let story = random_story(&mut random);

        let verdict = check(&story.0, &LIMITS);

        let reversals = verdict.levels[&LevelName::Strict].reversals;
        let is_good = verdict.violations.is_empty() && reversals == 0;
        let is_linearizable = linearizes(&story.operations(), 0);
        assert_eq!(is_good, is_linearizable, "{:?}", story.0);
        seen[usize::from(is_good)] += 1;
    }
    assert!(seen.iter().all(|cases| *cases > 1000), "{seen:?}");
}

fn random_story(random: &mut fastrand::Rng) -> Story {
    let mut story = Story::of(LevelName::Strict);
    let commits = random.u64(1..4);
    let mut at = 1;
    for number in 1..=commits {
        at += random.u64(1..6);
        story = story.commit(at);
        if random.u8(0..4) > 0 {
            story = story.acknowledged(number, at + random.u64(1..8));
        }
    }
    for _ in 0..random.u8(1..4) {
        story = story.read(random.u64(0..=commits), random.u64(1..24));
    }
    story
}

/// One operation: the number it writes or shows, and the instants between which it takes effect.
#[derive(Clone, Copy)]
struct Operation {
    is_write: bool,
    number: u64,
    begin: u64,
    /// `None`: a write that may never take effect.
    end: Option<u64>,
}

impl Story {
    fn operations(&self) -> Vec<Operation> {
        let track = &self.0.entities[&self.1];
        let acknowledged = |number| {
            let mut told = track.told.iter();
            told.find(|told| told.commit == number).map(|told| told.at)
        };
        let writes = (1..).zip(&track.commits).map(|(number, at)| Operation {
            is_write: true,
            number,
            begin: *at,
            end: acknowledged(number),
        });
        let reads = track.reads.iter().map(|read| Operation {
            is_write: false,
            number: read.value,
            begin: read.begin,
            end: Some(read.end),
        });
        writes.chain(reads).collect()
    }
}

/// Whether some order of the operations explains all reads: a search through all of them. `value`: what is there now.
fn linearizes(left: &[Operation], value: u64) -> bool {
    let first_end = left.iter().filter_map(|operation| operation.end).min();
    if first_end.is_none() {
        return true;
    }
    left.iter().enumerate().any(|(index, next)| {
        let may_be_next = first_end.is_none_or(|end| next.begin <= end);
        // The store's numbers are the order of the writes.
        let fits = if next.is_write {
            next.number > value
        } else {
            next.number == value
        };
        let value = if next.is_write { next.number } else { value };
        let mut left = left.to_vec();
        left.remove(index);
        may_be_next && fits && linearizes(&left, value)
    })
}

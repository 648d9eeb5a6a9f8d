//! What happens in a round of the races, drawn at random.

use super::{
    NODES,
    rows::{Kind, Row, Subject},
};

/// One thing that happens in a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) node: usize,
    pub(super) subject: Subject,
    pub(super) start: Pause,
    pub(super) act: Act,
}

/// What is done with the step's subject.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// A read that loads on a miss.
    Read(Pause),
    /// A read that does not load.
    Look,
    /// A read whose caller goes away after so many turns of the scheduler.
    Drop(Pause, u8),
    /// A commit of a row that the subject shows, told to the cache; then a read on the same node at once.
    Write(Row, Way, Pause),
    /// A commit and an invalidation whose caller goes away: it is never acknowledged.
    Forget(Row, u8),
}

/// How a cache is told of a commit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Key,
    /// The key and the next one, which is committed too.
    Keys,
    Insert,
    /// The store's number with it; so many turns after the commit, so that others overtake it.
    InsertAt(u8),
    /// The tag that was known before the load.
    Tag,
    KeyAndTag,
    /// Every tag that a load of such a row can have found.
    FoundTags,
    /// The row's whole cache.
    Clear,
    /// Every cache.
    ClearAll,
}

/// How long something takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause {
    /// So many turns of the scheduler.
    Turns(u8),
    /// Up to about two milliseconds: tokio counts in whole ones.
    Micros(u64),
    /// Until the row's next commit, and so many turns more: a load that answers what was true before.
    AcrossCommit(u8),
}

impl Step {
    pub(super) fn draw(random: &mut fastrand::Rng, window: u64, main: Subject) -> Self {
        // Most of a round meets at one subject.
        let subject = match random.u8(0..8) {
            0 => Subject::draw(random, window),
            1 | 2 => main.otherwise(random),
            _ => main,
        };
        // A few turns of the scheduler decide most races, so most steps begin nearly at once.
        let start = match random.u8(0..8) {
            0 => Pause::Micros(500),
            1 | 2 => Pause::AcrossCommit(random.u8(0..4)),
            _ => Pause::Turns(random.u8(0..24)),
        };
        let load = Pause::draw(random);
        let rows = subject.rows();
        // The first rows of a batch more often than the others: there, too, most of a round is to meet.
        let place = random.usize(0..rows.len()).min(random.usize(0..rows.len()));
        let row = rows[place];
        let act = match random.u8(0..16) {
            0..6 => Act::Read(load),
            6 => Act::Look,
            7..10 => Act::Drop(load, random.u8(0..40)),
            10 if !matches!(row.kind, Kind::Ordered | Kind::Pinned) => {
                Act::Forget(row, random.u8(0..10))
            }
            _ => Act::Write(row, Way::draw(random, row), load),
        };
        Self {
            node: random.usize(0..NODES),
            subject,
            start,
            act,
        }
    }
}

impl Way {
    fn draw(random: &mut fastrand::Rng, row: Row) -> Self {
        match random.u8(0..64) {
            0 => return Self::ClearAll,
            1 | 2 => return Self::Clear,
            _ => {}
        }
        let die = random.u8(0..8);
        match row.kind {
            Kind::Number | Kind::Deletable if die < 3 && row.takes_turns() => Self::Insert,
            Kind::Number | Kind::Deletable if die == 7 => Self::Keys,
            Kind::Number => Self::Key,
            Kind::Deletable if die == 6 => Self::Tag,
            Kind::Deletable => Self::Key,
            Kind::Tagged => match die {
                0 if row.takes_turns() => Self::Insert,
                0 | 1 => Self::Key,
                2 | 3 => Self::KeyAndTag,
                4..6 => Self::FoundTags,
                _ => Self::Tag,
            },
            Kind::Ordered if die == 0 => Self::Key,
            Kind::Ordered => Self::InsertAt(random.u8(0..60)),
            Kind::Pinned if die == 0 => Self::Clear,
            Kind::Pinned => Self::Tag,
        }
    }
}

impl Pause {
    fn draw(random: &mut fastrand::Rng) -> Self {
        match random.u8(0..8) {
            0 => Self::Micros(random.u64(100..1900)),
            1..5 => Self::AcrossCommit(random.u8(0..40)),
            _ => Self::Turns(random.u8(0..60)),
        }
    }
}

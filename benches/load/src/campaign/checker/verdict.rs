//! What the checker has found.

use std::{collections::BTreeMap, fmt};

use super::super::{
    clock::millis,
    history::Read,
    words::{Entity, LevelName},
};

/// All levels, and each violation in the order of the reads.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) levels: BTreeMap<LevelName, LevelVerdict>,
    pub(crate) violations: Vec<Violation>,
}

/// One level.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LevelVerdict {
    pub(crate) reads: u64,
    pub(crate) local_reads: u64,
    pub(crate) writes: u64,
    pub(crate) acknowledged: u64,
    pub(crate) pending: u64,
    /// Answers that said of themselves that nothing proves them.
    pub(crate) unproven: u64,
    /// Stale answers of `Eventual` on the deposed side of a split, which no limit holds for.
    pub(crate) excused: u64,
    /// Reads that show less than one that had ended before they began, though nothing acknowledged is missed.
    pub(crate) reversals: u64,
    pub(crate) violations: u64,
    /// Of the answers that are held to the limit for proven ones, in nanoseconds.
    pub(crate) worst: u64,
    /// Of those that are not proven, in nanoseconds.
    pub(crate) worst_unproven: u64,
}

/// One read that broke its level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Violation {
    pub(crate) entity: Entity,
    pub(crate) read: Read,
    pub(crate) breach: Breach,
}

/// How.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Breach {
    /// It missed `commit`, for longer than the limit; nanoseconds.
    Stale {
        commit: u64,
        staleness: u64,
        limit: u64,
    },
    /// It missed what its own process had been told of: every level shows a process its own writes.
    BehindOwn { commit: u64 },
    /// No such commit was made by the end of the read.
    NeverCommitted,
    /// The value of another entity.
    Foreign,
    /// An error, though the store never fails.
    Failed,
}

impl Verdict {
    pub(super) fn of(&mut self, level: LevelName) -> (&mut LevelVerdict, &mut Vec<Violation>) {
        (self.levels.entry(level).or_default(), &mut self.violations)
    }

    /// The stalest answer that is held to the limit for proven ones, in nanoseconds.
    pub(crate) fn worst(&self) -> u64 {
        let worst = self.levels.values().map(|level| level.worst);
        worst.max().unwrap_or(0)
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale {
                commit,
                staleness,
                limit,
            } => write!(
                f,
                "missed commit {commit}, acknowledged {:.3} ms before the read began; allowed are {:.0} ms",
                millis(*staleness),
                millis(*limit)
            ),
            Self::BehindOwn { commit } => {
                write!(
                    f,
                    "missed commit {commit}, which its own process has written"
                )
            }
            Self::NeverCommitted => f.write_str("shows a commit that was not made by then"),
            Self::Foreign => f.write_str("shows another entity"),
            Self::Failed => f.write_str("ended with an error"),
        }
    }
}

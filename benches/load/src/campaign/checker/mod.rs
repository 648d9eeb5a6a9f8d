//! Which reads broke their level.
//!
//! A read has *missed* a commit if its value is older and the commit's invalidation was acknowledged before the read began. Its
//! staleness is its begin minus the acknowledgement of the oldest commit that it missed, and each level has a limit for
//! that. An invalidation that was never acknowledged, as that of a killed writer, binds nobody.
//!
//! For `Strict` that is linearizability of each entity, but for one thing. The store numbers the commits, so the order of the
//! writes is known, and a history is linearizable if and only if no read shows a commit that was not made by its end, none
//! misses one that was acknowledged before its begin, and none shows less than a read that had ended before it began. The last
//! cannot be had from invalidations that follow their commits: a load sees a commit before anybody is told of it. So
//! such *reversals* are counted, and are no violations.

mod limits;
mod track;
mod verdict;

#[cfg(test)]
mod tests;

use self::track::Judge;
pub(super) use self::{
    limits::Limits,
    verdict::{Breach, LevelVerdict, Verdict, Violation},
};
use super::history::History;

/// Judges every read of the history.
pub(super) fn check(history: &History, limits: &Limits) -> Verdict {
    let mut verdict = Verdict::default();
    for (entity, track) in &history.entities {
        let judge = Judge::new(history, limits, *entity, track);
        let (level, violations) = verdict.of(entity.level);
        judge.judge(level, violations);
    }
    verdict
        .violations
        .sort_by_key(|violation| violation.read.begin);
    verdict
}

//! The reads of one entity against its commits.

use std::collections::HashMap;

use super::{
    super::{
        history::{History, Read, Told, Track},
        nemesis::Kind,
        words::{Entity, Label, LevelName},
    },
    Breach, LevelVerdict, Limits, Violation,
};

/// One entity, with what the judgement of each read needs at hand.
pub(super) struct Judge<'a> {
    history: &'a History,
    limits: &'a Limits,
    entity: Entity,
    track: &'a Track,
    /// For each value, the first acknowledgement of any commit after it, and the commit; ends with the last value.
    owed: Vec<Option<Owed>>,
    /// By process: instants at which it was told, with the newest commit that it was told of until then.
    own: HashMap<u64, Vec<(u64, u64)>>,
    /// Ends of reads, with the newest value that was shown until then.
    shown: Vec<(u64, u64)>,
}

#[derive(Clone, Copy)]
struct Owed {
    since: u64,
    commit: u64,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        history: &'a History,
        limits: &'a Limits,
        entity: Entity,
        track: &'a Track,
    ) -> Self {
        let mut judge = Self {
            history,
            limits,
            entity,
            track,
            owed: Vec::new(),
            own: HashMap::new(),
            shown: shown(&track.reads),
        };
        judge.owed = judge.owed_after_each();
        judge.own = judge.own_of_each();
        judge
    }

    /// Adds what was found to the verdict of the level and to the violations.
    pub(super) fn judge(&self, verdict: &mut LevelVerdict, violations: &mut Vec<Violation>) {
        let told = |is_acknowledged| {
            let all = self.track.told.iter();
            all.filter(|told| told.is_acknowledged == is_acknowledged)
                .count() as u64
        };
        verdict.writes += self.track.commits.len() as u64;
        verdict.acknowledged += told(true);
        verdict.pending += told(false);
        for read in &self.track.reads {
            self.count(read, verdict);
            let Some(breach) = self.breach(read) else {
                verdict.reversals += u64::from(self.is_reversed(read));
                continue;
            };
            if self.is_excused(read, breach) {
                verdict.excused += 1;
                continue;
            }
            verdict.violations += 1;
            violations.push(Violation {
                entity: self.entity,
                read: *read,
                breach,
            });
        }
    }

    fn count(&self, read: &Read, verdict: &mut LevelVerdict) {
        verdict.reads += 1;
        verdict.local_reads += u64::from(read.label == Label::LocalHit);
        let staleness = self
            .missed(read)
            .map_or(0, |missed| read.begin - missed.since);
        if read.label == Label::LocalUnproven {
            verdict.unproven += 1;
            verdict.worst_unproven = verdict.worst_unproven.max(staleness);
        } else if !self.is_deposed(read) {
            verdict.worst = verdict.worst.max(staleness);
        }
    }

    fn breach(&self, read: &Read) -> Option<Breach> {
        match read.label {
            Label::Failed => return Some(Breach::Failed),
            Label::Foreign => return Some(Breach::Foreign),
            _ => {}
        }
        if !self.was_committed(read) {
            return Some(Breach::NeverCommitted);
        }
        self.stale(read).or_else(|| self.behind_own(read))
    }

    fn was_committed(&self, read: &Read) -> bool {
        let Some(index) = read.value.checked_sub(1) else {
            return true;
        };
        let commit = self.track.commits.get(index as usize);
        commit.is_some_and(|at| *at <= read.end)
    }

    fn stale(&self, read: &Read) -> Option<Breach> {
        let missed = self.missed(read)?;
        let staleness = read.begin - missed.since;
        let limit = self.limits.of(self.entity.level, read.label);
        (staleness > limit).then_some(Breach::Stale {
            commit: missed.commit,
            staleness,
            limit,
        })
    }

    fn behind_own(&self, read: &Read) -> Option<Breach> {
        let own = self.own.get(&read.life)?;
        let commit = newest_before(own, read.begin)?;
        (read.value < commit).then_some(Breach::BehindOwn { commit })
    }

    /// The oldest commit that the read missed.
    fn missed(&self, read: &Read) -> Option<Owed> {
        if matches!(read.label, Label::Failed | Label::Foreign) {
            return None;
        }
        // A value beyond the last commit misses nothing; it is another breach.
        let owed = self.owed.get(read.value as usize).copied().flatten()?;
        (owed.since < read.begin).then_some(owed)
    }

    fn is_reversed(&self, read: &Read) -> bool {
        newest_before(&self.shown, read.begin).is_some_and(|newest| newest > read.value)
    }

    fn is_excused(&self, read: &Read, breach: Breach) -> bool {
        matches!(breach, Breach::Stale { .. } | Breach::BehindOwn { .. }) && self.is_deposed(read)
    }

    /// Whether a read of `Eventual` was made on the deposed side of a split, where nobody hears of the other side.
    fn is_deposed(&self, read: &Read) -> bool {
        let after = self.limits.after_a_split();
        self.entity.level == LevelName::Eventual
            && self
                .history
                .faults_of(Kind::Split, read.life)
                .any(|split| (split.begin..=split.end + after).contains(&read.begin))
    }

    /// Whether the other side of a split will never hear of it.
    fn is_lost(&self, told: &Told) -> bool {
        self.entity.level == LevelName::Eventual
            && self
                .history
                .faults_of(Kind::Split, told.life)
                .any(|split| (split.begin..=split.end).contains(&told.at))
    }

    fn owed_after_each(&self) -> Vec<Option<Owed>> {
        let last = self.track.commits.len();
        let mut owed: Vec<Option<Owed>> = vec![None; last + 1];
        let all = self.track.told.iter();
        for told in all.filter(|told| told.is_acknowledged && !self.is_lost(told)) {
            // Owed to whoever shows the commit before it, or less.
            let Some(place) = (told.commit as usize)
                .checked_sub(1)
                .and_then(|before| owed.get_mut(before))
            else {
                continue;
            };
            if place.is_none_or(|earlier| told.at < earlier.since) {
                *place = Some(Owed {
                    since: told.at,
                    commit: told.commit,
                });
            }
        }
        for value in (0..last).rev() {
            owed[value] = match (owed[value], owed[value + 1]) {
                (Some(this), Some(later)) if later.since < this.since => Some(later),
                (this, later) => this.or(later),
            };
        }
        owed
    }

    fn own_of_each(&self) -> HashMap<u64, Vec<(u64, u64)>> {
        let mut own: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
        let all = self.track.told.iter();
        for told in all.filter(|told| !self.is_lost(told)) {
            own.entry(told.life)
                .or_default()
                .push((told.at, told.commit));
        }
        own.values_mut().for_each(|told| rising(told));
        own
    }
}

fn shown(reads: &[Read]) -> Vec<(u64, u64)> {
    let valued = |read: &&Read| !matches!(read.label, Label::Failed | Label::Foreign);
    let ends = reads.iter().filter(valued);
    let mut shown: Vec<_> = ends.map(|read| (read.end, read.value)).collect();
    rising(&mut shown);
    shown
}

/// Sorts by instant, and replaces each number by the largest until then.
fn rising(pairs: &mut [(u64, u64)]) {
    pairs.sort_unstable();
    let mut largest = 0;
    for (_, number) in pairs {
        largest = largest.max(*number);
        *number = largest;
    }
}

/// The largest number from before the instant.
fn newest_before(rising: &[(u64, u64)], instant: u64) -> Option<u64> {
    let before = rising.partition_point(|(at, _)| *at < instant);
    Some(rising[before.checked_sub(1)?].1)
}

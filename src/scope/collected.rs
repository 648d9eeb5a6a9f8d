//! What a scope has collected: each entity once, and of all of them the strictest.

use super::{Claim, Read};
use crate::{
    model::{Clock, EntityName, Visibility, millis, to_duration},
    outcome::Outcome,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

#[derive(Default)]
pub(super) struct Collected {
    pub(super) seen: Vec<Seen>,
    /// Further claims, of what changed in between, or is an entity of two `Tiers`.
    others: Vec<Claim>,
    /// Where the entities stand by the hashes of their keys, once there are many.
    known: HashMap<u64, usize>,
    pub(super) outcomes: Vec<(Outcome, u32)>,
    pub(super) visibility: Visibility,
    pub(super) shortest: Option<Deadline>,
    pub(super) objections: Vec<&'static str>,
    /// Some read was not answered by this process at once.
    pub(super) waited: bool,
}

/// One entity that was read, perhaps more than once.
#[derive(Clone)]
pub(super) struct Seen {
    /// The first.
    pub(super) claim: Claim,
    /// It did not hold the same each time.
    pub(super) changed: bool,
}

/// The end of a value's life on the clock of its `Tiers`.
#[derive(Clone)]
pub(super) struct Deadline {
    clock: Arc<dyn Clock>,
    at: u64,
}

impl Seen {
    pub(super) fn name(&self) -> EntityName {
        self.claim.name()
    }

    /// What was read twice and was not the same has no content that a page could be known by.
    pub(super) fn content(&self) -> Option<u64> {
        self.claim.content().filter(|_| !self.changed)
    }
}

impl Collected {
    pub(super) fn add(&mut self, read: Read<'_>) {
        self.count(read.outcome, 1);
        self.visibility = self.visibility.max(read.entry.visibility());
        self.shorten(&read.source.clock, read.entry.stale_from());
        self.note(Claim::of(read), false);
    }

    fn note(&mut self, claim: Claim, changed: bool) {
        let Some(at) = self.position(&claim) else {
            if self.seen.is_empty() {
                self.seen.reserve(FEW);
            }
            self.seen.push(Seen { claim, changed });
            return;
        };
        let seen = &mut self.seen[at];
        seen.changed |= changed || seen.claim.content() != claim.content();
        if !seen.claim.covers(&claim) {
            self.add_other(claim);
        }
    }

    fn add_other(&mut self, claim: Claim) {
        let mut others = self.others.iter_mut();
        if !others.any(|known| known.is_about(&claim) && known.covers(&claim)) {
            self.others.push(claim);
        }
    }

    /// Most pages read few entities: a look at each costs less than hashing one.
    fn position(&mut self, claim: &Claim) -> Option<usize> {
        let is_it = |seen: &Seen| seen.claim.is_about(claim);
        if self.seen.len() < FEW {
            return self.seen.iter().position(is_it);
        }
        for at in self.known.len()..self.seen.len() {
            self.known.insert(self.seen[at].claim.hash, at);
        }
        let at = *self.known.get(&claim.hash)?;
        if is_it(&self.seen[at]) {
            return Some(at);
        }
        // Two names share a hash.
        self.seen.iter().position(is_it)
    }

    fn count(&mut self, outcome: Outcome, reads: u32) {
        let known = self
            .outcomes
            .iter_mut()
            .find(|(known, _)| *known == outcome);
        match known {
            Some((_, count)) => *count += reads,
            None => self.outcomes.push((outcome, reads)),
        }
    }

    fn shorten(&mut self, clock: &Arc<dyn Clock>, at: u64) {
        let shortest = self.shortest.as_ref();
        if shortest.is_none_or(|shortest| shortest.outlives(clock, at)) {
            let clock = Arc::clone(clock);
            self.shortest = Some(Deadline { clock, at });
        }
    }

    pub(super) fn object(&mut self, reason: &'static str) {
        if let Err(at) = self.objections.binary_search(&reason) {
            self.objections.insert(at, reason);
        }
    }

    pub(super) fn absorb(&mut self, other: Self) {
        for seen in other.seen {
            self.note(seen.claim, seen.changed);
        }
        for claim in other.others {
            self.note(claim, false);
        }
        for (outcome, reads) in other.outcomes {
            self.count(outcome, reads);
        }
        self.visibility = self.visibility.max(other.visibility);
        if let Some(deadline) = other.shortest {
            self.shorten(&deadline.clock, deadline.at);
        }
        self.waited |= other.waited;
        other
            .objections
            .into_iter()
            .for_each(|reason| self.object(reason));
    }

    /// All but the places, which whoever needs them finds again.
    pub(super) fn copy(&self) -> Self {
        Self {
            seen: self.seen.clone(),
            others: self.others.clone(),
            known: HashMap::new(),
            outcomes: self.outcomes.clone(),
            visibility: self.visibility,
            shortest: self.shortest.clone(),
            objections: self.objections.clone(),
            waited: self.waited,
        }
    }

    pub(super) fn each_claim(&self) -> impl Iterator<Item = &Claim> + Clone {
        let first = self.seen.iter().map(|seen| &seen.claim);
        first.chain(&self.others)
    }

    /// Whether each read was answered by this process at once, and each entity was the same whenever it was read.
    pub(super) fn is_of_this_process(&self) -> bool {
        let is_hit = |(outcome, _): &(Outcome, u32)| *outcome == Outcome::LocalHit;
        !self.waited
            && self.others.is_empty()
            && self.outcomes.iter().all(is_hit)
            && self.seen.iter().all(|seen| !seen.changed)
    }

    /// The claims of each witness; none of these lists is empty.
    pub(super) fn claims(&self) -> Vec<Vec<Claim>> {
        let mut lists: Vec<Vec<Claim>> = Vec::new();
        for claim in self.each_claim() {
            let of = |list: &&mut Vec<Claim>| list[0].is_of(claim.witness());
            if let Some(list) = lists.iter_mut().find(of) {
                list.push(claim.clone());
            } else {
                let mut list = Vec::with_capacity(self.seen.len());
                list.push(claim.clone());
                lists.push(list);
            }
        }
        lists
    }
}

impl Deadline {
    /// On one clock no time is asked for; a scope that reads of several `Tiers` compares what remains on each.
    fn outlives(&self, clock: &Arc<dyn Clock>, at: u64) -> bool {
        if Arc::ptr_eq(clock, &self.clock) {
            return at < self.at;
        }
        to_duration(at.saturating_sub(millis(clock.now()))) < self.remaining()
    }

    pub(super) fn remaining(&self) -> Duration {
        to_duration(self.at.saturating_sub(millis(self.clock.now())))
    }
}

/// Entities up to which a list is looked through.
pub(super) const FEW: usize = 16;

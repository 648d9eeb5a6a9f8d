//! What a local entry needs to be served without asking: a live feed, and no gap since it was last proven.
//!
//! Read the proof *before* the entry. The feed removes entries first and proves afterwards, so an entry that is
//! still there after its proof was read has been told of everything the proof covers.

use crate::{
    model::{Epoch, Head},
    remote::Known,
};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The state of every bucket's feed, as readers see it.
pub(crate) struct Proofs {
    states: Box<[State]>,
    horizon: u64,
    /// While some node of the namespace has another setting, nothing is proven.
    disagreeing: AtomicBool,
}

#[repr(align(64))]
#[derive(Default)]
struct State {
    /// Until when the feed counts as live, in ms of the node's clock. Zero: never proven.
    until: AtomicU64,
    /// Losses that could not be filled.
    gap: AtomicU32,
    epoch: AtomicU64,
    applied: AtomicU64,
    asked: AtomicBool,
}

/// One bucket's proof, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    until: u64,
    pub(crate) gap: u32,
}

impl Proof {
    pub(crate) fn is_live(self, now: u64) -> bool {
        now < self.until
    }
}

impl Proofs {
    /// `horizon`: for how many ms a heartbeat proves.
    pub(crate) fn new(feeds: u16, horizon: u64) -> Self {
        Self {
            states: (0..feeds).map(|_| State::default()).collect(),
            horizon,
            disagreeing: AtomicBool::new(false),
        }
    }

    pub(crate) fn read(&self, bucket: u16) -> Proof {
        let state = self.state(bucket);
        // The time first: who sees the time of a proof must see the gap that came before it.
        let until = state.until.load(Ordering::Acquire);
        Proof {
            until,
            gap: state.gap.load(Ordering::Acquire),
        }
    }

    pub(super) fn feeds(&self) -> u16 {
        // Made from a `u16`.
        self.states.len() as u16
    }

    pub(crate) fn horizon(&self) -> u64 {
        self.horizon
    }

    /// How many buckets are proven at present, of all.
    pub(crate) fn live(&self, now: u64) -> usize {
        self.states
            .iter()
            .filter(|state| now < state.until.load(Ordering::Relaxed))
            .count()
    }

    /// Whether a head that a read has seen tells of something the feed has not applied, and nobody looks into it yet.
    pub(crate) fn is_news(&self, bucket: u16, head: &Head) -> bool {
        let state = self.state(bucket);
        let known = state.epoch.load(Ordering::Relaxed) == head.epoch.0
            && state.applied.load(Ordering::Relaxed) >= head.n;
        !known && !state.asked.swap(true, Ordering::Relaxed)
    }

    /// Somebody looked into it.
    pub(super) fn looked(&self, bucket: u16) {
        self.state(bucket).asked.store(false, Ordering::Relaxed);
    }

    pub(super) fn applied(&self, bucket: u16, epoch: u64, n: u64) {
        let state = self.state(bucket);
        state.epoch.store(epoch, Ordering::Release);
        state.applied.store(n, Ordering::Release);
    }

    /// How far each feed was applied.
    pub(crate) fn known(&self) -> Vec<Known> {
        let known = |state: &State| {
            // A place that belongs to another epoch for a moment can only begin a new one too many.
            let n = state.applied.load(Ordering::Acquire);
            let epoch = Epoch(state.epoch.load(Ordering::Acquire));
            Known { epoch, n }
        };
        self.states.iter().map(known).collect()
    }

    pub(super) fn gap(&self, bucket: u16) {
        self.state(bucket).gap.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether all nodes of the namespace have the same settings, as far as known.
    pub(crate) fn agree(&self) -> bool {
        !self.disagreeing.load(Ordering::Acquire)
    }

    /// Notes whether all nodes agree; answers true if that is news.
    ///
    /// Either way everything local must prove itself: what the others invalidated meanwhile was not heard here.
    pub(super) fn agreed(&self, yes: bool) -> bool {
        if self.disagreeing.swap(!yes, Ordering::AcqRel) != yes {
            return false;
        }
        for state in &self.states {
            state.until.store(0, Ordering::Release);
            state.gap.fetch_add(1, Ordering::AcqRel);
        }
        true
    }

    /// The feed had applied everything at `sent`. By the same task as [`agreed`](Self::agreed), and no other.
    pub(super) fn prove(&self, bucket: u16, sent: u64) {
        if !self.agree() {
            return;
        }
        self.state(bucket)
            .until
            .fetch_max(sent + self.horizon, Ordering::AcqRel);
    }

    fn state(&self, bucket: u16) -> &State {
        &self.states[usize::from(bucket)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_proven_while_the_nodes_disagree_nor_what_was_before() {
        let proofs = Proofs::new(2, 1000);
        proofs.prove(0, 5);
        assert!(!proofs.agreed(true) && proofs.read(0).is_live(5));
        let before = proofs.read(0).gap;

        assert!(proofs.agreed(false) && !proofs.agreed(false));
        proofs.prove(0, 6);
        assert!(!proofs.agree() && !proofs.read(0).is_live(6));

        assert!(proofs.agreed(true));
        proofs.prove(0, 7);
        assert!(proofs.read(0).is_live(7) && proofs.read(0).gap > before + 1);
    }
}

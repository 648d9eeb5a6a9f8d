//! What a local entry needs to be served without asking: a live feed, and no gap since it was last proven.
//!
//! Read the proof *before* the entry. The feed removes entries first and proves afterwards, so an entry that is
//! still there after its proof was read has been told of everything the proof covers.

use crate::{
    model::{Epoch, Head, Reach},
    remote::Known,
};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The state of every bucket's feed, as readers see it.
pub(crate) struct Proofs {
    states: Box<[State]>,
    horizon: u64,
    /// Whether a heartbeat is sure only once its server was confirmed.
    confirms: bool,
    /// While some node of the namespace has another setting, nothing is proven.
    disagreeing: AtomicBool,
}

#[repr(align(64))]
#[derive(Default)]
struct State {
    /// When the heartbeat was sent that proved the feed last, in ms of the node's clock and one more. Zero: never proven.
    heard: AtomicU64,
    /// The same of one whose server was confirmed after it.
    sure: AtomicU64,
    /// Losses that could not be filled.
    gap: AtomicU32,
    /// When the heartbeat was sent whose server was confirmed last, in ms and one more.
    confirmed: AtomicU64,
    epoch: AtomicU64,
    applied: AtomicU64,
    asked: AtomicBool,
}

/// One bucket's proof, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    heard: u64,
    sure: u64,
    pub(crate) gap: u32,
}

impl Proof {
    /// Whether the feed counts as live for a level that asks so much.
    pub(crate) fn is_live(self, now: u64, reach: &Reach) -> bool {
        let sent = if reach.sure { self.sure } else { self.heard };
        is_within(sent, reach.proof, now)
    }
}

/// Whether what was sent a millisecond before `sent` is younger than `age`; zero was never sent, and nothing is younger than zero.
fn is_within(sent: u64, age: u64, now: u64) -> bool {
    sent > 0 && age > 0 && now + 1 < sent + age
}

impl Proofs {
    /// `horizon`: for how many ms a heartbeat proves.
    ///
    /// `confirms`: a heartbeat is sure only once its server was confirmed.
    pub(crate) fn new(feeds: u16, horizon: u64, confirms: bool) -> Self {
        Self {
            states: (0..feeds).map(|_| State::default()).collect(),
            horizon,
            confirms,
            disagreeing: AtomicBool::new(false),
        }
    }

    pub(crate) fn read(&self, bucket: u16) -> Proof {
        let state = self.state(bucket);
        // The time first: who sees the time of a proof must see the gap that came before it.
        let heard = state.heard.load(Ordering::Acquire);
        let sure = state.sure.load(Ordering::Acquire);
        Proof {
            heard,
            sure,
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
            .filter(|state| is_within(state.heard.load(Ordering::Relaxed), self.horizon, now))
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
            state.heard.store(0, Ordering::Release);
            state.sure.store(0, Ordering::Release);
            state.gap.fetch_add(1, Ordering::AcqRel);
        }
        true
    }

    /// The feed had applied everything at `sent`. By the same task as [`agreed`](Self::agreed), and no other.
    pub(super) fn prove(&self, bucket: u16, sent: u64) {
        if !self.agree() {
            return;
        }
        let (state, sent) = (self.state(bucket), sent + 1);
        state.heard.fetch_max(sent, Ordering::AcqRel);
        if !self.confirms || state.confirmed.load(Ordering::Acquire) == sent {
            state.sure.fetch_max(sent, Ordering::AcqRel);
        }
    }

    /// The server of the heartbeat that was sent at `sent` was confirmed after it. By the same task as [`prove`](Self::prove).
    ///
    /// It makes that very heartbeat sure and no other: another one may have been answered by a server that had been replaced.
    pub(super) fn confirm(&self, bucket: u16, sent: u64) {
        let (state, sent) = (self.state(bucket), sent + 1);
        state.confirmed.store(sent, Ordering::Release);
        if self.agree() && state.heard.load(Ordering::Acquire) == sent {
            state.sure.fetch_max(sent, Ordering::AcqRel);
        }
    }

    fn state(&self, bucket: u16) -> &State {
        &self.states[usize::from(bucket)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Level, WhenDeaf};
    use std::time::Duration;

    fn eventual() -> Reach {
        Level::Eventual.reach(WhenDeaf::Ask, 1000)
    }

    fn bounded(millis: u64) -> Reach {
        Level::Bounded(Duration::from_millis(millis)).reach(WhenDeaf::Ask, 1000)
    }

    fn strict() -> Reach {
        Level::Strict.reach(WhenDeaf::Ask, 1000)
    }

    #[test]
    fn a_heartbeat_proves_for_as_long_as_the_level_says_from_when_it_was_sent() {
        let proofs = Proofs::new(1, 1000, false);
        assert!(!proofs.read(0).is_live(0, &eventual()));

        proofs.prove(0, 0);

        let proof = proofs.read(0);
        assert!(proof.is_live(999, &eventual()) && !proof.is_live(1000, &eventual()));
        assert!(proof.is_live(299, &bounded(300)) && !proof.is_live(300, &bounded(300)));
        assert!(proof.is_live(2999, &bounded(3000)) && !proof.is_live(3000, &bounded(3000)));
        assert!(!proof.is_live(0, &strict()));
    }

    #[test]
    fn where_replicas_confirm_a_heartbeat_is_sure_only_with_its_own_confirmation() {
        let proofs = Proofs::new(1, 1000, true);
        proofs.prove(0, 10);
        assert!(
            proofs.read(0).is_live(10, &eventual()) && !proofs.read(0).is_live(10, &bounded(500))
        );

        proofs.confirm(0, 10);
        assert!(proofs.read(0).is_live(509, &bounded(500)));

        // Another server may have answered the later one.
        proofs.prove(0, 400);
        assert!(!proofs.read(0).is_live(510, &bounded(500)));
        // The confirmation comes first where the head was ahead of the push.
        proofs.confirm(0, 800);
        assert!(!proofs.read(0).is_live(810, &bounded(500)));
        proofs.prove(0, 800);
        assert!(proofs.read(0).is_live(810, &bounded(500)));
    }

    #[test]
    fn nothing_is_proven_while_the_nodes_disagree_nor_what_was_before() {
        let proofs = Proofs::new(2, 1000, false);
        proofs.prove(0, 5);
        assert!(!proofs.agreed(true) && proofs.read(0).is_live(5, &eventual()));
        let before = proofs.read(0).gap;

        assert!(proofs.agreed(false) && !proofs.agreed(false));
        proofs.prove(0, 6);
        assert!(!proofs.agree() && !proofs.read(0).is_live(6, &eventual()));

        assert!(proofs.agreed(true));
        proofs.prove(0, 7);
        assert!(proofs.read(0).is_live(7, &eventual()) && proofs.read(0).gap > before + 1);
    }
}

//! What happens in a round of the races, drawn at random.

use crate::races::{NODES, WINDOW, takes_turns};
use std::ops::Range;

/// One thing that happens in a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) node: usize,
    pub(crate) key: u64,
    pub(crate) start: Pause,
    pub(crate) act: Act,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A read that loads on a miss.
    Read(Pause),
    /// A read that does not load.
    Look,
    /// A read whose caller goes away after so many turns of the scheduler.
    Drop(Pause, u8),
    /// A commit and its invalidation, then a read on the same node at once.
    Invalidate(Pause),
    /// The same, of this key and the next.
    InvalidateBoth(Pause),
    /// A commit and an invalidation whose caller goes away: it is never acknowledged.
    Forget(u8),
    /// A commit and an insert of what was committed, then a read on the same node at once.
    Insert(Pause),
}

/// How long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pause {
    /// So many turns of the scheduler.
    Turns(u8),
    /// Up to about two milliseconds: tokio counts in whole ones.
    Micros(u64),
    /// Until the key's next commit, and so many turns more: a load that answers what was true before.
    AcrossCommit(u8),
}

impl Step {
    pub(crate) fn draw(random: &mut fastrand::Rng, round: u64, keys: Range<u64>) -> Self {
        // Most of a round meets at one key.
        let key = if random.u8(0..4) > 0 {
            keys.start + round % WINDOW
        } else {
            random.u64(keys)
        };
        // A few turns of the scheduler decide most races, so most steps begin nearly at once.
        let start = match random.u8(0..8) {
            0 => Pause::Micros(500),
            1 | 2 => Pause::AcrossCommit(random.u8(0..4)),
            _ => Pause::Turns(random.u8(0..24)),
        };
        let load = Pause::draw(random);
        let act = match random.u8(0..16) {
            0..6 => Act::Read(load),
            6 => Act::Look,
            7..10 => Act::Drop(load, random.u8(0..40)),
            10..12 => Act::Invalidate(load),
            12 => Act::InvalidateBoth(load),
            13 => Act::Forget(random.u8(0..10)),
            _ if takes_turns(key) => Act::Insert(load),
            _ => Act::Invalidate(load),
        };
        Self {
            node: random.usize(0..NODES),
            key,
            start,
            act,
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

//! How the time of a campaign is shared out among its faults.

use std::time::Duration;

use fastrand::Rng;

use super::Kind;

/// The lengths of faults and pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Of a fault with the pause after it.
    pub(super) slot: Duration,
    /// Of the first stop of a node, which the next faults do not wait for: up to half a minute.
    pub(super) long: Duration,
}

impl Pace {
    /// Gives each of so many kinds its turn within `length`.
    pub(super) fn of(length: Duration, kinds: usize) -> Self {
        let round = length.saturating_sub(WARM_UP + SETTLING);
        Self {
            slot: (round / kinds as u32).min(LONGEST_SLOT),
            long: (length / 5).min(LONGEST_STOP),
        }
    }

    /// How long the fault lasts: half of its slot, a little more or less.
    pub(super) fn hold(&self, random: &mut Rng) -> Duration {
        self.slot.mul_f64(0.4 + 0.2 * random.f64())
    }
}

/// The kinds in the order of one round.
pub(super) fn round(kinds: &[Kind], random: &mut Rng) -> Vec<Kind> {
    let mut kinds = kinds.to_vec();
    random.shuffle(&mut kinds);
    kinds
}

/// Before the first fault, so that there is something to lose.
pub(super) const WARM_UP: Duration = Duration::from_secs(2);

/// After the last fault.
pub(super) const SETTLING: Duration = Duration::from_secs(3);

const LONGEST_STOP: Duration = Duration::from_secs(30);
const LONGEST_SLOT: Duration = Duration::from_millis(4_500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::servers::TopologyName;

    #[test]
    fn every_kind_has_its_turn_within_a_minute() {
        let length = Duration::from_secs(60);
        let kinds = Kind::of(TopologyName::Standalone).len();
        let pace = Pace::of(length, kinds);

        let round = pace.slot * kinds as u32;
        assert!(round + WARM_UP + SETTLING <= length);
        assert!(pace.hold(&mut Rng::with_seed(1)) > Duration::from_millis(1_300));
    }

    #[test]
    fn a_round_has_each_kind_once_and_a_seed_repeats_it() {
        let all = Kind::of(TopologyName::Sentinel);
        let order = |seed| round(&all, &mut Rng::with_seed(seed));

        assert_eq!(order(5), order(5));
        assert_ne!(order(5), order(6));
        let mut kinds = order(5);
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), all.len());
    }
}

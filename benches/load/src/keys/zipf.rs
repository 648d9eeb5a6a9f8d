//! Exact draws from a zipf distribution with exponent 0.99, in constant memory.
//!
//! Rejection-inversion after Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
//! distributions" (1996): invert the integral of a hat function over the weights, and reject what lies between the
//! two. Fewer than one draw in ten is rejected.

use std::num::NonZeroU32;

/// A seeded stream of ids; id 0 is the most popular.
#[derive(Debug)]
pub(crate) struct Zipf {
    keys: f64,
    /// The hat's integral up to the first and the last rank.
    first: f64,
    last: f64,
    /// A draw this near to its rank needs no test.
    accepted: f64,
    random: fastrand::Rng,
}

impl Zipf {
    /// Draws from the ids `0..keys`.
    pub(crate) fn new(keys: NonZeroU32, seed: u64) -> Self {
        let keys = f64::from(keys.get());
        Self {
            keys,
            first: integral(1.5) - 1.0,
            last: integral(keys + 0.5),
            accepted: 2.0 - inverse_integral(integral(2.5) - weight(2.0)),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The next id.
    pub(crate) fn next_id(&mut self) -> u32 {
        loop {
            let drawn = self.last + self.random.f64() * (self.first - self.last);
            let exact = inverse_integral(drawn);
            let rank = exact.round().clamp(1.0, self.keys);
            if rank - exact <= self.accepted || drawn >= integral(rank + 0.5) - weight(rank) {
                // In range by the clamp, and whole by the rounding.
                return rank as u32 - 1;
            }
        }
    }
}

fn weight(rank: f64) -> f64 {
    (-EXPONENT * rank.ln()).exp()
}

fn integral(rank: f64) -> f64 {
    ((1.0 - EXPONENT) * rank.ln()).exp_m1() / (1.0 - EXPONENT)
}

fn inverse_integral(area: f64) -> f64 {
    ((area * (1.0 - EXPONENT)).max(-1.0).ln_1p() / (1.0 - EXPONENT)).exp()
}

const EXPONENT: f64 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;

    fn zipf(keys: u32, seed: u64) -> Zipf {
        Zipf::new(NonZeroU32::new(keys).unwrap(), seed)
    }

    #[test]
    fn frequencies_are_those_of_the_distribution() {
        const KEYS: usize = 50;
        const DRAWS: u32 = 1_000_000;
        let mut zipf = zipf(KEYS as u32, 1);
        let mut seen = [0_u32; KEYS];

        for _ in 0..DRAWS {
            seen[zipf.next_id() as usize] += 1;
        }

        let total: f64 = (1..=KEYS).map(|rank| (rank as f64).powf(-EXPONENT)).sum();
        for (id, count) in seen.into_iter().enumerate() {
            let expected = f64::from(DRAWS) * ((id + 1) as f64).powf(-EXPONENT) / total;
            let five_sigma = 5.0 * expected.sqrt();
            assert!(
                (f64::from(count) - expected).abs() < five_sigma,
                "id {id}: {count} instead of {expected}"
            );
        }
    }

    #[test]
    fn equal_seeds_draw_equal_ids() {
        let draw = |seed| {
            let mut zipf = zipf(1000, seed);
            (0..100).map(|_| zipf.next_id()).collect::<Vec<_>>()
        };

        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn ids_stay_in_range_at_both_ends() {
        let mut one = zipf(1, 1);
        let mut two = zipf(2, 1);

        assert!((0..1000).all(|_| one.next_id() == 0));
        assert!((0..1000).map(|_| two.next_id()).max() == Some(1));
    }
}

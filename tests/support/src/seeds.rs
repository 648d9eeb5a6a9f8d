//! Randomness that can be repeated: the seed is printed when a test fails.

use fastrand::Rng;

/// The environment variable that fixes the seed of a run.
pub const VARIABLE: &str = "TRICACHE_SEED";

/// The source of a test's random choices.
///
/// Each run draws a new seed; a failing test prints it, and `TRICACHE_SEED=<seed>` repeats the run.
/// Each case has its own generator, so that a single case can be repeated without those before it.
///
/// Keep it alive for the whole test: the seed is printed when it is dropped by a panic.
///
/// # Examples
/// ```
/// let seeds = tricache_test_support::Seeds::new();
/// for case in 0..100 {
///     let mut random = seeds.case(case);
///     assert!(random.u64(0..6) < 6);
/// }
/// ```
#[derive(Debug)]
pub struct Seeds {
    seed: u64,
}

impl Seeds {
    /// Takes the seed from the environment, or draws one.
    ///
    /// # Panics
    /// If the variable is set to something that is not a number.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "two runs differ, which no default should"
    )]
    pub fn new() -> Self {
        let seed = match std::env::var(VARIABLE) {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("{VARIABLE} is not a number: {text:?}")),
            Err(_) => fastrand::u64(..),
        };
        Self::from(seed)
    }

    /// The seed of this run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The generator of one case: the same for the same seed and number.
    #[must_use]
    pub fn case(&self, number: u64) -> Rng {
        Rng::with_seed(scramble(self.seed ^ scramble(number)))
    }
}

impl From<u64> for Seeds {
    fn from(seed: u64) -> Self {
        Self { seed }
    }
}

impl Drop for Seeds {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat this run with {VARIABLE}={}", self.seed);
        }
    }
}

/// The finisher of SplitMix64: neighbouring numbers give generators that have nothing in common.
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_number_repeat_a_case() {
        let first = Seeds::from(7).case(3).u64(..);

        assert_eq!(first, Seeds::from(7).case(3).u64(..));
    }

    #[test]
    fn seeds_and_numbers_give_different_cases() {
        let seeds = Seeds::from(7);

        assert_ne!(seeds.case(0).u64(..), seeds.case(1).u64(..));
        assert_ne!(seeds.case(0).u64(..), Seeds::from(8).case(0).u64(..));
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later
//! The seeded generator behind every random choice of the engine and the simulator.
//!
//! Randomness is state: the same seed gives the same numbers. Only the daemon's start reads
//! entropy, to choose the seed.

use crate::time::Span;

/// A seeded pseudo-random generator.
#[derive(Clone, Debug)]
pub struct Prng(fastrand::Rng);

impl Prng {
    /// A generator that will give the numbers of `seed`.
    pub fn new(seed: u64) -> Prng {
        Prng(fastrand::Rng::with_seed(seed))
    }

    /// A number in `0..bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.0.u64(0..bound)
        }
    }

    /// A span shorter than `bound`, to the microsecond; zero if `bound` is zero.
    pub fn span_below(&mut self, bound: Span) -> Span {
        Span::from_micros(self.below(bound.as_micros()))
    }

    /// Any 64-bit number.
    pub fn any(&mut self) -> u64 {
        self.0.u64(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_after_an_update() {
        let mut prng = Prng::new(7);
        let first: Vec<u64> = (0..3).map(|_| prng.below(1_000_000)).collect();
        assert_eq!(first, FIRST_OF_SEED_7);
    }

    const FIRST_OF_SEED_7: [u64; 3] = [773_381, 222_485, 718_290];

    #[test]
    fn an_empty_range_gives_zero() {
        assert_eq!(Prng::new(1).below(0), 0);
    }
}

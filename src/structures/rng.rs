//! Rng: a small seeded generator for the order in which victims are visited.
//! The generator is fast and even, but not secret. The same seed gives the same sequence, so models stay
//! deterministic.
//! Source: wyrand, Wang Yi (public domain): an odd step, then a folded 128-bit product.
//! Checked by: proptests/rng.rs.
#![forbid(unsafe_code)]

use std::cell::Cell;

const STEP: u64 = 0xA076_1D64_78BD_642F;
const MIX: u64 = 0xE703_7ED1_A0B4_28DB;

/// A generator for one owner.
#[derive(Clone, Debug)]
pub struct Rng(Cell<u64>);

impl Rng {
    /// Returns a generator, which has its own sequence for each seed.
    pub fn new(seed: u64) -> Self {
        Rng(Cell::new(seed))
    }

    /// Returns the seed for the rest of the sequence.
    #[inline]
    pub fn state(&self) -> u64 {
        self.0.get()
    }

    /// Returns the next 64 bits.
    #[inline]
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(STEP);
        self.0.set(state);
        let product = u128::from(state) * u128::from(state ^ MIX);
        (product >> 64) as u64 ^ product as u64
    }

    /// Returns a number in `0..n`, even except for a bias below `n / 2^32`. `n` must not be zero.
    #[inline]
    pub fn below(&self, n: u32) -> u32 {
        debug_assert!(n != 0, "below: there is no number below zero");
        (((self.next() >> 32) * u64::from(n)) >> 32) as u32
    }
}

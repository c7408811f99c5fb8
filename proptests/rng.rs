//! The generator: in range, repeatable, and even enough to pick victims.

use proptest::prelude::*;
use selvedge::internals::structures::Rng;

proptest! {
    #[test]
    fn below_stays_below(seed in any::<u64>(), n in 1u32..) {
        let rng = Rng::new(seed);
        for _ in 0..20 {
            prop_assert!(rng.below(n) < n);
        }
    }

    #[test]
    fn same_seed_gives_the_same_sequence(seed in any::<u64>()) {
        let (one, other) = (Rng::new(seed), Rng::new(seed));
        for _ in 0..20 {
            prop_assert_eq!(one.next(), other.next());
        }
    }

    #[test]
    fn every_victim_gets_its_share(seed in any::<u64>(), n in 1u32..65) {
        let rng = Rng::new(seed);
        let mut hits = vec![0; n as usize];
        for _ in 0..n * 1_000 {
            hits[rng.below(n) as usize] += 1;
        }
        // The standard deviation is below 32: 8 of them either way.
        prop_assert!(hits.iter().all(|hits| (744..=1256).contains(hits)), "{hits:?}");
    }
}

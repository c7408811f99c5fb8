//! What stands in for `membarrier` once that is taken away: a tour of all processors, against a light side
//! that is no instruction. The change from one to the other: proptests/environment/sandbox.rs.

use selvedge::internals::platform::tour;
use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence,
};

/// Few, as a tour takes milliseconds on a busy machine. With a plain fence in its place some million rounds fail
/// once or twice.
const ROUNDS: usize = 30;

static OURS: AtomicU64 = AtomicU64::new(0);
static THEIRS: AtomicU64 = AtomicU64::new(0);

/// One thread stores ever higher numbers, and after each looks at ours: for each of our rounds, the last
/// number after which it saw an older one of ours.
fn light_side(over: &AtomicBool) -> [u64; ROUNDS + 1] {
    // Stores that miss the caches: those that follow wait behind them, unseen.
    let far: Vec<AtomicU64> = (0..1 << 20).map(AtomicU64::new).collect();
    let mut last_before = [0; ROUNDS + 1];
    let (mut number, mut seen) = (0_u64, 0);
    while !over.load(Relaxed) {
        number += 1;
        let at = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44;
        far[at as usize].store(number, Relaxed);
        THEIRS.store(number, Relaxed);
        compiler_fence(SeqCst);
        let now = OURS.load(Relaxed);
        if now != seen {
            last_before[seen as usize + 1..=now as usize].fill(number - 1);
            seen = now;
        }
    }
    last_before
}

/// Dekker: where the light side did not see our store, we see its own.
#[test]
fn a_tour_is_a_fence_on_the_other_side() {
    let over = AtomicBool::new(false);
    let (found, last_before) = std::thread::scope(|threads| {
        let light = threads.spawn(|| light_side(&over));
        while THEIRS.load(Relaxed) < 10_000 {}
        let mut found = [0; ROUNDS + 1];
        #[allow(clippy::needless_range_loop)]
        for round in 1..=ROUNDS {
            OURS.store(round as u64, Relaxed);
            tour::everywhere().expect("nothing is refused here");
            found[round] = THEIRS.load(Relaxed);
        }
        over.store(true, Relaxed);
        (found, light.join().unwrap())
    });
    for round in 1..=ROUNDS {
        let (found, unseen) = (found[round], last_before[round]);
        assert!(found >= unseen, "round {round}: {unseen} has not seen us, and we saw {found}");
    }
}

//! The latch with real threads: what it guards is counted, sleepers included. [K12] [K13] Under Miri, or
//! with a sanitizer, a latch that orders too little is a data race.

use crate::scaled;
use selvedge::internals::platform::biased_lock::BiasedLock;
use selvedge::internals::platform::{Arc, fence};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn count(threads: usize, turns: usize, hold: impl Fn(usize) + Send + Copy + 'static) {
    let latch = Arc::new(BiasedLock::new(0));
    let counters: Vec<_> = (0..threads)
        .map(|_| {
            let latch = Arc::clone(&latch);
            thread::spawn(move || {
                for turn in 0..turns {
                    // SAFETY: a plain thread, which has no other guard.
                    let mut count = unsafe { latch.lock() };
                    *count += 1;
                    hold(turn);
                }
            })
        })
        .collect();
    counters.into_iter().for_each(|counter| counter.join().expect("no panic"));
    // SAFETY: as above.
    assert_eq!(*unsafe { latch.lock() }, threads * turns);
}

#[test]
fn threads_count_one_by_one() {
    count(4, scaled(100_000), |_| {});
}

/// The holder goes to sleep now and then, and so do those who wait for it.
#[test]
fn threads_count_though_a_holder_sleeps() {
    count(4, scaled(2_000), |turn| {
        if turn % 100 == 0 {
            thread::sleep(std::time::Duration::from_micros(200));
        }
    });
}

/// One locks so often that it owns the latch; then others come, while it goes on. Again and again, as
/// that happens once to a latch.
#[test]
fn an_owner_loses_it_to_others_and_goes_on() {
    fence::prepare();
    const TURNS: usize = 5_000;
    for _ in 0..scaled(200) {
        let latch = BiasedLock::new(0);
        let owned = AtomicBool::new(false);
        thread::scope(|s| {
            s.spawn(|| {
                for turn in 0..TURNS {
                    // SAFETY: no other thread calls itself 8, and the guard goes at once.
                    *unsafe { latch.lock_as(8) } += 1;
                    // Release: nothing but that so many turns are over.
                    owned.store(turn >= TURNS / 2, Ordering::Release);
                }
            });
            for worker in [16, 0] {
                let (latch, owned) = (&latch, &owned);
                s.spawn(move || {
                    while !owned.load(Ordering::Acquire) {
                        std::hint::spin_loop();
                    }
                    // SAFETY: as above, of 16.
                    (0..TURNS / 100).for_each(|_| *unsafe { latch.lock_as(worker) } += 1);
                });
            }
        });
        // SAFETY: a plain thread, which has no other guard.
        assert_eq!(*unsafe { latch.lock() }, TURNS + 2 * (TURNS / 100));
    }
}

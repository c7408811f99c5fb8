//! The latch with real threads: what it guards is counted, sleepers included. [K12] [K13] Under Miri, or
//! with a sanitizer, a latch that orders too little is a data race.

use crate::scaled;
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::latch::Latch;
use std::thread;

fn count(threads: usize, turns: usize, hold: impl Fn(usize) + Send + Copy + 'static) {
    let latch = Arc::new(Latch::new(0));
    let counters: Vec<_> = (0..threads)
        .map(|_| {
            let latch = Arc::clone(&latch);
            thread::spawn(move || {
                for turn in 0..turns {
                    let mut count = latch.lock();
                    *count += 1;
                    hold(turn);
                }
            })
        })
        .collect();
    counters.into_iter().for_each(|counter| counter.join().expect("no panic"));
    assert_eq!(*latch.lock(), threads * turns);
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

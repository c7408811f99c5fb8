//! What the scheduler counts of itself: each count moves where that happens, and stands still where it
//! can't.

use crate::common::{ALL, beside, eventually, finish};
use selvedge::go;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

#[test]
fn what_comes_from_outside_is_injected() {
    for placement in ALL {
        beside(move || {
            let runtime = placement.runtime(1);
            (0..10).map(|n| runtime.go(move || n)).for_each(|handle| drop(handle.join()));
            assert_eq!(runtime.metrics().injected, 10);
            runtime.run(|| (0..10).map(|n| go(move || n)).for_each(|handle| drop(handle.join())));
            let metrics = runtime.metrics();
            assert_eq!(metrics.injected, 11, "what a goroutine spawns stays on its processor");
            assert_eq!(metrics.steals, 0, "there is nobody to steal from");
            finish(runtime);
        });
    }
}

#[test]
fn who_has_nothing_to_do_sleeps_and_is_woken() {
    for placement in ALL {
        beside(move || {
            let runtime = placement.runtime(1);
            runtime.run(|| {});
            for _ in 0..3 {
                // It may have slept, and been woken, before that run.
                let sleeps = || runtime.metrics().sleeps > runtime.metrics().wakes;
                eventually("the worker sleeps", sleeps);
                let asleep = runtime.metrics();
                runtime.run(|| {});
                assert_eq!(runtime.metrics().wakes, asleep.wakes + 1, "after {asleep:?}");
            }
            finish(runtime);
        });
    }
}

#[test]
fn a_child_whose_parent_computes_is_stolen() {
    for placement in ALL {
        beside(move || {
            let runtime = placement.runtime(2);
            eventually("somebody steals", || {
                runtime.run(|| {
                    let ran = Arc::new(AtomicBool::new(false));
                    let theirs = Arc::clone(&ran);
                    let child = go(move || theirs.store(true, SeqCst));
                    while !ran.load(SeqCst) {
                        spin_loop();
                    }
                    child.join().unwrap();
                });
                runtime.metrics().steals > 0
            });
            finish(runtime);
        });
    }
}

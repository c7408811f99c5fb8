//! Who loses its processor leaves nobody behind: one at home, which goes first, blocks the thread until
//! whoever was handed over has run elsewhere: [I1].

use crate::harness::{Plan, Scenario};
use crate::support::{Flag, Gate, end, migrating};
use selvedge::{Runtime, go, pinned, yield_now};
use shuttle::thread;
use std::sync::Arc;

/// Two goroutines; on one worker, unless the other is stolen. One is pinned, and blocks the thread until
/// the other, after `loses` and a yield, opens a gate.
fn beside_one_at_home(runtime: Runtime, loses: impl FnOnce(&Runtime) + Send + 'static) {
    let runtime = Arc::new(runtime);
    let theirs = Arc::clone(&runtime);
    runtime.run(move || {
        pinned(|| {
            let (begun, gate) = (Flag::default(), Gate::default());
            let (first, open) = (begun.clone(), gate.clone());
            let other = go(move || {
                first.set();
                loses(&theirs);
                drop(theirs);
                // Whoever was woken meanwhile finds nothing, and sleeps again.
                (0..60).for_each(|_| thread::yield_now());
                yield_now();
                open.open();
            });
            while !begun.is_set() {
                thread::yield_now();
                yield_now();
            }
            gate.pass();
            other.join().expect("no panic");
        });
    });
    end(Arc::into_inner(runtime).expect("the other has ended"));
}

/// 3 threads, 2 goroutines; sampled. Its processor was retaken when it yields.
#[test]
fn who_yields_without_a_processor_is_run_elsewhere() {
    let name = "leave: who yields without a processor is run elsewhere [I1]";
    Scenario { name, threads: 3, goroutines: 2 }.check(&Plan::usual(15_000), || {
        beside_one_at_home(migrating(2, 2), |runtime| {
            while runtime.retake_all() == 0 {
                thread::yield_now();
            }
        });
    });
}

/// 4 threads, 4 goroutines; sampled. Its processor is one too many when it yields: the others were taken
/// when it began, and are idle when it yields.
#[test]
fn who_is_handed_over_is_run_elsewhere() {
    let name = "leave: who is handed over is run elsewhere [I1]";
    Scenario { name, threads: 4, goroutines: 4 }.check(&Plan::usual(500), || {
        let (runtime, over) = (migrating(3, 3), Flag::default());
        for begun in [Flag::default(), Flag::default()] {
            let (first, over) = (begun.clone(), over.clone());
            drop(runtime.go(move || {
                first.set();
                over.spin();
            }));
            begun.spin();
        }
        beside_one_at_home(runtime, move |runtime| {
            over.set();
            while runtime.metrics().idle_processors < 2 {
                thread::yield_now();
            }
            runtime.set_processors(2).expect("two are enough");
        });
    });
}

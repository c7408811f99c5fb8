//! Goroutines that have their kernel thread for themselves: [A2], [A3], [I1], [I2].

use crate::harness::{Bound, Scenario};
use crate::sched::builder;
use selvedge::internals::platform::{Arc, tls};
use selvedge::internals::sched::wired::{FOR_GOOD, note_mask, wire};
use selvedge::{Runtime, current, go, park};

fn runtime(processors: usize, threads: usize) -> Runtime {
    let builder = builder(processors).max_threads(threads);
    builder.build().expect("a model grants what is asked for")
}

/// Which worker runs the caller.
fn worker() -> usize {
    tls::worker().addr()
}

/// 3 threads: a wired goroutine joins its child | 2 workers, 1 processor. The child runs, and elsewhere;
/// then the thread of the wired one ends.
#[test]
fn the_child_of_a_wired_goroutine_runs_elsewhere() {
    Scenario {
        name: "wired: the child of a wired goroutine runs elsewhere [A2] [I1] [I2]",
        threads: 3,
        operations: "run(wire, go, join), drop | 2 workers, 1 processor",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1, 2);
        runtime.run(|| {
            wire(FOR_GOOD);
            let own = worker();
            assert_ne!(go(worker).join().expect("no panic"), own);
            assert_eq!(worker(), own);
        });
        drop(runtime);
    });
}

/// 3 threads: a wired goroutine ends, another one comes | 2 workers, 1 processor. It has another thread.
#[test]
fn who_comes_after_a_wired_goroutine_has_another_thread() {
    Scenario {
        name: "wired: who comes after a wired goroutine has another thread [A3] [I1]",
        threads: 3,
        operations: "run(wire, go), join, drop | 2 workers, 1 processor",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1, 2);
        let (own, other) = runtime.run(|| {
            wire(FOR_GOOD);
            (worker(), go(worker))
        });
        assert_ne!(other.join().expect("no panic"), own);
        drop(runtime);
    });
}

/// 3 threads: a wired goroutine parks, is unparked by its child, and joins another one | 2 workers, 1 processor.
#[test]
fn a_wired_goroutine_is_woken_at_home() {
    Scenario {
        name: "wired: a wired goroutine is woken at home [A2] [I2]",
        threads: 3,
        operations: "run(wire, go(unpark), park, join, go, join), drop | 2 workers, 1 processor",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1, 2);
        runtime.run(|| {
            wire(FOR_GOOD);
            let own = worker();
            let parent = current();
            let child = go(move || parent.unpark());
            park();
            assert_eq!(worker(), own);
            child.join().expect("no panic");
            // Whoever woke it has left no token with it.
            go(|| ()).join().expect("no panic");
        });
        drop(runtime);
    });
}

/// 3 threads: a goroutine takes its change back, and joins its child | 2 workers. Either runs it.
#[test]
fn who_takes_a_change_back_shares_its_thread() {
    Scenario {
        name: "wired: who takes a change back shares its thread [I1]",
        threads: 3,
        operations: "run(mask, go, join, mask back, go, join), drop | 2 workers, 1 processor",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1, 2);
        runtime.run(|| {
            note_mask(2);
            let own = Arc::new(worker());
            let others = Arc::clone(&own);
            let child = go(move || assert_ne!(worker(), *others));
            child.join().expect("no panic");
            assert_eq!(worker(), *own);
            note_mask(0);
            go(|| ()).join().expect("no panic");
        });
        drop(runtime);
    });
}

//! A goroutine's end, and those who ask for it: join, detach, `is_finished`, a scope; and the cell
//! that serves the next one: [G1], [G2], [G4]. And a job that a helper runs: [Q1].
//!
//! The cell itself is private to the scheduler, so whole runtimes are run here, as small as can be.
//! A result lies in a race-checked place, as does a name: whoever reads one without an edge from its
//! writer, or recycles the cell without one from its last reader, is caught.

use crate::harness::{Bound, Payload, Scenario};
use crate::placement::Anchored;
use selvedge::internals::platform::{Arc, thread};
use selvedge::{Builder, Runtime, Spawn, blocking, go, yield_now};
use std::time::Duration;

fn runtime(processors: usize, goroutines: usize) -> Runtime {
    Builder::new()
        .processors(processors)
        .max_goroutines(goroutines)
        .modelled(2)
        .anchored()
        .expect("a model grants what is asked for")
}

/// Says, once dropped, that it was; fails if that happens twice, or unseen.
struct Once(Arc<Payload>);

impl Drop for Once {
    fn drop(&mut self) {
        let before = self.0.take();
        self.0.write(before + 1);
    }
}

/// 2 threads: spawn, look whether it has finished, join | 1 worker. Who finds it finished, or has
/// joined it, sees all that it did.
#[test]
fn who_joins_sees_what_was_done() {
    Scenario {
        name: "join: who joins sees what was done [G2]",
        threads: 2,
        operations: "go, is_finished, join | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1, 1);
        let done = Arc::new(Payload::new(0));
        let mine = Arc::clone(&done);
        let handle = runtime.go(move || {
            mine.write(7);
            Payload::new(8)
        });
        if handle.is_finished() {
            assert_eq!(done.take(), 7, "whoever finds it finished sees what it did");
        }
        assert_eq!(handle.join().expect("no panic").take(), 8);
    });
}

/// 2 threads: spawn, drop the handle, drain | 1 worker. Whoever comes last drops the result, once.
#[test]
fn a_result_that_nobody_wants_is_dropped_once() {
    Scenario {
        name: "join: a result that nobody wants is dropped once [G2]",
        threads: 2,
        operations: "go, drop handle, shutdown | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1, 1);
        let dropped = Arc::new(Payload::new(0));
        let mine = Arc::clone(&dropped);
        let handle = runtime.go(move || Once(mine));
        drop(handle);
        runtime.shutdown(Duration::MAX).expect("it ends");
        assert_eq!(dropped.take(), 1);
    });
}

/// 2 threads: spawn, read its name, drop the handle, spawn into the same cell | 1 worker. The cell is
/// recycled after its last reader, by whoever that is.
#[test]
fn a_cell_is_recycled_after_its_last_reader() {
    Scenario {
        name: "join: a cell is recycled after its last reader [G1]",
        threads: 2,
        operations: "go, name, drop handle, shutdown | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1, 1);
        let first = runtime.go_with(Spawn::new().name("first"), || ()).expect("room for one");
        assert_eq!(first.goroutine().name(), Some("first"));
        drop(first);
        runtime.shutdown(Duration::MAX).expect("it ends");
    });
}

/// 3 threads: a parent whose scope ends | its child, on the other worker. What was borrowed is the
/// parent's again once the scope has ended.
#[test]
fn a_scope_sees_what_its_child_did_elsewhere() {
    Scenario {
        name: "join: a scope sees what its child did elsewhere [G4]",
        threads: 3,
        operations: "run(scope(go)) | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = runtime(2, 2);
        runtime.run(|| {
            let own = Payload::new(5);
            selvedge::scope(|s| {
                s.go(|| own.write(own.take() + 1));
                thread::yield_now();
            });
            assert_eq!(own.take(), 6);
        });
    });
}

/// 3 threads: a scope of one runtime has a child on another | a worker of each. The parent is woken after it
/// was counted, and its runtime ends while the child may still wake it.
#[test]
fn a_child_on_another_runtime_wakes_its_parent() {
    Scenario {
        name: "join: a child on another runtime wakes its parent [G4] [G7]",
        threads: 3,
        operations: "run(scope(other.run(go))), drop, drop | a worker | a worker of the other",
    }
    .check(Bound::narrow(), || {
        let (own, other) = (runtime(1, 1), runtime(1, 2));
        own.run(|| {
            let value = Payload::new(5);
            selvedge::scope(|s| {
                other.run(|| drop(s.go(|| value.write(value.take() + 1))));
            });
            assert_eq!(value.take(), 6);
        });
        drop(own);
        drop(other);
    });
}

/// 3 threads: a goroutine with a neighbour blocks | 1 worker | a helper. The job is run once, and
/// what it did is seen by the goroutine that waits for it.
#[test]
fn a_helper_s_job_is_run_once_and_seen() {
    Scenario {
        name: "join: a helper's job is run once and seen [Q1]",
        threads: 3,
        operations: "run(go(yield), yield, 2 blocking, join) | 1 worker | helper",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1, 2);
        runtime.run(|| {
            let neighbour = go(yield_now);
            yield_now();
            let own = Payload::new(1);
            blocking(|| own.write(own.take() + 1));
            own.write(own.take() + 1);
            // The helper may be idle by now, or not yet.
            blocking(|| own.write(own.take() + 1));
            assert_eq!(own.take(), 4);
            neighbour.join().expect("no panic");
        });
    });
}

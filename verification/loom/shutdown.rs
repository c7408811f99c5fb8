//! Shutdown with work left: [T1], [T2].

use crate::harness::{Bound, Payload, Scenario};
use crate::placement::Anchored;
use selvedge::internals::platform::Arc;
use selvedge::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new()
        .processors(1)
        .max_goroutines(4)
        .modelled(2)
        .anchored()
        .expect("a model grants what is asked for")
}

/// Set once dropped, by whoever drops it.
struct Dropped(Arc<Payload>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.write(1);
    }
}

/// 2 threads: spawn, drop the runtime, join | 1 worker. The goroutine has a result or an error, and
/// its closure is dropped once.
#[test]
fn a_goroutine_overtaken_by_the_end_has_a_result_or_an_error() {
    Scenario {
        name: "shutdown: a goroutine overtaken by the end has a result or an error [T2]",
        threads: 2,
        operations: "go, drop runtime, join | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime();
        let dropped = Arc::new(Payload::new(0));
        let token = Dropped(Arc::clone(&dropped));
        let handle = runtime.go(move || {
            drop(token);
            7
        });
        drop(runtime);
        match handle.join() {
            Ok(seven) => assert_eq!(seven, 7),
            Err(error) => assert!(error.is_abandoned()),
        }
        assert_eq!(dropped.take(), 1, "the closure's values are dropped");
    });
}

/// 2 threads: spawn, drain, stop | 1 worker. Nobody is left.
#[test]
fn a_drained_runtime_has_nobody_left() {
    Scenario {
        name: "shutdown: a drained runtime has nobody left",
        threads: 2,
        operations: "go, shutdown, join | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime();
        let handle = runtime.go(|| 7);
        runtime.shutdown(std::time::Duration::MAX).expect("the goroutine ends");
        assert_eq!(handle.join().expect("it has ended"), 7);
    });
}

/// 2 threads: spawn one that spawns another, drain, stop | 1 worker. Whoever is counted as ended was
/// counted as spawned: the drain does not end before the second has.
#[test]
fn a_drain_waits_for_those_spawned_meanwhile() {
    Scenario {
        name: "shutdown: a drain waits for those spawned meanwhile",
        threads: 2,
        operations: "go(go), shutdown | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime();
        drop(runtime.go(|| drop(selvedge::go(|| ()))));
        runtime.shutdown(std::time::Duration::MAX).expect("both end");
    });
}

/// 2 threads: spawn one that parks for ever, stop, join | 1 worker. Its joiner is told. [T2]
#[test]
fn a_goroutine_that_parks_for_ever_is_abandoned() {
    Scenario {
        name: "shutdown: a goroutine that parks for ever is abandoned [T2] [T3]",
        threads: 2,
        operations: "go(park), drop runtime, join | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime();
        let handle = runtime.go(selvedge::park);
        drop(runtime);
        // A park may return without a permit, but not before it was resumed.
        assert!(handle.join().unwrap_err().is_abandoned());
    });
}

/// 2 threads: spawn two, of which the first yields to the second, stop, join both | 1 worker. If the end comes while the
/// first one passes on, the second has not run, and both joiners hear of it; the closures are dropped once. [T1] [T2]
#[test]
fn the_end_overtakes_one_that_passes_on() {
    Scenario {
        name: "shutdown: the end overtakes one that passes on [T1] [T2]",
        threads: 2,
        operations: "go(yield), go, drop runtime, join, join | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime();
        let dropped = [(); 2].map(|()| Arc::new(Payload::new(0)));
        let [first, second] = [0, 1].map(|which| Dropped(Arc::clone(&dropped[which])));
        let yields = runtime.go(move || {
            selvedge::yield_now();
            drop(first);
        });
        let next = runtime.go(move || drop(second));
        drop(runtime);
        let ended = yields.join().map_err(|error| assert!(error.is_abandoned())).is_ok();
        assert!(next.join().err().is_none_or(|error| error.is_abandoned()));
        assert!(!ended || dropped[0].take() == 1, "its values are dropped");
        assert_eq!(dropped[1].take(), 1, "it has ended, or never began");
    });
}

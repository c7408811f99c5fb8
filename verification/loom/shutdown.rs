//! Shutdown with work left: [T1], [T2].

use crate::harness::{Bound, Payload, Scenario};
use selvedge::internals::platform::Arc;
use selvedge::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new()
        .processors(1)
        .max_goroutines(4)
        .modelled(2)
        .build()
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

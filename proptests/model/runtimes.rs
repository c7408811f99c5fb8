//! A program that builds its own `Runtime`, unchanged, in every build: [G6].

use crate::common::{explore, fails, passes};
use selvedge::chan::bounded;
use selvedge::internals::platform::cell::UnsafeCell;
use selvedge::model::{Check, Failure};
use selvedge::time::sleep;
use selvedge::{PanicPolicy, RemainingState, Runtime, Spawn, current, go, park, scope, yield_now};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Whoever comes by while another is there, or has not seen what it did, is caught by loom.
struct Raced(UnsafeCell<u32>);

// SAFETY: none but what loom finds: that is the test.
unsafe impl Sync for Raced {}

impl Raced {
    fn add(&self) -> u32 {
        self.0.with_mut(|cell| {
            // SAFETY: as above.
            unsafe { *cell += 1 };
            // SAFETY: as above.
            unsafe { *cell }
        })
    }
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// As somebody's `main` would be.
fn unchanged() {
    let runtime = Runtime::builder().processors(8).thread_name("service").build().unwrap();
    let sum = runtime.run(|| {
        let (numbers, received) = bounded(0);
        let adder = go(move || received.iter().sum::<u32>());
        scope(|s| {
            s.go(|| numbers.send(1).unwrap());
            numbers.send(2).unwrap();
        });
        drop(numbers);
        adder.join().unwrap()
    });
    assert_eq!(sum, 3);
    runtime.shutdown(HOUR).expect("everybody has ended");
}

#[test]
fn a_program_with_a_runtime_runs_unchanged() {
    let report = passes(unchanged);
    assert!(report.executions > 1, "{report}");
    // And is what it was outside, where that is no model.
    if !cfg!(any(feature = "loom", feature = "shuttle")) {
        unchanged();
    }
}

#[test]
fn what_runs_is_the_callers_goroutine_and_may_borrow() {
    passes(|| {
        let mut numbers = [1, 2];
        let runtime = runtime();
        let outside = current();
        let inside = runtime.run(|| {
            numbers[0] = 10;
            scope(|s| drop(s.go(|| numbers[1] = 20)));
            current()
        });
        assert_eq!(inside, outside);
        assert_eq!(numbers, [10, 20]);
    });
}

#[test]
fn a_panic_of_what_runs_is_the_callers_own() {
    let failure = fails(|| runtime().run(|| panic!("of the program")));
    assert!(matches!(failure, Failure::Panic(_)), "{failure}");
    assert!(failure.story().message().contains("of the program"), "{failure}");
}

#[test]
fn values_of_the_caller_are_not_those_of_what_runs() {
    selvedge::goroutine_local! {
        static OWN: Cell<u32> = Cell::new(0);
        inherit static REQUEST: Cell<u32> = Cell::new(0);
    }
    passes(|| {
        OWN.set(1);
        REQUEST.set(1);
        let runtime = runtime();
        runtime.run(|| {
            assert_eq!((OWN.get(), REQUEST.get()), (0, 1));
            OWN.set(2);
            REQUEST.set(2);
            let child = go(|| (OWN.get(), REQUEST.get()));
            assert_eq!(child.join().unwrap(), (0, 2));
        });
        assert_eq!((OWN.get(), REQUEST.get()), (1, 1));
        let other = runtime.go(|| (OWN.get(), REQUEST.get()));
        assert_eq!(other.join().unwrap(), (0, 1));
    });
}

#[test]
fn shutdown_waits_for_children_of_children_and_sees_what_they_did() {
    passes(|| {
        let runtime = runtime();
        let done = Arc::new(Raced(UnsafeCell::new(0)));
        let theirs = Arc::clone(&done);
        drop(runtime.go(move || drop(go(move || theirs.add()))));
        runtime.shutdown(Duration::MAX).expect("all end");
        assert_eq!(done.add(), 2);
    });
}

#[test]
fn shutdown_asks_nothing_of_another_runtimes_goroutines() {
    passes(|| {
        let (one, other) = (runtime(), runtime());
        let (tx, rx) = bounded::<()>(0);
        let waits = other.go(move || rx.recv().is_err());
        one.go(yield_now).join().unwrap();
        one.shutdown(Duration::MAX).expect("its goroutine has ended");
        assert_eq!((other.metrics().spawned, other.processors()), (1, 2));
        drop(tx);
        assert!(waits.join().unwrap());
        assert_eq!(other.metrics().unclaimed_panics, 0);
        other.shutdown(Duration::MAX).unwrap();
    });
}

#[test]
fn shutdown_says_who_is_left_and_where() {
    let check = if cfg!(feature = "loom") { Check::new() } else { Check::new().executions(100) };
    let outcome = explore(check, || {
        let runtime = runtime();
        drop(runtime.go_with(Spawn::new().name("stuck"), || sleep(2 * HOUR)).unwrap());
        let Err(error) = runtime.shutdown(HOUR) else { return };
        let left = &error.remaining()[0];
        assert_eq!((left.id, left.name.as_deref()), (2, Some("stuck")));
        if left.state == RemainingState::Parked {
            assert!(left.place.expect("a place").file().ends_with("runtimes.rs"), "{left:?}");
        }
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn who_is_left_for_ever_is_a_leak() {
    let failure = fails(|| {
        let runtime = runtime();
        drop(runtime.go_with(Spawn::new().name("stuck"), park).unwrap());
        drop(runtime);
    });
    assert!(matches!(failure, Failure::Leak(_)), "{failure}");
    let failure = fails(|| {
        let runtime = runtime();
        drop(runtime.go(park));
        let _ = runtime.shutdown(Duration::MAX);
    });
    assert!(matches!(failure, Failure::Deadlock(_)), "{failure}");
    assert!(failure.to_string().contains("waits: shut a runtime down at "), "{failure}");
}

#[test]
fn a_runtime_says_what_it_was_built_with_on_every_machine() {
    passes(|| {
        let usual = runtime();
        assert_eq!(usual.processors(), 2);
        let runtime = Runtime::builder().processors(3).max_processors(4).build().unwrap();
        assert_eq!(runtime.processors(), 3);
        assert!(runtime.set_processors(5).is_err());
        runtime.set_processors(4).unwrap();
        assert_eq!(runtime.metrics().processors, 4);
        assert!(Runtime::builder().processors(0).build().is_err());
        assert_eq!(runtime.run(|| go(|| 7).join().unwrap()), 7);
        let metrics = runtime.metrics();
        assert_eq!((metrics.spawned, metrics.finished, metrics.threads), (2, 2, 0));
    });
}

#[test]
fn a_panic_fails_though_it_is_joined_where_the_policy_is_to_abort() {
    let program = |policy| {
        move || {
            let runtime = Runtime::builder().panic_policy(policy).build().unwrap();
            runtime.run(|| assert!(go(|| panic!("taken")).join().is_err()));
        }
    };
    passes(program(PanicPolicy::Carry));
    let failure = fails(program(PanicPolicy::Abort));
    assert!(matches!(failure, Failure::Panic(_)), "{failure}");
    let said = failure.story().message();
    assert_eq!(said, "goroutine 2 panicked, and its runtime's policy is to abort: taken");
}

#[test]
fn a_runtime_of_another_run_says_what_to_do() {
    let kept = Arc::new(std::sync::OnceLock::new());
    let failure = fails(move || {
        let runtime = kept.get_or_init(runtime);
        runtime.run(|| drop(go(|| ())));
    });
    assert!(matches!(failure, Failure::Panic(_)), "{failure}");
    assert!(failure.story().message().contains("build it inside of the closure"), "{failure}");
}

//! Programs with one bug each, in a build with a checker.

use crate::common::{explore, fails, passes};
#[cfg(feature = "loom")]
use selvedge::internals::platform::cell::UnsafeCell;
use selvedge::internals::platform::{Arc, Mutex};
use selvedge::model::{Check, Failure};
use selvedge::{Goroutine, Spawn, current, go, park, scope, yield_now};

#[test]
fn goroutines_have_ids_names_and_results() {
    let report = passes(|| {
        let child = Spawn::new().name("reader").go(|| {
            let me = current();
            (me.id(), me.name().map(str::to_owned))
        });
        assert_eq!(child.goroutine().name(), Some("reader"));
        let (id, name) = child.join().unwrap();
        assert_eq!((id, name.as_deref()), (Some(2), Some("reader")));
    });
    assert!(report.executions > 1);
    assert_eq!(report.is_complete(), cfg!(feature = "loom"), "{report}");
}

#[test]
fn real_input_and_output_is_refused() {
    let failure = fails(|| drop(selvedge::fs::read("Cargo.toml")));
    assert!(failure.story().message().contains("a model has no real I/O"), "{failure}");
}

#[test]
fn a_permit_is_not_lost() {
    passes(|| {
        let done = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&done);
        let main = current();
        let child = go(move || {
            *seen.lock() = true;
            main.unpark();
        });
        park();
        assert!(*done.lock());
        child.join().unwrap();
    });
}

#[test]
fn scopes_lend_and_wait() {
    passes(|| {
        let mut numbers = [1, 2];
        let [left, right] = &mut numbers;
        scope(|s| {
            s.go(|| *left *= 10);
            let joined = s.go(|| *right *= 10);
            joined.join().unwrap();
        });
        assert_eq!(numbers, [10, 20]);
    });
}

#[test]
fn a_panic_that_is_joined_is_no_failure() {
    passes(|| {
        let error = go(|| panic!("expected")).join().unwrap_err();
        assert!(error.to_string().contains("expected"));
    });
}

#[test]
fn everybody_waits_is_a_deadlock() {
    let failure = fails(|| {
        let child = Spawn::new().name("sleeper").go(|| {
            loop {
                park();
            }
        });
        child.join().unwrap();
    });
    assert!(matches!(failure, Failure::Deadlock(_)), "{failure}");
    let alive = failure.story().alive();
    assert!(alive[0].starts_with("goroutine 1 \"main\": waits: join goroutine 2 \"sleeper\" at "));
    assert!(alive[1].starts_with("goroutine 2 \"sleeper\", spawned at "), "{alive:?}");
    assert!(alive[1].contains("waits: park at "), "{alive:?}");
}

#[test]
fn who_waits_after_the_end_is_a_leak() {
    let failure = fails(|| drop(go(park)));
    assert!(matches!(failure, Failure::Leak(_)), "{failure}");
}

#[test]
fn a_panic_that_nobody_joins_is_a_failure() {
    let failure = fails(|| drop(go(|| panic!("unheard"))));
    assert!(matches!(failure, Failure::Panic(_)), "{failure}");
    assert!(failure.to_string().contains("unheard at "), "{failure}");
}

#[test]
fn a_rare_order_of_steps_is_found() {
    let failure = fails(|| {
        let log = Arc::new(Mutex::new(String::new()));
        let [one, two] = ["a", "b"].map(|name| {
            let log = Arc::clone(&log);
            go(move || {
                yield_now();
                log.lock().push_str(name);
            })
        });
        one.join().unwrap();
        two.join().unwrap();
        assert_eq!(*log.lock(), "ab", "b came first");
    });
    assert!(matches!(failure, Failure::Panic(_)), "{failure}");
    assert!(failure.to_string().contains("b came first"), "{failure}");
}

#[test]
fn a_loop_that_waits_for_nobody_meets_the_limit() {
    let check = Check::new().steps(300);
    let failure = explore(check, || {
        loop {
            yield_now();
        }
    });
    assert!(matches!(failure, Err(Failure::Limit(_))), "{failure:?}");
}

#[test]
fn programs_may_be_larger_than_loom_or_not() {
    let outcome = explore(Check::new(), || {
        let all: Vec<_> = (0..5).map(|_| go(|| ())).collect();
        all.into_iter().for_each(|child| child.join().unwrap());
    });
    match outcome {
        Err(failure) if cfg!(feature = "loom") => {
            assert!(matches!(failure, Failure::Limit(_)), "{failure}");
            assert!(failure.to_string().contains("model::random"), "{failure}");
        }
        outcome => assert!(outcome.is_ok() && !cfg!(feature = "loom"), "{outcome:?}"),
    }
}

#[test]
fn a_cut_run_is_not_complete() {
    let check = Check::new().executions(2);
    let report = explore(check, || drop(go(yield_now))).expect("it is right");
    assert!(!report.is_complete(), "{report}");
}

#[test]
fn handles_of_two_goroutines_differ() {
    passes(|| {
        let me: Goroutine = current();
        let child = go(current).join().unwrap();
        assert_ne!(me, child);
        assert_eq!(me, current());
    });
}

/// What loom itself finds is told, and the test ends: this crate's own cells are raced for.
#[test]
#[cfg(feature = "loom")]
fn a_data_race_is_a_failure_and_the_test_ends() {
    let failure = fails(|| {
        let raced = std::sync::Arc::new(Raced(UnsafeCell::new(0)));
        let theirs = std::sync::Arc::clone(&raced);
        let child = go(move || theirs.touch());
        raced.touch();
        child.join().unwrap();
    });
    assert!(matches!(failure, Failure::Panic(_)), "{failure}");
    assert!(failure.story().message().starts_with("loom says: Causality violation"), "{failure}");
}

#[cfg(feature = "loom")]
struct Raced(UnsafeCell<u32>);

#[cfg(feature = "loom")]
impl Raced {
    fn touch(&self) {
        // SAFETY: none but what loom finds: that is the test.
        self.0.with_mut(|cell| unsafe { *cell += 1 });
    }
}

// SAFETY: as above.
#[cfg(feature = "loom")]
unsafe impl Sync for Raced {}

/// A destructor that meets loom again, after loom has panicked: the process ends, and says why.
#[test]
#[cfg(feature = "loom")]
fn a_destructor_that_races_too_ends_the_process_with_a_word() {
    const CHILD: &str = "SELVEDGE_RACES";
    struct Again(std::sync::Arc<Raced>);
    impl Drop for Again {
        fn drop(&mut self) {
            self.0.touch();
        }
    }
    if std::env::var_os(CHILD).is_some() {
        let _ = Check::new().try_check(|| {
            let raced = std::sync::Arc::new(Raced(UnsafeCell::new(0)));
            let theirs = Again(std::sync::Arc::clone(&raced));
            let child = go(move || theirs.0.touch());
            raced.touch();
            child.join().unwrap();
        });
        return;
    }
    let test = "kinds::a_destructor_that_races_too_ends_the_process_with_a_word";
    let child = std::process::Command::new(std::env::current_exe().expect("the test program"))
        .args([test, "--exact", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("a child");
    let said = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(101), "{said}");
    assert!(
        said.contains("the checker panics while a run unwinds from a panic of its own"),
        "{said}"
    );
}

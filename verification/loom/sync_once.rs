//! Once and what stands on it: [U4], [U5]. A wake-up that is lost is a deadlock, and red. In a model a
//! panic is seen by all model threads; a `Once` asks nobody who panics, so that changes nothing here.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::CancelToken;
use selvedge::internals::platform::Arc;
use selvedge::sync::{LazyLock, Once, OnceLock};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// 2 threads: both call; one runs, both see it; every interleaving.
#[test]
fn one_runs_and_both_see_it() {
    Scenario {
        name: "once: one runs and both see it [U4] [U5]",
        threads: 2,
        operations: "call_once ×2",
    }
    .check(Bound::Complete, || {
        let shared = Arc::new((Once::new(), OnceLock::new(), Payload::new(0)));
        let call = |shared: &(Once, OnceLock<usize>, Payload)| {
            shared.0.call_once(|| shared.2.write(shared.2.take() + 7));
            assert!(shared.0.is_completed());
        };
        let theirs = Arc::clone(&shared);
        let other = spawn(move || call(&theirs));
        call(&shared);
        join(other);
        assert_eq!(shared.2.take(), 7, "it ran once");
        assert_eq!(shared.1.get(), None);
    });
}

/// 3 threads: two make a value, one waits for it; all see the same.
#[test]
fn all_get_the_value_of_one() {
    Scenario {
        name: "once lock: all get the value of one [U4] [U5]",
        threads: 3,
        operations: "get_or_init | get_or_init | wait",
    }
    .check(Bound::usual(), || {
        let lock = Arc::new(OnceLock::new());
        let makers = [1, 2].map(|n| {
            let lock = Arc::clone(&lock);
            let got = Arc::new(Payload::new(0));
            let tell = Arc::clone(&got);
            (spawn(move || tell.write(*lock.get_or_init(|| n))), got)
        });
        let value = *lock.wait();
        for (maker, got) in makers {
            join(maker);
            assert_eq!(got.take(), value);
        }
    });
}

/// 2 threads: one reads what it may find, the other sets it; every interleaving.
#[test]
fn who_finds_a_value_finds_it_whole() {
    Scenario {
        name: "once lock: who finds a value finds it whole [U4]",
        threads: 2,
        operations: "set | get, wait",
    }
    .check(Bound::Complete, || {
        let lock = Arc::new(OnceLock::new());
        let theirs = Arc::clone(&lock);
        let other = spawn(move || assert!(theirs.set(Box::new(7)).is_ok()));
        if let Some(value) = lock.get() {
            assert_eq!(**value, 7);
        }
        assert_eq!(**lock.wait(), 7);
        join(other);
    });
}

/// 2 threads: both use a lazy value; it is made once.
#[test]
fn a_lazy_value_is_made_once() {
    Scenario {
        name: "lazy lock: a lazy value is made once [U4]",
        threads: 2,
        operations: "force ×2",
    }
    .check(Bound::Complete, || {
        let made = Arc::new(Payload::new(0));
        let count = Arc::clone(&made);
        let lazy = Arc::new(LazyLock::new(move || {
            count.write(count.take() + 1);
            7
        }));
        let theirs = Arc::clone(&lazy);
        let other = spawn(move || assert_eq!(**theirs, 7));
        assert_eq!(**lazy, 7);
        join(other);
        assert_eq!(made.take(), 1);
    });
}

/// 3 threads: one waits under a token, one sets, one cancels: it has the value, or was cancelled.
#[test]
fn a_wait_has_the_value_or_was_cancelled() {
    Scenario {
        name: "once lock: a wait has the value or was cancelled [U5]",
        threads: 3,
        operations: "wait_cancel | set | cancel",
    }
    .check(Bound::usual(), || {
        let (lock, token) = (Arc::new(OnceLock::new()), CancelToken::new());
        let theirs = Arc::clone(&lock);
        let sets = spawn(move || assert_eq!(theirs.set(7), Ok(())));
        let canceller = token.clone();
        let cancels = spawn(move || canceller.cancel());
        match lock.wait_cancel(&token) {
            Ok(value) => assert_eq!(*value, 7),
            Err(_) => assert!(token.is_cancelled()),
        }
        join(sets);
        join(cancels);
        assert_eq!(lock.get(), Some(&7));
    });
}

/// 3 threads: two whose closure panics, and one that does it after all: each sees what those before it
/// did. At three preemptions one may unwind while another has a lock of loom's, which that takes for
/// poisoned, and gives up.
#[test]
fn who_does_it_after_all_sees_what_was_done_before_the_panics() {
    Scenario {
        name: "once: who does it after all sees what was done before the panics [U4] [U5]",
        threads: 3,
        operations: "call_once_force | call_once_force, panic ×2",
    }
    .check(Bound::Preemptions(2), || {
        let shared = Arc::new((Once::new(), Payload::new(0)));
        let add = |shared: &(Once, Payload)| shared.1.write(shared.1.take() + 1);
        let others = [(), ()].map(|()| {
            let shared = Arc::clone(&shared);
            spawn(move || {
                let fail = || {
                    shared.0.call_once_force(|_| {
                        add(&shared);
                        resume_unwind(Box::new(()));
                    })
                };
                let panicked = catch_unwind(AssertUnwindSafe(fail)).is_err();
                assert!(panicked || shared.0.is_completed());
            })
        });
        shared.0.call_once_force(|_| add(&shared));
        let seen = shared.1.take();
        assert!((1..=3).contains(&seen));
        others.into_iter().for_each(join);
    });
}

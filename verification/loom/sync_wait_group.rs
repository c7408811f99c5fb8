//! WaitGroup: [U3]. A wake-up that is lost is a deadlock, and red.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::CancelToken;
use selvedge::internals::platform::Arc;
use selvedge::sync::WaitGroup;

/// 2 threads: main waits for what the other does; every interleaving.
#[test]
fn a_wait_sees_what_was_done() {
    Scenario {
        name: "wait group: a wait sees what was done [U3]",
        threads: 2,
        operations: "add 1, wait | write, done",
    }
    .check(Bound::Complete, || {
        let (group, payload) = (WaitGroup::new(), Arc::new(Payload::new(0)));
        let (working, theirs) = (group.guard(), Arc::clone(&payload));
        let other = spawn(move || {
            theirs.write(7);
            drop(working);
        });
        group.wait();
        assert_eq!(payload.take(), 7);
        join(other);
    });
}

/// 3 threads: main waits for two others, and sees what each did.
#[test]
fn a_wait_sees_what_everybody_did() {
    Scenario {
        name: "wait group: a wait sees what everybody did [U3]",
        threads: 3,
        operations: "add 2, wait | write, done | write, done",
    }
    .check(Bound::usual(), || {
        let group = WaitGroup::new();
        group.add(2);
        let others = [1, 2].map(|n| {
            let (group, payload) = (group.clone(), Arc::new(Payload::new(0)));
            let theirs = Arc::clone(&payload);
            let thread = spawn(move || {
                theirs.write(n);
                group.done();
            });
            (thread, payload, n)
        });
        group.wait();
        for (thread, payload, n) in others {
            assert_eq!(payload.take(), n);
            join(thread);
        }
    });
}

/// 3 threads: main is done, which may come to zero; another adds one more, and only then a third waits.
/// The wake-up of the first zero is not for it: it sees what the other does before its own `done`.
#[test]
fn a_wait_is_not_ended_by_a_zero_before_it() {
    Scenario {
        name: "wait group: a wait is not ended by a zero before it [U3]",
        threads: 3,
        operations: "done | add 1, spawn, write, done | wait",
    }
    .check(Bound::usual(), || {
        let group = WaitGroup::new();
        group.add(1);
        let uses_it_again = {
            let group = group.clone();
            spawn(move || {
                group.add(1);
                let payload = Arc::new(Payload::new(0));
                let waits = {
                    let (group, payload) = (group.clone(), Arc::clone(&payload));
                    spawn(move || {
                        group.wait();
                        assert_eq!(payload.take(), 7);
                    })
                };
                payload.write(7);
                group.done();
                join(waits);
            })
        };
        group.done();
        join(uses_it_again);
    });
}

/// 2 threads: a wait that is cancelled while the counter comes to zero ends, one way or the other.
#[test]
fn a_wait_is_over_or_cancelled() {
    Scenario {
        name: "wait group: a wait is over or cancelled [U3]",
        threads: 3,
        operations: "wait_cancel | done | cancel",
    }
    .check(Bound::usual(), || {
        let (group, token) = (WaitGroup::new(), CancelToken::new());
        group.add(1);
        let does = {
            let group = group.clone();
            spawn(move || group.done())
        };
        let cancels = {
            let token = token.clone();
            spawn(move || token.cancel())
        };
        match group.wait_cancel(&token) {
            Ok(()) => assert_eq!(group.count(), 0),
            Err(_) => assert!(token.is_cancelled()),
        }
        join(does);
        join(cancels);
        group.wait();
    });
}

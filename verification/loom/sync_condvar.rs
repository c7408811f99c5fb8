//! Condvar: [U1], [U2]. A notify that is lost is a deadlock, and red.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::CancelToken;
use selvedge::internals::platform::Arc;
use selvedge::sync::{Condvar, Mutex};

type Pair = Arc<(Mutex<usize>, Condvar)>;

fn pair() -> Pair {
    Arc::new((Mutex::new(0), Condvar::new()))
}

/// Waits for one of the tokens that are counted in the mutex, and takes it.
fn take(pair: &Pair) {
    let guard = pair.0.lock().expect("not poisoned");
    let mut guard = pair.1.wait_while(guard, |tokens| *tokens == 0).expect("not poisoned");
    *guard -= 1;
}

fn put(pair: &Pair, tokens: usize) {
    *pair.0.lock().expect("not poisoned") += tokens;
}

/// 2 threads: one waits for a condition, the other makes it true and notifies after it has unlocked.
#[test]
fn a_notify_between_the_check_and_the_wait_is_not_lost() {
    Scenario {
        name: "condvar: a notify between check and wait is not lost [U1]",
        threads: 2,
        operations: "lock, wait_while | lock, set, unlock, notify_one",
    }
    .check(Bound::complete_if_long(), || {
        let (pair, payload) = (pair(), Arc::new(Payload::new(0)));
        let other = {
            let (pair, payload) = (Arc::clone(&pair), Arc::clone(&payload));
            spawn(move || {
                payload.write(7);
                put(&pair, 1);
                pair.1.notify_one();
            })
        };
        take(&pair);
        assert_eq!(payload.take(), 7);
        join(other);
    });
}

/// 3 threads: two wait, one notifies twice. Each notify wakes another one.
#[test]
fn two_notifies_wake_two_waiters() {
    Scenario {
        name: "condvar: two notifies wake two waiters [U1] [U2]",
        threads: 3,
        operations: "take | take | (put, notify_one)²",
    }
    .check(Bound::Preemptions(2), || {
        let pair = pair();
        let takers = [(), ()].map(|()| {
            let pair = Arc::clone(&pair);
            spawn(move || take(&pair))
        });
        for _ in 0..2 {
            put(&pair, 1);
            pair.1.notify_one();
        }
        takers.into_iter().for_each(join);
    });
}

/// 3 threads: two wait, one notifies all.
#[test]
fn notify_all_wakes_everybody() {
    Scenario {
        name: "condvar: notify_all wakes everybody [U1]",
        threads: 3,
        operations: "take | take | put 2, notify_all",
    }
    .check(Bound::Preemptions(2), || {
        let pair = pair();
        let takers = [(), ()].map(|()| {
            let pair = Arc::clone(&pair);
            spawn(move || take(&pair))
        });
        put(&pair, 2);
        pair.1.notify_all();
        takers.into_iter().for_each(join);
    });
}

/// 3 threads: one waits under a token, one without; main notifies one, and another thread cancels.
/// The notify goes to one who takes it: never to the one that gave up.
#[test]
fn a_notify_is_not_spent_on_who_gave_up() {
    Scenario {
        name: "condvar: a notify is not spent on who gave up [U2]",
        threads: 3,
        operations: "wait_cancel | wait | cancel, put, notify_one",
    }
    .check(Bound::Preemptions(2), || {
        let (pair, token) = (pair(), CancelToken::new());
        let gives_up = {
            let (pair, token) = (Arc::clone(&pair), token.clone());
            spawn(move || {
                let guard = pair.0.lock().expect("not poisoned");
                let (mut guard, ended) = pair
                    .1
                    .wait_cancel_while(guard, &token, |tokens| *tokens == 0)
                    .expect("not poisoned");
                if *guard == 0 {
                    assert!(ended.cancelled());
                } else {
                    // It takes the token, and so must see to the other one.
                    *guard -= 1;
                    *guard += 1;
                    drop(guard);
                    pair.1.notify_one();
                }
            })
        };
        let waits = {
            let pair = Arc::clone(&pair);
            spawn(move || take(&pair))
        };
        token.cancel();
        put(&pair, 1);
        pair.1.notify_one();
        join(gives_up);
        join(waits);
    });
}

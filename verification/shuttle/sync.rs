//! Locks on the whole runtime: [M1], [M2], [M3], [R1], [R3], [U1], [U6].

use crate::harness::{Plan, Scenario};
use crate::support::{Ledger, anchored, end, migrating, run_retaken};
use selvedge::sync::{Barrier, Condvar, Mutex, RwLock};
use selvedge::{Runtime, go, yield_now};
use std::collections::VecDeque;
use std::sync::Arc;

/// 4 goroutines add to a number, and suspend while they hold its lock.
fn additions(runtime: Runtime) {
    runtime.run(|| {
        let total = Arc::new(Mutex::new(0));
        let adders = [(); 4].map(|()| {
            let total = Arc::clone(&total);
            go(move || {
                for _ in 0..2 {
                    let mut guard = total.lock().expect("not poisoned");
                    let seen = *guard;
                    yield_now();
                    *guard = seen + 1;
                }
            })
        });
        adders.into_iter().for_each(|adder| adder.join().expect("no panic"));
        assert_eq!(*total.lock().expect("not poisoned"), 8);
    });
    end(runtime);
}

/// 3 threads, 5 goroutines; sampled.
#[test]
fn a_guard_crosses_suspensions() {
    Scenario { name: "sync: a guard crosses suspensions [M1] [M2]", threads: 3, goroutines: 5 }
        .check(&Plan::usual(1000), || additions(anchored(2, 2)));
}

/// 3 threads, 5 goroutines; sampled. The guard is released on another thread than it was made on.
#[test]
fn a_guard_crosses_migrations() {
    Scenario { name: "sync: a guard crosses migrations [M1] [M2]", threads: 3, goroutines: 5 }
        .check(&Plan::usual(1000), || additions(migrating(2, 2)));
}

/// 5 threads, 5 goroutines; sampled. A queue of one place between two and two, while processors are
/// taken away.
#[test]
fn a_bounded_queue_loses_nothing_while_processors_are_taken() {
    let name = "sync: a bounded queue loses nothing [U1] [M2]";
    Scenario { name, threads: 5, goroutines: 5 }.check(&Plan::usual(1000), || {
        let ledger = Ledger::new(4);
        let mine = ledger.clone();
        run_retaken(anchored(2, 3), move || {
            let queue = Arc::new((Mutex::new(VecDeque::new()), Condvar::new(), Condvar::new()));
            let producers = [0, 2].map(|first| {
                let queue = Arc::clone(&queue);
                go(move || {
                    for item in [first, first + 1] {
                        let items = queue.0.lock().expect("not poisoned");
                        let items = queue.1.wait_while(items, |items| !items.is_empty());
                        items.expect("not poisoned").push_back(item);
                        queue.2.notify_one();
                    }
                })
            });
            let consumers = [(); 2].map(|()| {
                let (queue, ledger) = (Arc::clone(&queue), mine.clone());
                go(move || {
                    for _ in 0..2 {
                        let items = queue.0.lock().expect("not poisoned");
                        let items = queue.2.wait_while(items, |items| items.is_empty());
                        let item = items.expect("not poisoned").pop_front();
                        ledger.enter(item.expect("not empty"));
                        queue.1.notify_one();
                    }
                })
            });
            for one in producers.into_iter().chain(consumers) {
                one.join().expect("no panic");
            }
        });
        ledger.assert_each_ran_once();
    });
}

/// 3 threads, 5 goroutines; sampled. Two write and two read, and meet before and after.
#[test]
fn readers_writers_and_a_barrier() {
    let name = "sync: readers, writers and a barrier [R1] [R3] [U6]";
    Scenario { name, threads: 3, goroutines: 5 }.check(&Plan::usual(1000), || {
        let runtime = anchored(2, 2);
        runtime.run(|| {
            let shared = Arc::new((RwLock::new((0, 0)), Barrier::new(4)));
            let all = [0, 1, 2, 3].map(|n| {
                let shared = Arc::clone(&shared);
                go(move || {
                    shared.1.wait();
                    if n % 2 == 0 {
                        let mut pair = shared.0.write().expect("not poisoned");
                        pair.0 += 1;
                        yield_now();
                        pair.1 += 1;
                    } else {
                        let pair = shared.0.read().expect("not poisoned");
                        assert_eq!(pair.0, pair.1);
                    }
                    shared.1.wait();
                    assert_eq!(*shared.0.read().expect("not poisoned"), (2, 2));
                })
            });
            all.into_iter().for_each(|one| one.join().expect("no panic"));
        });
        end(runtime);
    });
}

//! Spawning, joining, detaching, yielding; scopes; panics that are carried: [A1], [D1], [G1], [G2],
//! [G3], [G4].

use crate::harness::{Plan, Scenario};
use crate::placement::Anchored;
use crate::support::{Carried, Home, Ledger, anchored, builder, end, migrating, panic_with};
use selvedge::{Runtime, go, no_suspend, scope, time, try_go, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A root, 3 children, 2 grandchildren each; everyone joins their own.
fn tree(runtime: Runtime) {
    let ledger = Ledger::new(10);
    let mine = ledger.clone();
    let sum = runtime.run(move || {
        mine.enter(0);
        let child = |c: usize| {
            let ledger = mine.clone();
            go(move || {
                ledger.enter(1 + c);
                let grandchild = |g: usize| {
                    let ledger = ledger.clone();
                    go(move || {
                        ledger.enter(4 + 2 * c + g);
                        yield_now();
                        g
                    })
                };
                let both = [0, 1].map(grandchild);
                both.into_iter().map(|handle| handle.join().expect("no panic")).sum::<usize>()
            })
        };
        let all = [0, 1, 2].map(child);
        all.into_iter().map(|handle| handle.join().expect("no panic")).sum::<usize>()
    });
    assert_eq!(sum, 3);
    end(runtime);
    ledger.assert_each_ran_once();
}

/// 3 threads, 10 goroutines; sampled. A tree: each runs once and is joined.
#[test]
fn a_tree_is_run_once_and_joined() {
    Scenario { name: "spawn: a tree is run once and joined [G2]", threads: 3, goroutines: 10 }
        .check(&Plan::usual(1500), || tree(anchored(2, 2)));
}

/// 4 threads, 10 goroutines; sampled. The same, migrating.
#[test]
fn a_migrating_tree_is_run_once_and_joined() {
    let name = "spawn: a migrating tree is run once and joined [G2]";
    Scenario { name, threads: 4, goroutines: 10 }
        .check(&Plan::usual(1500), || tree(migrating(3, 3)));
}

/// 2 threads, 2 goroutines; depth first as far as it goes.
#[test]
fn a_child_is_run_once_and_joined() {
    Scenario { name: "spawn: a child is run once and joined", threads: 2, goroutines: 2 }.check(
        &[Plan::DepthFirst(2_000)],
        || {
            let runtime = anchored(1, 1);
            let sum = runtime.run(|| go(|| 1).join().expect("no panic") + 1);
            assert_eq!(sum, 2);
        },
    );
}

/// 3 threads, 7 goroutines; sampled. Nobody waits for those detached, but the runtime's end does.
#[test]
fn detached_goroutines_run_to_their_end() {
    Scenario { name: "spawn: detached goroutines run to their end", threads: 3, goroutines: 7 }
        .check(&Plan::usual(2000), || {
            let ledger = Ledger::new(7);
            let mine = ledger.clone();
            let runtime = anchored(2, 2);
            runtime.run(move || {
                mine.enter(0);
                for i in 1..=3 {
                    let ledger = mine.clone();
                    drop(go(move || {
                        ledger.enter(i);
                        drop(go(move || ledger.enter(3 + i)));
                        yield_now();
                    }));
                }
            });
            end(runtime);
            ledger.assert_each_ran_once();
        });
}

/// 3 threads, 5 goroutines; sampled. Anchored: after each yield a goroutine is at home again.
#[test]
fn goroutines_that_yield_stay_at_home() {
    Scenario { name: "spawn: goroutines that yield stay at home [A1]", threads: 3, goroutines: 5 }
        .check(&Plan::usual(2000), || {
            let ledger = Ledger::new(4);
            let mine = ledger.clone();
            let runtime = anchored(2, 2);
            runtime.run(move || {
                let child = |i: usize| {
                    let ledger = mine.clone();
                    go(move || {
                        let home = Home::here();
                        for _ in 0..2 {
                            yield_now();
                            home.assert_still_here();
                        }
                        ledger.enter(i);
                    })
                };
                let home = Home::here();
                let all = [0, 1, 2, 3].map(child);
                all.into_iter().for_each(|handle| handle.join().expect("no panic"));
                home.assert_still_here();
            });
            end(runtime);
            ledger.assert_each_ran_once();
        });
}

/// 3 threads, 4 goroutines; sampled. Whoever joins gets the panic; the runtime counts the others.
#[test]
fn a_panic_is_carried_to_who_joins() {
    Scenario { name: "spawn: a panic is carried to who joins [G2]", threads: 3, goroutines: 4 }
        .check(&Plan::usual(2000), || {
            let runtime = anchored(2, 2);
            runtime.run(|| {
                let two = [1, 2].map(|i| {
                    go(move || {
                        yield_now();
                        panic_with(i)
                    })
                });
                drop(go(|| panic_with(3)));
                for (i, handle) in two.into_iter().enumerate() {
                    let error: selvedge::JoinError = handle.join().map(|(): ()| ()).unwrap_err();
                    let payload = error.into_panic().expect("it panicked");
                    assert_eq!(payload.downcast_ref(), Some(&Carried(i + 1)));
                }
            });
            while runtime.metrics().unclaimed_panics == 0 {
                shuttle::thread::yield_now();
            }
            end(runtime);
        });
}

/// 3 threads, 5 goroutines; sampled. What scoped goroutines borrow outlives them.
#[test]
fn scopes_wait_for_whom_they_lend_to() {
    Scenario { name: "spawn: scopes wait for whom they lend to [G4]", threads: 3, goroutines: 5 }
        .check(&Plan::usual(2000), || {
            let runtime = anchored(2, 2);
            let mut numbers = [1, 2, 3];
            runtime.run(|| {
                let (one, others) = numbers.split_at_mut(1);
                scope(|s| {
                    s.go(|| one[0] *= 10);
                    let inner = s.go(|| {
                        scope(|s| {
                            for number in others {
                                s.go(|| {
                                    yield_now();
                                    *number *= 10;
                                });
                            }
                        });
                        7
                    });
                    assert_eq!(inner.join().expect("no panic"), 7);
                });
            });
            assert_eq!(numbers, [10, 20, 30]);
            end(runtime);
        });
}

/// 3 threads, 3 goroutines; sampled. A scope whose child panicked unjoined panics, after all ended.
#[test]
fn a_scope_panics_if_a_child_did() {
    Scenario { name: "spawn: a scope panics if a child did [G4]", threads: 3, goroutines: 3 }
        .check(&Plan::usual(2000), || {
            let runtime = anchored(2, 2);
            let ended = AtomicUsize::new(0);
            runtime.run(|| {
                let count = || ended.fetch_add(1, Ordering::Relaxed);
                let result = catch_unwind(AssertUnwindSafe(|| {
                    scope(|s| {
                        s.go(|| {
                            yield_now();
                            count()
                        });
                        s.go(|| {
                            count();
                            panic_with(1)
                        });
                    });
                }));
                assert!(result.is_err(), "nobody joined the child that panicked");
                assert_eq!(ended.load(Ordering::Relaxed), 2);
            });
            end(runtime);
        });
}

/// 3 threads, 2 goroutines; sampled. A join that may not wait is refused, and the scope hears of the
/// child's panic all the same, wherever the child is then.
#[test]
fn a_refused_join_hides_no_panic() {
    Scenario { name: "spawn: a refused join hides no panic [G4]", threads: 3, goroutines: 2 }
        .check(&Plan::usual(2000), || {
            let runtime = anchored(2, 2);
            runtime.run(|| {
                let result = catch_unwind(AssertUnwindSafe(|| {
                    scope(|s| {
                        let child = s.go(|| panic_with(1));
                        let join = AssertUnwindSafe(|| no_suspend(|| child.join()));
                        if let Ok(joined) = catch_unwind(join) {
                            let error = joined.map(|(): ()| ()).unwrap_err();
                            std::panic::resume_unwind(error.into_panic().expect("it panicked"));
                        }
                    })
                }));
                assert!(result.is_err(), "somebody hears of it");
            });
            end(runtime);
        });
}

/// 3 threads, 2 goroutines; sampled. A scope whose closure panics asks its child to end, and waits for it.
#[test]
fn a_scope_that_panics_asks_its_children_to_end() {
    let name = "spawn: a scope that panics asks its children to end [G4]";
    Scenario { name, threads: 3, goroutines: 2 }.check(&Plan::usual(200), || {
        let runtime = anchored(2, 2);
        runtime.run(|| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                scope(|s| {
                    let token = s.token().clone();
                    s.go(move || assert!(time::sleep_cancel(Duration::MAX, &token).is_err()));
                    panic_with(1)
                })
            }));
            assert!(result.is_err(), "the closure panicked");
        });
        end(runtime);
    });
}

/// 3 threads, 4 goroutines; sampled. A refused spawn gives its closure back; an end makes room.
#[test]
fn the_limit_refuses_and_gives_back() {
    Scenario { name: "spawn: the limit refuses and gives back [G3]", threads: 3, goroutines: 4 }
        .check(&Plan::usual(2000), || {
            let runtime = builder(2, 2).max_goroutines(2).anchored().expect("granted");
            runtime.run(|| {
                let token = Arc::new(());
                let theirs = Arc::clone(&token);
                drop(go(move || drop(theirs)));
                let mine = Arc::clone(&token);
                let mut closure = move || drop(mine);
                let second = loop {
                    match try_go(closure) {
                        Ok(handle) => break handle,
                        Err(error) => closure = error.into_closure(),
                    }
                    yield_now();
                    shuttle::thread::yield_now();
                };
                second.join().expect("no panic");
                assert_eq!(Arc::strong_count(&token), 1, "both closures ran");
            });
            end(runtime);
        });
}

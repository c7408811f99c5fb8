//! Work that must spread: stealing, the injector, `run_next`, a changing number of processors: [D1],
//! [I1], [P2].

use crate::harness::{Plan, Scenario};
use crate::placement::Anchored;
use crate::support::{Flag, Gate, Ledger, anchored, builder, end, migrating};
use selvedge::{Runtime, current, go, park, yield_now};
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One goroutine spawns 8, more than its deque holds, and joins them.
fn producer(runtime: Runtime) {
    let ledger = Ledger::new(8);
    let mine = ledger.clone();
    runtime.run(move || {
        let spawn = |i| {
            let ledger = mine.clone();
            go(move || ledger.enter(i))
        };
        let all: Vec<_> = (0..8).map(spawn).collect();
        all.into_iter().for_each(|handle| handle.join().expect("no panic"));
    });
    end(runtime);
    ledger.assert_each_ran_once();
}

/// 4 threads, 9 goroutines; sampled. A deque of 2 overflows to the injector, and is stolen from.
#[test]
fn what_one_spawns_all_run() {
    Scenario { name: "steal: what one spawns all run [D1]", threads: 4, goroutines: 9 }
        .check(&Plan::usual(1500), || producer(anchored(3, 3)));
}

/// 4 threads, 9 goroutines; sampled. The same, migrating.
#[test]
fn what_one_spawns_all_run_migrating() {
    Scenario { name: "steal: what one spawns all run, migrating [D1]", threads: 4, goroutines: 9 }
        .check(&Plan::usual(1500), || producer(migrating(3, 3)));
}

/// 5 threads, 6 goroutines; sampled. Plain threads spawn through the injector.
#[test]
fn what_plain_threads_spawn_is_run() {
    Scenario { name: "steal: what plain threads spawn is run [I1]", threads: 5, goroutines: 6 }
        .check(&Plan::usual(2000), || {
            let ledger = Ledger::new(6);
            let runtime = Arc::new(anchored(2, 2));
            let outside = [0, 1].map(|t| {
                let (runtime, ledger) = (Arc::clone(&runtime), ledger.clone());
                thread::spawn(move || {
                    let spawn = |i: usize| {
                        let ledger = ledger.clone();
                        runtime.go(move || ledger.enter(3 * t + i))
                    };
                    let all = [0, 1, 2].map(spawn);
                    all.into_iter().for_each(|handle| handle.join().expect("no panic"));
                })
            });
            outside.into_iter().for_each(|thread| thread.join().expect("no panic"));
            end(Arc::into_inner(runtime).expect("the threads have ended"));
            ledger.assert_each_ran_once();
        });
}

/// A parent that blocks its kernel thread until all its children have run.
fn blocked_parent(runtime: Runtime, children: usize) {
    let ledger = Ledger::new(children);
    let mine = ledger.clone();
    runtime.run(move || {
        let (gate, left) = (Gate::default(), Arc::new(AtomicUsize::new(children)));
        for i in 0..children {
            let (gate, left, ledger) = (gate.clone(), Arc::clone(&left), mine.clone());
            drop(go(move || {
                ledger.enter(i);
                yield_now();
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    gate.open();
                }
            }));
        }
        gate.pass();
    });
    end(runtime);
    ledger.assert_each_ran_once();
}

/// 3 threads, 4 goroutines; sampled. The other worker must be awake for them, or nobody runs them.
#[test]
fn children_run_while_their_parent_blocks_the_thread() {
    let name = "steal: children run while their parent blocks the thread [I1]";
    Scenario { name, threads: 3, goroutines: 4 }
        .check(&Plan::usual(2000), || blocked_parent(anchored(2, 2), 3));
}

/// 4 threads, 4 goroutines; sampled. The same, migrating, with one worker more.
#[test]
fn children_run_while_their_migrating_parent_blocks_the_thread() {
    let name = "steal: children run while their migrating parent blocks [I1]";
    Scenario { name, threads: 4, goroutines: 4 }
        .check(&Plan::usual(2000), || blocked_parent(migrating(3, 3), 3));
}

/// Two wake each other in turn, by `run_next`, while a third waits for its turn in the deque.
fn ping_pong(runtime: Runtime) {
    let ledger = Ledger::new(1);
    let mine = ledger.clone();
    runtime.run(move || {
        let turns = Arc::new(AtomicUsize::new(0));
        let ping = current();
        let theirs = Arc::clone(&turns);
        let pong = go(move || {
            for turn in 0..4 {
                while theirs.load(Ordering::Acquire) != 2 * turn + 1 {
                    park();
                }
                theirs.store(2 * turn + 2, Ordering::Release);
                ping.unpark();
            }
        });
        let third = go(move || mine.enter(0));
        for turn in 0..4 {
            turns.store(2 * turn + 1, Ordering::Release);
            pong.goroutine().unpark();
            while turns.load(Ordering::Acquire) != 2 * turn + 2 {
                park();
            }
        }
        pong.join().expect("no panic");
        third.join().expect("no panic");
    });
    end(runtime);
    ledger.assert_each_ran_once();
}

/// 2 threads, 3 goroutines; sampled. On one processor `run_next` always has somebody.
#[test]
fn two_that_wake_each_other_let_a_third_run() {
    let name = "steal: two that wake each other let a third run [P2]";
    Scenario { name, threads: 2, goroutines: 3 }
        .check(&Plan::usual(1000), || ping_pong(migrating(1, 1)));
}

/// 3 threads, 3 goroutines; sampled. With a thief, which may take `run_next`.
#[test]
fn two_that_wake_each_other_may_be_torn_apart() {
    let name = "steal: two that wake each other may be torn apart [P2]";
    Scenario { name, threads: 3, goroutines: 3 }
        .check(&Plan::usual(1500), || ping_pong(migrating(2, 2)));
}

/// 3 threads, 2 goroutines; sampled. One wakes another and yields; the other goes first and blocks
/// its kernel thread on the one that yielded, which must be run elsewhere.
#[test]
fn who_yields_behind_the_one_it_woke_is_run() {
    let name = "steal: who yields behind the one it woke is run [I1]";
    Scenario { name, threads: 3, goroutines: 2 }.check(&Plan::usual(2000), || {
        let runtime = migrating(2, 2);
        runtime.run(|| {
            let (woken, gate) = (Flag::default(), Gate::default());
            let (awaited, pass) = (woken.clone(), gate.clone());
            let other = go(move || {
                while !awaited.is_set() {
                    park();
                }
                pass.pass();
            });
            yield_now();
            woken.set();
            other.goroutine().unpark();
            yield_now();
            gate.open();
            other.join().expect("no panic");
        });
        end(runtime);
    });
}

/// 4 threads, 2 goroutines; sampled. One yields, alone in its queue; then one that is pinned there is
/// woken from outside, goes first, and blocks the kernel thread on it.
#[test]
fn who_yields_alone_is_run_though_another_goes_first() {
    let name = "steal: who yields alone is run though another goes first [I1]";
    Scenario { name, threads: 4, goroutines: 2 }.check(&Plan::usual(6000), || {
        let runtime = migrating(2, 2);
        runtime.run(|| {
            let (pinned, woken, gate) = (Flag::default(), Flag::default(), Gate::default());
            let (there, awaited, pass) = (pinned.clone(), woken.clone(), gate.clone());
            let other = go(move || {
                selvedge::pinned(|| {
                    there.set();
                    while !awaited.is_set() {
                        park();
                    }
                    pass.pass();
                });
            });
            let goroutine = other.goroutine();
            let waker = thread::spawn(move || {
                pinned.spin();
                woken.set();
                goroutine.unpark();
            });
            for _ in 0..4 {
                yield_now();
            }
            gate.open();
            other.join().expect("no panic");
            waker.join().expect("no panic");
        });
        end(runtime);
    });
}

/// 3 threads, 4 goroutines; sampled. Two from the injector leave it together; the first blocks its
/// kernel thread on the second.
#[test]
fn who_leaves_the_injector_second_is_run() {
    let name = "steal: who leaves the injector second is run [I1]";
    Scenario { name, threads: 3, goroutines: 4 }.check(&Plan::usual(20_000), || {
        let runtime = anchored(2, 2);
        let gate = Gate::default();
        let (pass, open) = (gate.clone(), gate);
        let busy = [(), ()].map(|()| runtime.go(thread::yield_now));
        let first = runtime.go(move || pass.pass());
        let second = runtime.go(move || open.open());
        busy.into_iter().for_each(|handle| handle.join().expect("no panic"));
        first.join().expect("no panic");
        second.join().expect("no panic");
        end(runtime);
    });
}

/// A producer whose runtime is resized by a plain thread: 1, 3, 1, 2 processors.
fn resized(runtime: Runtime) {
    let ledger = Ledger::new(6);
    let runtime = Arc::new(runtime);
    let resizer = {
        let runtime = Arc::clone(&runtime);
        thread::spawn(move || {
            for processors in [3, 1, 2] {
                runtime.set_processors(processors).expect("within bounds");
                thread::yield_now();
            }
        })
    };
    let mine = ledger.clone();
    runtime.run(move || {
        let spawn = |i| {
            let ledger = mine.clone();
            go(move || {
                yield_now();
                ledger.enter(i);
            })
        };
        let all: Vec<_> = (0..6).map(spawn).collect();
        all.into_iter().for_each(|handle| handle.join().expect("no panic"));
    });
    resizer.join().expect("no panic");
    assert_eq!(runtime.processors(), 2);
    end(Arc::into_inner(runtime).expect("the resizer has ended"));
    ledger.assert_each_ran_once();
}

/// 5 threads, 7 goroutines; sampled. Nobody is lost with a processor that is given up.
#[test]
fn processors_come_and_go() {
    Scenario { name: "steal: processors come and go [I4]", threads: 5, goroutines: 7 }
        .check(&Plan::usual(1500), || {
            resized(builder(1, 3).max_processors(3).anchored().expect("granted"))
        });
}

/// 5 threads, 7 goroutines; sampled. The same, migrating.
#[test]
fn processors_come_and_go_migrating() {
    Scenario { name: "steal: processors come and go, migrating [I4]", threads: 5, goroutines: 7 }
        .check(&Plan::usual(12_000), || {
            let builder = builder(1, 3).max_processors(3);
            // SAFETY: as in `support::migrating`.
            resized(unsafe { builder.build_migrating() }.expect("granted"));
        });
}

/// 4 threads, 3 goroutines; sampled. A second processor comes while the only one is in use: whoever
/// waits is run by it, though nobody publishes anything any more.
#[test]
fn a_processor_that_comes_takes_what_waits() {
    Scenario {
        name: "steal: a processor that comes takes what waits [I1]",
        threads: 4,
        goroutines: 3,
    }
    .check(&Plan::usual(2000), || {
        let ledger = Ledger::new(2);
        let runtime = Arc::new(builder(1, 3).max_processors(2).anchored().expect("granted"));
        let spawned = Flag::default();
        let grower = {
            let (runtime, spawned) = (Arc::clone(&runtime), spawned.clone());
            thread::spawn(move || {
                spawned.spin();
                runtime.set_processors(2).expect("within bounds");
            })
        };
        let mine = ledger.clone();
        runtime.run(move || {
            let gate = Gate::default();
            let (opener, ledger) = (gate.clone(), mine.clone());
            drop(go(move || {
                ledger.enter(0);
                opener.open();
            }));
            drop(go(move || mine.enter(1)));
            spawned.set();
            gate.pass();
        });
        grower.join().expect("no panic");
        end(Arc::into_inner(runtime).expect("the grower has ended"));
        ledger.assert_each_ran_once();
    });
}

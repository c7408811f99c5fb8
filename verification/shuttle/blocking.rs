//! Goroutines that block their kernel thread or compute without end, with a monitor that takes their
//! processors: [A1], [Q1], [F1], [H1], [I5].

use crate::harness::{Plan, Scenario};
use crate::placement::Anchored;
use crate::support::{
    Carried, Flag, Gate, Home, Ledger, Monitor, anchored, builder, end, migrating, panic_with,
    run_retaken,
};
use selvedge::internals::platform::Mutex;
use selvedge::{blocking, current, go, park, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// 4 threads, 3 goroutines; sampled. Migrating, one processor: the one blocked in place waits for
/// those that need the processor, which must be taken from it.
#[test]
fn a_blocking_section_gives_its_processor_up() {
    let name = "blocking: a section in place gives its processor up [H1] [I5]";
    Scenario { name, threads: 4, goroutines: 3 }.check(&Plan::usual(2000), || {
        let ledger = Ledger::new(2);
        let mine = ledger.clone();
        run_retaken(migrating(1, 2), move || {
            let gate = Gate::default();
            let opener = gate.clone();
            let both = [0, 1].map(|i| {
                let (gate, ledger) = (opener.clone(), mine.clone());
                go(move || {
                    yield_now();
                    ledger.enter(i);
                    if i == 1 {
                        gate.open();
                    }
                })
            });
            assert_eq!(blocking(|| (gate.pass(), 7).1), 7);
            both.into_iter().for_each(|handle| handle.join().expect("no panic"));
        });
        ledger.assert_each_ran_once();
    });
}

/// 5 threads, 3 goroutines; sampled. Anchored, with neighbours: on a helper thread; the neighbours
/// go on at home, and so does the one that blocked, once it is back.
#[test]
fn a_neighbour_s_blocking_is_done_by_a_helper() {
    let name = "blocking: a neighbour's blocking is done by a helper [A1] [Q1]";
    Scenario { name, threads: 5, goroutines: 3 }.check(&Plan::usual(1500), || {
        let ledger = Ledger::new(2);
        let mine = ledger.clone();
        run_retaken(anchored(1, 3), move || {
            let home = Home::here();
            let gate = Gate::default();
            let both = [0, 1].map(|i| {
                let (gate, ledger) = (gate.clone(), mine.clone());
                go(move || {
                    let home = Home::here();
                    blocking(yield_now);
                    home.assert_still_here();
                    ledger.enter(i);
                    if i == 1 {
                        gate.open();
                    }
                })
            });
            yield_now();
            blocking(|| gate.pass());
            home.assert_still_here();
            both.into_iter().for_each(|handle| handle.join().expect("no panic"));
        });
        ledger.assert_each_ran_once();
    });
}

/// 4 threads, 3 goroutines; sampled. No helper is to be had at the cap, so it is done in place.
#[test]
fn without_a_helper_it_is_done_in_place() {
    Scenario {
        name: "blocking: without a helper it is done in place [Q1]",
        threads: 4,
        goroutines: 3,
    }
    .check(&Plan::usual(1500), || {
        run_retaken(anchored(1, 2), || {
            let both = [1, 2].map(|i| {
                go(move || {
                    yield_now();
                    blocking(move || i)
                })
            });
            let sum: usize = both.into_iter().map(|handle| handle.join().expect("no panic")).sum();
            assert_eq!(sum, 3);
        });
    });
}

/// 4 threads, 2 goroutines; sampled. It blocks in the kernel and says nothing; its child, which it
/// waits for, is run by another thread with the processor that was taken.
#[test]
fn what_blocks_unannounced_loses_its_processor() {
    let name = "blocking: what blocks unannounced loses its processor [H1] [I5]";
    Scenario { name, threads: 4, goroutines: 2 }.check(&Plan::usual(2000), || {
        let ledger = Ledger::new(1);
        let mine = ledger.clone();
        run_retaken(anchored(1, 2), move || {
            let home = Home::here();
            let gate = Gate::default();
            let opener = gate.clone();
            let child = go(move || {
                mine.enter(0);
                opener.open();
            });
            gate.pass();
            yield_now();
            home.assert_still_here();
            child.join().expect("no panic");
        });
        ledger.assert_each_ran_once();
    });
}

/// 5 threads, 4 goroutines; sampled. Three want a lock of the kernel's kind, and hold it while they
/// compute; processors go from hand to hand meanwhile.
#[test]
fn a_kernel_lock_is_handed_on() {
    Scenario { name: "blocking: a kernel lock is handed on [H1]", threads: 5, goroutines: 4 }
        .check(&Plan::usual(1500), || {
            let shared = Arc::new(Mutex::new(0));
            let theirs = Arc::clone(&shared);
            run_retaken(anchored(1, 4), move || {
                let all = [(), (), ()].map(|()| {
                    let shared = Arc::clone(&theirs);
                    go(move || {
                        let mut guard = shared.lock();
                        let before = *guard;
                        shuttle::thread::yield_now();
                        *guard = before + 1;
                    })
                });
                all.into_iter().for_each(|handle| handle.join().expect("no panic"));
            });
            assert_eq!(*shared.lock(), 3);
        });
}

/// 4 threads, 3 goroutines; sampled. One computes until others have run, and never suspends.
#[test]
fn a_hog_loses_its_processor() {
    Scenario { name: "blocking: a hog loses its processor [I5]", threads: 4, goroutines: 3 }.check(
        &Plan::usual(2000),
        || {
            let ledger = Ledger::new(2);
            let mine = ledger.clone();
            run_retaken(anchored(1, 2), move || {
                let enough = Flag::default();
                let theirs = enough.clone();
                let second = mine.clone();
                let first = go(move || {
                    mine.enter(0);
                    go(move || {
                        second.enter(1);
                        theirs.set();
                    })
                });
                enough.spin();
                first.join().expect("no panic").join().expect("no panic");
            });
            ledger.assert_each_ran_once();
        },
    );
}

/// 4 threads, 6 goroutines; sampled. A hog without a processor spawns, unparks and drops handles.
#[test]
fn whoever_lost_its_processor_still_spawns() {
    let name = "blocking: whoever lost its processor still spawns [H1] [I1]";
    Scenario { name, threads: 4, goroutines: 6 }.check(&Plan::usual(1500), || {
        let ledger = Ledger::new(5);
        let mine = ledger.clone();
        run_retaken(migrating(1, 3), move || {
            let handles: Vec<_> = (0..5)
                .map(|i| {
                    let ledger = mine.clone();
                    shuttle::thread::yield_now();
                    go(move || ledger.enter(i))
                })
                .collect();
            for (i, handle) in handles.into_iter().enumerate() {
                handle.goroutine().unpark();
                if i % 2 == 0 {
                    handle.join().expect("no panic");
                }
            }
        });
        ledger.assert_each_ran_once();
    });
}

/// 4 threads, 2 goroutines; sampled. A panic leaves a section as a value does.
#[test]
fn a_panic_comes_out_of_a_blocking_section() {
    let name = "blocking: a panic comes out of a section [Q1]";
    Scenario { name, threads: 5, goroutines: 2 }.check(&Plan::usual(1500), || {
        run_retaken(anchored(1, 3), || {
            let child = go(|| {
                for i in 0..2 {
                    let result = catch_unwind(AssertUnwindSafe(|| blocking(|| panic_with(i))));
                    let payload: Box<dyn std::any::Any + Send> = match result {
                        Ok(()) => unreachable!("it panicked"),
                        Err(payload) => payload,
                    };
                    assert_eq!(payload.downcast_ref(), Some(&Carried(i)));
                    yield_now();
                }
            });
            child.join().expect("what it caught goes no further");
        });
    });
}

/// 4 threads, 3 goroutines; sampled. Sections nest, and suspend, and go on elsewhere.
#[test]
fn sections_nest_and_suspend() {
    Scenario { name: "blocking: sections nest and suspend", threads: 4, goroutines: 3 }.check(
        &Plan::usual(1500),
        || {
            run_retaken(migrating(2, 3), || {
                let both = [(), ()].map(|()| {
                    go(|| {
                        blocking(|| {
                            yield_now();
                            blocking(shuttle::thread::yield_now);
                            yield_now();
                        });
                    })
                });
                both.into_iter().for_each(|handle| handle.join().expect("no panic"));
            });
        },
    );
}

/// 5 threads, 3 goroutines; sampled. A goroutine parked while its home is blocked is woken there once
/// the home is back.
#[test]
fn those_at_home_on_a_blocked_thread_wait_for_it() {
    let name = "blocking: those at home on a blocked thread wait for it [A1] [F1]";
    Scenario { name, threads: 5, goroutines: 3 }.check(&Plan::usual(1500), || {
        run_retaken(anchored(1, 3), || {
            let (gate, woken) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
            let seen = Arc::clone(&woken);
            let neighbour = go(move || {
                let home = Home::here();
                while seen.load(Ordering::Acquire) == 0 {
                    park();
                }
                home.assert_still_here();
            });
            yield_now();
            let (opener, goroutine) = (gate.clone(), neighbour.goroutine());
            let waker = go(move || {
                woken.store(1, Ordering::Release);
                goroutine.unpark();
                opener.open();
            });
            if neighbour.is_finished() {
                current().unpark();
            }
            // Unannounced: the waker must run elsewhere.
            gate.pass();
            neighbour.join().expect("no panic");
            waker.join().expect("no panic");
        });
    });
}

/// 5 threads, 6 goroutines; sampled. Resized while processors are taken, some of them too many.
#[test]
fn processors_are_taken_while_their_number_changes() {
    let name = "blocking: processors are taken while their number changes [H1] [I4]";
    Scenario { name, threads: 6, goroutines: 6 }.check(&Plan::usual(1500), || {
        let ledger = Ledger::new(5);
        let runtime = builder(2, 4).max_processors(3).anchored().expect("granted");
        let runtime = Arc::new(runtime);
        let monitor = Monitor::start(&runtime);
        let mine = ledger.clone();
        let root = runtime.go(move || {
            let spawn = |i| {
                let ledger = mine.clone();
                go(move || {
                    shuttle::thread::yield_now();
                    yield_now();
                    ledger.enter(i);
                })
            };
            let all: Vec<_> = (0..5).map(spawn).collect();
            all.into_iter().for_each(|handle| handle.join().expect("no panic"));
        });
        for processors in [3, 1, 2] {
            runtime.set_processors(processors).expect("within bounds");
        }
        root.join().expect("no panic");
        monitor.stop();
        end(Arc::into_inner(runtime).expect("the monitor has ended"));
        ledger.assert_each_ran_once();
    });
}

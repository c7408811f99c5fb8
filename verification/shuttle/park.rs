//! Waiting and being woken: [A1], [F1], [I2], [S2], [S3], [S4].

use crate::harness::{Plan, Scenario};
use crate::support::{Gate, Home, Ledger, Monitor, anchored, end, migrating, run_retaken};
use selvedge::internals::platform::{Mutex, Parker};
use selvedge::{Goroutine, Runtime, current, go, park, yield_now};
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A counter that goroutines wait for.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn park_until(&self, n: usize) {
        while self.0.load(Ordering::Acquire) < n {
            park();
        }
    }
}

/// A baton goes round 3 goroutines twice.
fn round(runtime: Runtime, is_anchored: bool) {
    let ledger = Ledger::new(3);
    let mine = ledger.clone();
    runtime.run(move || {
        let baton = Counter::default();
        let ring = Arc::new(Mutex::new(Vec::<Goroutine>::new()));
        let runner = |i: usize| {
            let (baton, ring, ledger) = (baton.clone(), Arc::clone(&ring), mine.clone());
            go(move || {
                let home = Home::here();
                for turn in 0..2 {
                    baton.park_until(3 * turn + i + 1);
                    baton.add();
                    let next = ring.lock()[(i + 1) % 3].clone();
                    next.unpark();
                }
                if is_anchored {
                    home.assert_still_here();
                }
                ledger.enter(i);
            })
        };
        let mut guard = ring.lock();
        let handles = [0, 1, 2].map(runner);
        guard.extend(handles.iter().map(|handle| handle.goroutine()));
        let first = guard[0].clone();
        drop(guard);
        baton.add();
        first.unpark();
        handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
        drop(std::mem::take(&mut *ring.lock()));
    });
    end(runtime);
    ledger.assert_each_ran_once();
}

/// 3 threads, 4 goroutines; sampled. Goroutines wake each other across homes.
#[test]
fn a_baton_goes_round() {
    Scenario { name: "park: a baton goes round [A1] [I2]", threads: 3, goroutines: 4 }
        .check(&Plan::usual(1500), || round(anchored(2, 2), true));
}

/// 4 threads, 4 goroutines; sampled. The same, migrating.
#[test]
fn a_baton_goes_round_migrating() {
    Scenario { name: "park: a baton goes round, migrating [S2]", threads: 4, goroutines: 4 }
        .check(&Plan::usual(1500), || round(migrating(3, 3), false));
}

/// Two plain threads wake 2 goroutines twice each.
fn woken_from_outside(runtime: Runtime, is_anchored: bool) {
    let ledger = Ledger::new(2);
    let parked = [0, 1].map(|i| {
        let (counter, ledger) = (Counter::default(), ledger.clone());
        let awaited = counter.clone();
        let handle = runtime.go(move || {
            let home = Home::here();
            for n in 1..=2 {
                awaited.park_until(n);
                if is_anchored {
                    home.assert_still_here();
                }
            }
            ledger.enter(i);
        });
        (counter, handle)
    });
    let wakers = parked.each_ref().map(|(counter, handle)| {
        let (counter, goroutine) = (counter.clone(), handle.goroutine());
        thread::spawn(move || {
            for _ in 0..2 {
                counter.add();
                goroutine.unpark();
            }
        })
    });
    for (_, handle) in parked {
        handle.join().expect("no panic");
    }
    wakers.into_iter().for_each(|waker| waker.join().expect("no panic"));
    end(runtime);
    ledger.assert_each_ran_once();
}

/// 5 threads, 2 goroutines; sampled. By their inboxes.
#[test]
fn goroutines_are_woken_by_plain_threads() {
    let name = "park: goroutines are woken by plain threads [A1] [I2]";
    Scenario { name, threads: 5, goroutines: 2 }
        .check(&Plan::usual(2000), || woken_from_outside(anchored(2, 2), true));
}

/// 5 threads, 2 goroutines; sampled. By the injector.
#[test]
fn migrating_goroutines_are_woken_by_plain_threads() {
    let name = "park: migrating goroutines are woken by plain threads [I1]";
    Scenario { name, threads: 5, goroutines: 2 }
        .check(&Plan::usual(2000), || woken_from_outside(migrating(2, 2), false));
}

/// 4 threads, 1 goroutine; sampled. Of several permits one is kept, and a park takes it.
#[test]
fn permits_do_not_add_up_and_are_not_lost() {
    let name = "park: permits do not add up and are not lost [S2] [S3]";
    Scenario { name, threads: 4, goroutines: 1 }.check(&Plan::usual(2000), || {
        let runtime = anchored(1, 1);
        let counter = Counter::default();
        let awaited = counter.clone();
        let handle = runtime.go(move || {
            current().unpark();
            current().unpark();
            park();
            awaited.park_until(2);
        });
        let wakers = [(), ()].map(|()| {
            let (counter, goroutine) = (counter.clone(), handle.goroutine());
            thread::spawn(move || {
                counter.add();
                goroutine.unpark();
            })
        });
        handle.join().expect("no panic");
        wakers.into_iter().for_each(|waker| waker.join().expect("no panic"));
        end(runtime);
    });
}

/// 2 threads, 2 goroutines; sampled. A plain thread parks, and goroutines unpark it.
#[test]
fn a_plain_thread_parks_as_a_goroutine_does() {
    Scenario { name: "park: a plain thread parks as a goroutine does", threads: 3, goroutines: 2 }
        .check(&Plan::usual(2000), || {
            let runtime = anchored(2, 2);
            let (counter, me) = (Counter::default(), current());
            for _ in 0..2 {
                let (counter, thread) = (counter.clone(), me.clone());
                drop(runtime.go(move || {
                    yield_now();
                    counter.add();
                    thread.unpark();
                }));
            }
            counter.park_until(2);
            end(runtime);
        });
}

/// 5 threads, 3 goroutines; sampled. One processor, and goroutines at home on several threads, since
/// it was retaken while each of them began: each thread queues for it, and gets it in turn.
#[test]
fn workers_with_goroutines_at_home_share_a_processor() {
    let name = "park: workers with goroutines at home share a processor [F1] [I3]";
    Scenario { name, threads: 5, goroutines: 3 }.check(&Plan::usual(1500), || {
        let ledger = Ledger::new(3);
        let runtime = Arc::new(anchored(1, 3));
        let handles = [0, 1, 2].map(|i| {
            let ledger = ledger.clone();
            runtime.go(move || {
                let home = Home::here();
                // Here the processor may go, and the next goroutine begins on another thread.
                for _ in 0..2 {
                    thread::yield_now();
                    yield_now();
                    home.assert_still_here();
                }
                ledger.enter(i);
            })
        });
        let monitor = Monitor::start(&runtime);
        handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
        monitor.stop();
        end(Arc::into_inner(runtime).expect("the monitor has ended"));
        ledger.assert_each_ran_once();
    });
}

/// 5 threads, 3 goroutines; sampled. Two that were parted from their processor wake each other.
#[test]
fn those_who_lost_their_processor_still_wake_others() {
    let name = "park: those who lost their processor still wake others [I2]";
    Scenario { name, threads: 5, goroutines: 3 }.check(&Plan::usual(1500), || {
        run_retaken(anchored(1, 3), || {
            let baton = Counter::default();
            let other = {
                let (baton, parent) = (baton.clone(), current());
                go(move || {
                    for turn in 0..2 {
                        baton.park_until(2 * turn + 1);
                        baton.add();
                        parent.unpark();
                    }
                })
            };
            for turn in 0..2 {
                baton.add();
                other.goroutine().unpark();
                baton.park_until(2 * turn + 2);
            }
            other.join().expect("no panic");
        });
    });
}

/// 4 threads, 2 goroutines; sampled. A pinned goroutine resumes on its thread, though it migrates.
#[test]
fn a_pinned_goroutine_stays() {
    Scenario { name: "park: a pinned goroutine stays [A1]", threads: 4, goroutines: 2 }.check(
        &Plan::usual(2000),
        || {
            let runtime = migrating(2, 2);
            let counter = Counter::default();
            let awaited = counter.clone();
            let handle = runtime.go(move || {
                let other = go(yield_now);
                selvedge::pinned(|| {
                    let home = Home::here();
                    yield_now();
                    home.assert_still_here();
                    awaited.park_until(1);
                    home.assert_still_here();
                });
                yield_now();
                other.join().expect("no panic");
            });
            let goroutine = handle.goroutine();
            let waker = thread::spawn(move || {
                counter.add();
                goroutine.unpark();
            });
            handle.join().expect("no panic");
            waker.join().expect("no panic");
            end(runtime);
        },
    );
}

/// 3 threads, 2 goroutines; sampled. A goroutine that holds its thread is woken by one elsewhere.
#[test]
fn a_thread_blocked_on_a_goroutine_is_let_go() {
    Scenario { name: "park: a thread blocked on a goroutine is let go", threads: 3, goroutines: 2 }
        .check(&Plan::usual(2000), || {
            let runtime = anchored(2, 2);
            runtime.run(|| {
                let (first, second) = (Gate::default(), Gate::default());
                let (open, pass) = (first.clone(), second.clone());
                let child = go(move || {
                    open.open();
                    pass.pass();
                });
                first.pass();
                second.open();
                child.join().expect("no panic");
            });
            end(runtime);
        });
}

/// 2 threads, no goroutine; depth first. A permit is not lost, whoever comes first. [K1] [K3]
#[test]
fn a_kernel_thread_s_permit_is_not_lost() {
    Scenario { name: "park: a kernel thread's permit is not lost [K1]", threads: 2, goroutines: 0 }
        .check(&[Plan::DepthFirst(100_000)], || {
            let parker = Arc::new(Parker::new());
            let theirs = Arc::clone(&parker);
            let unparker = thread::spawn(move || theirs.unpark());
            parker.park();
            unparker.join().expect("no panic");
        });
}

//! The whole scheduler with real coroutines, and a thread that takes processors away as the monitor
//! does, at any point: [A1], [H1], [I1]–[I5], [S1], [T1], [T2].
//!
//! A goroutine that blocks its kernel thread waits for one that needs its processor: were the retake,
//! or a wake-up, lost, all would wait, which loom reports as a deadlock.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use crate::placement::Anchored;
use selvedge::internals::platform::atomic::{AtomicBool, Ordering};
use selvedge::internals::platform::{Arc, Parker, thread};
use selvedge::{Builder, Runtime, blocking, current, go, park, try_go, yield_now};

fn builder(processors: usize, threads: usize) -> Builder {
    Builder::new().processors(processors).max_threads(threads).max_goroutines(4).modelled(2)
}

fn anchored(processors: usize, threads: usize) -> Arc<Runtime> {
    let runtime = builder(processors, threads).anchored();
    Arc::new(runtime.expect("a model grants what is asked for"))
}

fn migrating(processors: usize, threads: usize) -> Arc<Runtime> {
    // SAFETY: the goroutines of these models touch no thread-local and keep no guard.
    let runtime = unsafe { builder(processors, threads).build_migrating() };
    Arc::new(runtime.expect("a model grants what is asked for"))
}

/// A thread that takes a processor away, once somebody is in user code.
fn retake_once(runtime: &Arc<Runtime>) -> thread::JoinHandle {
    let runtime = Arc::clone(runtime);
    spawn(move || {
        while runtime.retake_all() == 0 {
            thread::yield_now();
        }
    })
}

/// A thread that looks once, and takes what it can.
fn retake_perhaps(runtime: &Arc<Runtime>) -> thread::JoinHandle {
    let runtime = Arc::clone(runtime);
    spawn(move || _ = runtime.retake_all())
}

/// 4 threads: a section in place waits for a child | retake | 2 workers, 1 processor, migrating.
#[test]
fn a_section_in_place_loses_its_processor() {
    Scenario {
        name: "blocking: a section in place loses its processor [H1] [I5]",
        threads: 4,
        operations: "run(go(open), blocking(pass), join), drop | retake | 2 workers, 1 processor",
    }
    .check(Bound::narrow(), || {
        let runtime = migrating(1, 2);
        let monitor = retake_once(&runtime);
        runtime.run(|| {
            let own = Payload::new(3);
            let gate = Arc::new(Parker::new());
            let opener = Arc::clone(&gate);
            let child = go(move || opener.unpark());
            blocking(|| gate.park());
            child.join().expect("no panic");
            assert_eq!(own.take(), 3);
        });
        join(monitor);
    });
}

/// 4 threads: blocks unannounced on a child, then yields | retake | 2 workers, 1 processor. Back, it
/// queues for the processor, and goes on at home.
#[test]
fn who_blocks_unannounced_comes_back_and_queues() {
    Scenario {
        name: "blocking: who blocks unannounced comes back and queues [A1] [H1] [I3]",
        threads: 4,
        operations: "run(go(open), pass, yield, join), drop | retake | 2 workers, 1 processor",
    }
    .check(Bound::narrow(), || {
        let runtime = anchored(1, 2);
        let monitor = retake_once(&runtime);
        runtime.run(|| {
            let gate = Arc::new(Parker::new());
            let opener = Arc::clone(&gate);
            let child = go(move || opener.unpark());
            gate.park();
            yield_now();
            child.join().expect("no panic");
        });
        join(monitor);
    });
}

/// 4 threads: computes until its child has run | retake | 2 workers, 1 processor, migrating.
#[test]
fn a_hog_loses_its_processor() {
    Scenario {
        name: "blocking: a hog loses its processor [H1] [I5]",
        threads: 4,
        operations: "run(go(set), spin until set, join), drop | retake | 2 workers, 1 processor",
    }
    .check(Bound::narrow(), || {
        let runtime = migrating(1, 2);
        let monitor = retake_once(&runtime);
        runtime.run(|| {
            let enough = Arc::new(AtomicBool::new(false));
            let theirs = Arc::clone(&enough);
            let child = go(move || theirs.store(true, Ordering::Release));
            while !enough.load(Ordering::Acquire) {
                thread::yield_now();
            }
            child.join().expect("no panic");
        });
        join(monitor);
    });
}

/// 4 threads: a parent and its child yield | retake at any point | 2 workers, 1 processor, migrating.
#[test]
fn a_stack_is_whole_whenever_its_processor_is_taken() {
    Scenario {
        name: "blocking: a stack is whole whenever its processor is taken [H1] [S1]",
        threads: 4,
        operations: "run(go(yield), yield, join), drop | retake | 2 workers, 1 processor",
    }
    .check(Bound::narrow(), || {
        let runtime = migrating(1, 2);
        let monitor = retake_perhaps(&runtime);
        runtime.run(|| {
            let (own, theirs) = (Payload::new(3), Payload::new(4));
            let child = go(move || {
                yield_now();
                theirs.take()
            });
            yield_now();
            assert_eq!(own.take() + child.join().expect("no panic"), 7);
        });
        join(monitor);
    });
}

/// 4 threads: a helper's job | retake at any point | 1 worker, 1 helper. What the helper unparks is in
/// the inbox of a home that may be parked, or have lost its processor.
#[test]
fn a_helper_wakes_a_home_that_lost_its_processor() {
    Scenario {
        name: "blocking: a helper wakes a home that lost its processor [A1] [I2] [Q1]",
        threads: 4,
        operations: "run(go(yield), yield, blocking, join), drop | retake | 1 worker | helper",
    }
    .check(Bound::narrow(), || {
        let runtime = anchored(1, 2);
        let monitor = retake_perhaps(&runtime);
        runtime.run(|| {
            let neighbour = go(yield_now);
            yield_now();
            let own = Payload::new(1);
            blocking(|| own.write(own.take() + 1));
            assert_eq!(own.take(), 2);
            neighbour.join().expect("no panic");
        });
        join(monitor);
    });
}

/// 3 threads: a parent parks at home, its child, on whichever worker, unparks it | 2 workers.
#[test]
fn a_parked_goroutine_is_woken_at_home_from_another_worker() {
    Scenario {
        name: "blocking: a parked goroutine is woken at home from another worker [A1] [I2]",
        threads: 3,
        operations: "run(go(unpark), block or park, join), drop | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = anchored(2, 2);
        runtime.run(|| {
            let (own, parent) = (Payload::new(3), current());
            let child = go(move || parent.unpark());
            park();
            assert_eq!(own.take(), 3);
            child.join().expect("no panic");
        });
    });
}

/// 4 threads: a parent blocks its kernel thread on its child | a second processor comes | 2 workers.
#[test]
fn a_processor_that_comes_takes_what_waits() {
    Scenario {
        name: "blocking: a processor that comes takes what waits [I1]",
        threads: 4,
        operations: "run(go(open), pass, join), drop | grow | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = builder(1, 2).max_processors(2).anchored().expect("granted");
        let runtime = Arc::new(runtime);
        let resizer = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.set_processors(2).expect("within bounds"))
        };
        runtime.run(|| {
            let gate = Arc::new(Parker::new());
            let opener = Arc::clone(&gate);
            let child = go(move || opener.unpark());
            gate.park();
            child.join().expect("no panic");
        });
        join(resizer);
    });
}

/// 4 threads: a parent and its child yield | one of two processors goes | 2 workers.
#[test]
fn nobody_is_left_on_a_processor_that_goes() {
    Scenario {
        name: "blocking: nobody is left on a processor that goes [I1] [I4]",
        threads: 4,
        operations: "run(go(yield), yield, join), drop | shrink | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = anchored(2, 2);
        let resizer = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.set_processors(1).expect("within bounds"))
        };
        runtime.run(|| {
            let child = go(yield_now);
            yield_now();
            child.join().expect("no panic");
        });
        join(resizer);
    });
}

/// 3 threads: spawn one that spawns, drop the runtime, join | 2 workers. Whoever joins has an answer.
#[test]
fn two_workers_end_with_work_left() {
    Scenario {
        name: "shutdown: two workers end with work left [T1] [T2]",
        threads: 3,
        operations: "go(try_go(yield), join), drop, join | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = builder(2, 2).anchored().expect("a model grants what is asked for");
        let handle = runtime.go(|| {
            // Refused, once the runtime is shutting down.
            drop(try_go(yield_now).map(|child| child.join()));
            7
        });
        drop(runtime);
        match handle.join() {
            Ok(seven) => assert_eq!(seven, 7),
            Err(error) => assert!(error.is_abandoned()),
        }
    });
}

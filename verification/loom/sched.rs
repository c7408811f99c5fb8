//! The whole scheduler with real coroutines: [A1], [D1], [G1], [G2], [G4], [I1], [P1], [P2], [S1],
//! [S2], [S3], [T1], [T2].

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use crate::placement::Anchored;
use selvedge::internals::platform::{Arc, Parker};
use selvedge::{Builder, Runtime, current, go, no_suspend, park, scope, yield_now};

pub fn builder(processors: usize) -> Builder {
    Builder::new().processors(processors).max_goroutines(4).modelled(2)
}

pub fn runtime(processors: usize) -> Runtime {
    builder(processors).anchored().expect("a model grants what is asked for")
}

pub fn migrating(processors: usize) -> Runtime {
    // SAFETY: the goroutines of these models touch no thread-local and keep no guard.
    unsafe { builder(processors).build_migrating() }.expect("a model grants what is asked for")
}

/// 2 threads: main runs a goroutine that spawns and joins another | 1 worker.
#[test]
fn a_child_is_run_once_and_joined() {
    Scenario {
        name: "sched: a child is run once and joined",
        threads: 2,
        operations: "run(go, join), drop | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1);
        let sum = runtime.run(|| go(|| 1).join().expect("no panic") + 1);
        assert_eq!(sum, 2);
        drop(runtime);
    });
}

/// 3 threads: a parent that blocks its kernel thread on its child | 2 workers. [I1]
#[test]
fn a_child_runs_while_its_parent_blocks_the_kernel_thread() {
    Scenario {
        name: "sched: a child runs while its parent blocks the kernel thread [I1]",
        threads: 3,
        operations: "run(go, block on it), drop | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = runtime(2);
        runtime.run(|| {
            let parent = Arc::new(Parker::new());
            let child = Arc::clone(&parent);
            let handle = go(move || child.unpark());
            parent.park();
            handle.join().expect("no panic");
        });
        drop(runtime);
    });
}

/// 3 threads: two goroutines that yield, on 2 workers. Each runs to its end, with its own payload.
#[test]
fn goroutines_that_yield_run_once_each() {
    Scenario {
        name: "sched: goroutines that yield run once each",
        threads: 3,
        operations: "run(go(yield), yield, join), drop | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = runtime(2);
        let sum = runtime.run(|| {
            let own = Arc::new(Payload::new(3));
            let mine = Arc::clone(&own);
            let child = go(move || {
                yield_now();
                mine.take()
            });
            yield_now();
            child.join().expect("no panic")
        });
        assert_eq!(sum, 3);
        drop(runtime);
    });
}

/// 3 threads: the same, migrating: the stack may be resumed by the other worker. [S1]
#[test]
fn a_migrating_stack_is_whole_wherever_it_resumes() {
    Scenario {
        name: "sched: a migrating stack is whole wherever it resumes [S1]",
        threads: 3,
        operations: "run(go(yield), yield, join), drop | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = migrating(2);
        let sum = runtime.run(|| {
            let own = Payload::new(3);
            let child = go(move || {
                own.write(own.take() + 1);
                yield_now();
                own.take()
            });
            yield_now();
            child.join().expect("no panic")
        });
        assert_eq!(sum, 4);
        drop(runtime);
    });
}

/// 3 threads: a migrating goroutine parks, and is woken by its child | 2 workers. It waits in
/// `run_next`, from where either worker takes it, and its stack is whole. [P2]
#[test]
fn whom_a_goroutine_wakes_either_worker_may_run() {
    Scenario {
        name: "sched: whom a goroutine wakes either worker may run [P2] [S1]",
        threads: 3,
        operations: "run(go(unpark), park, join), drop | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = migrating(2);
        runtime.run(|| {
            let own = Payload::new(3);
            let parent = current();
            let child = go(move || parent.unpark());
            own.write(own.take() + 1);
            park();
            assert_eq!(own.take(), 4);
            child.join().expect("no panic");
        });
        drop(runtime);
    });
}

/// 3 threads: main unparks a goroutine that parks | 1 worker. Its wake-up is not lost. [I2]
#[test]
fn a_parked_goroutine_is_unparked_by_a_plain_thread() {
    Scenario {
        name: "sched: a parked goroutine is unparked by a plain thread [I2]",
        threads: 3,
        operations: "run(park) | unpark | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1);
        runtime.run(|| {
            let me = current();
            let waker = spawn(move || me.unpark());
            park();
            join(waker);
        });
        drop(runtime);
    });
}

/// 2 threads: a scope whose child borrows from its parent's stack | 1 worker. [G4]
#[test]
fn a_scope_waits_for_its_children() {
    Scenario {
        name: "sched: a scope waits for its children [G4]",
        threads: 2,
        operations: "run(scope(go, drop handle)), drop | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime = runtime(1);
        runtime.run(|| {
            let own = Payload::new(5);
            scope(|s| {
                s.go(|| own.write(own.take() + 1));
            });
            assert_eq!(own.take(), 6);
        });
        drop(runtime);
    });
}

/// 3 threads: a scope ends where nothing may suspend: its kernel thread sleeps beneath the goroutine
/// until the child, on the other worker, has ended | 2 workers. [G4] [S3]
#[test]
fn who_may_not_suspend_sleeps_in_place_until_its_child_ends() {
    Scenario {
        name: "sched: who may not suspend sleeps in place until its child ends [G4] [S3]",
        threads: 3,
        operations: "run(no_suspend(scope(go))), drop | 2 workers",
    }
    .check(Bound::narrow(), || {
        let runtime = runtime(2);
        runtime.run(|| {
            let own = Payload::new(5);
            no_suspend(|| scope(|s| drop(s.go(|| own.write(own.take() + 1)))));
            assert_eq!(own.take(), 6);
        });
        drop(runtime);
    });
}

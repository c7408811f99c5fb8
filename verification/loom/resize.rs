//! The number of processors changes while workers hold them, queue for them, and give them up:
//! [I3], [I4].

use crate::harness::{Bound, Scenario, join, spawn};
use selvedge::internals::platform::{Arc, thread};
use selvedge::internals::sched::idle::{IdleWorkers, WakeReason};

/// A roster of up to 2 processors and 3 workers; worker `n` of `workers` holds processor `n`.
fn idle(processors: u32, workers: u32) -> Arc<IdleWorkers> {
    let idle = IdleWorkers::new(processors, 2, 3);
    for id in 0..workers {
        assert_eq!(idle.take_slot(), Some(id));
        assert_eq!(idle.queue(id, None), WakeReason::Run { proc: id, searching: false });
    }
    Arc::new(idle)
}

/// A worker that gives up processor 1.
fn gives_up_1(idle: &Arc<IdleWorkers>) -> thread::JoinHandle {
    let idle = Arc::clone(idle);
    spawn(move || idle.unpark(idle.release(1, || false)))
}

/// 2 threads: shrink, grow | a worker gives up the processor that goes and comes. In the end it is
/// idle, once, whenever it was given up.
#[test]
fn a_processor_that_goes_and_comes_is_there_once() {
    Scenario {
        name: "resize: a processor that goes and comes is there once [I4]",
        threads: 2,
        operations: "shrink, grow | release",
    }
    .check(Bound::Complete, || {
        let idle = idle(2, 2);
        let worker = gives_up_1(&idle);
        idle.set_active(1);
        idle.set_active(2);
        join(worker);
        assert_eq!(idle.idle_processors(), 1);
        assert_eq!(idle.take_slot(), Some(2));
        assert_eq!(idle.queue(2, None), WakeReason::Run { proc: 1, searching: false });
        assert_eq!(idle.idle_processors(), 0);
    });
}

/// 2 threads: shrink | a worker gives up the processor that goes. Nobody is granted it again.
#[test]
fn a_processor_that_goes_is_granted_no_more() {
    Scenario {
        name: "resize: a processor that goes is granted no more [I4]",
        threads: 2,
        operations: "shrink | release",
    }
    .check(Bound::Complete, || {
        let idle = idle(2, 2);
        let worker = gives_up_1(&idle);
        idle.set_active(1);
        join(worker);
        assert_eq!(idle.idle_processors(), 0, "the other one is held");
        assert!(!idle.resched_requested(), "it was given up, and nobody waits");
    });
}

/// 2 threads: grow | a worker queues, while the only processor is held. It gets the new one; and as
/// long as it waited, who holds one was told.
#[test]
fn who_queues_gets_the_processor_that_comes() {
    Scenario {
        name: "resize: who queues gets the processor that comes [I3]",
        threads: 2,
        operations: "grow | queue",
    }
    .check(Bound::Complete, || {
        let idle = idle(1, 1);
        assert_eq!(idle.take_slot(), Some(1));
        let worker = {
            let idle = Arc::clone(&idle);
            spawn(move || {
                let awake = idle.queue(1, None);
                assert_eq!(awake, WakeReason::Run { proc: 1, searching: false });
            })
        };
        let (_, queueing) = idle.threads();
        assert!(queueing == 0 || idle.resched_requested(), "whoever holds a processor is told");
        idle.set_active(2);
        join(worker);
        assert!(!idle.resched_requested(), "nobody waits any more");
    });
}

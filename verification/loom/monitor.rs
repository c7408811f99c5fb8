//! When the monitor may rest, and who wakes it: it sleeps without a limit while nothing runs. Its other
//! waits end by themselves, here at once, since they are for no time at all. [I1] [H1]

use crate::harness::{Bound, Scenario, join, spawn};
use selvedge::internals::platform::{Arc, Parker, thread};
use selvedge::internals::sched::idle::{IdleWorkers, WakeReason};
use std::time::Duration;

struct World {
    idle: IdleWorkers,
    seen: Parker,
}

/// One processor, and one worker without.
fn world() -> Arc<World> {
    let world = World { idle: IdleWorkers::new(1, 1, 2), seen: Parker::new() };
    assert_eq!(world.idle.take_slot(), Some(0));
    Arc::new(world)
}

impl World {
    /// Sleeps until it finds that `due`, and tells; or until the runtime stops.
    fn watch(&self, due: impl Fn(&IdleWorkers) -> bool) {
        while self.idle.monitor_sleep(Duration::ZERO, true) {
            if due(&self.idle) {
                return self.seen.unpark();
            }
            thread::yield_now();
        }
    }
}

/// 2 threads: the monitor goes to rest | a worker takes a processor up, and blocks until it was seen.
#[test]
fn a_monitor_that_rests_sees_who_takes_a_processor() {
    Scenario {
        name: "monitor: one that rests sees who takes a processor",
        threads: 2,
        operations: "queue, block | rest, look",
    }
    .check(Bound::complete_if_long(), || {
        let world = world();
        let monitor = {
            let world = Arc::clone(&world);
            spawn(move || world.watch(|idle| idle.holder(0).is_some()))
        };
        assert_eq!(world.idle.queue(0, None), WakeReason::Run { proc: 0, searching: false });
        world.seen.park();
        join(monitor);
    });
}

/// 2 threads: the monitor goes to rest | the runtime stops.
#[test]
fn a_monitor_that_rests_is_told_to_stop() {
    Scenario {
        name: "monitor: one that rests is told to stop [T1]",
        threads: 2,
        operations: "stop | rest",
    }
    .check(Bound::complete_if_long(), || {
        let world = world();
        let monitor = {
            let world = Arc::clone(&world);
            spawn(move || world.watch(|_| false))
        };
        world.idle.stop(|| {});
        join(monitor);
    });
}

/// 2 threads: a thread is granted a processor and does not start | the monitor, which rests, tries again.
#[test]
fn a_monitor_that_rests_sees_a_start_that_failed() {
    Scenario {
        name: "monitor: one that rests sees a start that failed [I1]",
        threads: 2,
        operations: "notify, refused, block | rest, relieve",
    }
    .check(Bound::complete_if_long(), || {
        use selvedge::internals::sched::idle::WakeAction;
        let world = world();
        let monitor = {
            let world = Arc::clone(&world);
            spawn(move || world.watch(|idle| idle.relieve(|| true) != WakeAction::Nothing))
        };
        let WakeAction::Start(id) = world.idle.notify() else { unreachable!("nobody sleeps") };
        assert_eq!(world.idle.start_failed(id), WakeAction::Nothing);
        world.seen.park();
        join(monitor);
    });
}

/// 1 thread: while a worker is without the processor that was taken from it, the monitor does not rest,
/// until that one waits for another.
#[test]
fn a_monitor_does_not_rest_while_somebody_is_without() {
    Scenario {
        name: "monitor: it does not rest while somebody is without",
        threads: 1,
        operations: "seize, release, sleep, dispute, sleep",
    }
    .check(Bound::Complete, || {
        let World { idle, .. } = &*world();
        assert_eq!(idle.queue(0, None), WakeReason::Run { proc: 0, searching: false });
        idle.slot(0).gate.exit_to_user();
        assert!(idle.try_revoke(0, 0, false));
        let _ = idle.release(0, || false);
        assert!(idle.is_without(0) && idle.monitor_sleep(Duration::ZERO, true));
        let _ = idle.slot(0).gate.enter_runtime();
        assert!(idle.check_revoked(0));
        assert!(idle.is_without(0) && idle.monitor_sleep(Duration::ZERO, true));
        assert_eq!(idle.queue(0, None), WakeReason::Run { proc: 0, searching: false });
        assert!(!idle.is_without(0));
    });
}

/// 1 thread: a worker whose processor was taken has come back to the runtime, which then stops: it is at
/// work there until it waits for a processor. [T1]
#[test]
fn who_is_back_in_the_runtime_has_not_stopped() {
    Scenario {
        name: "monitor: who is back in the runtime has not stopped [T1]",
        threads: 1,
        operations: "seize, release, dispute, stop",
    }
    .check(Bound::Complete, || {
        let World { idle, .. } = &*world();
        assert_eq!(idle.queue(0, None), WakeReason::Run { proc: 0, searching: false });
        idle.slot(0).gate.exit_to_user();
        assert!(idle.try_revoke(0, 0, false));
        let _ = idle.release(0, || false);
        let _ = idle.slot(0).gate.enter_runtime();
        assert!(idle.check_revoked(0));
        idle.stop(|| {});
        assert_eq!(idle.when_stopped(|| ()), None, "T1: it is inside the runtime");
        assert_eq!(idle.queue(0, None), WakeReason::Stop);
    });
}

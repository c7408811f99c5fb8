//! Threads that can't be had, and helpers that take their place under the cap: nobody is stranded,
//! since whoever makes room, or the monitor, tries again. [I1]

use crate::harness::{Bound, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use selvedge::internals::platform::{Arc, Parker};
use selvedge::internals::sched::idle::{IdleWorkers, Sources, WakeAction, WakeReason, WorkerId};

struct World {
    idle: IdleWorkers,
    /// Work that anybody could do.
    work: AtomicBool,
    /// Threads that will not start.
    refusals: AtomicU32,
    done: Parker,
}

struct Shared<'a>(&'a World);

impl Sources for Shared<'_> {
    fn has_stealable(&self) -> bool {
        self.0.has_work()
    }

    fn has_bound(&self) -> bool {
        false
    }

    fn has_residents(&self) -> bool {
        true
    }
}

fn world(processors: u32, threads: usize, refusals: u32) -> Arc<World> {
    Arc::new(World {
        idle: IdleWorkers::new(processors, processors, threads),
        work: AtomicBool::new(false),
        refusals: AtomicU32::new(refusals),
        done: Parker::new(),
    })
}

impl World {
    fn has_work(&self) -> bool {
        // Relaxed: the roster's fences order it.
        self.work.load(Ordering::Relaxed)
    }

    fn publish(self: &Arc<Self>) {
        // Relaxed: `notify` fences. An RMW, as others take the work by one.
        self.work.swap(true, Ordering::Relaxed);
        self.perform_wake(self.idle.notify());
    }

    fn perform_wake(self: &Arc<Self>, mut wake: WakeAction) {
        while let WakeAction::Start(id) = wake {
            // Relaxed: one thread starts threads in these models.
            if self.refusals.load(Ordering::Relaxed) == 0 {
                let world = Arc::clone(self);
                return drop(spawn(move || world.work(id)));
            }
            self.refusals.fetch_sub(1, Ordering::Relaxed);
            wake = self.idle.start_failed(id);
        }
        self.idle.unpark(wake);
    }

    fn relieve(self: &Arc<Self>) {
        self.perform_wake(self.idle.relieve(|| self.has_work()));
    }

    fn work(self: &Arc<Self>, id: WorkerId) {
        let mut awake = self.idle.wait_for_assignment(id);
        while let WakeReason::Run { proc, mut searching } = awake {
            while self.work.swap(false, Ordering::Relaxed) {
                if std::mem::take(&mut searching) {
                    self.perform_wake(self.idle.stop_searching(&Shared(self)));
                }
                self.done.unpark();
            }
            awake = self.idle.sleep(id, Some(proc), searching, &Shared(self));
        }
    }
}

/// 2 threads: publish, a thread is refused, relieve as the monitor does, block | the worker that then
/// starts; and once more, now that it sleeps.
#[test]
fn a_thread_that_did_not_start_strands_nobody() {
    Scenario {
        name: "relieve: a thread that did not start strands nobody [I1]",
        threads: 2,
        operations: "publish, refused, relieve, block; publish, block | worker",
    }
    .check(Bound::complete_if_long(), || {
        let world = world(1, 1, 1);
        world.publish();
        world.relieve();
        world.done.park();
        world.publish();
        world.done.park();
        world.idle.stop(|| {});
    });
}

/// 3 threads: a helper sits on the last thread of the cap, and ends | publish, block. The helper's end
/// makes room for the worker that was missing.
#[test]
fn a_helper_that_ends_makes_room_for_a_worker() {
    Scenario {
        name: "relieve: a helper that ends makes room for a worker [I1]",
        threads: 3,
        operations: "publish, block | helper ends, starts | worker",
    }
    .check(Bound::complete_if_long(), || {
        let world = world(1, 2, 0);
        assert!(world.idle.add_helper(), "the cap is two, and one processor");
        let taken = world.idle.take_slot().expect("one more");
        let helper = {
            let world = Arc::clone(&world);
            spawn(move || {
                let wake = world.idle.remove_helper(|| world.has_work());
                world.perform_wake(wake);
            })
        };
        world.publish();
        world.done.park();
        join(helper);
        world.idle.leave(taken);
        world.idle.stop(|| {});
    });
}

/// 2 threads: a thread is granted the processor and does not start | a worker has gone to sleep just
/// then, though it saw the work: no processor was idle. It is woken.
#[test]
fn a_start_that_failed_wakes_who_went_to_sleep_meanwhile() {
    Scenario {
        name: "relieve: a start that failed wakes who went to sleep meanwhile [I1]",
        threads: 2,
        operations: "notify, refused, block | sleep",
    }
    .check(Bound::Complete, || {
        let world = world(1, 2, 0);
        world.work.swap(true, Ordering::Relaxed);
        let WakeAction::Start(refused) = world.idle.notify() else { unreachable!("nobody sleeps") };
        let id = world.idle.take_slot().expect("the cap is two");
        let sleeper = {
            let world = Arc::clone(&world);
            spawn(move || {
                let awake = world.idle.sleep(id, None, false, &Shared(&world));
                assert_eq!(awake, WakeReason::Run { proc: 0, searching: true });
                if world.work.swap(false, Ordering::Relaxed) {
                    world.done.unpark();
                }
            })
        };
        let wake = world.idle.start_failed(refused);
        world.idle.unpark(wake);
        world.done.park();
        join(sleeper);
    });
}

//! Threads that can't be had, and helpers that take their place under the cap: nobody is stranded,
//! since whoever makes room, or the monitor, tries again. [I1]

use crate::harness::{Bound, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use selvedge::internals::platform::{Arc, Parker};
use selvedge::internals::sched::idle::{Awake, Roster, SeatId, Sources, Wake};

struct World {
    roster: Roster,
    /// Work that anybody could do.
    work: AtomicBool,
    /// Threads that will not start.
    refusals: AtomicU32,
    done: Parker,
}

struct Shared<'a>(&'a World);

impl Sources for Shared<'_> {
    fn shared(&self) -> bool {
        self.0.has_work()
    }

    fn home(&self) -> bool {
        false
    }

    fn is_home(&self) -> bool {
        true
    }
}

fn world(processors: u32, threads: usize, refusals: u32) -> Arc<World> {
    Arc::new(World {
        roster: Roster::new(processors, processors, threads),
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
        self.carry_out(self.roster.notify());
    }

    fn carry_out(self: &Arc<Self>, mut wake: Wake) {
        while let Wake::Start(id) = wake {
            // Relaxed: one thread starts threads in these models.
            if self.refusals.load(Ordering::Relaxed) == 0 {
                let world = Arc::clone(self);
                return drop(spawn(move || world.work(id)));
            }
            self.refusals.fetch_sub(1, Ordering::Relaxed);
            wake = self.roster.start_failed(id);
        }
        self.roster.unpark(wake);
    }

    fn relieve(self: &Arc<Self>) {
        self.carry_out(self.roster.relieve(|| self.has_work()));
    }

    fn work(self: &Arc<Self>, id: SeatId) {
        let mut awake = self.roster.await_grant(id);
        while let Awake::Run { proc, mut searching } = awake {
            while self.work.swap(false, Ordering::Relaxed) {
                if std::mem::take(&mut searching) {
                    self.carry_out(self.roster.stop_searching(&Shared(self)));
                }
                self.done.unpark();
            }
            awake = self.roster.sleep(id, Some(proc), searching, &Shared(self));
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
        world.roster.stop(|| {});
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
        assert!(world.roster.add_helper(), "the cap is two, and one processor");
        let taken = world.roster.take_seat().expect("one more");
        let helper = {
            let world = Arc::clone(&world);
            spawn(move || {
                let wake = world.roster.remove_helper(|| world.has_work());
                world.carry_out(wake);
            })
        };
        world.publish();
        world.done.park();
        join(helper);
        world.roster.leave(taken);
        world.roster.stop(|| {});
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
        let Wake::Start(refused) = world.roster.notify() else { unreachable!("nobody sleeps") };
        let id = world.roster.take_seat().expect("the cap is two");
        let sleeper = {
            let world = Arc::clone(&world);
            spawn(move || {
                let awake = world.roster.sleep(id, None, false, &Shared(&world));
                assert_eq!(awake, Awake::Run { proc: 0, searching: true });
                if world.work.swap(false, Ordering::Relaxed) {
                    world.done.unpark();
                }
            })
        };
        let wake = world.roster.start_failed(refused);
        world.roster.unpark(wake);
        world.done.park();
        join(sleeper);
    });
}

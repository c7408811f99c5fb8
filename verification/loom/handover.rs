//! What passes from worker to worker, between the roster's lines: a searching token and what it
//! stands for, a processor and what was done with it, a place among the sleepers: [I1]–[I4], [T1].

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicBool, Ordering};
use selvedge::internals::platform::{Arc, Parker};
use selvedge::internals::sched::idle::{
    IdleWorkers, ProcId, Sources, WakeAction, WakeReason, WorkerId,
};

struct World {
    idle: IdleWorkers,
    /// Work that anybody could do.
    work: AtomicBool,
    /// Work that only the worker at seat 1 can do.
    home: AtomicBool,
    /// What belongs to whoever holds processor 0.
    queues: Payload,
    done: Parker,
}

struct At<'a>(&'a World, WorkerId);

impl Sources for At<'_> {
    fn has_stealable(&self) -> bool {
        // Relaxed: what the roster does orders it.
        self.0.work.load(Ordering::Relaxed)
    }

    fn has_bound(&self) -> bool {
        // Relaxed: as above.
        self.1 == 1 && self.0.home.load(Ordering::Relaxed)
    }

    fn has_residents(&self) -> bool {
        true
    }
}

/// A roster in which worker `n`, of so many, holds processor `n`, and nobody searches.
fn world(processors: u32, workers: u32) -> Arc<World> {
    let idle = IdleWorkers::new(processors, processors, 4);
    for id in 0..workers {
        assert_eq!(idle.take_slot(), Some(id));
        assert_eq!(idle.queue(id, None), WakeReason::Run { proc: id, searching: false });
    }
    let (work, home) = (AtomicBool::new(false), AtomicBool::new(false));
    Arc::new(World { idle, work, home, queues: Payload::new(1), done: Parker::new() })
}

impl World {
    fn touch(&self) {
        let seen = self.queues.take();
        self.queues.write(seen + 1);
    }

    /// True if somebody was woken. A seat without a thread stays so: it stands for a worker at work.
    fn perform_wake(&self, wake: WakeAction) -> bool {
        if let WakeAction::Unpark(_) = wake {
            self.idle.unpark(wake);
        }
        wake != WakeAction::Nothing
    }

    /// The worker has nothing to do: it sleeps until it is granted something, and does it.
    fn sleep_then_work(
        &self,
        id: WorkerId,
        held: Option<ProcId>,
        searching: bool,
    ) -> Option<ProcId> {
        let awake = self.idle.sleep(id, held, searching, &At(self, id));
        let WakeReason::Run { proc, searching } = awake else { return None };
        if searching {
            self.perform_wake(self.idle.stop_searching(&At(self, id)));
        }
        if self.work.swap(false, Ordering::Relaxed) | self.home.swap(false, Ordering::Relaxed) {
            self.done.unpark();
        }
        Some(proc)
    }
}

/// 2 threads: two search; one finds a batch, puts the rest into its deque, stops searching, and
/// blocks on the rest | the other, which is the last to search, goes to sleep and must see it.
#[test]
fn the_last_searcher_sees_what_the_last_but_one_found() {
    Scenario {
        name: "handover: the last searcher sees what the last but one found [I1]",
        threads: 2,
        operations: "push, stop searching, block | sleep as the last searcher",
    }
    .check(Bound::Complete, || {
        let world = world(4, 3);
        assert!(world.idle.start_searching());
        assert!(world.idle.start_searching());
        let last = {
            let world = Arc::clone(&world);
            spawn(move || _ = world.sleep_then_work(1, Some(1), true))
        };
        // Relaxed: as the deque's own publication, which is no fence.
        world.work.swap(true, Ordering::Relaxed);
        if !world.perform_wake(world.idle.stop_searching(&At(&world, 0))) {
            world.done.park();
        }
        world.idle.stop(|| {});
        join(last);
    });
}

/// 2 threads: the only searcher finds a batch, puts the rest into its deque and stops searching while
/// no processor is idle, then blocks on the rest | one that gives its processor up must see it.
#[test]
fn who_goes_idle_sees_what_a_searcher_found() {
    Scenario {
        name: "handover: who goes idle sees what a searcher found [I1]",
        threads: 2,
        operations: "push, stop searching, block | sleep",
    }
    .check(Bound::Complete, || {
        let world = world(2, 2);
        assert!(world.idle.start_searching());
        let idler = {
            let world = Arc::clone(&world);
            spawn(move || _ = world.sleep_then_work(1, Some(1), false))
        };
        // Relaxed: as the deque's own publication, which is no fence.
        world.work.swap(true, Ordering::Relaxed);
        if !world.perform_wake(world.idle.stop_searching(&At(&world, 0))) {
            world.done.park();
        }
        world.idle.stop(|| {});
        join(idler);
    });
}

/// 2 threads: a searcher has found work, and stops searching | a submitter, who may rely on the
/// searcher. Then nobody searches and a processor is idle: one of the two has woken somebody.
#[test]
fn a_searcher_that_stops_does_not_leave_a_submitter_in_the_lurch() {
    Scenario {
        name: "handover: a searcher that stops leaves no submitter in the lurch [I1]",
        threads: 2,
        operations: "stop searching | publish",
    }
    .check(Bound::Complete, || {
        let world = world(2, 1);
        assert!(world.idle.start_searching());
        let submitter = {
            let world = Arc::clone(&world);
            spawn(move || {
                world.work.swap(true, Ordering::Relaxed);
                if world.idle.notify() != WakeAction::Nothing {
                    world.done.unpark();
                }
            })
        };
        if world.idle.stop_searching(&At(&world, 0)) == WakeAction::Nothing {
            // Otherwise it was the submitter.
            world.done.park();
        }
        join(submitter);
    });
}

/// 2 threads: a push to a worker's inbox, then its processor is given up | that worker, whose own was
/// retaken, goes to sleep: it must queue, since no processor is idle yet.
#[test]
fn who_has_work_at_home_and_no_processor_queues() {
    Scenario {
        name: "handover: who has work at home and no processor queues [I2] [I3]",
        threads: 2,
        operations: "send home, release, block | sleep without a processor",
    }
    .check(Bound::Complete, || {
        let world = world(1, 1);
        assert_eq!(world.idle.take_slot(), Some(1));
        let bound_count = {
            let world = Arc::clone(&world);
            spawn(move || _ = world.sleep_then_work(1, None, false))
        };
        world.home.swap(true, Ordering::Relaxed);
        world.idle.unpark(world.idle.wake_bound(1));
        let wake = world.idle.release(0, || false);
        world.idle.unpark(wake);
        world.done.park();
        join(bound_count);
    });
}

/// 2 threads: a worker touches its processor's queues, and queues behind another | that one is woken,
/// and owns them.
#[test]
fn a_processor_passes_with_all_that_was_done_to_it() {
    Scenario {
        name: "handover: a processor passes with all that was done to it [I4] [H1]",
        threads: 2,
        operations: "touch, queue, touch | queue, touch, sleep",
    }
    .check(Bound::Complete, || {
        let world = world(1, 1);
        assert_eq!(world.idle.take_slot(), Some(1));
        let other = {
            let world = Arc::clone(&world);
            spawn(move || {
                let awake = world.idle.queue(1, None);
                assert_eq!(awake, WakeReason::Run { proc: 0, searching: false });
                world.touch();
                assert_eq!(world.idle.queue(1, Some(0)), awake, "or it waits for its turn");
                world.touch();
                let wake = world.idle.release(0, || false);
                world.idle.unpark(wake);
            })
        };
        world.touch();
        assert_eq!(world.idle.queue(0, Some(0)), WakeReason::Run { proc: 0, searching: false });
        world.touch();
        let wake = world.idle.release(0, || false);
        world.idle.unpark(wake);
        join(other);
    });
}

/// 2 threads: stop | a worker queues for a processor that will never come. It is told. [T1]
#[test]
fn who_queues_is_told_to_stop() {
    Scenario {
        name: "handover: who queues is told to stop [T1]",
        threads: 2,
        operations: "touch, stop | queue, touch",
    }
    .check(Bound::Complete, || {
        let world = world(1, 1);
        assert_eq!(world.idle.take_slot(), Some(1));
        let queueing = {
            let world = Arc::clone(&world);
            spawn(move || {
                assert_eq!(world.idle.queue(1, None), WakeReason::Stop);
                world.touch();
            })
        };
        world.touch();
        world.idle.stop(|| {});
        join(queueing);
    });
}

/// 2 threads: a worker is woken for its inbox | then work is published: another is woken for that.
#[test]
fn who_is_up_is_no_sleeper() {
    Scenario {
        name: "handover: who is up is no sleeper [I1]",
        threads: 2,
        operations: "sleep, woken by name | send home, publish",
    }
    .check(Bound::Complete, || {
        let world = world(2, 2);
        let sleeper = {
            let world = Arc::clone(&world);
            spawn(move || _ = world.sleep_then_work(1, Some(1), false).expect("nobody stops it"))
        };
        world.home.swap(true, Ordering::Relaxed);
        world.idle.unpark(world.idle.wake_bound(1));
        world.done.park();
        join(sleeper);
        // It is up, by its recheck or by name, and so must not be woken again.
        let wake = world.idle.release(0, || false);
        assert_eq!(wake, WakeAction::Nothing);
        world.work.swap(true, Ordering::Relaxed);
        let woken = world.idle.wake_searcher();
        assert!(!matches!(woken, WakeAction::Unpark(1)), "seat 1 is at work");
    });
}

/// 2 threads: a worker without a processor finds work at home in its recheck, and queues | it is granted
/// one; then another is idle, and work published. Who was woken from the queue is no sleeper either.
#[test]
fn who_queued_is_no_sleeper() {
    Scenario {
        name: "handover: who queued is no sleeper [I1] [I4]",
        threads: 2,
        operations: "sleep, queue | send home, release, publish",
    }
    .check(Bound::Complete, || {
        let world = world(2, 1);
        assert_eq!(world.idle.take_slot(), Some(1));
        assert_eq!(world.idle.take_slot(), Some(2));
        assert_eq!(world.idle.queue(2, None), WakeReason::Run { proc: 1, searching: false });
        let bound_count = {
            let world = Arc::clone(&world);
            spawn(move || _ = world.sleep_then_work(1, None, false).expect("nobody stops it"))
        };
        world.home.swap(true, Ordering::Relaxed);
        world.idle.unpark(world.idle.wake_bound(1));
        world.idle.unpark(world.idle.release(0, || false));
        world.done.park();
        join(bound_count);
        assert_eq!(world.idle.release(1, || false), WakeAction::Nothing);
        let woken = world.idle.wake_searcher();
        assert!(!matches!(woken, WakeAction::Unpark(1)), "seat 1 is at work");
    });
}

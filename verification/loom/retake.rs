//! Claim and roster, between a worker that enters the runtime and who takes its processor: [H1],
//! [I5].

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicBool, Ordering};
use selvedge::internals::platform::{Arc, Parker};
use selvedge::internals::sched::idle::{IdleWorkers, Sources, WakeAction, WakeReason, WorkerId};
use selvedge::internals::sched::retake_gate::Entry;

/// One processor whose queues are a race-checked cell: only its owner may touch it.
struct World {
    idle: IdleWorkers,
    queues: Payload,
    /// Work that anybody could do.
    work: AtomicBool,
    done: Parker,
}

struct Shared<'a>(&'a World);

impl Sources for Shared<'_> {
    fn has_stealable(&self) -> bool {
        // Relaxed: the roster's fences order it.
        self.0.work.load(Ordering::Relaxed)
    }

    fn has_bound(&self) -> bool {
        false
    }

    fn has_residents(&self) -> bool {
        true
    }
}

fn world() -> Arc<World> {
    Arc::new(World {
        idle: IdleWorkers::new(1, 1, 2),
        queues: Payload::new(1),
        work: AtomicBool::new(false),
        done: Parker::new(),
    })
}

impl World {
    fn touch(&self) {
        let seen = self.queues.take();
        self.queues.write(seen + 1);
    }

    /// Takes the processor away if it can; true if so.
    fn retake(&self, id: WorkerId) -> Option<WakeAction> {
        self.idle.try_revoke(id, 0, false).then(|| {
            self.touch();
            self.idle.release(0, || self.work.load(Ordering::Relaxed))
        })
    }

    /// One visit to the runtime; whether the processor was still there.
    fn visit(&self, id: WorkerId, held: &mut bool) {
        let gate = &self.idle.slot(id).gate;
        if gate.enter_runtime() == Entry::Disputed && self.idle.check_revoked(id) {
            *held = false;
        }
        if *held {
            self.touch();
        }
        gate.exit_to_user();
    }
}

/// A worker that holds the processor and is in user code.
fn in_user_code(world: &World) -> WorkerId {
    let WakeAction::Start(id) = world.idle.wake_searcher() else {
        unreachable!("nobody sleeps yet")
    };
    let WakeReason::Run { proc: 0, searching: true } = world.idle.wait_for_assignment(id) else {
        unreachable!("just granted")
    };
    let wake = world.idle.stop_searching(&Shared(world));
    assert_eq!(wake, WakeAction::Nothing);
    world.idle.slot(id).gate.exit_to_user();
    id
}

/// 2 threads: a worker that visits the runtime twice | a monitor that tries twice; complete.
/// Only the owner touches the processor's queues.
#[test]
fn a_processor_has_one_owner() {
    Scenario {
        name: "retake: a processor has one owner [H1]",
        threads: 2,
        operations: "2 enter, touch, leave | 2 seize, touch, release",
    }
    .check(Bound::complete_if_long(), || {
        let world = world();
        let id = in_user_code(&world);
        let monitor = {
            let world = Arc::clone(&world);
            spawn(move || {
                for _ in 0..2 {
                    if let Some(wake) = world.retake(id) {
                        assert_eq!(wake, WakeAction::Nothing, "no work waits");
                    }
                }
            })
        };
        let mut held = true;
        world.visit(id, &mut held);
        world.visit(id, &mut held);
        join(monitor);
        assert!(world.idle.idle_processors() <= 1, "what was retaken is not retaken again");
    });
}

/// 2 threads: a worker gives its processor up by itself, then visits | a monitor that tries to take it;
/// complete. Only one of them takes it.
#[test]
fn a_processor_is_taken_once() {
    Scenario {
        name: "retake: a worker gives its processor up while the monitor takes it [H1]",
        threads: 2,
        operations: "seize, touch, release, enter, touch, leave | seize, touch, release",
    }
    .check(Bound::complete_if_long(), || {
        let world = world();
        let id = in_user_code(&world);
        let monitor = {
            let world = Arc::clone(&world);
            spawn(move || _ = world.retake(id))
        };
        let _ = world.retake(id);
        let mut held = true;
        world.visit(id, &mut held);
        join(monitor);
        assert!(!held, "one of them has taken it, and it is not granted again");
        assert_eq!(world.queues.take(), 2, "it was taken once");
        assert_eq!(world.idle.idle_processors(), 1);
    });
}

/// 3 threads: a worker in user code, then back | a monitor that retakes | the worker that gets it.
#[test]
fn a_retaken_processor_goes_to_who_can_use_it() {
    Scenario {
        name: "retake: a retaken processor goes to who can use it [I5]",
        threads: 3,
        operations: "publish, block | retake, start | worker",
    }
    .check(Bound::usual(), || {
        let world = world();
        let id = in_user_code(&world);
        let monitor = {
            let world = Arc::clone(&world);
            spawn(move || {
                let wake = world.retake(id).expect("the worker stays in user code");
                world.start(wake);
            })
        };
        // Relaxed: `notify` fences.
        world.work.store(true, Ordering::Relaxed);
        let wake = world.idle.notify();
        world.start(wake);
        world.done.park();
        join(monitor);
        world.idle.stop(|| {});
    });
}

impl World {
    /// Starts the worker that was granted the processor: it does the work, and ends.
    fn start(self: &Arc<Self>, wake: WakeAction) {
        if let WakeAction::Start(id) = wake {
            let world = Arc::clone(self);
            spawn(move || {
                let awake = world.idle.wait_for_assignment(id);
                assert!(matches!(awake, WakeReason::Run { .. }));
                world.touch();
                world.work.store(false, Ordering::Relaxed);
                world.done.unpark();
            });
        }
    }
}

/// 2 threads: a worker enters while it is observed | an observer; complete. What is observed stays.
#[test]
fn who_is_observed_stays_in_user_code() {
    Scenario {
        name: "retake: who is observed stays in user code [H1]",
        threads: 2,
        operations: "2 enter, touch, leave | observe",
    }
    .check(Bound::complete_if_long(), || {
        let world = world();
        let id = in_user_code(&world);
        let observer = {
            let world = Arc::clone(&world);
            spawn(move || {
                let _ = world.idle.observe(id, || world.touch());
            })
        };
        let mut held = true;
        world.visit(id, &mut held);
        world.visit(id, &mut held);
        assert!(held, "an observed worker keeps its processor");
        join(observer);
    });
}

//! Claim and roster, between a worker that enters the runtime and who takes its processor: [H1],
//! [I5].

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicBool, Ordering};
use selvedge::internals::platform::{Arc, Parker};
use selvedge::internals::sched::idle::{Awake, Roster, SeatId, Sources, Wake};
use selvedge::internals::sched::retake_gate::Entry;

/// One processor whose queues are a race-checked cell: only its owner may touch it.
struct World {
    roster: Roster,
    queues: Payload,
    /// Work that anybody could do.
    work: AtomicBool,
    done: Parker,
}

struct Shared<'a>(&'a World);

impl Sources for Shared<'_> {
    fn shared(&self) -> bool {
        // Relaxed: the roster's fences order it.
        self.0.work.load(Ordering::Relaxed)
    }

    fn home(&self) -> bool {
        false
    }

    fn is_home(&self) -> bool {
        true
    }
}

fn world() -> Arc<World> {
    Arc::new(World {
        roster: Roster::new(1, 1, 2),
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
    fn retake(&self, id: SeatId) -> Option<Wake> {
        self.roster.seize(id, 0, false).then(|| {
            self.touch();
            self.roster.release(0, || self.work.load(Ordering::Relaxed))
        })
    }

    /// One visit to the runtime; whether the processor was still there.
    fn visit(&self, id: SeatId, held: &mut bool) {
        let claim = &self.roster.seat(id).claim;
        if claim.enter() == Entry::Disputed && self.roster.dispute(id) {
            *held = false;
        }
        if *held {
            self.touch();
        }
        claim.leave();
    }
}

/// A worker that holds the processor and is in user code.
fn in_user_code(world: &World) -> SeatId {
    let Wake::Start(id) = world.roster.wake_searcher() else { unreachable!("nobody sleeps yet") };
    let Awake::Run { proc: 0, searching: true } = world.roster.await_grant(id) else {
        unreachable!("just granted")
    };
    let wake = world.roster.stop_searching(&Shared(world));
    assert_eq!(wake, Wake::Nothing);
    world.roster.seat(id).claim.leave();
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
                        assert_eq!(wake, Wake::Nothing, "no work waits");
                    }
                }
            })
        };
        let mut held = true;
        world.visit(id, &mut held);
        world.visit(id, &mut held);
        join(monitor);
        assert!(world.roster.idle_processors() <= 1, "what was retaken is not retaken again");
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
        assert_eq!(world.roster.idle_processors(), 1);
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
        let wake = world.roster.notify();
        world.start(wake);
        world.done.park();
        join(monitor);
        world.roster.stop(|| {});
    });
}

impl World {
    /// Starts the worker that was granted the processor: it does the work, and ends.
    fn start(self: &Arc<Self>, wake: Wake) {
        if let Wake::Start(id) = wake {
            let world = Arc::clone(self);
            spawn(move || {
                let awake = world.roster.await_grant(id);
                assert!(matches!(awake, Awake::Run { .. }));
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
                let _ = world.roster.observe(id, || world.touch());
            })
        };
        let mut held = true;
        world.visit(id, &mut held);
        world.visit(id, &mut held);
        assert!(held, "an observed worker keeps its processor");
        join(observer);
    });
}

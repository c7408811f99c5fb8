//! Timers, between those who arm and cancel, the timekeeper, and who unparks: [W1]–[W3], [S5].
//!
//! Time stands still in a model: who waits for a deadline that is to come waits until somebody wakes
//! the timekeeper, so that a wake-up that is lost is a deadlock. What is due is what the model says.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicU32, Ordering};
use selvedge::internals::platform::{Arc, Parker, thread};
use selvedge::internals::sched::state::{BeginPark, StateWord, UnparkAction, Woken};
use selvedge::internals::sched::timers::Timers;

/// What is due: deadlines up to here.
const NOW: u64 = 100_000_000;
const FAR: u64 = 10 * NOW;

/// Timers whose items are the numbers of parkers that they unpark.
struct World {
    timers: Timers<usize>,
    fired: [Parker; 2],
}

fn world(heaps: usize) -> Arc<World> {
    Arc::new(World { timers: Timers::new(heaps), fired: [Parker::new(), Parker::new()] })
}

impl World {
    fn fire(&self) -> usize {
        let heaps = 0..self.timers.reach();
        heaps
            .map(|heap| self.timers.fire(heap, NOW, |_| (), |item| self.fired[item].unpark()))
            .sum()
    }

    /// The timekeeper, which comes late, until it has fired so many.
    fn keep_time(&self, mut still: usize) {
        self.timers.relax();
        while still > 0 {
            match self.fire() {
                0 => self.timers.wait(|| NOW),
                fired => still -= fired,
            }
        }
    }
}

/// 2 threads: arm, and block until it has fired | the timekeeper, which goes to sleep; complete.
#[test]
fn a_deadline_armed_while_the_timekeeper_goes_to_sleep_fires() {
    Scenario {
        name: "timers: a deadline armed while the timekeeper goes to sleep fires [W1]",
        threads: 2,
        operations: "arm, block | fire, wait",
    }
    .check(Bound::Complete, || {
        let world = world(1);
        let timekeeper = {
            let world = Arc::clone(&world);
            spawn(move || world.keep_time(1))
        };
        world.timers.arm(0, 7, 0);
        world.fired[0].park();
        join(timekeeper);
    });
}

/// 2 threads: arm one nearer than what the timekeeper waits for, and block | the timekeeper; complete.
#[test]
fn a_nearer_deadline_wakes_the_timekeeper() {
    Scenario {
        name: "timers: a nearer deadline wakes the timekeeper [W1]",
        threads: 2,
        operations: "arm in another heap, block | fire, wait for a far one",
    }
    .check(Bound::Complete, || {
        let world = world(2);
        world.timers.arm(0, FAR, 1);
        let timekeeper = {
            let world = Arc::clone(&world);
            spawn(move || world.keep_time(1))
        };
        world.timers.arm(1, 7, 0);
        world.fired[0].park();
        join(timekeeper);
    });
}

/// 3 threads: two arm, in one heap each, and block | the timekeeper. One of the two wakes it for both.
#[test]
fn of_two_who_arm_neither_is_forgotten() {
    Scenario {
        name: "timers: of two who arm neither is forgotten [W1]",
        threads: 3,
        operations: "arm, block | arm, block | fire, wait",
    }
    .check(Bound::usual(), || {
        let world = world(2);
        let timekeeper = {
            let world = Arc::clone(&world);
            spawn(move || world.keep_time(2))
        };
        let other = {
            let world = Arc::clone(&world);
            spawn(move || {
                world.timers.arm(1, 9, 1);
                world.fired[1].park();
            })
        };
        world.timers.arm(0, 7, 0);
        world.fired[0].park();
        join(other);
        join(timekeeper);
    });
}

/// 2 threads: cancel the one timer, arm a nearer one, and block on it | the timekeeper, which may wait
/// for either, or for none.
#[test]
fn who_comes_after_a_cancelled_one_is_not_forgotten() {
    Scenario {
        name: "timers: who comes after a cancelled one is not forgotten [W1]",
        threads: 2,
        operations: "cancel, arm, block | fire, wait",
    }
    .check(Bound::Complete, || {
        let world = world(1);
        let ticket = world.timers.arm(0, FAR, 1);
        let timekeeper = {
            let world = Arc::clone(&world);
            spawn(move || world.keep_time(1))
        };
        assert!(world.timers.cancel(0, ticket, 1), "it isn't due");
        world.timers.arm(0, 9, 0);
        world.fired[0].park();
        join(timekeeper);
    });
}

/// A goroutine, as its word, its run queue, and what is its own again once its park has returned.
struct Sleeper {
    word: StateWord,
    own: Payload,
    stack: Payload,
    queued: AtomicU32,
    timers: Timers<usize>,
}

fn sleeper() -> Arc<Sleeper> {
    Arc::new(Sleeper {
        word: StateWord::new(),
        own: Payload::new(1),
        stack: Payload::new(1),
        queued: AtomicU32::new(0),
        timers: Timers::new(1),
    })
}

impl Sleeper {
    fn ready(&self, how: UnparkAction) {
        match how {
            UnparkAction::Nothing => {}
            // Release: as a run queue publishes.
            UnparkAction::Enqueue => drop(self.queued.fetch_add(1, Ordering::Release)),
            UnparkAction::WakeInPlace => unreachable!("nobody parks in place here"),
        }
    }

    /// Fires what is due, as the timekeeper: it touches what the goroutine may not touch meanwhile.
    fn fire(&self) -> usize {
        self.timers.fire(
            0,
            NOW,
            |_| (),
            |_| {
                self.own.write(self.own.take() + 1);
                self.ready(self.word.expire());
            },
        )
    }

    /// As `park_until`. True: a permit.
    fn park_until(&self, deadline: u64) -> bool {
        if self.word.take_permit() {
            return true;
        }
        let ticket = self.timers.arm(0, deadline, 0);
        self.stack.write(2);
        if self.word.begin_park() == BeginPark::Parked {
            // Acquire: as a run queue.
            while self.queued.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            // Relaxed: only this thread takes out.
            assert_eq!(self.queued.fetch_sub(1, Ordering::Relaxed), 1, "S2: queued once");
        }
        assert_eq!(self.stack.take(), 2, "S1");
        match self.word.end_timed_park() {
            Woken::Expired => false,
            Woken::Both => true,
            Woken::Permit => {
                if !self.timers.cancel(0, ticket, 0) {
                    self.word.forget_expiry();
                }
                true
            }
        }
    }

    /// Nothing is left of the park: the next one parks, unless there is a permit.
    fn assert_rested(&self, permit: bool) {
        assert_eq!(self.word.take_permit(), permit, "S3: a permit is consumed once, and not lost");
        assert_eq!(self.word.begin_park(), BeginPark::Parked, "S5: no expiry is left");
        assert_eq!(self.timers.fire(0, NOW, |_| (), |_| ()), 0, "W2: no timer is left");
    }
}

/// 2 threads: park until a deadline | fire it; complete. It returns, without a permit.
#[test]
fn a_park_whose_time_has_come_returns() {
    Scenario {
        name: "timers: a park whose time has come returns [W2] [S5]",
        threads: 2,
        operations: "park until | fire until it is fired",
    }
    .check(Bound::Complete, || {
        let sleeper = sleeper();
        let timekeeper = {
            let sleeper = Arc::clone(&sleeper);
            spawn(move || {
                while sleeper.fire() == 0 {
                    thread::yield_now();
                }
            })
        };
        assert!(!sleeper.park_until(7));
        assert_eq!(sleeper.own.take(), 2, "fired once, and done with");
        join(timekeeper);
        sleeper.assert_rested(false);
    });
}

/// 3 threads: park until a deadline | unpark | fire once. Whatever ends it, the permit is consumed or
/// kept, and the timekeeper is done with the goroutine when the park returns.
#[test]
fn a_permit_and_the_deadline_are_told_apart() {
    Scenario {
        name: "timers: a permit and the deadline are told apart [W2] [S3] [S5]",
        threads: 3,
        operations: "park until | unpark | fire",
    }
    .check(Bound::usual(), || told_apart(StateWord::unpark));
}

/// The same, by id: the permit may be delivered.
#[test]
fn a_permit_by_id_and_the_deadline_are_told_apart() {
    Scenario {
        name: "timers: a permit by id and the deadline are told apart [W2] [S3] [S5]",
        threads: 3,
        operations: "park until | unpark by id | fire",
    }
    .check(Bound::usual(), || told_apart(|word| word.unpark_if(0)));
}

fn told_apart(unpark: fn(&StateWord) -> UnparkAction) {
    let sleeper = sleeper();
    let timekeeper = {
        let sleeper = Arc::clone(&sleeper);
        spawn(move || {
            let _ = sleeper.fire();
        })
    };
    let waker = {
        let sleeper = Arc::clone(&sleeper);
        spawn(move || sleeper.ready(unpark(&sleeper.word)))
    };
    let had_permit = sleeper.park_until(7);
    sleeper.own.write(5);
    join(timekeeper);
    join(waker);
    sleeper.assert_rested(!had_permit);
}

/// 2 threads: write the stack, settle | expire, and resume it if it is runnable; complete. Whoever
/// readies a goroutine may be the one that runs it, and sees its whole stack.
#[test]
fn who_expires_a_goroutine_may_run_it() {
    Scenario {
        name: "timers: who expires a goroutine may run it [S1] [S5]",
        threads: 2,
        operations: "write, begin_park | expire, read",
    }
    .check(Bound::Complete, || {
        let sleeper = sleeper();
        let timekeeper = {
            let sleeper = Arc::clone(&sleeper);
            spawn(move || {
                if sleeper.word.expire() == UnparkAction::Enqueue {
                    assert_eq!(sleeper.stack.take(), 2, "S1");
                }
            })
        };
        sleeper.stack.write(2);
        if sleeper.word.begin_park() == BeginPark::Readied {
            assert_eq!(sleeper.stack.take(), 2);
        }
        join(timekeeper);
        assert_eq!(sleeper.word.end_timed_park(), Woken::Expired);
    });
}

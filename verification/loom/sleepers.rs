//! Goroutines that sleep, on whole runtimes: [W1], [W2], [I1], [I2], [S3], [S5]. Time is the models': it
//! stands still, or a thread lets it pass; what is fired when, they choose.

use crate::harness::{Bound, Scenario, join, spawn};
use crate::placement::Anchored;
use selvedge::internals::platform::atomic::{AtomicBool, Ordering};
use selvedge::internals::platform::{Arc, thread, virtual_time};
use selvedge::{Builder, Runtime, current, go, park, park_timeout, time, yield_now};
use std::time::Duration;

fn runtime(migrating: bool) -> Arc<Runtime> {
    let builder = Builder::new().processors(1).max_goroutines(4).modelled(2);
    // SAFETY: the goroutines of these models touch no thread-local and keep no guard.
    let built = if migrating { unsafe { builder.build_migrating() } } else { builder.anchored() };
    Arc::new(built.expect("a model grants what is asked for"))
}

/// Time passes, on a thread of its own: until it has fired so many timers.
fn pass_time(runtime: &Arc<Runtime>, timers: usize) -> thread::JoinHandle {
    let runtime = Arc::clone(runtime);
    spawn(move || {
        let mut fired = 0;
        while fired < timers {
            fired += runtime.fire_timers(u64::MAX - 1);
            thread::yield_now();
        }
    })
}

fn a_sleeper_wakes(name: &'static str, migrating: bool) {
    Scenario { name, threads: 3, operations: "run(sleep), drop | fire | 1 worker" }.check(
        Bound::usual(),
        move || {
            let runtime = runtime(migrating);
            let time = pass_time(&runtime, 1);
            runtime.run(|| time::sleep(Duration::from_nanos(1)));
            join(time);
        },
    );
}

/// 3 threads: a goroutine that sleeps | its worker | time. It wakes, also where the worker sleeps.
#[test]
fn a_sleeping_goroutine_wakes() {
    a_sleeper_wakes("timers: a sleeping goroutine wakes [W1] [I2]", false);
}

/// The same, migrating: it is work for anybody.
#[test]
fn a_sleeping_goroutine_without_a_home_wakes() {
    a_sleeper_wakes("timers: a sleeping goroutine without a home wakes [W1] [I1]", true);
}

/// 3 threads: a goroutine that sleeps | its worker, which fires it at its next look, or as it goes to
/// sleep, if it sees that the time has come | time passes, and then the timekeeper comes.
#[test]
fn a_worker_keeps_its_own_time() {
    Scenario {
        name: "timers: a worker keeps its own time [W1] [W2] [I2]",
        threads: 3,
        operations: "run(sleep), drop | pass, fire | 1 worker",
    }
    .check(Bound::usual(), || {
        virtual_time::begin();
        let (runtime, awake) = (runtime(false), Arc::new(AtomicBool::new(false)));
        let time = {
            let (runtime, awake) = (Arc::clone(&runtime), Arc::clone(&awake));
            spawn(move || {
                virtual_time::pass_to(10);
                // Relaxed, here and below: nothing hangs on it.
                while !awake.load(Ordering::Relaxed) && runtime.fire_timers(u64::MAX - 1) == 0 {
                    thread::yield_now();
                }
            })
        };
        runtime.run(move || {
            time::sleep(Duration::from_nanos(1));
            awake.store(true, Ordering::Relaxed);
        });
        join(time);
        virtual_time::end();
    });
}

/// 4 threads: a goroutine parks with a limit, and is unparked | its worker | fire once. It wakes once,
/// the permit is consumed or kept, and nothing is left of the park.
#[test]
fn a_goroutine_unparked_at_its_deadline_wakes_once() {
    Scenario {
        name: "timers: a goroutine unparked at its deadline wakes once [W2] [S3] [S5]",
        threads: 4,
        operations: "run(park_timeout, park), drop | unpark | fire | 1 worker",
    }
    .check(Bound::Preemptions(1), || {
        let runtime = runtime(false);
        runtime.run(|| {
            let me = current();
            let waker = spawn(move || me.unpark());
            let time = {
                let runtime = Arc::clone(&runtime);
                spawn(move || {
                    let _ = runtime.fire_timers(u64::MAX - 1);
                })
            };
            if !park_timeout(Duration::from_nanos(1)) {
                assert!(park_timeout(Duration::MAX), "the permit is kept");
            }
            join(waker);
            join(time);
            assert_eq!(runtime.fire_timers(u64::MAX - 1), 0, "W2: no timer is left");
            let me = current();
            let child = go(move || {
                // Whoever is runnable goes first.
                yield_now();
                yield_now();
                me.unpark();
            });
            park();
            child.join().expect("S5: the park ended by its permit");
        });
    });
}

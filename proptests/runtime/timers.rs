//! Sleeping, parking with a limit, and the clock: [W1]–[W3], [S3], [S5].
//!
//! Order is checked without a clock: on a runtime whose time the test passes itself. On real clocks
//! only that nobody wakes early, and that everybody wakes.

use crate::common::{ALL, Placement, beside, eventually, everywhere, finish, panic_of};
use proptest::prelude::*;
use selvedge::time::{self, Instant};
use selvedge::{Goroutine, Runtime, current, no_suspend, park, park_timeout, yield_now};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NEVER: Duration = Duration::MAX;
const HOUR: Duration = Duration::from_secs(3600);

/// One worker; time passes when the test says so.
fn by_hand(placement: Placement) -> Runtime {
    let builder = Runtime::builder().processors(1).max_processors(1).max_threads(1);
    placement.build(builder.max_goroutines(5000).modelled(256))
}

/// When it is to wake, and as which of all it went to sleep.
type Sleeper = (u64, usize);

/// Sleepers on one worker, each of which says who it is when it wakes.
struct Dormitory {
    runtime: Arc<Runtime>,
    base: Instant,
    asleep: Arc<AtomicUsize>,
    woken: Arc<Mutex<Vec<Sleeper>>>,
}

impl Dormitory {
    fn new(placement: Placement) -> Self {
        let runtime = Arc::new(by_hand(placement));
        let base = Instant::now() + HOUR;
        Dormitory { runtime, base, asleep: Arc::default(), woken: Arc::default() }
    }

    fn sleep(&self, nanos: u64) {
        let (asleep, woken) = (Arc::clone(&self.asleep), Arc::clone(&self.woken));
        let deadline = self.base + Duration::from_nanos(nanos);
        self.runtime.go(move || {
            let turn = asleep.fetch_add(1, SeqCst);
            time::sleep_until(deadline);
            woken.lock().unwrap().push((nanos, turn));
        });
    }

    /// All have gone to bed: their one worker has taken up this goroutine since.
    fn wait_until_asleep(&self, sleepers: usize) {
        let asleep = Arc::clone(&self.asleep);
        self.runtime.run(move || eventually("all sleep", || asleep.load(SeqCst) == sleepers));
    }

    /// Lets time pass up to so many nanoseconds after the base.
    fn pass_until(&self, nanos: u64) -> usize {
        let until = self.base + Duration::from_nanos(nanos);
        let still = Instant::FAR_FUTURE.duration_since(until);
        self.runtime.fire_timers(u64::MAX - still.as_nanos() as u64)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Then by the order in which they went to sleep. Where they may run elsewhere no order is
    /// promised, but each wakes once.
    #[test]
    fn sleepers_of_a_worker_wake_in_order_of_their_deadlines(
        nanos in prop::collection::vec(0u64..50, 1..200),
    ) {
        prop_assert!(wake_all(Placement::Anchored, &nanos).is_sorted());
        wake_all(Placement::Migrating, &nanos);
    }
}

fn wake_all(placement: Placement, nanos: &[u64]) -> Vec<Sleeper> {
    let dormitory = Dormitory::new(placement);
    nanos.iter().for_each(|nanos| dormitory.sleep(*nanos));
    dormitory.wait_until_asleep(nanos.len());
    let fired: usize = (0..50).step_by(5).map(|nanos| dormitory.pass_until(nanos + 4)).sum();
    assert_eq!(fired, nanos.len(), "each timer fires once");
    eventually("all have woken", || dormitory.woken.lock().unwrap().len() == nanos.len());
    let woken = dormitory.woken.lock().unwrap().clone();
    let mut turns: Vec<_> = woken.iter().map(|(_, turn)| *turn).collect();
    turns.sort_unstable();
    assert!(turns.into_iter().eq(0..nanos.len()), "each wakes once");
    woken
}

#[test]
fn nobody_wakes_early_and_everybody_wakes() {
    everywhere(|_, runtime| {
        let early = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = (0..2000u64)
            .map(|number| {
                let early = Arc::clone(&early);
                runtime.go(move || {
                    let deadline = Instant::now() + Duration::from_micros(number * 7919 % 20_000);
                    time::sleep_until(deadline);
                    early.fetch_add(usize::from(Instant::now() < deadline), SeqCst);
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
        assert_eq!(early.load(SeqCst), 0);
        finish(runtime);
    });
}

#[test]
fn a_worker_that_has_much_to_do_wakes_its_sleepers_itself() {
    beside(|| {
        for placement in ALL {
            // No timekeeper: a model's runtime has none.
            let runtime = by_hand(placement);
            let awake = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&awake);
            runtime.go(move || {
                time::sleep(Duration::from_millis(1));
                flag.store(true, SeqCst);
            });
            runtime.run(move || eventually("it wakes", || awake.load(SeqCst)));
        }
    });
}

#[test]
fn permits_given_during_a_sleep_neither_shorten_it_nor_are_lost() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let me = current();
            let waker = selvedge::go(move || (0..50).for_each(|_| give(&me)));
            let start = Instant::now();
            time::sleep(Duration::from_millis(5));
            assert!(start.elapsed() >= Duration::from_millis(5));
            waker.join().expect("no panic");
            assert!(park_timeout(NEVER), "a permit was given during the sleep");
        });
        finish(runtime);
    });
}

fn give(goroutine: &Goroutine) {
    goroutine.unpark();
    yield_now();
}

#[test]
fn parks_with_a_limit_and_unparks_at_the_same_time_lose_nothing() {
    everywhere(|_, runtime| {
        let pairs: Vec<_> = (0..8).map(|seed| runtime.go(move || storm(seed))).collect();
        pairs.into_iter().for_each(|pair| pair.join().expect("no panic"));
        finish(runtime);
    });
}

/// One gives a permit a round; the other parks with limits about as long as a round takes, until it
/// has the permit: each is had exactly once.
fn storm(seed: u64) {
    let (round, me) = (Arc::new(AtomicUsize::new(0)), current());
    let rounds = Arc::clone(&round);
    let giver = selvedge::go(move || {
        for turn in 1..=300usize {
            time::sleep(Duration::from_micros((turn as u64 * 31 + seed * 7) % 60));
            rounds.store(turn, SeqCst);
            me.unpark();
            eventually("it was had", || rounds.load(SeqCst) == 0);
        }
    });
    for turn in 1..=300usize {
        while !park_timeout(Duration::from_micros(1 + (turn as u64 * 17 + seed * 13) % 70)) {}
        assert_eq!(round.swap(0, SeqCst), turn, "one permit a round");
    }
    giver.join().expect("no panic");
}

#[test]
fn plain_threads_sleep_and_park_with_a_limit() {
    beside(|| {
        let start = Instant::now();
        time::sleep(Duration::from_millis(2));
        assert!(start.elapsed() >= Duration::from_millis(2));
        assert!(!park_timeout(Duration::from_millis(1)));
        current().unpark();
        time::sleep(Duration::from_millis(1));
        assert!(park_timeout(NEVER), "the permit outlives the sleep");
    });
}

#[test]
fn sleepers_of_a_blocked_worker_that_may_run_elsewhere_do() {
    beside(|| {
        let runtime = Placement::Migrating.runtime(2);
        let woken = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let woken = Arc::clone(&woken);
            runtime.go(move || {
                time::sleep(Duration::from_millis(3));
                woken.fetch_add(1, SeqCst);
            });
        }
        // Both kernel threads block until all have woken.
        let blocked: Vec<_> = (0..2)
            .map(|_| {
                let woken = Arc::clone(&woken);
                runtime.go(move || {
                    selvedge::blocking(|| {
                        eventually("all wake", || {
                            std::thread::yield_now();
                            woken.load(SeqCst) == 100
                        })
                    })
                })
            })
            .collect();
        blocked.into_iter().for_each(|handle| handle.join().expect("no panic"));
        finish(runtime);
    });
}

#[test]
fn timers_outlive_the_processor_that_is_retired() {
    beside(|| {
        for placement in ALL {
            let runtime = placement.runtime(4);
            let handles: Vec<_> = (0..400u64)
                .map(|n| runtime.go(move || time::sleep(Duration::from_micros(3000 + 10 * n))))
                .collect();
            runtime.set_processors(1).expect("within bounds");
            handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
            finish(runtime);
        }
    });
}

#[test]
fn a_goroutine_that_unwinds_sleeps_on_its_kernel_thread() {
    struct Nap(Arc<AtomicBool>);
    impl Drop for Nap {
        fn drop(&mut self) {
            let start = Instant::now();
            time::sleep(Duration::from_millis(2));
            assert!(!park_timeout(Duration::from_millis(1)));
            current().unpark();
            assert!(park_timeout(NEVER));
            self.0.store(start.elapsed() >= Duration::from_millis(3), SeqCst);
        }
    }
    beside(|| {
        let runtime = Placement::Anchored.runtime(1);
        let slept = Arc::new(AtomicBool::new(false));
        let nap = Nap(Arc::clone(&slept));
        let handle = runtime.go(move || {
            let _nap = nap;
            panic!("on purpose");
        });
        assert!(handle.join().is_err());
        assert!(slept.load(SeqCst));
        finish(runtime);
    });
}

#[test]
fn shutdown_with_sleepers_says_who_they_are() {
    beside(|| {
        let runtime = Placement::Anchored.runtime(2);
        let asleep = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = (0..10)
            .map(|_| {
                let asleep = Arc::clone(&asleep);
                runtime.go(move || {
                    asleep.fetch_add(1, SeqCst);
                    time::sleep(HOUR);
                })
            })
            .collect();
        eventually("all sleep", || asleep.load(SeqCst) == 10);
        let error = runtime.shutdown(Duration::ZERO).expect_err("ten are left");
        assert_eq!(error.remaining().len(), 10);
        assert!(handles.into_iter().all(|handle| handle.join().is_err()));
    });
}

#[test]
fn a_sleep_inside_no_suspend_is_refused_before_a_timer_is_set() {
    beside(|| {
        let runtime = by_hand(Placement::Anchored);
        let said = runtime.run(|| panic_of(|| no_suspend(|| time::sleep(HOUR))));
        assert!(said.contains("no_suspend"), "{said}");
        assert_eq!(runtime.fire_timers(u64::MAX - 1), 0);
        runtime.run(|| {
            current().unpark();
            park();
        });
    });
}

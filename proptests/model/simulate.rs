//! Simulations: [K10], [K11], and what fails in them. `cargo test --test model simulate`.

use selvedge::chan::{Select, bounded, unbounded};
use selvedge::model::{
    self, Check, Failure, Simulated, simulate, simulate_seeds, try_simulate, try_simulate_seeds,
};
use selvedge::sync::{Barrier, LazyLock, Mutex, OnceLock, RwLock};
use selvedge::time::{self, Instant, sleep};
use selvedge::{
    CancelToken, Spawn, block_on, go, no_suspend, park, park_cancel, select, yield_now,
};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// In which order four goroutines come to a lock, twice each.
fn order() -> Vec<(u32, u32)> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let four = [0, 1, 2, 3].map(|who| {
        let order = Arc::clone(&order);
        go(move || {
            for turn in 0..2 {
                order.lock().unwrap().push((who, turn));
                time::sleep(Duration::from_millis(u64::from(who)));
            }
        })
    });
    four.into_iter().for_each(|one| one.join().unwrap());
    Arc::into_inner(order).unwrap().into_inner().unwrap()
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let mut orders = HashSet::new();
    let mut digests = HashSet::new();
    for seed in 0..20 {
        let run = |_| {
            let Simulated { value, digest, steps, elapsed, .. } = simulate(seed, order);
            (value, digest, steps, elapsed)
        };
        let first = run(0);
        (1..4).map(run).for_each(|again| assert_eq!(first, again, "seed {seed}"));
        orders.insert(first.0);
        digests.insert(first.1);
    }
    assert!(orders.len() > 5, "seeds differ: {}", orders.len());
    assert_eq!(digests.len(), 20);
}

#[test]
fn the_choices_of_select_are_made_by_the_seed() {
    let program = || {
        let (left, from_left) = unbounded();
        let (right, from_right) = unbounded();
        for n in 0..16 {
            left.send(n).unwrap();
            right.send(n).unwrap();
        }
        let choose = |_| {
            select! {
                recv(from_left) -> _ => 'l',
                recv(from_right) -> _ => 'r',
            }
        };
        (0..16).map(choose).collect::<String>()
    };
    let runs: Vec<_> = (0..8).map(|seed| simulate(seed, program).value).collect();
    let again: Vec<_> = (0..8).map(|seed| simulate(seed, program).value).collect();
    assert_eq!(runs, again);
    assert!(runs.iter().collect::<HashSet<_>>().len() > 1, "{runs:?}");
}

#[test]
fn hours_of_sleep_pass_at_once() {
    let start = std::time::Instant::now();
    let run = simulate(1, || {
        let begin = Instant::now();
        let sleepers = [3, 1, 2].map(|hours| {
            go(move || {
                sleep(hours * HOUR);
                (Instant::now(), hours)
            })
        });
        let mut woken = sleepers.map(|sleeper| sleeper.join().unwrap());
        woken.sort();
        assert_eq!(woken.map(|(_, hours)| hours), [1, 2, 3]);
        for (at, hours) in woken {
            let late = at.saturating_duration_since(begin + hours * HOUR);
            assert!(at >= begin + hours * HOUR && late < Duration::from_secs(1), "{late:?}");
        }
    });
    assert!(run.elapsed >= 3 * HOUR && run.elapsed < 4 * HOUR, "{:?}", run.elapsed);
    assert!(start.elapsed() < HOUR, "of real time");
}

#[test]
fn a_deadlock_is_told_with_names_and_places() {
    let failure = try_simulate(3, || {
        let (never, receiver) = bounded::<()>(0);
        let waiter = Spawn::new().name("waiter").go(move || receiver.recv());
        let _never = never;
        let _ = waiter.join();
    })
    .expect_err("it waits for ever");
    assert!(matches!(failure, Failure::Deadlock(_)), "{failure}");
    let alive = failure.story().alive();
    println!("{failure}");
    assert_eq!(alive.len(), 2, "{alive:?}");
    assert!(alive[0].starts_with("goroutine 1 \"main\": waits: join goroutine 2 \"waiter\" at "));
    let waiter = "goroutine 2 \"waiter\", spawned at proptests/model/simulate.rs:";
    assert!(alive[1].starts_with(waiter), "{}", alive[1]);
    assert!(alive[1].contains("waits: recv on channel 1 at proptests/model/simulate.rs:"));
    assert!(failure.to_string().ends_with("selvedge::model::simulate(3, || /* the program */);"));
}

#[test]
fn who_waits_after_the_end_is_a_leak() {
    let failure = try_simulate(0, || drop(go(park))).expect_err("nobody unparks it");
    assert!(matches!(failure, Failure::Leak(_)), "{failure}");
    simulate(0, || {
        drop(go(|| sleep(HOUR)));
    });
}

#[test]
fn a_panic_of_which_nobody_hears_fails() {
    let unjoined = try_simulate(0, || drop(go(|| panic!("of a child")))).expect_err("a panic");
    assert!(matches!(unjoined, Failure::Panic(_)), "{unjoined}");
    assert!(unjoined.story().message().ends_with("nobody joined it: of a child"), "{unjoined}");
    let too_late = try_simulate(0, || {
        let child = go(|| panic!("of a child"));
        sleep(HOUR);
        drop(child);
    });
    assert!(matches!(too_late, Err(Failure::Panic(_))));
    let own = try_simulate(0, || panic!("of its own")).map(|_: Simulated<()>| ());
    let own = own.expect_err("a panic");
    assert!(own.story().message().contains("goroutine 1 panicked: of its own"), "{own}");
    simulate(0, || assert!(go(|| panic!("taken")).join().is_err()));
}

fn lost_update() {
    let count = Arc::new(Mutex::new(0));
    let two = [(); 2].map(|()| {
        let count = Arc::clone(&count);
        go(move || {
            let seen = *count.lock().unwrap();
            *count.lock().unwrap() = seen + 1;
        })
    });
    two.into_iter().for_each(|one| one.join().unwrap());
    assert_eq!(*count.lock().unwrap(), 2, "an update was lost");
}

#[test]
fn some_seed_finds_a_lost_update_and_finds_it_again() {
    let failure = try_simulate_seeds(0..1000, lost_update).expect_err("some seed finds it");
    println!("{failure}");
    let line = failure.story().replay().to_owned();
    let seed: u64 = line.strip_prefix("simulate:seed=").unwrap().parse().unwrap();
    let again = try_simulate(seed, lost_update).expect_err("it fails again");
    assert!(again.story().message().contains("an update was lost"), "{again}");
    assert_eq!(failure.story().history(), again.story().history());
    let pasted = Check::new().try_replay(&line, lost_update).expect_err("by its line, too");
    assert_eq!(failure.story().history(), pasted.story().history());
}

#[test]
fn a_lock_order_is_found_with_readers_and_writers_too() {
    let failure = try_simulate_seeds(0..1000, || {
        let locks = Arc::new([RwLock::new(0), RwLock::new(0)]);
        let both = [(0, 1), (1, 0)].map(|(one, other)| {
            let locks = Arc::clone(&locks);
            go(move || {
                let _one = locks[one].write().unwrap();
                let _other = locks[other].write().unwrap();
            })
        });
        both.into_iter().for_each(|one| one.join().unwrap());
    });
    assert!(matches!(failure, Err(Failure::Deadlock(_))), "{failure:?}");
}

#[test]
fn what_is_right_passes_with_each_seed() {
    let report = simulate_seeds(0..50, || {
        let token = CancelToken::with_timeout(2 * HOUR);
        let (numbers, received) = bounded(1);
        let sender = {
            let token = token.clone();
            go(move || {
                let mut sent = 0;
                while time::sleep_cancel(Duration::from_secs(600), &token).is_ok() {
                    numbers.send(sent).unwrap();
                    sent += 1;
                }
                sent
            })
        };
        let ticks = time::tick(HOUR);
        let (mut seen, mut hours) = (0, 0);
        loop {
            select! {
                recv(received) -> number => match number {
                    Ok(number) => { assert_eq!(number, seen); seen += 1; }
                    Err(_) => break,
                },
                recv(ticks) -> _ => hours += 1,
            }
        }
        assert!(token.is_cancelled());
        assert_eq!(sender.join().unwrap(), seen);
        assert!((11..=12).contains(&seen) && (1..=2).contains(&hours), "{seen} {hours}");
        let barrier = Arc::new(Barrier::new(2));
        let other = Arc::clone(&barrier);
        selvedge::scope(|s| {
            s.go(move || other.wait());
            barrier.wait();
        });
    });
    assert_eq!(report.executions, 50);
}

#[test]
fn blocking_runs_in_place_and_yields_go_on() {
    let run = simulate(0, || {
        let other = go(|| (0..10).for_each(|_| yield_now()));
        let here = std::thread::current().id();
        assert_eq!(selvedge::blocking(|| std::thread::current().id()), here);
        other.join().unwrap();
    });
    assert!(run.steps >= 10);
}

#[test]
fn what_would_stop_the_only_thread_is_a_limit() {
    let failure = try_simulate(0, || {
        no_suspend(|| {
            selvedge::scope(|s| {
                s.go(|| ());
            });
        });
    });
    let failure = failure.map(|_: Simulated<()>| ()).expect_err("it can't go on");
    assert!(matches!(failure, Failure::Limit(_)), "{failure}");
    assert!(failure.story().message().contains("inside `no_suspend`"), "{failure}");
}

/// It has thread-locals of its own, so it unwinds alone.
#[test]
fn one_that_unwinds_may_wait() {
    struct Waits(Option<selvedge::JoinHandle<u8>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            assert_eq!(self.0.take().unwrap().join().unwrap(), 7);
        }
    }
    let caught = simulate(0, || {
        let unwinds = catch_unwind(AssertUnwindSafe(|| {
            let _waits = Waits(Some(go(|| 7)));
            std::panic::resume_unwind(Box::new("on the way out"));
        }));
        *unwinds.unwrap_err().downcast_ref::<&str>().unwrap()
    });
    assert_eq!(caught.value, "on the way out");
}

#[test]
fn two_simulations_at_a_time_know_nothing_of_each_other() {
    let alone = simulate(5, order);
    let beside = std::thread::spawn(|| simulate(6, order));
    let again = model::simulate(5, order);
    beside.join().unwrap();
    assert_eq!((alone.value, alone.digest), (again.value, again.digest));
}

/// Who only wants to know is fired by whoever comes by, also by one who then may not wait.
#[test]
fn a_refused_wait_wakes_those_whom_it_has_fired() {
    simulate_seeds(0..100, || {
        let (tx, rx) = bounded::<u8>(0);
        let sends = tx.clone();
        let knows = go(move || {
            let mut select = Select::new();
            select.send(&sends);
            select.ready()
        });
        yield_now();
        let refused = catch_unwind(AssertUnwindSafe(|| no_suspend(|| rx.recv())));
        assert!(refused.is_err(), "it would have to wait");
        // Whoever has come too late for that is not left behind.
        tx.close();
        assert_eq!(knows.join().unwrap(), 0);
    });
}

#[test]
fn the_caller_sets_how_many_steps_a_run_may_take() {
    let endless = || {
        loop {
            yield_now();
        }
    };
    let failure = Check::new().steps(500).try_simulate([3], endless).expect_err("it never ends");
    assert!(matches!(failure, Failure::Limit(_)), "{failure}");
    assert!(failure.story().message().contains("the simulation took 500 steps"), "{failure}");
    let again = Check::new().steps(700).try_replay(failure.story().replay(), endless);
    let again = again.expect_err("it never ends");
    assert!(again.story().message().contains("the simulation took 700 steps"), "{again}");
    let loses = || {
        let (tx, rx) = bounded(1);
        tx.send(1).unwrap();
        drop(rx);
    };
    Check::new().simulate(0..3, loses);
    let lost = Check::new().forbid_lost_values().try_simulate(0..3, loses);
    assert!(matches!(lost, Err(Failure::LostValue(_))), "{lost:?}");
}

/// A seed shows what async ends and values that are made once do in another order, too.
#[test]
fn others_go_on_before_whatever_may_wait() {
    fn orders(program: fn(bool) -> u32) -> usize {
        let run = |seed| {
            let both = move || {
                let other = go(move || program(true));
                (program(false), other.join().unwrap())
            };
            simulate(seed, both).value
        };
        (0..60).map(run).collect::<HashSet<_>>().len()
    }
    /// How many have begun.
    static BEGUN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    fn begins(first: bool) -> u32 {
        let seen = BEGUN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        u32::from(first) * 2 + seen % 2
    }
    let ends: [fn(bool) -> u32; 4] = [
        |first| {
            OnceLock::new().get_or_init(|| 1);
            begins(first)
        },
        |first| {
            let _ = LazyLock::force(&LazyLock::new(|| 1));
            begins(first)
        },
        |first| {
            let (tx, rx) = bounded(1);
            block_on(async {
                tx.send_async(1).await.unwrap();
                rx.recv_async().await.unwrap();
            });
            begins(first)
        },
        |first| {
            let token = CancelToken::new();
            token.cancel();
            assert!(park_cancel(&token).is_err());
            begins(first)
        },
    ];
    for (which, end) in ends.into_iter().enumerate() {
        assert!(orders(end) > 1, "number {which} is no place where others go on");
    }
}

//! Deadlines that expire whenever time pleases: [A1], [W1], [W2], [S2], [S3], [S5].

use crate::harness::{Plan, Scenario};
use crate::support::{Flag, Home, LATER, Ledger, anchored, migrating, run_in_time};
use selvedge::{Runtime, current, go, park, park_timeout, time, yield_now};

/// 3 goroutines sleep twice each, one after a yield; two wait with limits for a flag that a third
/// sets after a sleep.
fn sleepers_and_limits(runtime: Runtime, is_anchored: bool) {
    let ledger = Ledger::new(4);
    let entered = ledger.clone();
    run_in_time(runtime, move || {
        let flag = Flag::default();
        let waiters = [0, 1].map(|i| {
            let (flag, ledger) = (flag.clone(), entered.clone());
            go(move || {
                let home = Home::here();
                // Not for ever: an unfair schedule would run nothing but these time-outs.
                for _ in 0..3 {
                    let _ = flag.is_set() || park_timeout(LATER);
                }
                while !flag.is_set() {
                    park();
                }
                if is_anchored {
                    home.assert_still_here();
                }
                ledger.enter(i);
            })
        });
        let wakes = waiters.each_ref().map(|waiter| waiter.goroutine());
        let sleepers = [2, 3].map(|i| {
            let (flag, ledger, wakes) = (flag.clone(), entered.clone(), wakes.clone());
            go(move || {
                let home = Home::here();
                time::sleep(LATER);
                if i == 2 {
                    flag.set();
                    wakes.iter().for_each(|wake| wake.unpark());
                    yield_now();
                }
                time::sleep(LATER);
                if is_anchored {
                    home.assert_still_here();
                }
                ledger.enter(i);
            })
        });
        waiters.into_iter().chain(sleepers).for_each(|handle| handle.join().expect("no panic"));
    });
    ledger.assert_each_ran_once();
}

/// 4 threads, 5 goroutines; sampled. Everybody wakes, at home.
#[test]
fn sleepers_wake_at_home() {
    Scenario { name: "timers: sleepers wake at home [A1] [W1] [S2]", threads: 4, goroutines: 5 }
        .check(&Plan::usual(1500), || sleepers_and_limits(anchored(2, 2), true));
}

/// The same, migrating, on fewer processors than threads.
#[test]
fn sleepers_wake_anywhere() {
    Scenario { name: "timers: sleepers wake anywhere [W1] [S2]", threads: 5, goroutines: 5 }
        .check(&Plan::usual(1500), || sleepers_and_limits(migrating(2, 3), false));
}

/// 3 rounds of a permit given at about the deadline: each is had once, by the park or by the next.
#[test]
fn a_permit_at_the_deadline_is_had_once() {
    let name = "timers: a permit at the deadline is had once [W2] [S3] [S5]";
    Scenario { name, threads: 4, goroutines: 2 }.check(&Plan::usual(1500), || {
        run_in_time(anchored(2, 2), || {
            for _ in 0..3 {
                let me = current();
                let giver = go(move || {
                    yield_now();
                    me.unpark();
                });
                let early = (0..3).any(|_| park_timeout(LATER));
                if !early {
                    park();
                }
                giver.join().expect("no panic");
                // A join may leave a permit behind, but no more than one.
                if park_timeout(LATER) {
                    assert!(!park_timeout(LATER), "S3: permits don't add up");
                }
            }
        });
    });
}

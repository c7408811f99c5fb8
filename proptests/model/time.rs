//! Time-outs as events of the model: [K9].

use crate::common::{fails, passes};
use selvedge::internals::platform::{Arc, Mutex};
use selvedge::model::Failure;
use selvedge::time::{Instant, after, sleep, sleep_async};
use selvedge::{CancelToken, block_on, current, go, park_timeout, yield_now};
use std::collections::HashSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_sleep_ends_at_its_deadline_or_later() {
    passes(|| {
        let start = Instant::now();
        let child = go(move || {
            sleep(2 * HOUR);
            assert!(start.elapsed() >= 2 * HOUR);
        });
        sleep(HOUR);
        assert!(start.elapsed() >= HOUR);
        let seen = Instant::now();
        child.join().unwrap();
        assert!(Instant::now() >= seen, "time never goes back");
        assert!(start.elapsed() >= 2 * HOUR);
    });
}

#[test]
fn a_time_out_races_with_a_wake_up_and_either_may_win() {
    // What the executions saw is no part of the model.
    let outcomes = Arc::new(std::sync::Mutex::new(HashSet::new()));
    let seen = Arc::clone(&outcomes);
    passes(move || {
        let main = current();
        let child = go(move || {
            yield_now();
            main.unpark();
        });
        let woken = park_timeout(HOUR);
        child.join().unwrap();
        seen.lock().unwrap().insert(woken);
    });
    assert_eq!(outcomes.lock().unwrap().len(), 2, "both ways");
}

#[test]
fn timers_expire_in_the_order_of_their_deadlines() {
    let orders = Arc::new(std::sync::Mutex::new(HashSet::new()));
    let seen = Arc::clone(&orders);
    passes(move || {
        let order = Arc::new(Mutex::new(Vec::new()));
        let sleepers = [2, 1].map(|hours| {
            let order = Arc::clone(&order);
            go(move || {
                let deadline = Instant::now() + hours * HOUR;
                sleep(hours * HOUR);
                assert!(Instant::now() >= deadline);
                order.lock().push(hours);
            })
        });
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        seen.lock().unwrap().insert(order.lock().clone());
    });
    // Who is late to be scheduled comes late.
    assert!(orders.lock().unwrap().contains(&vec![1, 2]));
}

#[test]
fn whoever_waits_without_a_time_out_while_others_sleep_is_no_deadlock_yet() {
    let failure = fails(|| {
        let sleeper = go(|| sleep(HOUR));
        let waiter = go(selvedge::park);
        sleeper.join().unwrap();
        waiter.join().unwrap();
    });
    assert!(matches!(failure, Failure::Deadlock(_)), "{failure}");
    assert!(failure.to_string().contains("time: 3600s have passed"), "{failure}");
}

#[test]
fn a_time_out_that_never_comes_is_none() {
    let failure = fails(|| {
        park_timeout(Duration::MAX);
    });
    assert!(matches!(failure, Failure::Deadlock(_)), "{failure}");
}

#[test]
fn a_task_that_awaits_a_time_is_woken_when_it_has_come() {
    passes(|| {
        let start = Instant::now();
        let child = go(move || {
            block_on(sleep_async(2 * HOUR));
            assert!(start.elapsed() >= 2 * HOUR);
        });
        assert!(block_on(after(HOUR).recv_async()).is_ok_and(|due| due >= start + HOUR));
        child.join().unwrap();
    });
}

#[test]
fn a_token_that_is_awaited_races_with_its_deadline() {
    passes(|| {
        let token = CancelToken::with_timeout(HOUR);
        let theirs = token.clone();
        let child = go(move || theirs.cancel());
        block_on(token.cancelled_async());
        assert!(token.is_cancelled());
        child.join().unwrap();
    });
}

#[test]
fn a_future_that_was_dropped_lets_no_time_pass() {
    let failure = fails(|| {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        {
            let sleep = std::pin::pin!(sleep_async(HOUR));
            if std::future::Future::poll(sleep, &mut context).is_ready() {
                return;
            }
        }
        selvedge::park();
    });
    assert!(matches!(failure, Failure::Deadlock(_)), "{failure}");
}

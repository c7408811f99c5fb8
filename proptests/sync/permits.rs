//! Semaphore: order, limits, what is a mistake, and counts. [R1] [R2] [R3]

use crate::common::{everywhere, finish, panic_of};
use crate::{Body, go_ahead, in_order, mixture, on_one};
use selvedge::sync::{Mutex, Semaphore, WaitError};
use selvedge::{CancelToken, go, yield_now};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn no_more_are_inside_than_there_are_permits() {
    everywhere(|_, runtime| {
        let semaphore = Arc::new(Semaphore::new(3));
        let inside = Arc::new(AtomicUsize::new(0));
        let bodies = (0..8).map(|who| {
            let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
            Box::new(move || {
                for round in 0..300 {
                    let n = 1 + (who + round) % 3;
                    let permit = semaphore.acquire(n);
                    let before = inside.fetch_add(n, Ordering::SeqCst);
                    assert!(before + n <= 3, "{} inside", before + n);
                    if round % 20 == 0 {
                        yield_now();
                    }
                    inside.fetch_sub(n, Ordering::SeqCst);
                    assert_eq!(permit.count(), n);
                }
            }) as Body
        });
        mixture(&runtime, bodies.collect());
        assert_eq!(semaphore.available_permits(), 3);
        finish(runtime);
    });
}

#[test]
fn who_asks_for_many_is_not_passed_by_who_asks_for_few() {
    in_order(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = semaphore.acquire(1);
        let waiters = [2, 1, 1].map(|n| {
            let (semaphore, order) = (Arc::clone(&semaphore), Arc::clone(&order));
            go_ahead(move || {
                let _permit = semaphore.acquire(n);
                order.lock().unwrap().push(n);
            })
        });
        assert!(semaphore.try_acquire(1).is_none(), "one is free, and others wait");
        drop(held);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(*order.lock().unwrap(), [2, 1, 1]);
    });
}

#[test]
fn forgotten_permits_are_gone_and_added_ones_are_there() {
    in_order(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        semaphore.acquire(1).forget();
        assert!(semaphore.try_acquire(1).is_none());
        let theirs = Arc::clone(&semaphore);
        let waits = go_ahead(move || theirs.acquire(2).count());
        semaphore.add_permits(2);
        assert_eq!(waits.join().unwrap(), 2);
        assert_eq!(semaphore.available_permits(), 2);
        let shown = format!("{semaphore:?}");
        assert_eq!(shown, "Semaphore { available_permits: 2, waiting: false, .. }");
    });
}

#[test]
fn more_than_there_can_be_is_a_panic_and_not_an_overflow() {
    const MOST: usize = Semaphore::MAX_PERMITS;
    assert!(panic_of(|| Semaphore::new(MOST + 1)).contains("Semaphore::MAX_PERMITS"));
    let semaphore = Semaphore::new(MOST);
    let all = semaphore.acquire(MOST);
    for n in [1, usize::MAX] {
        let why = panic_of(|| semaphore.add_permits(n));
        assert!(why.contains("can't have") && why.contains("MAX_PERMITS"), "{why}");
    }
    all.forget();
    semaphore.add_permits(MOST);
    assert_eq!(semaphore.available_permits(), MOST);
    assert!(semaphore.try_acquire(usize::MAX).is_none(), "more than there can be");
}

#[test]
fn a_limited_wait_gives_up_and_strands_nobody_behind_it() {
    on_one(|| {
        let (semaphore, token) = (Arc::new(Semaphore::new(2)), CancelToken::new());
        let held = semaphore.acquire(1);
        let soon = Duration::from_millis(2);
        assert!(matches!(semaphore.acquire_timeout(2, soon), Err(WaitError::TimedOut)));
        assert!(matches!(semaphore.acquire_deadline(2, Instant::now()), Err(WaitError::TimedOut)));
        let (theirs, child) = (Arc::clone(&semaphore), token.child());
        let many = go_ahead(move || theirs.acquire_cancel(2, &child).map(|_| ()));
        let theirs = Arc::clone(&semaphore);
        let few = go_ahead(move || theirs.acquire(1).count());
        token.cancel();
        assert_eq!(many.join().unwrap(), Err(WaitError::Cancelled));
        assert_eq!(few.join().unwrap(), 1);
        assert!(semaphore.acquire_cancel(1, &token).is_err(), "used again");
        assert!(
            semaphore.acquire_timeout(1, Duration::ZERO).is_ok(),
            "what is free is had at once"
        );
        drop(held);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn a_permit_may_be_given_back_elsewhere() {
    in_order(|| {
        static ONE: Semaphore = Semaphore::new(1);
        let permit = ONE.acquire(1);
        go(move || drop(permit)).join().unwrap();
        let permit = ONE.acquire(1);
        std::thread::spawn(move || drop(permit)).join().unwrap();
        assert_eq!(ONE.available_permits(), 1);
    });
}

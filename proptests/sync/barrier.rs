//! Barrier: what `std` documents of its own, and limits. [U6]

use crate::common::{everywhere, finish};
use crate::{Body, go_ahead, mixture, on_one};
use selvedge::CancelToken;
use selvedge::sync::{Barrier, WaitError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn all_meet_again_and_again_and_one_leads() {
    everywhere(|_, runtime| {
        let shared = Arc::new((Barrier::new(6), AtomicUsize::new(0), AtomicUsize::new(0)));
        let bodies = (0..6).map(|_| {
            let shared = Arc::clone(&shared);
            Box::new(move || {
                let (barrier, arrived, leaders) = &*shared;
                for round in 1..=50 {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    leaders.fetch_add(usize::from(barrier.wait().is_leader()), Ordering::SeqCst);
                    assert!(arrived.load(Ordering::SeqCst) >= 6 * round, "too early");
                    barrier.wait();
                }
            }) as Body
        });
        mixture(&runtime, bodies.collect());
        assert_eq!(shared.2.load(Ordering::SeqCst), 50);
        finish(runtime);
    });
}

#[test]
fn a_barrier_of_none_or_one_keeps_nobody() {
    for n in [0, 1] {
        let barrier = Barrier::new(n);
        assert!(barrier.wait().is_leader() && barrier.wait().is_leader());
    }
}

#[test]
fn who_gives_up_has_not_come() {
    on_one(|| {
        let (barrier, token) = (Arc::new(Barrier::new(2)), CancelToken::new());
        assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), Err(WaitError::TimedOut));
        assert_eq!(barrier.wait_deadline(Instant::now()), Err(WaitError::TimedOut));
        let (theirs, child) = (Arc::clone(&barrier), token.child());
        let waits = go_ahead(move || theirs.wait_cancel(&child));
        token.cancel();
        assert_eq!(waits.join().unwrap(), Err(WaitError::Cancelled));
        assert_eq!(barrier.wait_cancel(&token), Err(WaitError::Cancelled), "used again");
        let theirs = Arc::clone(&barrier);
        let waits = go_ahead(move || theirs.wait().is_leader());
        assert!(barrier.wait().is_leader());
        assert!(!waits.join().unwrap());
    });
}

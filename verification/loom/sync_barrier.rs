//! Barrier: [U6]. A wake-up that is lost is a deadlock, and red.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::CancelToken;
use selvedge::internals::platform::Arc;
use selvedge::sync::Barrier;

/// 2 threads: they meet twice; each sees what the other did, and one leads each time.
#[test]
fn two_meet_twice() {
    Scenario {
        name: "barrier: two meet twice [U6]",
        threads: 2,
        operations: "(write, wait, read)² ×2",
    }
    .check(Bound::complete_if_long(), || {
        let shared = Arc::new((Barrier::new(2), [0, 1].map(|_| Payload::new(0))));
        let meet = |shared: &(Barrier, [Payload; 2]), me: usize| {
            let (barrier, payloads) = shared;
            let mut led = 0;
            for round in 1..=2 {
                payloads[me].write(round);
                led += usize::from(barrier.wait().is_leader());
                assert_eq!(payloads[1 - me].take(), round);
                led += 10 * usize::from(barrier.wait().is_leader());
            }
            led
        };
        let led = Arc::new(Payload::new(0));
        let (theirs, tell) = (Arc::clone(&shared), Arc::clone(&led));
        let other = spawn(move || tell.write(meet(&theirs, 1)));
        let mine = meet(&shared, 0);
        join(other);
        assert_eq!(mine + led.take(), 22, "one leads each time");
    });
}

/// 3 threads: two of two are needed; one of three gives up. The barrier opens for two, or the one that
/// gave up has not come.
#[test]
fn who_gives_up_has_not_come_or_passes() {
    Scenario {
        name: "barrier: who gives up has not come, or passes [U6]",
        threads: 3,
        operations: "wait_cancel | wait_cancel | cancel one",
    }
    .check(Bound::usual(), || {
        let barrier = Arc::new(Barrier::new(2));
        let (token, never) = (CancelToken::new(), CancelToken::new());
        let passed = [token.clone(), never.clone()].map(|token| {
            let barrier = Arc::clone(&barrier);
            let passed = Arc::new(Payload::new(0));
            let tell = Arc::clone(&passed);
            let waits = move || tell.write(usize::from(barrier.wait_cancel(&token).is_ok()));
            (spawn(waits), passed)
        });
        token.cancel();
        let [(first, first_passed), (second, second_passed)] = passed;
        join(first);
        let both = first_passed.take();
        if both == 0 {
            never.cancel(); // the other one waits alone
        }
        join(second);
        assert_eq!(second_passed.take(), both, "both pass, or neither");
    });
}

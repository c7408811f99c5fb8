//! The parker: a permit before `park` [K1], one permit at most [K2], what the permit carries [K3].

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicBool, Ordering};
use selvedge::internals::platform::{Arc, Parker};

/// 2 threads: 1 park, 1 unpark, complete. A lost permit would be a deadlock.
#[test]
fn park_returns_however_it_meets_the_unpark() {
    Scenario {
        name: "parker: park returns however it meets the unpark",
        threads: 2,
        operations: "1 park, 1 unpark",
    }
    .check(Bound::Complete, || {
        let parker = Arc::new(Parker::new());
        let payload = Arc::new(Payload::new(0));
        let unparker = {
            let (parker, payload) = (Arc::clone(&parker), Arc::clone(&payload));
            spawn(move || {
                payload.write(7);
                parker.unpark();
            })
        };
        parker.park();
        assert_eq!(payload.take(), 7, "K3: what came before unpark is seen after park");
        join(unparker);
    });
}

/// 1 thread: unpark, then park, complete. The permit waits. [K1]
#[test]
fn permit_given_before_park_is_kept() {
    Scenario {
        name: "parker: a permit given before park is kept",
        threads: 1,
        operations: "1 unpark, 1 park",
    }
    .check(Bound::Complete, || {
        let parker = Parker::new();
        parker.unpark();
        parker.park();
    });
}

/// 2 threads: 3 unparks, 2 parks, complete. Two permits given at once are one. [K2]
#[test]
fn permits_do_not_add_up() {
    Scenario {
        name: "parker: permits do not add up",
        threads: 2,
        operations: "2 unparks, 2 parks, 1 unpark",
    }
    .check(Bound::Complete, || {
        let parker = Arc::new(Parker::new());
        parker.unpark();
        parker.unpark();
        parker.park();
        let again = Arc::new(AtomicBool::new(false));
        let unparker = {
            let (parker, again) = (Arc::clone(&parker), Arc::clone(&again));
            spawn(move || {
                // Relaxed: the permit is what orders it. [K3]
                again.store(true, Ordering::Relaxed);
                parker.unpark();
            })
        };
        parker.park();
        assert!(again.load(Ordering::Relaxed), "K2: the second park needs a permit of its own");
        join(unparker);
    });
}

/// 3 threads: 2 unparks at once, parks until both are seen, complete. Neither is lost.
#[test]
fn two_unparkers_are_both_seen() {
    Scenario {
        name: "parker: two unparkers are both seen",
        threads: 3,
        operations: "2 × (write, unpark), parks until both are there",
    }
    .check(Bound::complete_if_long(), || {
        let parker = Arc::new(Parker::new());
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let payloads = Arc::new([Payload::new(0), Payload::new(0)]);
        let unparkers = [0, 1].map(|i| {
            let (parker, flags) = (Arc::clone(&parker), Arc::clone(&flags));
            let payloads = Arc::clone(&payloads);
            spawn(move || {
                payloads[i].write(i + 1);
                // Release: pairs with the Acquire below, as a scheduler's own word would.
                flags[i].store(true, Ordering::Release);
                parker.unpark();
            })
        });
        // Acquire: see above. Each unpark gives a permit after its flag, so the loop ends.
        while !flags.iter().all(|flag| flag.load(Ordering::Acquire)) {
            parker.park();
        }
        assert_eq!([payloads[0].take(), payloads[1].take()], [1, 2]);
        unparkers.into_iter().for_each(join);
    });
}

/// 3 threads: A wakes B, B wakes C, complete. What A wrote reaches C. [K3]
#[test]
fn permits_carry_what_the_unparker_has_seen() {
    Scenario {
        name: "parker: a permit carries what the unparker has seen",
        threads: 3,
        operations: "write, unpark; park, unpark; park, read",
    }
    .check(Bound::complete_if_long(), || {
        let (second, third) = (Arc::new(Parker::new()), Arc::new(Parker::new()));
        let payload = Arc::new(Payload::new(0));
        let first = {
            let (second, payload) = (Arc::clone(&second), Arc::clone(&payload));
            spawn(move || {
                payload.write(7);
                second.unpark();
            })
        };
        let relay = {
            let third = Arc::clone(&third);
            spawn(move || {
                second.park();
                third.unpark();
            })
        };
        third.park();
        assert_eq!(payload.take(), 7, "K3");
        join(first);
        join(relay);
    });
}

//! Waits: [X1], [X2], [X3], [X4], [Y1].

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::CancelToken;
use selvedge::internals::platform::{Arc, Mutex};
use selvedge::internals::wait::limit::Outcome;
use selvedge::internals::wait::{List, Node, Wait, WaitLimit, limit_of};
use std::panic::Location;

fn list() -> Arc<Mutex<List>> {
    Arc::new(Mutex::new(List::new()))
}

/// Fires the first waiter of `list`, if there is one, and gives it `value`. True if it did.
fn fire(list: &Mutex<List>, value: usize) -> bool {
    let mut guard = list.lock();
    let Some(claim) = guard.claim() else { return false };
    // SAFETY: the packet of each node here is a `Payload` in the waiter's frame. [X1]
    unsafe { &*claim.packet().cast::<Payload>() }.write(value);
    let wake = claim.complete();
    drop(guard);
    // SAFETY: just got, here.
    unsafe { wake.wake() };
    true
}

fn packet(payload: &Payload) -> *mut () {
    std::ptr::from_ref(payload).cast_mut().cast()
}

/// Waits on all of `lists` at once; which one was fired, and with what value.
fn wait_on(lists: &[&Mutex<List>], limit: WaitLimit<'_>) -> Option<(usize, usize)> {
    let place = Location::caller();
    let wait = Wait::of_caller(place);
    let payloads: Vec<_> = lists.iter().map(|_| Payload::new(0)).collect();
    let nodes: Vec<_> =
        (0..).zip(&payloads).map(|(arm, p)| Node::new(&wait, arm, packet(p))).collect();
    for (list, node) in lists.iter().zip(&nodes) {
        // SAFETY: unlinked below, before anything here goes.
        unsafe { list.lock().link(node) };
    }
    let outcome = limit.wait(&wait, place);
    for (list, node) in lists.iter().zip(&nodes) {
        list.lock().unlink(node);
    }
    match outcome {
        Outcome::Fired(arm) => Some((arm as usize, payloads[arm as usize].take())),
        Outcome::TimedOut | Outcome::Cancelled => None,
    }
}

/// 3 threads: one waits on two lists, two fire one each. One of them fires it, and its value is seen.
#[test]
fn of_two_wakers_one_fires_a_wait_and_its_value_is_seen() {
    Scenario {
        name: "wait: of two wakers one fires it, and its value is seen [X1] [X2] [X3]",
        threads: 3,
        operations: "link ×2, wait, unlink ×2 | claim, fire | claim, fire",
    }
    .check(Bound::complete_if_long(), || {
        let lists = [list(), list()];
        let wakers = [0, 1].map(|arm| {
            let list = Arc::clone(&lists[arm]);
            let fired = Arc::new(Payload::new(0));
            let tell = Arc::clone(&fired);
            let thread = spawn(move || tell.write(usize::from(fire(&list, 10 + arm))));
            (thread, fired)
        });
        // Both may come before the wait is linked: then nobody would fire it.
        let last = list();
        let own = Arc::clone(&last);
        let waited = wait_or(&[&lists[0], &lists[1], &last], || fire(&own, 12));
        let mut fired = 0;
        for (thread, tell) in wakers {
            join(thread);
            fired += tell.take();
        }
        let (arm, value) = waited;
        assert_eq!(value, 10 + arm, "the value comes with the arm");
        assert_eq!(fired, usize::from(arm < 2), "one waker fires it");
    });
}

/// 3 threads: one waits for ever on one list, two would fire it. One does, and its value is seen.
#[test]
fn a_steadfast_wait_is_fired_once_and_its_value_is_seen() {
    Scenario {
        name: "wait: a steadfast one is fired once, and its value is seen [X1] [X2] [X3] [X4]",
        threads: 3,
        operations: "link, wait | claim, fire | claim, fire",
    }
    .check(Bound::complete_if_long(), || {
        let (list, place) = (list(), Location::caller());
        let wait = Wait::untimed(place);
        let payload = Payload::new(0);
        let node = Node::new(&wait, 5, packet(&payload));
        // SAFETY: one of the two unlinks it, before the wait below ends.
        unsafe { list.lock().link(&node) };
        let wakers = [1, 2].map(|value| {
            let (list, fired) = (Arc::clone(&list), Arc::new(Payload::new(0)));
            let tell = Arc::clone(&fired);
            (spawn(move || tell.write(if fire(&list, value) { value } else { 0 })), fired)
        });
        assert_eq!(WaitLimit::NONE.wait(&wait, place), Outcome::Fired(5));
        let value = payload.take();
        let fired = wakers.map(|(thread, tell)| {
            join(thread);
            tell.take()
        });
        assert_eq!(fired.iter().sum::<usize>(), value, "one of them has fired it, with its value");
        assert_ne!(value, 0);
    });
}

/// As `wait_on`, where the caller itself fires the last list, after it has linked all of them.
fn wait_or(lists: &[&Mutex<List>], otherwise: impl FnOnce() -> bool) -> (usize, usize) {
    let place = Location::caller();
    let wait = Wait::of_caller(place);
    let payloads: Vec<_> = lists.iter().map(|_| Payload::new(0)).collect();
    let nodes: Vec<_> =
        (0..).zip(&payloads).map(|(arm, p)| Node::new(&wait, arm, packet(p))).collect();
    for (list, node) in lists.iter().zip(&nodes) {
        // SAFETY: unlinked below, before anything here goes.
        unsafe { list.lock().link(node) };
    }
    otherwise();
    let outcome = WaitLimit::NONE.wait(&wait, place);
    for (list, node) in lists.iter().zip(&nodes) {
        list.lock().unlink(node);
    }
    match outcome {
        Outcome::Fired(arm) => (arm as usize, payloads[arm as usize].take()),
        other => panic!("it was {other:?}"),
    }
}

/// 2 threads: one waits under a child of a token, the other cancels the token. It always ends.
#[test]
fn a_cancelled_token_ends_every_wait_below_it() {
    Scenario {
        name: "wait: a cancelled token ends every wait below it [Y1]",
        threads: 2,
        operations: "child, enlist, wait | cancel",
    }
    .check(Bound::complete_if_long(), || {
        let token = CancelToken::new();
        let canceller = token.clone();
        let thread = spawn(move || canceller.cancel());
        let child = token.child();
        let list = list();
        assert_eq!(wait_on(&[&list], limit_of(&child)), None);
        assert!(child.is_cancelled());
        join(thread);
    });
}

/// 3 threads: one waits under a token, one fires it, one cancels. A value is taken or not given.
#[test]
fn a_wait_is_fired_or_cancelled_and_loses_no_value() {
    Scenario {
        name: "wait: fired or cancelled, and no value lost [X1] [X4] [Y1]",
        threads: 3,
        operations: "link, enlist, wait | claim, fire | cancel",
    }
    .check(Bound::usual(), || {
        let token = CancelToken::new();
        let canceller = token.clone();
        let cancels = spawn(move || canceller.cancel());
        let list = list();
        let theirs = Arc::clone(&list);
        let fired = Arc::new(Payload::new(0));
        let tell = Arc::clone(&fired);
        let fires = spawn(move || tell.write(usize::from(fire(&theirs, 7))));
        let waited = wait_on(&[&list], limit_of(&token));
        join(cancels);
        join(fires);
        match waited {
            Some((0, 7)) => assert_eq!(fired.take(), 1),
            None => assert_eq!(fired.take(), 0, "a value was given to one that gave up"),
            other => panic!("{other:?}"),
        }
    });
}

/// One waits on one list, one fires it, one unparks the waiter for no reason. Whoever has been fired sees
/// the value, though neither a lock nor the unpark told it so.
fn fired_and_nudged(scenario: Scenario, make: fn(&'static Location<'static>) -> Wait) {
    scenario.check(Bound::complete_if_long(), move || {
        let list = list();
        let place = Location::caller();
        let wait = make(place);
        let payload = Payload::new(0);
        let node = Node::new(&wait, 0, packet(&payload));
        // SAFETY: its waker unlinks it, and this frame waits for that.
        unsafe { list.lock().link(&node) };
        let me = selvedge::current();
        let nudges = spawn(move || me.unpark());
        let fires = spawn(move || assert!(fire(&list, 7)));
        assert_eq!(WaitLimit::NONE.wait(&wait, place), Outcome::Fired(0));
        assert_eq!(payload.take(), 7);
        join(nudges);
        join(fires);
    });
}

/// 3 threads: link, wait | claim, fire | unpark. The wait might have been given up.
#[test]
fn who_finds_itself_fired_sees_the_value() {
    let scenario = Scenario {
        name: "wait: who finds itself fired sees the value [X2] [X4]",
        threads: 3,
        operations: "link, wait | claim, fire | unpark",
    };
    fired_and_nudged(scenario, Wait::of_caller);
}

/// 3 threads: link, wait | claim, fire | unpark. The wait is steadfast.
#[test]
fn who_waits_steadfast_and_finds_itself_fired_sees_the_value() {
    let scenario = Scenario {
        name: "wait: who waits steadfast and finds itself fired sees the value [X2] [X4]",
        threads: 3,
        operations: "link, wait | claim, fire | unpark",
    };
    fired_and_nudged(scenario, Wait::untimed);
}

//! Cancellation as goroutines meet it: each way to wait under a token, and scopes. [Y1]

use crate::common::{everywhere, finish, panic_of};
use selvedge::time::{sleep, sleep_cancel};
use selvedge::{CancelToken, Cancelled, chan, current, go, park, park_cancel, yield_now};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const SOON: Duration = Duration::from_millis(1);

#[test]
fn every_wait_under_a_token_ends_when_it_is_cancelled() {
    everywhere(|_, runtime| {
        let root = CancelToken::new();
        let token = root.child().child();
        runtime.run(|| {
            let own = || token.clone();
            let (_keeps, empty) = chan::bounded::<u8>(0);
            let (full, _keeps_too) = chan::bounded::<u8>(0);
            let stuck = go(park);
            let stuck_too = stuck.goroutine();
            let waits = [
                go({
                    let token = own();
                    move || token.wait()
                }),
                go({
                    let token = own();
                    move || token.done().recv().unwrap()
                }),
                go({
                    let token = own();
                    move || assert_eq!(sleep_cancel(Duration::MAX, &token), Err(Cancelled))
                }),
                go({
                    let token = own();
                    move || while park_cancel(&token).is_ok() {}
                }),
                go({
                    let token = own();
                    move || assert!(empty.recv_cancel(&token).unwrap_err().is_cancelled())
                }),
                go({
                    let token = own();
                    move || assert!(full.send_cancel(1, &token).unwrap_err().is_cancelled())
                }),
                go({
                    let token = own();
                    move || drop(stuck.join_cancel(&token).unwrap_err())
                }),
            ];
            yield_now();
            root.cancel();
            waits.into_iter().for_each(|waits| waits.join().unwrap());
            stuck_too.unpark();
            // Used again, it ends everything at once.
            token.wait();
            assert_eq!(sleep_cancel(Duration::MAX, &token), Err(Cancelled));
            assert_eq!(sleep_cancel(Duration::ZERO, &token), Err(Cancelled));
            assert_eq!(park_cancel(&token), Err(Cancelled));
            assert!(token.child_with_timeout(Duration::MAX).is_cancelled());
        });
        finish(runtime);
    });
}

#[test]
fn what_ends_before_the_token_is_not_cancelled() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let token = CancelToken::with_timeout(Duration::MAX);
            assert_eq!(sleep_cancel(SOON, &token), Ok(()));
            current().unpark();
            assert_eq!(park_cancel(&token), Ok(()));
            let me = current();
            go(move || me.unpark());
            assert_eq!(park_cancel(&token), Ok(()));
            assert!(!token.is_cancelled());
        });
        finish(runtime);
    });
}

#[test]
fn a_permit_given_while_a_park_is_cancelled_is_not_lost() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            for _ in 0..100 {
                let (token, me) = (CancelToken::new(), current());
                let canceller = token.clone();
                let both = go(move || {
                    me.unpark();
                    canceller.cancel();
                });
                if park_cancel(&token).is_err() {
                    park();
                }
                both.join().unwrap();
            }
        });
        finish(runtime);
    });
}

#[test]
fn a_scope_cancels_its_children_when_asked_and_when_its_closure_panics() {
    everywhere(|_, runtime| {
        let ended = Arc::new(AtomicUsize::new(0));
        runtime.run(|| {
            let wait = |token: &CancelToken| {
                token.wait();
                ended.fetch_add(1, SeqCst);
            };
            selvedge::scope(|s| {
                let borrowed = vec![1, 2, 3];
                s.go(|| wait(s.token()));
                s.go(|| wait(&s.token().child()));
                yield_now();
                s.cancel();
                s.go(|| wait(s.token()));
                drop(borrowed);
            });
            assert_eq!(ended.load(SeqCst), 3);
            // Also a goroutine that asks for the token only after the panic.
            for turns in [0, 1] {
                let said = panic_of(|| {
                    selvedge::scope(|s| {
                        s.go(|| wait(s.token()));
                        (0..turns).for_each(|_| yield_now());
                        panic!("the closure's");
                    })
                });
                assert_eq!(said, "the closure's");
            }
            assert_eq!(ended.load(SeqCst), 5);
        });
        finish(runtime);
    });
}

#[test]
fn a_scope_whose_child_panics_lets_the_others_be() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            selvedge::scope(|s| {
                let other = s.go(|| sleep_cancel(SOON, s.token()));
                assert!(s.go(|| panic!("a child's")).join().is_err());
                assert_eq!(other.join().unwrap(), Ok(()));
            });
        });
        finish(runtime);
    });
}

#[test]
fn deadlines_come_in_order_down_a_tree() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let outer = CancelToken::with_timeout(SOON * 2);
            let longer = outer.child_with_timeout(Duration::MAX);
            let shorter = outer.child_with_timeout(SOON);
            assert_eq!(longer.deadline(), outer.deadline());
            assert!(shorter.deadline() < outer.deadline());
            shorter.wait();
            longer.wait();
            assert!(outer.is_cancelled() && shorter.is_cancelled());
            sleep(SOON);
            assert_eq!(longer.reason(), Some(selvedge::CancelReason::DeadlinePassed));
        });
        finish(runtime);
    });
}

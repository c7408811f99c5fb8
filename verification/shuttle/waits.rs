//! Waits for channels that end early, by a limit, a token or a dropped future: [A1], [V4], [X1], [X3].
//! Each value is received once, or comes back.

use crate::channels::{Numbers, Value, assert_conserved, check_both, join_all, receive_all, spawn};
use crate::support::{LATER, Ledger, run_in_time};
use selvedge::chan::{Receiver, Sender, bounded, never};
use selvedge::{CancelToken, Runtime, block_on, scope, select, time, yield_now};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Sends at last, after one try each that time and the token may end.
fn send_hastily(tx: &Sender<Value>, value: Value, token: &CancelToken) {
    let Err(given_back) = tx.send_timeout(value, LATER) else { return };
    let Err(given_back) = tx.send_cancel(given_back.into_inner(), token) else { return };
    assert!(tx.send(given_back.into_inner()).is_ok(), "it is open");
}

/// As above.
fn receive_hastily(rx: &Receiver<Value>, token: &CancelToken) -> usize {
    let hasty = select! {
        recv(rx) -> value => Some(value.expect("it is open")),
        default(LATER) => None,
    };
    let value = hasty
        .or_else(|| rx.recv_timeout(LATER).ok())
        .or_else(|| rx.recv_cancel(token).ok())
        .or_else(|| rx.recv().ok());
    value.expect("it is open").number
}

/// 2 send and 2 receive two values each, without a buffer, by waits that end early.
fn hurry(runtime: Runtime, is_anchored: bool) {
    let ledger = Ledger::new(4);
    let values = ledger.clone();
    run_in_time(runtime, move || {
        let ((tx, rx), token) = (bounded(0), CancelToken::new());
        let senders = [0, 2].map(|first| {
            let (tx, token, values) = (tx.clone(), token.child(), values.clone());
            spawn(is_anchored, move || {
                for number in [first, first + 1] {
                    send_hastily(&tx, Value::new(number, &values), &token);
                }
            })
        });
        let receivers = [(); 2].map(|()| {
            let (rx, token) = (rx.clone(), token.clone());
            spawn(is_anchored, move || {
                vec![receive_hastily(&rx, &token), receive_hastily(&rx, &token)]
            })
        });
        yield_now();
        token.cancel();
        join_all(senders);
        assert_conserved(vec![vec![0, 1, 2, 3]], join_all(receivers));
    });
    ledger.assert_each_ran_once();
}

/// 4 and 5 threads, 5 goroutines; sampled.
#[test]
fn waits_that_end_early_lose_nothing() {
    let names = [
        "waits: limits against hand-over, anchored [A1] [V4] [X1] [X3]",
        "waits: limits against hand-over, migrating [V4] [X1] [X3]",
    ];
    check_both(names, 5, hurry);
}

/// 2 futures, one that sends and one that receives, are polled and dropped, while one sends plainly,
/// and two receive what is left.
fn drop_futures(runtime: Runtime, is_anchored: bool) {
    let ledger = Ledger::new(3);
    let values = ledger.clone();
    run_in_time(runtime, move || {
        let (tx, rx) = bounded(0);
        let (plain, open, mine) = (tx.clone(), tx.clone(), values.clone());
        let sender = spawn(is_anchored, move || {
            for number in [0, 1] {
                assert!(plain.send(Value::new(number, &mine)).is_ok(), "it is open");
            }
        });
        let fickle_sender = spawn(is_anchored, move || {
            let mut future = pin!(tx.send_async(Value::new(2, &values)));
            let sent = future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            yield_now();
            sent
        });
        let from = rx.clone();
        let fickle_receiver = spawn(is_anchored, move || {
            let mut future = pin!(from.recv_async());
            let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            yield_now();
            match polled {
                Poll::Ready(value) => value.iter().map(|value| value.number).collect(),
                Poll::Pending => Numbers::new(),
            }
        });
        let from = rx.clone();
        let awaits = spawn(is_anchored, move || {
            let next = || block_on(from.recv_async()).ok().map(|value| value.number);
            std::iter::from_fn(next).collect::<Numbers>()
        });
        let receives = spawn(is_anchored, move || receive_all(&rx));
        join_all([sender]);
        let sent = join_all([fickle_sender]) == [true];
        let mut received = join_all([fickle_receiver]).concat();
        // Open until now: a value that comes back to a closed channel would find nobody.
        drop(open);
        received.extend(join_all([awaits, receives]).concat());
        // Its future's value may be taken, or dropped with it.
        received.retain(|number| sent || *number != 2);
        assert_conserved(vec![if sent { vec![0, 1, 2] } else { vec![0, 1] }], vec![received]);
    });
    ledger.assert_each_ran_once();
}

/// 4 and 5 threads, 6 goroutines; sampled.
#[test]
fn futures_dropped_midway_lose_nothing() {
    let names = [
        "waits: futures dropped midway, anchored [A1] [V4] [X3]",
        "waits: futures dropped midway, migrating [V4] [X3]",
    ];
    check_both(names, 6, drop_futures);
}

/// 4 goroutines of a scope wait, each in its way, for what never comes, until the token is cancelled.
fn cancel_scope(runtime: Runtime, _: bool) {
    run_in_time(runtime, || {
        let ((_tx, rx), (full, _rx)) = (bounded::<u8>(0), bounded(0));
        scope(|s| {
            let (token, rx, full) = (s.token(), &rx, &full);
            s.go(move || assert!(rx.recv_cancel(&token.child()).is_err()));
            s.go(move || assert!(full.send_cancel(1, token).is_err()));
            s.go(move || assert!(time::sleep_cancel(Duration::MAX, token).is_err()));
            s.go(move || {
                select! {
                    recv(never::<u8>()) -> _ => unreachable!("it never receives"),
                    recv(rx) -> _ => unreachable!("nobody sends"),
                    cancel(token) => {}
                }
            });
            yield_now();
            s.cancel();
        });
    });
}

/// 4 and 5 threads, 5 goroutines; sampled.
#[test]
fn a_cancelled_scope_ends_whatever_its_goroutines_wait_for() {
    let names = [
        "waits: a scope is cancelled, anchored [V4] [X3]",
        "waits: a scope is cancelled, migrating [V4] [X3]",
    ];
    check_both(names, 5, cancel_scope);
}

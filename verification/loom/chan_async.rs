//! Futures that send and receive: [V4], [V8], [V10]. Values are race-checked cells.

use crate::harness::{Bound, Payload, Scenario, assert_conserved, join, spawn};
use selvedge::chan::{Receiver, Select, SendError, bounded};
use selvedge::{block_on, select};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Polls once, for nobody.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Receives; the future is first polled for nobody, then for the caller.
fn receive_by_second_poll(rx: &Receiver<Payload>) -> Option<usize> {
    let mut future = pin!(rx.recv_async());
    let mut first = true;
    let received = block_on(poll_fn(|cx| {
        if std::mem::take(&mut first)
            && let Poll::Ready(received) = poll_once(future.as_mut())
        {
            return Poll::Ready(received);
        }
        future.as_mut().poll(cx)
    }));
    received.ok().map(|value| value.take())
}

/// 2 threads: one sends, the other awaits, and is woken by the waker of its last poll.
#[test]
fn a_future_is_woken_by_its_last_waker() {
    for capacity in [0, 1] {
        Scenario {
            name: "chan: a future that receives, polled for nobody first [V8]",
            threads: 2,
            operations: "send, drop | poll, poll until ready, ×2",
        }
        .check(Bound::complete_if_long(), move || {
            let (tx, rx) = bounded(capacity);
            let sends = spawn(move || tx.send(Payload::new(1)).expect("open"));
            assert_eq!(receive_by_second_poll(&rx), Some(1));
            assert_eq!(receive_by_second_poll(&rx), None, "the sender has gone");
            join(sends);
        });
    }
}

/// 2 threads: a future sends, a thread receives.
#[test]
fn a_future_sends_to_a_thread() {
    Scenario {
        name: "chan: a future that sends [V4] [V8]",
        threads: 2,
        operations: "await send ×2 | recv ×2",
    }
    .check(Bound::complete_if_long(), || {
        let (tx, rx) = bounded(0);
        let sends = spawn(move || {
            block_on(async {
                tx.send_async(Payload::new(1)).await.expect("open");
                tx.send_async(Payload::new(2)).await.expect("open");
            });
        });
        assert_eq!(rx.recv().expect("a value").take(), 1);
        assert_eq!(rx.recv().expect("a value").take(), 2);
        join(sends);
    });
}

/// 2 threads: a future that has begun to receive is dropped, while a value is sent.
#[test]
fn a_dropped_receive_loses_no_value() {
    for capacity in [0, 1] {
        Scenario {
            name: "chan: a future that receives is dropped [V4]",
            threads: 2,
            operations: "send | poll, drop, recv",
        }
        .check(Bound::Complete, move || {
            let (tx, rx) = bounded(capacity);
            let sends = spawn(move || tx.send(Payload::new(1)).expect("open"));
            let early = match poll_once(pin!(rx.recv_async())) {
                Poll::Ready(value) => Some(value.expect("a value").take()),
                Poll::Pending => None,
            };
            let value = early.unwrap_or_else(|| rx.recv().expect("it is still there").take());
            assert_eq!(value, 1);
            join(sends);
        });
    }
}

/// 3 threads: a dropped future, a sender, and another receiver: the value goes there.
#[test]
fn a_dropped_receive_passes_its_value_on() {
    Scenario {
        name: "chan: a dropped future's value goes to another [V1] [V4]",
        threads: 3,
        operations: "send | poll, drop | recv",
    }
    .check(Bound::usual(), || {
        let (tx, rx) = bounded(0);
        let keep = tx.clone();
        let sends = spawn(move || tx.send(Payload::new(1)).expect("open"));
        let other = rx.clone();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&taken);
        let drops = spawn(move || {
            if let Poll::Ready(value) = poll_once(pin!(other.recv_async())) {
                tell.lock().unwrap().push(value.expect("a value").take());
                other.close();
            }
        });
        let received = rx.recv().map(|value| value.take());
        join(sends);
        join(drops);
        let mut left = std::mem::take(&mut *taken.lock().unwrap());
        left.extend(received);
        assert_conserved(1, left);
        drop(keep);
    });
}

/// 2 threads: a future that has begun to send is dropped: the value is received, or dropped with it.
#[test]
fn a_dropped_send_is_whole_or_nothing() {
    Scenario {
        name: "chan: a future that sends is dropped [V2] [V4]",
        threads: 2,
        operations: "poll, drop, try_send | recv",
    }
    .check(Bound::Complete, || {
        let (tx, rx) = bounded(0);
        let receives = spawn(move || {
            let _ = rx.recv().map(|value: Payload| value.take());
        });
        let _ = poll_once(pin!(tx.send_async(Payload::new(1))));
        // If it was not taken, the receiver waits, and nobody is before it.
        match tx.send(Payload::new(2)) {
            Ok(()) => {}
            Err(SendError(value)) => assert_eq!(value.take(), 2),
        }
        join(receives);
    });
}

/// 2 threads: a select that makes its value late meets a future that is dropped; the value is there for
/// the next receive.
#[test]
fn a_select_meets_a_future_that_is_dropped() {
    Scenario {
        name: "chan: a select against a dropped future [V4] [V7]",
        threads: 2,
        operations: "select(send) | poll, drop, recv",
    }
    .check(Bound::Complete, || {
        let (tx, rx) = bounded(0);
        let sends = spawn(move || {
            select! { send(tx, Payload::new(1)) -> sent => sent.expect("open") }
        });
        let early = match poll_once(pin!(rx.recv_async())) {
            Poll::Ready(value) => Some(value.expect("a value").take()),
            Poll::Pending => None,
        };
        let value = early.unwrap_or_else(|| rx.recv().expect("it is still there").take());
        assert_eq!(value, 1);
        join(sends);
    });
}

/// 2 threads: a select that was chosen for a future lets go, while that future is dropped.
#[test]
fn a_select_lets_go_while_its_receiver_leaves() {
    Scenario {
        name: "chan: a select lets go of a future that leaves [V7] [V10]",
        threads: 2,
        operations: "select(send), drop | poll, drop, close",
    }
    .check(Bound::Complete, || {
        let (tx, rx) = bounded::<Payload>(0);
        let selects = spawn(move || {
            let mut select = Select::new();
            select.send(&tx);
            drop(select.select());
        });
        assert!(poll_once(pin!(rx.recv_async())).is_pending());
        // The select may still wait.
        rx.close();
        join(selects);
    });
}

/// 3 threads: a select makes its value for a future that is dropped, while another receiver waits: the
/// value goes there.
#[test]
fn a_receiver_that_leaves_a_select_is_followed_by_another() {
    Scenario {
        name: "chan: a future leaves a select to another receiver [V4] [V10]",
        threads: 3,
        operations: "select(send) | poll, drop | recv",
    }
    .check(Bound::usual(), || {
        let (tx, rx) = bounded(0);
        let keep = tx.clone();
        let selects = spawn(move || {
            select! { send(tx, Payload::new(1)) -> sent => sent.expect("open") }
        });
        let other = rx.clone();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&taken);
        let leaves = spawn(move || {
            if let Poll::Ready(value) = poll_once(pin!(other.recv_async())) {
                tell.lock().unwrap().push(value.expect("a value").take());
                other.close();
            }
        });
        let received = rx.recv().map(|value| value.take());
        join(leaves);
        join(selects);
        let mut left = std::mem::take(&mut *taken.lock().unwrap());
        left.extend(received);
        assert_conserved(1, left);
        drop(keep);
    });
}

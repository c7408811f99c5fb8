//! Channels: [V1], [V2], [V3], [V4], [V5]. Values are race-checked cells.

use crate::harness::{Bound, Payload, Scenario, assert_conserved, join, spawn};
use selvedge::CancelToken;
use selvedge::chan::{
    Receiver, RecvCancelError, SendCancelError, SendError, Sender, TryRecvError, bounded,
};
use std::sync::Mutex;

/// Numbers that model threads have taken; not part of the model.
type Taken = std::sync::Arc<Mutex<Vec<usize>>>;

fn send(tx: &Sender<Payload>, id: usize) {
    assert!(tx.send(Payload::new(id)).is_ok(), "{id} was not sent");
}

fn receive(rx: &Receiver<Payload>) -> usize {
    rx.recv().expect("a value").take()
}

/// 2 threads: one sends 1 and 2; the other receives both. Whole, in order.
fn one_sender_one_receiver(name: &'static str, capacity: usize) {
    Scenario { name, threads: 2, operations: "send ×2 | recv ×2" }.check(
        Bound::Complete,
        move || {
            let (tx, rx) = bounded(capacity);
            let kept = tx.clone();
            let sender = spawn(move || {
                send(&tx, 1);
                send(&tx, 2);
            });
            assert_eq!(receive(&rx), 1);
            assert_eq!(receive(&rx), 2);
            join(sender);
            drop(kept);
        },
    );
}

/// 2 threads: a rendezvous.
#[test]
fn values_meet_their_receiver_in_order() {
    one_sender_one_receiver("chan: rendezvous, one sender, one receiver [V3] [V4]", 0);
}

/// 2 threads: a buffer of one.
#[test]
fn values_pass_a_buffer_in_order() {
    one_sender_one_receiver("chan: a buffer of one, one sender, one receiver [V3] [V4]", 1);
}

/// 2 threads: the sender goes; the receiver hears of it, after it has received everything.
fn the_sender_goes(name: &'static str, capacity: usize) {
    Scenario { name, threads: 2, operations: "send, drop | recv ×2" }.check(
        Bound::Complete,
        move || {
            let (tx, rx) = bounded(capacity);
            let sender = spawn(move || send(&tx, 1));
            assert_eq!(receive(&rx), 1);
            assert!(rx.recv().is_err(), "the sender has gone");
            join(sender);
        },
    );
}

/// 2 threads.
#[test]
fn the_last_sender_ends_a_rendezvous() {
    the_sender_goes("chan: rendezvous, the sender goes [V4] [V5]", 0);
}

/// 2 threads.
#[test]
fn the_last_sender_ends_a_buffer() {
    the_sender_goes("chan: a buffer of one, the sender goes [V4] [V5]", 1);
}

/// 3 threads: two send one value each, the third receives both.
fn two_senders(name: &'static str, capacity: usize) {
    Scenario { name, threads: 3, operations: "send | send | recv ×3" }.check(
        Bound::usual(),
        move || {
            let (tx, rx) = bounded(capacity);
            let other = tx.clone();
            let one = spawn(move || send(&tx, 1));
            let two = spawn(move || send(&other, 2));
            assert_conserved(2, vec![receive(&rx), receive(&rx)]);
            assert!(rx.recv().is_err(), "the senders have gone");
            join(one);
            join(two);
        },
    );
}

/// 3 threads.
#[test]
fn two_senders_meet_one_receiver() {
    two_senders("chan: rendezvous, two senders [V2] [V4]", 0);
}

/// 3 threads.
#[test]
fn two_senders_share_a_buffer_of_one() {
    two_senders("chan: a buffer of one, two senders [V2] [V4]", 1);
}

/// 3 threads: one sends two values, two receive one each.
fn two_receivers(name: &'static str, capacity: usize) {
    Scenario { name, threads: 3, operations: "send ×2 | recv | recv" }.check(
        Bound::usual(),
        move || {
            let (tx, rx) = bounded(capacity);
            let taken = Taken::default();
            let receivers = [rx.clone(), rx].map(|rx| {
                let taken = taken.clone();
                spawn(move || {
                    let id = receive(&rx);
                    taken.lock().unwrap().push(id);
                })
            });
            send(&tx, 1);
            send(&tx, 2);
            receivers.into_iter().for_each(join);
            assert_conserved(2, std::mem::take(&mut taken.lock().unwrap()));
        },
    );
}

/// 3 threads.
#[test]
fn one_sender_meets_two_receivers() {
    two_receivers("chan: rendezvous, two receivers [V1] [V4]", 0);
}

/// 3 threads.
#[test]
fn two_receivers_share_a_buffer_of_one() {
    two_receivers("chan: a buffer of one, two receivers [V1] [V4]", 1);
}

/// 3 threads: a send, a receive, and a close. The value is received, or comes back.
fn close_against_both(name: &'static str, capacity: usize) {
    Scenario { name, threads: 3, operations: "send | recv | close ×2" }.check(
        Bound::complete_if_long(),
        move || {
            let (tx, rx) = bounded(capacity);
            let closer = tx.clone();
            let closes = spawn(move || {
                assert!(closer.close(), "it was open");
                assert!(!closer.close(), "it was closed");
            });
            let back = Taken::default();
            let ours = back.clone();
            let sends = spawn(move || {
                if let Err(SendError(value)) = tx.send(Payload::new(1)) {
                    ours.lock().unwrap().push(value.take());
                }
            });
            let received = rx.recv();
            join(sends);
            join(closes);
            // What was put before the close is still there.
            let mut left = std::mem::take(&mut *back.lock().unwrap());
            left.extend(received.iter().map(Payload::take));
            left.extend(rx.try_iter().map(|value| value.take()));
            assert_conserved(1, left);
            assert!(matches!(rx.try_recv(), Err(TryRecvError::Disconnected)));
        },
    );
}

/// 3 threads.
#[test]
fn a_closed_rendezvous_keeps_nobody_and_loses_nothing() {
    close_against_both("chan: rendezvous, close against send and recv [V4] [V5]", 0);
}

/// 3 threads.
#[test]
fn a_closed_buffer_keeps_nobody_and_loses_nothing() {
    close_against_both("chan: a buffer of one, close against send and recv [V4] [V5]", 1);
}

/// 3 threads: a send and a receive under one token each, of which one is cancelled meanwhile. Both
/// succeed, or neither does; nobody stays.
fn cancel_against_hand_off(name: &'static str, cancel_the_sender: bool) {
    Scenario { name, threads: 3, operations: "send_cancel | recv_cancel | cancel, close" }.check(
        Bound::usual(),
        move || {
            let (tx, rx) = bounded(0);
            let token = CancelToken::new();
            let theirs = token.clone();
            let closer = tx.clone();
            let back = Taken::default();
            let ours = back.clone();
            let sends = spawn(move || {
                let own = if cancel_the_sender { theirs } else { CancelToken::new() };
                match tx.send_cancel(Payload::new(1), &own) {
                    Ok(()) => {}
                    Err(
                        SendCancelError::Cancelled(value) | SendCancelError::Disconnected(value),
                    ) => {
                        ours.lock().unwrap().push(value.take());
                    }
                }
            });
            let canceller = token.clone();
            let cancels = spawn(move || {
                canceller.cancel();
                // So that the other side doesn't wait for ever.
                closer.close();
            });
            let own = if cancel_the_sender { CancelToken::new() } else { token };
            let received = rx.recv_cancel(&own);
            join(sends);
            join(cancels);
            let mut left = std::mem::take(&mut *back.lock().unwrap());
            match received {
                Ok(value) => left.push(value.take()),
                Err(RecvCancelError::Cancelled) => assert!(!cancel_the_sender, "not cancelled"),
                Err(RecvCancelError::Disconnected) => {}
            }
            assert_conserved(1, left);
        },
    );
}

/// 3 threads.
#[test]
fn a_cancelled_send_is_taken_or_comes_back() {
    cancel_against_hand_off("chan: rendezvous, send cancelled against hand-off [V4]", true);
}

/// 3 threads.
#[test]
fn a_cancelled_receive_takes_or_leaves() {
    cancel_against_hand_off("chan: rendezvous, receive cancelled against hand-off [V4]", false);
}

/// 3 threads: a waiting send is cancelled; the one behind it goes on.
#[test]
fn a_cancelled_waiter_holds_up_nobody() {
    Scenario {
        name: "chan: a waiter that is cancelled holds up nobody [V2] [V4]",
        threads: 3,
        operations: "send_cancel | send | cancel, recv, try_recv",
    }
    .check(Bound::usual(), || {
        let (tx, rx) = bounded(0);
        let token = CancelToken::new();
        let (other, theirs) = (tx.clone(), token.clone());
        let one = spawn(move || {
            let _ = tx.send_cancel(Payload::new(1), &theirs);
        });
        let two = spawn(move || send(&other, 2));
        token.cancel();
        let first = receive(&rx);
        if first == 1 {
            assert_eq!(receive(&rx), 2);
        }
        join(one);
        join(two);
        assert!(matches!(rx.try_recv(), Err(TryRecvError::Disconnected)));
    });
}

/// 2 threads: the receiver goes while a value is sent. It comes back, or is dropped with the channel,
/// by a thread that has synchronized with its sender.
#[test]
fn a_receiver_that_goes_leaves_no_sender_waiting() {
    for capacity in [0, 1] {
        Scenario {
            name: "chan: the receiver goes while somebody sends [V4] [V5]",
            threads: 2,
            operations: "send ×2 | try_recv, drop",
        }
        .check(Bound::Complete, move || {
            let (tx, rx) = bounded(capacity);
            let sends = spawn(move || {
                let first = tx.send(Payload::new(1));
                assert!(first.is_ok() || tx.is_closed());
                let second = tx.send(Payload::new(2));
                assert!(second.is_ok() || tx.is_closed());
            });
            if let Ok(value) = rx.try_recv() {
                assert_eq!(value.take(), 1);
            }
            drop(rx);
            join(sends);
        });
    }
}

/// 2 threads: one value is received from a full buffer, and then nobody receives: the sender that waited
/// goes on all the same.
#[test]
fn room_lets_a_waiting_sender_in() {
    Scenario {
        name: "chan: room lets a waiting sender in [V2]",
        threads: 2,
        operations: "send ×2 | recv, join, recv",
    }
    .check(Bound::Complete, || {
        let (tx, rx) = bounded(1);
        let sends = spawn(move || {
            send(&tx, 1);
            send(&tx, 2);
        });
        assert_eq!(receive(&rx), 1);
        join(sends);
        assert_eq!(receive(&rx), 2);
    });
}

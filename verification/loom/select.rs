//! Select: [V4], [V6], [V7]. Values are race-checked cells.

use crate::harness::{Bound, Payload, Scenario, assert_conserved, join, spawn};
use selvedge::chan::{Receiver, Select, Sender, bounded};
use selvedge::{CancelToken, select};
use std::sync::{Arc, Mutex};

/// Numbers that model threads have taken; not part of the model.
type Taken = Arc<Mutex<Vec<usize>>>;

fn send(tx: &Sender<Payload>, id: usize) {
    assert!(tx.send(Payload::new(id)).is_ok(), "{id} was not sent");
}

/// Receives from one or the other; which, and what.
fn either(one: &Receiver<Payload>, other: &Receiver<Payload>) -> (usize, usize) {
    select! {
        recv(one) -> value => (1, value.expect("a value").take()),
        recv(other) -> value => (2, value.expect("a value").take()),
    }
}

/// 3 threads: two send on a channel each, the third selects twice. Each value comes by its own arm.
fn two_senders(name: &'static str, capacity: usize) {
    Scenario { name, threads: 3, operations: "send | send | select ×2" }.check(
        Bound::usual(),
        move || {
            let (tx, one) = bounded(capacity);
            let (other, two) = bounded(capacity);
            let keep = (tx.clone(), other.clone());
            let first = spawn(move || send(&tx, 1));
            let second = spawn(move || send(&other, 2));
            let received = [either(&one, &two), either(&one, &two)];
            assert!(received.iter().all(|(arm, value)| arm == value), "{received:?}");
            assert_conserved(2, received.map(|(_, value)| value).to_vec());
            join(first);
            join(second);
            drop(keep);
        },
    );
}

/// 3 threads.
#[test]
fn a_select_takes_from_each_of_two_that_meet_it() {
    two_senders("select: rendezvous, two senders [V4] [V7]", 0);
}

/// 3 threads.
#[test]
fn a_select_takes_from_each_of_two_buffers() {
    two_senders("select: buffers of one, two senders [V4] [V7]", 1);
}

/// 2 threads: both select, to send on one channel or to receive from the other, their arms in opposite
/// orders. They meet, on exactly one of the channels.
#[test]
fn two_selects_meet_on_one_of_two_channels() {
    Scenario {
        name: "select: against a select, both ways [V4] [V6] [V7]",
        threads: 2,
        operations: "select(send a, recv b) | select(send b, recv a)",
    }
    .check(Bound::Complete, || {
        let (a, from_a) = bounded::<Payload>(0);
        let (b, from_b) = bounded::<Payload>(0);
        let keep = (a.clone(), from_a.clone(), b.clone(), from_b.clone());
        let outcome = Taken::default();
        let theirs = outcome.clone();
        let other = spawn(move || {
            let got = select! {
                send(b, Payload::new(2)) -> sent => { sent.expect("open"); 20 }
                recv(from_a) -> value => value.expect("a value").take(),
            };
            theirs.lock().unwrap().push(got);
        });
        let got = select! {
            send(a, Payload::new(1)) -> sent => { sent.expect("open"); 10 }
            recv(from_b) -> value => value.expect("a value").take(),
        };
        join(other);
        let theirs = outcome.lock().unwrap().pop().expect("it has ended");
        assert!(matches!((got, theirs), (10, 1) | (2, 20)), "{got} and {theirs}");
        drop(keep);
    });
}

/// 2 threads: a select that makes its value once it was chosen, against a plain receive.
#[test]
fn a_select_makes_its_value_for_a_receiver() {
    for capacity in [0, 1] {
        Scenario {
            name: "select: sends to a plain receiver [V4] [V7]",
            threads: 2,
            operations: "select(send a, send b) | recv a",
        }
        .check(Bound::Complete, move || {
            let (a, from_a) = bounded::<Payload>(capacity);
            let (b, from_b) = bounded::<Payload>(0);
            let keep = a.clone();
            let selects = spawn(move || {
                select! {
                    send(a, Payload::new(1)) -> sent => sent.expect("open"),
                    send(b, Payload::new(2)) -> _ => unreachable!("nobody receives"),
                }
            });
            assert_eq!(from_a.recv().expect("a value").take(), 1);
            join(selects);
            drop((from_b, keep));
        });
    }
}

/// 3 threads: two selects send, one receiver receives twice, by a select and plainly.
#[test]
fn two_selects_send_to_one_receiver() {
    Scenario {
        name: "select: two selects send to one receiver [V4] [V7]",
        threads: 3,
        operations: "select(send) | select(send) | select(recv), recv",
    }
    .check(Bound::usual(), || {
        let (tx, rx) = bounded::<Payload>(0);
        let selects = [1, 2].map(|id| {
            let tx = tx.clone();
            spawn(move || {
                select! { send(tx, Payload::new(id)) -> sent => sent.expect("open") }
            })
        });
        let first = select! { recv(rx) -> value => value.expect("a value").take() };
        let second = rx.recv().expect("a value").take();
        assert_conserved(2, vec![first, second]);
        selects.into_iter().for_each(join);
        drop(tx);
    });
}

/// 3 threads: a select waits under a token; one sends, one cancels. The value is received by the
/// select, or still there to be received.
#[test]
fn a_cancelled_select_takes_or_leaves() {
    Scenario {
        name: "select: cancelled against a hand-off [V4] [V7]",
        threads: 3,
        operations: "select(recv, cancel) | send | cancel",
    }
    .check(Bound::usual(), || {
        let (tx, rx) = bounded::<Payload>(1);
        let token = CancelToken::new();
        let theirs = token.clone();
        let cancels = spawn(move || theirs.cancel());
        let sends = spawn(move || send(&tx, 1));
        let mut left = select! {
            recv(rx) -> value => vec![value.expect("a value").take()],
            cancel(token) => vec![],
        };
        join(cancels);
        join(sends);
        left.extend(rx.try_iter().map(|value| value.take()));
        assert_conserved(1, left);
    });
}

/// 3 threads: a select waits on two channels; one is closed while a value comes on the other.
#[test]
fn a_close_against_a_hand_off_to_a_select() {
    Scenario {
        name: "select: close against a hand-off [V4] [V5] [V7]",
        threads: 3,
        operations: "select(recv a, recv b), try_recv b | close a | try_send b",
    }
    .check(Bound::usual(), || {
        let (a, from_a) = bounded::<Payload>(0);
        let (b, from_b) = bounded::<Payload>(0);
        let closes = spawn(move || {
            a.close();
        });
        let sent = Taken::default();
        let tell = sent.clone();
        let sends = spawn(move || {
            if b.try_send(Payload::new(1)).is_ok() {
                tell.lock().unwrap().push(1);
            }
        });
        let received = select! {
            recv(from_a) -> value => { assert!(value.is_err()); vec![] }
            recv(from_b) -> value => value.iter().map(Payload::take).collect(),
        };
        join(closes);
        join(sends);
        assert_eq!(*sent.lock().unwrap(), received, "what was sent was received");
    });
}

/// 3 threads: a select is chosen and makes no value after all; a plain sender goes on in its stead.
#[test]
fn who_lets_go_of_a_chosen_arm_holds_up_nobody() {
    for capacity in [0, 1] {
        Scenario {
            name: "select: a chosen send is let go [V4] [V7]",
            threads: 3,
            operations: "select(send), drop | send | recv",
        }
        .check(Bound::usual(), move || {
            let (tx, rx) = bounded::<Payload>(capacity);
            let other = tx.clone();
            let lets_go = spawn(move || {
                let mut select = Select::new();
                select.send(&tx);
                drop(select.select_timeout(std::time::Duration::MAX));
            });
            let sends = spawn(move || send(&other, 1));
            assert_eq!(rx.recv().expect("a value").take(), 1);
            // The other select may still wait.
            drop(rx);
            join(lets_go);
            join(sends);
        });
    }
}

/// 3 threads: a chosen receive is let go, while another receiver waits: the value goes there.
#[test]
fn a_received_value_that_is_let_go_is_received_by_another() {
    Scenario {
        name: "select: a chosen receive is let go [V1] [V4]",
        threads: 3,
        operations: "select(recv), drop | recv | send",
    }
    .check(Bound::usual(), || {
        let (tx, rx) = bounded::<Payload>(0);
        let other = rx.clone();
        let lets_go = spawn(move || {
            let mut select = Select::new();
            select.recv(&other);
            drop(select.select());
        });
        let receives = spawn(move || {
            assert_eq!(rx.recv().expect("a value").take(), 1);
        });
        send(&tx, 1);
        // The value is received; the select hears of the close, if it came too late.
        join(receives);
        drop(tx);
        join(lets_go);
    });
}

/// 2 threads: one asks when it could receive, and then does.
#[test]
fn who_asks_what_is_ready_is_told() {
    for capacity in [0, 1] {
        Scenario {
            name: "select: who asks what is ready is told [V7]",
            threads: 2,
            operations: "ready, try_recv | send",
        }
        .check(Bound::Complete, move || {
            let (tx, rx) = bounded::<Payload>(capacity);
            let sends = spawn(move || send(&tx, 1));
            let mut select = Select::new();
            select.recv(&rx);
            assert_eq!(select.ready(), 0);
            assert_eq!(rx.try_recv().expect("nobody else receives").take(), 1);
            join(sends);
        });
    }
}

/// 2 threads: a place in a buffer is let go; a sender that waits for it goes on, though nobody receives.
#[test]
fn a_place_that_is_let_go_goes_to_a_waiting_sender() {
    Scenario {
        name: "select: a place that is let go goes to a waiting sender [V2] [V7]",
        threads: 2,
        operations: "select(send), drop | send",
    }
    .check(Bound::Complete, || {
        let (tx, rx) = bounded::<Payload>(1);
        let other = tx.clone();
        let theirs = rx.clone();
        let lets_go = spawn(move || {
            let mut select = Select::new();
            select.send(&other);
            let _ = select.try_select().map(drop);
            drop(theirs);
        });
        send(&tx, 1);
        join(lets_go);
        assert_eq!(rx.recv().expect("a value").take(), 1);
    });
}

/// 3 threads: a select that receives is left by a select that lets go, and meets another sender.
#[test]
fn a_select_that_is_left_by_its_partner_begins_anew() {
    Scenario {
        name: "select: left by its partner, it begins anew [V4] [V7]",
        threads: 3,
        operations: "select(send), drop | send | select(recv)",
    }
    .check(Bound::usual(), || {
        let (tx, rx) = bounded::<Payload>(0);
        let other = tx.clone();
        let lets_go = spawn(move || {
            let mut select = Select::new();
            select.send(&tx);
            drop(select.select());
        });
        let sends = spawn(move || send(&other, 1));
        let value = select! { recv(rx) -> value => value.expect("a value").take() };
        assert_eq!(value, 1);
        drop(rx);
        join(lets_go);
        join(sends);
    });
}

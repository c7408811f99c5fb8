//! Channels and selects on the whole runtime: [A1], [V1], [V2], [V3], [V4], [V5], [V6], [V7]. Whatever
//! happens, each value is dropped once, and nobody waits for ever; processors are taken, and deadlines
//! expire, whenever it pleases the clock.

use crate::harness::{Plan, Scenario};
use crate::support::{Home, LATER, Ledger, anchored, migrating, run_in_time};
use selvedge::chan::{Receiver, Select, Sender, TryRecvError, bounded};
use selvedge::{JoinHandle, Runtime, go, select, yield_now};

/// What is sent: it enters its number in the ledger when it is dropped.
pub struct Value {
    pub number: usize,
    dropped: Ledger,
}

impl Value {
    pub fn new(number: usize, ledger: &Ledger) -> Value {
        Value { number, dropped: ledger.clone() }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.dropped.enter(self.number);
    }
}

pub type Numbers = Vec<usize>;

/// A goroutine that must end where it began, if it is anchored.
pub fn spawn<T: Send + 'static>(
    is_anchored: bool,
    body: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    go(move || {
        let home = Home::here();
        let result = body();
        if is_anchored {
            home.assert_still_here();
        }
        result
    })
}

pub fn join_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    handles.into_iter().map(|handle| handle.join().expect("no panic")).collect()
}

pub fn receive_all(rx: &Receiver<Value>) -> Numbers {
    rx.iter().map(|value| value.number).collect()
}

/// Those received are those sent.
#[track_caller]
pub fn assert_conserved(sent: Vec<Numbers>, received: Vec<Numbers>) {
    let [mut sent, mut received] = [sent, received].map(|each| each.concat());
    sent.sort_unstable();
    received.sort_unstable();
    assert_eq!(received, sent, "V4: received must be what was sent");
}

/// Checks `model` in both placements.
pub fn check_both(
    names: [&'static str; 2],
    goroutines: usize,
    model: impl Fn(Runtime, bool) + Send + Sync + Copy + 'static,
) {
    let [anchored_name, migrating_name] = names;
    Scenario { name: anchored_name, threads: 4, goroutines }
        .check(&Plan::usual(600), move || model(anchored(2, 2), true));
    Scenario { name: migrating_name, threads: 5, goroutines }
        .check(&Plan::usual(600), move || model(migrating(2, 3), false));
}

/// 3 send 3 values each, 2 receive until all senders are gone.
fn convey(capacity: usize, runtime: Runtime, is_anchored: bool) {
    let ledger = Ledger::new(9);
    let values = ledger.clone();
    run_in_time(runtime, move || {
        let (tx, rx) = bounded(capacity);
        let senders = [0, 3, 6].map(|first| {
            let (tx, values) = (tx.clone(), values.clone());
            spawn(is_anchored, move || {
                for number in first..first + 3 {
                    assert!(tx.send(Value::new(number, &values)).is_ok(), "it is open");
                }
            })
        });
        drop(tx);
        let receivers = [(); 2].map(|()| {
            let rx = rx.clone();
            spawn(is_anchored, move || receive_all(&rx))
        });
        drop(rx);
        join_all(senders);
        let received = join_all(receivers);
        for numbers in &received {
            for sender in 0..3 {
                let own = numbers.iter().filter(|number| **number / 3 == sender);
                assert!(own.is_sorted(), "V3: out of order, {numbers:?}");
            }
        }
        assert_conserved(vec![(0..9).collect()], received);
    });
    ledger.assert_each_ran_once();
}

/// 4 and 5 threads, 6 goroutines; sampled.
#[test]
fn a_buffer_loses_nothing_and_keeps_each_senders_order() {
    let names = [
        "channels: a buffer of two, anchored [A1] [V1] [V2] [V3] [V4]",
        "channels: a buffer of two, migrating [V1] [V2] [V3] [V4]",
    ];
    check_both(names, 6, |runtime, is_anchored| convey(2, runtime, is_anchored));
}

/// 4 and 5 threads, 6 goroutines; sampled.
#[test]
fn a_rendezvous_loses_nothing_and_keeps_each_senders_order() {
    let names = [
        "channels: a rendezvous, anchored [A1] [V1] [V2] [V3] [V4]",
        "channels: a rendezvous, migrating [V1] [V2] [V3] [V4]",
    ];
    check_both(names, 6, |runtime, is_anchored| convey(0, runtime, is_anchored));
}

/// What one goroutine sent, and what it received.
type Deal = (Numbers, Numbers);

/// One select that sends or receives on either of two channels.
fn deal(number: usize, values: &Ledger, [a, b]: &[(Sender<Value>, Receiver<Value>); 2]) -> Deal {
    select! {
        send(a.0, Value::new(number, values)) -> sent => {
            assert!(sent.is_ok(), "it is open");
            (vec![number], vec![])
        }
        recv(b.1) -> value => (vec![], vec![value.expect("it is open").number]),
        send(b.0, Value::new(number, values)) -> sent => {
            assert!(sent.is_ok(), "it is open");
            (vec![number], vec![])
        }
        recv(a.1) -> value => (vec![], vec![value.expect("it is open").number]),
    }
}

/// 4 selects of four arms, a sender and a receiver, all without a buffer: whoever meets whom, they
/// go off in pairs.
fn meet(runtime: Runtime, is_anchored: bool) {
    run_in_time(runtime, move || {
        // Those that were not chosen to send have made no value: the ledger is not full.
        let values = Ledger::new(5);
        let channels = [bounded(0), bounded(0)];
        let mut deals: Vec<JoinHandle<Deal>> = Vec::new();
        for number in 0..4 {
            let (channels, values) = (channels.clone(), values.clone());
            deals.push(spawn(is_anchored, move || deal(number, &values, &channels)));
        }
        let [(tx, rx), _other] = channels.clone();
        let mine = values.clone();
        deals.push(spawn(is_anchored, move || {
            assert!(tx.send(Value::new(4, &mine)).is_ok(), "it is open");
            (vec![4], vec![])
        }));
        deals.push(spawn(is_anchored, move || {
            (vec![], vec![rx.recv().expect("it is open").number])
        }));
        let (sent, received): (Vec<_>, Vec<_>) = join_all(deals).into_iter().unzip();
        for number in sent.concat() {
            assert_eq!(values.times(number), 1, "V4: dropped once");
        }
        assert_eq!(sent.concat().len(), 3, "V7: each does one arm's part");
        assert_conserved(sent, received);
        for (_, rx) in &channels {
            assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)), "nothing is left");
        }
    });
}

/// 4 and 5 threads, 7 goroutines; sampled.
#[test]
fn selects_meet_selects() {
    let names = [
        "channels: selects meet, anchored [A1] [V4] [V6] [V7]",
        "channels: selects meet, migrating [V4] [V6] [V7]",
    ];
    check_both(names, 7, meet);
}

/// 3 selects send two values each into either of two buffers of one, a fourth lets go of the place
/// that it was given, 2 selects receive. Then every place is free again.
fn share_buffers(runtime: Runtime, is_anchored: bool) {
    let ledger = Ledger::new(8);
    let values = ledger.clone();
    run_in_time(runtime, move || {
        let channels = [bounded(1), bounded(1)];
        let senders = [0, 2, 4].map(|first| {
            let ([(a, _), (b, _)], values) = (channels.clone(), values.clone());
            spawn(is_anchored, move || {
                for number in [first, first + 1] {
                    let sent = select! {
                        send(a, Value::new(number, &values)) -> sent => sent,
                        send(b, Value::new(number, &values)) -> sent => sent,
                    };
                    assert!(sent.is_ok(), "it is open");
                }
            })
        });
        let (fickle, _) = channels[0].clone();
        let lets_go = spawn(is_anchored, move || {
            let mut select = Select::new();
            select.send(&fickle);
            let _ = select.select_timeout(LATER).map(drop);
        });
        let receivers = [(); 2].map(|()| {
            let [(_, a), (_, b)] = channels.clone();
            spawn(is_anchored, move || {
                let receive = |_| select! { recv(a) -> value => value, recv(b) -> value => value };
                (0..3).map(receive).map(|value| value.expect("it is open").number).collect()
            })
        });
        join_all(senders);
        join_all([lets_go]);
        assert_conserved(vec![(0..6).collect()], join_all(receivers));
        for ((tx, _), number) in channels.iter().zip([6, 7]) {
            assert!(tx.try_send(Value::new(number, &values)).is_ok(), "V2: its place is free");
        }
    });
    ledger.assert_each_ran_once();
}

/// 4 and 5 threads, 7 goroutines; sampled.
#[test]
fn places_that_selects_were_given_are_free_again() {
    let names = [
        "channels: selects share buffers, anchored [A1] [V2] [V4] [V7]",
        "channels: selects share buffers, migrating [V2] [V4] [V7]",
    ];
    check_both(names, 7, share_buffers);
}

/// How an end comes to its end.
#[derive(Clone, Copy)]
enum End {
    /// One who holds a receiver closes.
    Closed,
    /// Each receiver takes one value and goes.
    ReceiversDropped,
}

/// 2 send 2 values each, as long as they can; 2 receive; in the middle of it the channel ends.
fn end_midway(capacity: usize, how: End, runtime: Runtime, is_anchored: bool) {
    let ledger = Ledger::new(4);
    let values = ledger.clone();
    run_in_time(runtime, move || {
        let (tx, rx) = bounded(capacity);
        let senders = [0, 2].map(|first| {
            let (tx, values) = (tx.clone(), values.clone());
            spawn(is_anchored, move || {
                let send = |number: &usize| tx.send(Value::new(*number, &values)).is_ok();
                [first, first + 1].into_iter().filter(send).collect::<Numbers>()
            })
        });
        let receivers = [(); 2].map(|()| {
            let rx = rx.clone();
            spawn(is_anchored, move || match how {
                End::Closed => receive_all(&rx),
                End::ReceiversDropped => rx.recv().iter().map(|value| value.number).collect(),
            })
        });
        if matches!(how, End::Closed) {
            yield_now();
            rx.close();
        }
        drop(rx);
        let (sent, received) = (join_all(senders), join_all(receivers));
        match how {
            End::Closed => assert_conserved(sent, received),
            // The rest went with the channel.
            End::ReceiversDropped => assert_eq!(received.concat().len(), 2),
        }
        assert!(tx.send(Value::new(0, &Ledger::new(1))).is_err(), "V5: it has ended");
    });
    ledger.assert_each_ran_once();
}

/// 4 and 5 threads, 5 goroutines; sampled.
#[test]
fn what_was_sent_before_a_close_is_received() {
    let names = [
        "channels: closed midway, anchored [V4] [V5]",
        "channels: closed midway, migrating, no buffer [V4] [V5]",
    ];
    check_both(names, 5, |runtime, is_anchored| {
        end_midway(if is_anchored { 1 } else { 0 }, End::Closed, runtime, is_anchored);
    });
}

/// 4 and 5 threads, 5 goroutines; sampled.
#[test]
fn senders_learn_that_the_receivers_have_gone() {
    let names = [
        "channels: receivers go, anchored [V4] [V5]",
        "channels: receivers go, migrating, no buffer [V4] [V5]",
    ];
    check_both(names, 5, |runtime, is_anchored| {
        let capacity = if is_anchored { 1 } else { 0 };
        end_midway(capacity, End::ReceiversDropped, runtime, is_anchored);
    });
}

//! `select!` and `Select` at work.

use crate::common::{beside, everywhere, panic_of};
use selvedge::chan::{
    Receiver, RecvError, Select, SelectTimeoutError, SendError, Sender, TryRecvError,
    TrySelectError, TrySendError, bounded, never, unbounded,
};
use selvedge::{CancelToken, no_suspend, select, time};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(2);

#[test]
fn the_macro_takes_every_form_of_arm() {
    let (tx, rx) = bounded(1);
    let (borrowed, token) = (&rx, CancelToken::new());
    let first = select! {
        recv(borrowed) -> value => value.unwrap(),
        send(tx, 5) -> sent => {
            sent.unwrap();
            0
        }
        cancel(token.child()) => 3,
    };
    assert_eq!(first, 0);
    let second = select! {
        default(SHORT) => { 1 },
        recv(&rx,) -> value => if value == Ok(5) { 2 } else { 3 },
    };
    assert_eq!(second, 2);
    let third = select! { recv(never::<u8>()) -> _ => 0, default => 1 };
    assert_eq!(third, 1);
    token.cancel();
    select! {
        recv(rx) -> _ => unreachable!("nothing was sent"),
        cancel(token) => {}
        default => unreachable!("it is cancelled"),
    }
    select! { default => {} }
}

#[test]
fn a_body_may_do_with_the_ends_what_it_likes() {
    fn first(rx: Receiver<u8>, tx: Sender<u8>) -> Result<u8, RecvError> {
        loop {
            select! {
                recv(rx) -> value => {
                    drop((rx, tx));
                    return Ok(value? + 1);
                }
                send(tx, 7) -> _ => continue,
            }
        }
    }
    let (tx, rx) = bounded(1);
    assert_eq!(first(rx, tx), Ok(8));
}

#[test]
fn the_value_of_a_send_is_made_only_for_the_arm_that_wins() {
    let (tx, rx) = bounded(1);
    let (full, _keep) = bounded::<Box<u8>>(0);
    let value = Box::new(1);
    tx.send(2).unwrap();
    select! {
        send(full, value) -> _ => unreachable!("nobody receives"),
        recv(rx) -> two => assert_eq!(two.unwrap() - *value, 1, "the value is still there"),
    }
}

#[test]
fn of_those_ready_at_once_each_is_chosen_about_as_often() {
    let channels: Vec<_> = (0..4).map(|_| bounded(0).1 as Receiver<u8>).collect();
    let mut chosen = [0; 4];
    for _ in 0..4000 {
        // Closed, so all are ready.
        let arm = select! {
            recv(channels[0]) -> _ => 0,
            recv(channels[1]) -> _ => 1,
            recv(channels[2]) -> _ => 2,
            recv(channels[3]) -> _ => 3,
        };
        chosen[arm] += 1;
    }
    // 1000 each, and 27 the standard deviation.
    assert!(chosen.iter().all(|times| (800..1200).contains(times)), "{chosen:?}");
}

/// Of these only one has a channel of its own to lock.
#[test]
fn arms_of_every_kind_are_chosen_about_as_often() {
    let (tx, rx) = unbounded();
    (0..3000).for_each(|n| tx.send(n).unwrap());
    let (token, clock) = (CancelToken::new(), Instant::now());
    token.cancel();
    let mut times = [0; 3];
    for _ in 0..3000 {
        let due = time::after(Duration::ZERO);
        while due.is_empty() {
            assert!(clock.elapsed() < Duration::from_secs(30), "no time comes");
        }
        times[select! { recv(rx) -> _ => 0, recv(due) -> _ => 1, cancel(token) => 2 }] += 1;
    }
    assert!(times.iter().all(|n| (800..1200).contains(n)), "{times:?}");
}

#[test]
fn a_select_never_meets_itself() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let (tx, rx) = bounded(0);
            let lonely = select! {
                send(tx, 1) -> _ => false,
                recv(rx) -> _ => false,
                send(tx, 2) -> _ => false,
                default(SHORT) => true,
            };
            assert!(lonely);
            assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)), "nobody waits any more");
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "nobody waits any more");
        });
    });
}

#[test]
fn two_selects_meet_whichever_way_round() {
    everywhere(|_, runtime| {
        let (one, to_one) = bounded::<u32>(0);
        let (other, to_other) = bounded::<u32>(0);
        let exchange = |mine: Sender<u32>, theirs: Receiver<u32>| {
            move || {
                let (mut sent, mut received) = (0, 0);
                for n in 0..200 {
                    select! {
                        send(mine, n) -> done => { done.unwrap(); sent += 1 }
                        recv(theirs) -> value => { value.unwrap(); received += 1 }
                    }
                }
                (sent, received)
            }
        };
        let (left, right) = runtime.run(|| {
            let left = selvedge::go(exchange(one, to_other));
            let right = selvedge::go(exchange(other, to_one));
            (left.join().unwrap(), right.join().unwrap())
        });
        assert_eq!((left.0, left.1), (right.1, right.0), "each send has its receive");
    });
}

#[test]
fn a_select_that_waits_to_send_is_found_by_every_receive() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            for way in 0..4 {
                let (tx, rx) = bounded(0);
                let (other, _keep) = bounded::<Arc<u8>>(0);
                let sends = selvedge::go(move || {
                    select! {
                        send(tx, Arc::new(way)) -> sent => sent.unwrap(),
                        send(other, Arc::new(9)) -> _ => unreachable!("nobody receives"),
                    }
                });
                let received = match way {
                    0 => rx.recv().unwrap(),
                    1 => rx.recv_timeout(Duration::from_secs(60)).unwrap(),
                    2 => loop {
                        match rx.try_recv() {
                            Ok(value) => break value,
                            Err(error) => assert_eq!(error, TryRecvError::Empty),
                        }
                        selvedge::yield_now();
                    },
                    _ => select! { recv(rx) -> value => value.unwrap() },
                };
                assert_eq!(*received, way);
                sends.join().unwrap();
            }
        });
    });
}

#[test]
fn who_may_not_wait_leaves_a_select_that_has_to_make_its_value() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let (tx, rx) = bounded(0);
            let sends = selvedge::go(move || select! { send(tx, 1) -> sent => sent });
            for _ in 0..20 {
                assert_eq!(no_suspend(|| rx.try_recv()), Err(TryRecvError::Empty));
                assert!(panic_of(|| no_suspend(|| rx.recv())).contains("no_suspend"));
                let mut select = Select::new();
                select.recv(&rx);
                assert!(no_suspend(|| select.try_select().is_err()));
                selvedge::yield_now();
            }
            assert_eq!(rx.recv(), Ok(1));
            sends.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_value_that_panics_while_it_is_made_holds_up_nobody() {
    fn never_made() -> u8 {
        std::panic::resume_unwind(Box::new("not made"))
    }
    everywhere(|_, runtime| {
        for capacity in [0, 1] {
            let (tx, rx) = bounded(capacity);
            let (panicking, spare) = (tx.clone(), rx.clone());
            runtime.run(|| {
                let receives = selvedge::go(move || spare.recv());
                selvedge::yield_now();
                let dies = selvedge::go(move || {
                    select! { send(panicking, never_made()) -> _ => {} }
                });
                assert!(dies.join().is_err());
                tx.send(1).unwrap();
                assert_eq!(receives.join().unwrap(), Ok(1));
                assert!(rx.is_empty() && tx.try_send(2).is_ok() == (capacity == 1));
            });
        }
    });
}

#[test]
fn what_is_chosen_and_not_finished_goes_back() {
    let (tx, rx) = bounded(1);
    tx.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    drop(select.select());
    assert_eq!(rx.len(), 1, "the value is there again");
    std::mem::forget(select.select());
    assert_eq!(rx.len(), 0);
    let index = select.select().index();
    assert_eq!(index, 0, "the value was given back by the next select");
    drop(select);
    assert_eq!(rx.recv(), Ok(1));

    let mut select = Select::new();
    select.send(&tx);
    let chosen = select.select();
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)), "the place is kept");
    drop(chosen);
    assert_eq!(tx.try_send(4), Ok(()));
    drop(select);
}

#[test]
fn a_list_of_arms_is_made_at_run_time() {
    let channels: Vec<_> = (0..64).map(|_| unbounded::<usize>()).collect();
    let mut select = Select::new();
    for (_, rx) in &channels {
        select.recv(rx);
    }
    assert!(panic_of(|| select.recv(&channels[0].1)).contains("at most 64 arms"));
    assert_eq!(select.try_select().map(|_| ()), Err(TrySelectError));
    assert_eq!(select.select_timeout(SHORT).map(|_| ()), Err(SelectTimeoutError));
    assert_eq!(select.select_deadline(Instant::now()).map(|_| ()), Err(SelectTimeoutError));
    for n in [0, 63, 17] {
        channels[n].0.send(n).unwrap();
        assert_eq!((select.ready(), select.try_ready()), (n, Ok(n)));
        let chosen = select.select();
        assert_eq!(chosen.index(), n);
        assert_eq!(chosen.recv(&channels[n].1), Ok(n));
    }
    select.remove(63);
    assert!(panic_of(|| select.remove(63)).contains("no arm has the index 63"));
    channels[63].0.send(1).unwrap();
    assert_eq!(select.ready_timeout(SHORT), Err(SelectTimeoutError));
    assert_eq!(format!("{select:?}"), "Select { arms: 63 }");
}

#[test]
fn bad_input_to_a_select_says_what_to_do() {
    assert!(
        panic_of(|| Select::new().select().index()).contains("with no arm would wait for ever")
    );
    assert!(panic_of(|| Select::new().ready()).contains("with no arm would wait for ever"));
    assert_eq!(Select::new().try_select().map(|_| ()), Err(TrySelectError));
    assert_eq!(Select::new().select_timeout(SHORT).map(|_| ()), Err(SelectTimeoutError));
    let (tx, rx) = bounded(1);
    let (_, other) = bounded::<u8>(1);
    tx.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    let message = panic_of(|| select.select().recv(&other));
    assert!(message.contains("ask for its index"), "{message}");
    assert!(panic_of(|| select.select().send(&tx, 2)).contains("does not send to this sender"));
    assert_eq!(select.select().recv(&rx), Ok(1), "and it was not lost");
}

#[test]
fn a_closed_channel_is_ready_with_its_error() {
    let (tx, rx) = bounded(0);
    tx.close();
    for _ in 0..20 {
        select! {
            send(tx, 1) -> sent => assert_eq!(sent, Err(SendError(1))),
            recv(rx) -> value => assert_eq!(value, Err(RecvError)),
        }
    }
    let mut select = Select::new();
    select.send(&tx);
    assert_eq!(select.select().send(&tx, 3), Err(SendError(3)));
}

#[test]
fn close_and_cancel_wake_a_select_that_waits() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let ((tx, rx), (full, _keep)) = (bounded::<u8>(0), bounded::<u8>(0));
            let token = CancelToken::new();
            let wait = |rx: Receiver<u8>, full: Sender<u8>, token: CancelToken| {
                move || {
                    select! {
                        recv(rx) -> value => if value.is_err() { "receiver" } else { "value" },
                        send(full, 1) -> sent => if sent.is_err() { "sender" } else { "sent" },
                        cancel(token) => "token",
                    }
                }
            };
            let start = || {
                let waits = selvedge::go(wait(rx.clone(), full.clone(), token.clone()));
                selvedge::yield_now();
                waits
            };
            let waits = start();
            full.close();
            assert_eq!(waits.join().unwrap(), "sender");
            let (_, open) = (bounded::<u8>(0), bounded::<u8>(0));
            let waits = selvedge::go(wait(rx.clone(), open.0.clone(), token.clone()));
            selvedge::yield_now();
            token.cancel();
            assert_eq!(waits.join().unwrap(), "token");
            let waits = selvedge::go(wait(rx.clone(), open.0.clone(), CancelToken::new()));
            selvedge::yield_now();
            drop(tx);
            assert_eq!(waits.join().unwrap(), "receiver");
        });
    });
}

#[test]
fn who_only_asks_what_is_ready_takes_nothing_and_hears_of_it() {
    beside(|| {
        let runtime = selvedge::Runtime::builder().processors(1).build().unwrap();
        runtime.run(|| {
            let (tx, rx) = bounded(0);
            let asked = rx.clone();
            let asks = selvedge::go(move || {
                let mut select = Select::new();
                let index = select.recv(&asked);
                assert_eq!(select.ready(), index);
            });
            // Again if it had not begun to wait.
            while !asks.is_finished() {
                selvedge::yield_now();
                assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)), "it takes nothing");
            }
            asks.join().unwrap();
            let sends = selvedge::go(move || tx.send(2));
            let mut select = Select::new();
            let index = select.recv(&rx);
            assert_eq!(select.ready(), index);
            assert_eq!(rx.try_recv(), Ok(2));
            sends.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_default_may_have_parentheses() {
    let (tx, rx) = selvedge::chan::bounded(1);
    let look = || {
        selvedge::select! {
            recv(rx) -> value => value.ok(),
            default() => None,
        }
    };
    assert_eq!(look(), None);
    tx.send(1).unwrap();
    assert_eq!(look(), Some(1));
}

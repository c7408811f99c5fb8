//! Go's rules about channels and select, each as a test: what its specification says of channel types,
//! send statements, the receive operator, select statements, close, length and capacity, for statements;
//! and what its memory model says of channels. In our words. Where Rust must differ, the test says how.

use crate::common::{beside, everywhere, panic_of};
use selvedge::chan::{Receiver, RecvError, SendError, TryRecvError, bounded, never, unbounded};
use selvedge::select;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(2);

/// Waits until `n` goroutines or so have come to a stop: they have had every chance.
fn let_others_run() {
    (0..50).for_each(|_| selvedge::yield_now());
}

#[test]
fn a_channel_carries_values_of_one_type_between_goroutines() {
    everywhere(|_, runtime| {
        let (tx, rx) = bounded::<String>(0);
        runtime.run(|| {
            selvedge::go(move || tx.send("word".to_owned()).unwrap());
            assert_eq!(rx.recv().unwrap(), "word");
        });
    });
}

#[test]
fn channels_are_equal_if_one_call_made_them() {
    let ((tx, rx), (other, _)) = (bounded::<u8>(0), bounded::<u8>(0));
    assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
    assert!(!tx.same_channel(&other));
}

#[test]
fn a_nil_channel_is_never_ready() {
    // Rust has no nil channel; `never()` receives as one would.
    assert_eq!(never::<u8>().try_recv(), Err(TryRecvError::Empty));
    assert!(never::<u8>().recv_timeout(SHORT).is_err());
}

#[test]
fn a_channel_may_be_used_by_any_number_of_goroutines_without_more_synchronization() {
    everywhere(|_, runtime| {
        let sum = runtime.run(|| {
            let (tx, rx) = bounded(2);
            for n in 0..20_u64 {
                let tx = tx.clone();
                selvedge::go(move || tx.send(n).unwrap());
            }
            drop(tx);
            rx.iter().sum::<u64>()
        });
        assert_eq!(sum, 190);
    });
}

#[test]
fn a_channel_is_a_queue_first_in_first_out() {
    for capacity in [1, 5] {
        let (tx, rx) = bounded(capacity);
        for round in 0..3 {
            (0..capacity).for_each(|n| tx.send((round, n)).unwrap());
            (0..capacity).for_each(|n| assert_eq!(rx.recv(), Ok((round, n))));
        }
    }
}

#[test]
fn an_unbuffered_channel_works_only_if_both_are_ready() {
    everywhere(|_, runtime| {
        let (tx, rx) = bounded(0);
        assert!(tx.try_send(0).is_err(), "nobody receives");
        assert!(rx.try_recv().is_err(), "nobody sends");
        runtime.run(|| {
            let receives = selvedge::go({
                let rx = rx.clone();
                move || rx.recv()
            });
            assert_eq!(tx.send(1), Ok(()));
            assert_eq!(receives.join().unwrap(), Ok(1));
        });
    });
}

#[test]
fn a_buffered_send_proceeds_while_there_is_room() {
    let (tx, rx) = bounded(2);
    assert_eq!((tx.send(1), tx.send(2)), (Ok(()), Ok(())));
    assert!(tx.try_send(3).is_err());
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(tx.try_send(3), Ok(()));
}

#[test]
fn a_buffered_receive_proceeds_while_the_buffer_is_not_empty() {
    let (tx, rx) = bounded(2);
    tx.send(1).unwrap();
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Err(TryRecvError::Empty)));
}

#[test]
fn the_value_is_evaluated_before_communication_begins() {
    let (tx, rx) = bounded(1);
    let evaluated = Cell::new(false);
    let value = || {
        evaluated.set(true);
        assert!(rx.is_empty(), "nothing was sent yet");
        1
    };
    tx.send(value()).unwrap();
    assert!(evaluated.get());
}

#[test]
fn a_send_on_a_closed_channel_fails() {
    // Go panics; here it is an error, which gives the value back.
    let (tx, _rx) = bounded(1);
    tx.close();
    assert_eq!(tx.send("kept"), Err(SendError("kept")));
}

#[test]
fn a_send_that_waits_while_the_channel_is_closed_fails() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let (tx, rx) = bounded(0);
            let sends = selvedge::go(move || tx.send(1));
            let_others_run();
            rx.close();
            assert_eq!(sends.join().unwrap(), Err(SendError(1)));
        });
    });
}

#[test]
fn closing_a_closed_channel_says_so() {
    // Go panics; here it returns false.
    let (tx, _rx) = bounded::<u8>(0);
    assert!(tx.close() && !tx.close());
}

#[test]
fn a_receive_on_a_closed_channel_proceeds_after_all_that_was_sent_was_received() {
    let (tx, rx) = bounded(3);
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    tx.close();
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
    // Go: the zero value, and false. Again and again.
    assert_eq!((rx.recv(), rx.recv()), (Err(RecvError), Err(RecvError)));
}

#[test]
fn the_result_tells_a_value_from_a_closed_channel() {
    let (tx, rx) = bounded(1);
    tx.send(0).unwrap();
    tx.close();
    assert_eq!(rx.recv(), Ok(0), "a zero that was sent");
    assert_eq!(rx.recv(), Err(RecvError), "a zero that was not");
}

#[test]
fn len_counts_what_is_queued_and_capacity_the_room() {
    let (tx, rx) = bounded(3);
    tx.send(1).unwrap();
    assert_eq!((tx.len(), tx.capacity(), rx.len(), rx.capacity()), (1, Some(3), 1, Some(3)));
    let (tx, rx) = bounded::<u8>(0);
    assert_eq!((tx.len(), rx.capacity()), (0, Some(0)));
}

#[test]
fn ranging_over_a_channel_ends_when_it_is_closed() {
    let (tx, rx) = unbounded();
    (0..3).for_each(|n| tx.send(n).unwrap());
    tx.close();
    let mut seen = Vec::new();
    for value in &rx {
        seen.push(value);
    }
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn the_channels_of_a_select_are_evaluated_once_each_in_their_order() {
    let log = Cell::new(Vec::new());
    let note = |n| {
        let mut seen = log.take();
        seen.push(n);
        log.set(seen);
    };
    let (tx, rx) = bounded(1);
    select! {
        recv({ note(1); &rx }) -> _ => unreachable!("nothing was sent"),
        send({ note(2); &tx }, { note(4); 7 }) -> sent => sent.unwrap(),
        recv({ note(3); never::<u8>() }) -> _ => unreachable!("never"),
    }
    // Go evaluates the value (4) on entering, too; here it is made only for an arm that was chosen, so
    // that it is not lost where another one is.
    assert_eq!(log.take(), [1, 2, 3, 4]);
}

#[test]
fn a_select_chooses_one_that_can_proceed() {
    let ((tx, rx), (full, _keep)) = (bounded(1), bounded::<u8>(0));
    tx.send(1).unwrap();
    for _ in 0..20 {
        select! {
            send(full, 0) -> _ => unreachable!("nobody receives"),
            recv(rx) -> value => tx.send(value.unwrap()).unwrap(),
            recv(never::<u8>()) -> _ => unreachable!("never"),
        }
    }
}

#[test]
fn if_several_can_proceed_the_choice_is_uniform_and_random() {
    let (tx, rx) = bounded(1);
    let closed: Receiver<u8> = bounded(0).1;
    let mut chosen = [0; 3];
    for _ in 0..3000 {
        select! {
            recv(closed) -> _ => chosen[0] += 1,
            send(tx, 1) -> _ => { chosen[1] += 1; rx.recv().unwrap(); }
            recv(closed) -> _ => chosen[2] += 1,
        }
    }
    // 1000 each, and 26 the standard deviation.
    assert!(chosen.iter().all(|times| (800..1200).contains(times)), "{chosen:?}");
}

#[test]
fn the_default_is_chosen_if_and_only_if_no_other_can_proceed() {
    let (tx, rx) = bounded(1);
    let try_it = || select! { recv(rx) -> value => value.ok(), default => None };
    assert_eq!(try_it(), None);
    for n in 0..50 {
        tx.send(n).unwrap();
        assert_eq!(try_it(), Some(n));
    }
}

#[test]
fn without_a_default_a_select_waits_until_one_can_proceed() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let ((tx, rx), (other, from)) = (bounded::<u8>(0), bounded::<u8>(0));
            let waits = selvedge::go(move || {
                select! { recv(rx) -> value => value, recv(from) -> value => value }
            });
            let_others_run();
            assert!(!waits.is_finished());
            other.send(4).unwrap();
            assert_eq!(waits.join().unwrap(), Ok(4));
            drop(tx);
        });
    });
}

#[test]
fn the_body_of_the_chosen_arm_alone_is_executed_after_its_communication() {
    let (tx, rx) = bounded(1);
    let mut bodies = 0;
    select! {
        send(tx, 1) -> sent => {
            sent.unwrap();
            assert_eq!(rx.len(), 1, "it has been sent");
            bodies += 1;
        }
        recv(never::<u8>()) -> _ => bodies += 10,
    }
    assert_eq!(bodies, 1);
}

#[test]
fn a_select_with_only_nil_channels_and_no_default_waits_for_ever() {
    let waited = select! {
        recv(never::<u8>()) -> _ => false,
        default(SHORT) => true,
    };
    assert!(waited);
}

#[test]
fn a_select_without_arms_is_refused() {
    // In Go it waits for ever. Written down, it does not compile.
    let message = panic_of(|| selvedge::chan::Select::new().select().index());
    assert!(message.contains("would wait for ever"), "{message}");
}

// Below, `memory` is a word that channels alone synchronize. That loom would see a race: `chan.rs` there.

#[test]
fn a_send_is_synchronized_before_the_completion_of_its_receive() {
    everywhere(|_, runtime| {
        for capacity in [0, 1] {
            runtime.run(|| {
                let memory = Arc::new(AtomicUsize::new(0));
                let (tx, rx) = bounded(capacity);
                let theirs = Arc::clone(&memory);
                selvedge::go(move || {
                    theirs.store(1, Relaxed);
                    tx.send(()).unwrap();
                });
                rx.recv().unwrap();
                assert_eq!(memory.load(Relaxed), 1);
            });
        }
    });
}

#[test]
fn a_close_is_synchronized_before_a_receive_that_learns_of_it() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let memory = Arc::new(AtomicUsize::new(0));
            let (tx, rx) = bounded::<()>(1);
            let theirs = Arc::clone(&memory);
            selvedge::go(move || {
                theirs.store(1, Relaxed);
                tx.close();
            });
            assert_eq!(rx.recv(), Err(RecvError));
            assert_eq!(memory.load(Relaxed), 1);
        });
    });
}

#[test]
fn a_receive_from_an_unbuffered_channel_is_synchronized_before_the_completion_of_its_send() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let memory = Arc::new(AtomicUsize::new(0));
            let (tx, rx) = bounded(0);
            let theirs = Arc::clone(&memory);
            selvedge::go(move || {
                theirs.store(1, Relaxed);
                rx.recv().unwrap();
            });
            tx.send(()).unwrap();
            assert_eq!(memory.load(Relaxed), 1);
        });
    });
}

#[test]
fn the_kth_receive_is_synchronized_before_the_completion_of_the_send_k_plus_capacity() {
    // So a channel bounds how many are at work at once.
    everywhere(|_, runtime| {
        let most = runtime.run(|| {
            let (slots, done) = bounded(3);
            let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let workers: Vec<_> = (0..12)
                .map(|_| {
                    let (slots, done) = (slots.clone(), done.clone());
                    let (at_work, most) = (Arc::clone(&at_work), Arc::clone(&most));
                    selvedge::go(move || {
                        slots.send(()).unwrap();
                        most.fetch_max(at_work.fetch_add(1, Relaxed) + 1, Relaxed);
                        selvedge::yield_now();
                        at_work.fetch_sub(1, Relaxed);
                        done.recv().unwrap();
                    })
                })
                .collect();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            most.load(Relaxed)
        });
        assert!((1..=3).contains(&most), "{most} at once");
    });
}

#[test]
fn a_program_that_hands_a_token_round_sees_each_step_in_order() {
    beside(|| {
        let runtime = selvedge::Runtime::builder().processors(2).build().unwrap();
        let trace = runtime.run(|| {
            let (first, mut from) = bounded::<Vec<u32>>(0);
            for n in 0..50 {
                let (next, to) = bounded(0);
                selvedge::go(move || {
                    let mut trace: Vec<u32> = from.recv().unwrap();
                    trace.push(n);
                    next.send(trace).unwrap();
                });
                from = to;
            }
            first.send(Vec::new()).unwrap();
            from.recv().unwrap()
        });
        assert_eq!(trace, (0..50).collect::<Vec<_>>());
    });
}

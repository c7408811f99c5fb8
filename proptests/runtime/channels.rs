//! Channels at work: what they promise, between goroutines, plain threads, and both.

use crate::common::{beside, eventually, everywhere, panic_of};
use selvedge::chan::{
    Receiver, RecvCancelError, RecvError, RecvTimeoutError, SendCancelError, SendError,
    SendTimeoutError, Sender, TryRecvError, TrySendError, bounded, unbounded,
};
use selvedge::{CancelToken, no_suspend};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(2);

/// Starts a thread of a program: a plain one, or a goroutine.
fn start(as_thread: bool, f: impl FnOnce() + Send + 'static) {
    if as_thread {
        drop(std::thread::spawn(f));
    } else {
        drop(selvedge::go(f));
    }
}

/// A program that uses channels alone: three workers square numbers, one adds them up.
fn squares(is_thread: impl Fn(usize) -> bool, capacity: usize) -> u64 {
    let (jobs, todo) = bounded::<u64>(capacity);
    let (results, done) = bounded::<u64>(capacity);
    let (sum, answer) = bounded::<u64>(1);
    for n in 0..3 {
        let (todo, results) = (todo.clone(), results.clone());
        start(is_thread(n), move || {
            for n in todo {
                results.send(n * n).unwrap();
            }
        });
    }
    drop((todo, results));
    start(is_thread(3), move || sum.send(done.iter().sum()).unwrap());
    for n in 1..=200 {
        jobs.send(n).unwrap();
    }
    drop(jobs);
    answer.recv().unwrap()
}

#[test]
fn a_program_of_channels_runs_the_same_on_goroutines_threads_and_both() {
    everywhere(|_, runtime| {
        let expected = (1..=200).map(|n| n * n).sum::<u64>();
        for capacity in [0, 1, 7] {
            runtime.run(|| {
                assert_eq!(squares(|_| false, capacity), expected, "goroutines");
                assert_eq!(squares(|_| true, capacity), expected, "threads");
                assert_eq!(squares(|n| n % 2 == 0, capacity), expected, "both");
            });
            assert_eq!(squares(|_| true, capacity), expected, "without a runtime");
        }
    });
}

#[test]
fn errors_give_the_value_back() {
    let (tx, rx) = bounded(1);
    tx.send(1).unwrap();
    assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    assert_eq!(tx.send_timeout(3, SHORT), Err(SendTimeoutError::Timeout(3)));
    assert_eq!(tx.send_deadline(4, Instant::now()), Err(SendTimeoutError::Timeout(4)));
    let token = CancelToken::new();
    token.cancel();
    assert_eq!(tx.send_cancel(5, &token), Err(SendCancelError::Cancelled(5)));
    assert!(rx.close());
    assert_eq!(tx.send(6), Err(SendError(6)));
    assert_eq!(tx.try_send(7), Err(TrySendError::Disconnected(7)));
    assert_eq!(tx.send_timeout(8, SHORT), Err(SendTimeoutError::Disconnected(8)));
    assert_eq!(tx.send_cancel(9, &CancelToken::new()), Err(SendCancelError::Disconnected(9)));
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(rx.recv(), Err(RecvError));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Disconnected));
    assert_eq!(rx.recv_cancel(&token), Err(RecvCancelError::Cancelled));
}

#[test]
fn errors_say_what_to_do() {
    assert!(SendError(()).to_string().contains("take the value out"));
    assert!(TrySendError::Full(()).to_string().contains("use send to wait"));
    assert_eq!(TrySendError::Full(Rc::new(1)).into_inner(), Rc::new(1));
    assert_eq!(format!("{:?}", TrySendError::Full(())), "Full(..)");
    assert!(TryRecvError::Empty.to_string().contains("use recv to wait"));
    let boxed: Box<dyn std::error::Error> = Box::new(SendTimeoutError::Timeout(1));
    assert!(boxed.to_string().contains("time ran out"));
}

#[test]
fn a_second_close_says_that_it_was_closed() {
    let (tx, rx) = unbounded::<u8>();
    assert!(!tx.is_closed());
    assert!(tx.close());
    assert!(!tx.close());
    assert!(!rx.close());
    assert!(rx.is_closed());
}

#[test]
fn time_runs_out_where_nobody_comes() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let (tx, rx) = bounded::<u8>(0);
            let start = Instant::now();
            assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
            assert_eq!(rx.recv_deadline(start + 2 * SHORT), Err(RecvTimeoutError::Timeout));
            assert!(start.elapsed() >= 2 * SHORT);
            assert_eq!(tx.send_timeout(1, SHORT), Err(SendTimeoutError::Timeout(1)));
            let child = CancelToken::new().child_with_timeout(SHORT);
            assert_eq!(rx.recv_cancel(&child), Err(RecvCancelError::Cancelled));
            assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)), "nobody waits any more");
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "nobody waits any more");
        });
    });
}

#[test]
fn a_cancelled_token_ends_waits_on_both_ends() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let (tx, rx) = bounded::<u8>(0);
            let (full, _keep) = bounded::<u8>(0);
            let token = CancelToken::new();
            let (one, other) = (token.child(), token.clone());
            let receives = selvedge::go(move || rx.recv_cancel(&one));
            let sends = selvedge::go(move || full.send_cancel(1, &other));
            selvedge::yield_now();
            token.cancel();
            assert_eq!(receives.join().unwrap(), Err(RecvCancelError::Cancelled));
            assert_eq!(sends.join().unwrap(), Err(SendCancelError::Cancelled(1)));
            drop(tx);
        });
    });
}

#[test]
fn ends_know_their_channel() {
    let (tx, rx) = bounded(2);
    assert_eq!((tx.capacity(), rx.capacity()), (Some(2), Some(2)));
    assert!(tx.is_empty() && rx.is_empty() && !tx.is_full());
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    assert_eq!((tx.len(), rx.len()), (2, 2));
    assert!(tx.is_full() && rx.is_full());
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2]);
    let (other, receiver) = bounded::<i32>(0);
    assert!(tx.same_channel(&tx.clone()) && !tx.same_channel(&other));
    assert!(rx.same_channel(&rx.clone()) && !rx.same_channel(&receiver));
    assert!(receiver.is_full() && receiver.is_empty());
    assert_eq!(unbounded::<u8>().0.capacity(), None);
    assert_eq!(format!("{tx:?} {rx:?}"), "Sender { len: 0, .. } Receiver { len: 0, .. }");
    let message = panic_of(|| bounded::<u8>(usize::MAX));
    assert!(message.contains("unbounded()"), "{message}");
}

#[test]
fn what_nobody_receives_is_dropped_with_the_last_receiver() {
    let value = Arc::new(());
    let (tx, rx) = unbounded();
    let second = rx.clone();
    tx.send(Arc::clone(&value)).unwrap();
    drop(rx);
    assert_eq!(Arc::strong_count(&value), 2);
    drop(second);
    assert_eq!(Arc::strong_count(&value), 1, "nobody could receive it");
    assert!(tx.is_closed());
    assert!(tx.send(Arc::clone(&value)).is_err());
}

#[test]
fn a_value_may_use_its_own_channel_while_it_is_dropped() {
    struct Nosy(Sender<Nosy>, #[allow(dead_code)] Arc<()>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.0.len();
        }
    }
    let alive = Arc::new(());
    let (tx, rx) = unbounded();
    tx.send(Nosy(tx.clone(), Arc::clone(&alive))).ok().unwrap();
    drop(rx);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn nothing_waits_inside_no_suspend_and_nothing_is_lost() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let (tx, rx) = bounded(1);
            no_suspend(|| tx.send(Arc::new(1)).unwrap());
            let value = Arc::new(2);
            let theirs = Arc::clone(&value);
            let message = panic_of(|| no_suspend(|| tx.send(theirs)));
            assert!(message.contains("inside `no_suspend`"), "{message}");
            assert_eq!(Arc::strong_count(&value), 1);
            assert_eq!(no_suspend(|| rx.recv()).map(|value| *value), Ok(1));
            assert!(panic_of(|| no_suspend(|| rx.recv())).contains("inside `no_suspend`"));
            tx.send(Arc::new(3)).unwrap();
            assert_eq!(rx.try_recv().map(|value| *value), Ok(3), "no waiter was left behind");
        });
    });
}

#[test]
fn waiting_receivers_get_values_in_the_order_in_which_they_came() {
    beside(|| {
        let runtime = selvedge::Runtime::builder().processors(1).build().unwrap();
        runtime.run(|| {
            let (tx, rx) = bounded(0);
            let (log, order) = unbounded();
            let waiters: Vec<_> = (0..10)
                .map(|n| {
                    let (rx, log) = (rx.clone(), log.clone());
                    let waiter = selvedge::go(move || log.send((n, rx.recv().unwrap())).unwrap());
                    // On one processor: until it waits.
                    selvedge::yield_now();
                    waiter
                })
                .collect();
            (0..10).for_each(|n| tx.send(n).unwrap());
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            assert!(order.try_iter().all(|(waiter, value)| waiter == value));
        });
    });
}

#[test]
fn a_panic_while_it_unwinds_may_still_send_and_receive() {
    struct Farewell(Sender<u8>, Receiver<u8>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            self.0.send(1).unwrap();
            assert_eq!(self.1.recv(), Ok(2));
        }
    }
    everywhere(|_, runtime| {
        let (tx, rx) = bounded(0);
        let (back, answer) = bounded(0);
        // A plain thread: a goroutine at home on the thread that unwinds would wait for it.
        let partner = std::thread::spawn(move || {
            assert_eq!(rx.recv(), Ok(1));
            back.send(2).unwrap();
        });
        let dies = runtime.go(move || {
            let _farewell = Farewell(tx, answer);
            std::panic::resume_unwind(Box::new("over"));
        });
        assert!(dies.join().is_err());
        partner.join().unwrap();
    });
}

#[test]
fn many_to_many_each_value_arrives_once() {
    everywhere(|_, runtime| {
        for capacity in [0, 3, 128] {
            let total = runtime.run(|| {
                let (tx, rx) = bounded::<u64>(capacity);
                let (sums, results) = unbounded();
                for _ in 0..4 {
                    let (rx, sums) = (rx.clone(), sums.clone());
                    selvedge::go(move || sums.send(rx.iter().sum::<u64>()).unwrap());
                }
                for sender in 0..4 {
                    let tx = tx.clone();
                    selvedge::go(move || (0..500).for_each(|n| tx.send(sender * 500 + n).unwrap()));
                }
                drop((tx, rx, sums));
                results.iter().sum::<u64>()
            });
            assert_eq!(total, (0..2000).sum::<u64>());
        }
        eventually("all have ended", || {
            let metrics = runtime.metrics();
            metrics.spawned == metrics.finished
        });
    });
}

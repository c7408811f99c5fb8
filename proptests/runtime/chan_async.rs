//! Channel ends that are awaited.

use crate::common::{everywhere, panic_of};
use selvedge::chan::{RecvError, SendError, bounded, unbounded};
use selvedge::{block_on, select};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn futures_goroutines_and_threads_talk_over_one_channel() {
    everywhere(|_, runtime| {
        for capacity in [0, 1, 8] {
            let (tx, rx) = bounded::<u64>(capacity);
            let (sums, results) = unbounded();
            let own = (tx.clone(), rx.clone());
            let threads = [
                std::thread::spawn(move || {
                    block_on(async {
                        for n in 0..100 {
                            own.0.send_async(n).await.unwrap();
                        }
                        drop(own);
                    })
                }),
                std::thread::spawn({
                    let (rx, sums) = (rx.clone(), sums.clone());
                    move || sums.send(rx.iter().sum::<u64>()).unwrap()
                }),
            ];
            runtime.run(|| {
                let sends = selvedge::go(move || (100..200).for_each(|n| tx.send(n).unwrap()));
                let awaits = selvedge::go(move || {
                    block_on(async {
                        let mut sum = 0;
                        while let Ok(n) = rx.recv_async().await {
                            sum += n;
                        }
                        sums.send(sum).unwrap();
                    });
                });
                sends.join().unwrap();
                awaits.join().unwrap();
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(results.iter().sum::<u64>(), (0..200).sum::<u64>());
        }
    });
}

#[test]
fn futures_are_send_and_may_be_polled_by_several_tasks_in_turn() {
    fn send<F: Send>(future: F) -> F {
        future
    }
    let (tx, rx) = bounded(0);
    let mut receives = pin!(send(rx.recv_async()));
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    for count in &counts {
        let waker = Waker::from(Arc::clone(count));
        assert!(receives.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let mut sends = pin!(send(tx.send_async(7)));
    assert_eq!(poll_once(sends.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(counts.map(|count| count.0.load(Ordering::SeqCst)), [0, 1], "the last is woken");
    assert_eq!(poll_once(receives.as_mut()), Poll::Ready(Ok(7)));
    assert!(panic_of(|| poll_once(receives)).contains("was polled again"));
    assert!(panic_of(|| poll_once(sends)).contains("was polled again"));
}

#[test]
fn a_value_handed_to_a_future_that_is_dropped_comes_first_at_the_next_receive() {
    let (tx, rx) = bounded(1);
    {
        let mut receives = pin!(rx.recv_async());
        assert!(poll_once(receives.as_mut()).is_pending());
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        assert_eq!(tx.len(), 1);
    }
    assert_eq!(rx.len(), 2, "one more than its capacity");
    assert!(tx.try_send(3).is_err());
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2]);
    tx.send(3).unwrap();
    assert!(tx.try_send(4).is_err(), "its capacity is one again");
}

#[test]
fn a_dropped_send_leaves_nobody_waiting_and_drops_its_value() {
    let (tx, rx) = bounded(0);
    let value = Arc::new(());
    {
        let mut sends = pin!(tx.send_async(Arc::clone(&value)));
        assert!(poll_once(sends.as_mut()).is_pending());
    }
    assert_eq!(Arc::strong_count(&value), 1);
    assert!(rx.try_recv().is_err());
}

#[test]
fn a_close_reaches_futures() {
    let (tx, rx) = bounded(0);
    let mut receives = pin!(rx.recv_async());
    assert!(poll_once(receives.as_mut()).is_pending());
    assert!(tx.close());
    assert_eq!(poll_once(receives), Poll::Ready(Err(RecvError)));
    assert_eq!(block_on(tx.send_async(1)), Err(SendError(1)));

    let (tx, rx) = bounded(0);
    let mut sends = pin!(tx.send_async(1));
    assert!(poll_once(sends.as_mut()).is_pending());
    drop(rx);
    assert_eq!(poll_once(sends), Poll::Ready(Err(SendError(1))));
}

#[test]
fn a_select_meets_futures() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let (tx, rx) = bounded(0);
            let selects = selvedge::go(move || {
                for n in 0..20 {
                    select! { send(tx, n) -> sent => sent.unwrap() }
                }
            });
            for n in 0..20 {
                // Polled and dropped; then awaited.
                let early = poll_once(pin!(rx.recv_async()));
                let value = match early {
                    Poll::Ready(value) => value,
                    Poll::Pending => block_on(rx.recv_async()),
                };
                assert_eq!(value, Ok(n));
            }
            selects.join().unwrap();
        });
    });
}

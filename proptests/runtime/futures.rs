//! Futures and goroutines: `block_on`, handles awaited from foreign executors, and joins that are
//! given up. [G2] [G5] [Z1]

use crate::common::{Gate, beside, eventually, everywhere, finish, panic_of};
use ::futures::channel::{mpsc, oneshot};
use ::futures::executor::{LocalPool, block_on as foreign_block_on};
use ::futures::future::{Either, join_all, select};
use ::futures::stream::{FuturesUnordered, StreamExt};
use proptest::prelude::*;
use selvedge::{CancelToken, JoinHandle, Runtime, block_on, go, yield_now};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const SOON: Duration = Duration::from_millis(1);

#[test]
fn block_on_parks_a_goroutine_until_a_foreign_thread_wakes_it() {
    everywhere(|_, runtime| {
        let sum = runtime.run(|| {
            let waits = (0..50u64).map(|n| {
                let (send, receive) = oneshot::channel();
                let waits = go(move || block_on(receive).expect("it was sent"));
                (waits, send, n)
            });
            let (waits, sends): (Vec<_>, Vec<_>) =
                waits.map(|(waits, send, n)| (waits, (send, n))).unzip();
            let thread = std::thread::spawn(move || {
                sends.into_iter().for_each(|(send, n)| send.send(n).expect("it is awaited"));
            });
            let sum: u64 = waits.into_iter().map(|waits| waits.join().unwrap()).sum();
            selvedge::blocking(|| thread.join().unwrap());
            sum
        });
        assert_eq!(sum, 49 * 50 / 2);
        finish(runtime);
    });
}

#[test]
fn goroutines_talk_through_a_foreign_channel() {
    everywhere(|_, runtime| {
        let received = runtime.run(|| {
            let (mut send, receive) = mpsc::channel(2);
            go(move || {
                use ::futures::SinkExt;
                for n in 0..500 {
                    block_on(send.send(n)).expect("it is received");
                }
            });
            block_on(receive.collect::<Vec<_>>())
        });
        assert!(received.into_iter().eq(0..500));
        finish(runtime);
    });
}

#[test]
fn block_on_may_be_nested_and_a_poll_may_wait() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let (send, mut receive) = oneshot::channel();
            let mut helper = Some(send);
            let answer = block_on(std::future::poll_fn(move |context| {
                let polled = pin!(&mut receive).poll(context);
                if let Some(send) = helper.take() {
                    // Wakes the outer call, whose permit this join then uses up.
                    go(move || send.send(7).unwrap()).join().unwrap();
                    assert_eq!(block_on(go(|| 8)).unwrap(), 8);
                }
                polled
            }));
            assert_eq!(answer, Ok(7));
        });
        finish(runtime);
    });
}

#[test]
fn handles_are_awaited_by_foreign_executors() {
    everywhere(|_, runtime| {
        let spawn = |n: u64| runtime.go(move || (0..n % 5).for_each(|_| yield_now())).into_future();
        let number = |n: u64| runtime.go(move || n);

        foreign_block_on(join_all((0..20).map(spawn))).into_iter().for_each(|end| end.unwrap());

        let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let sum = tokio.block_on(async {
            let each: FuturesUnordered<_> = (0..20).map(|n| number(n).into_future()).collect();
            each.map(Result::unwrap).fold(0, async |sum, n| sum + n).await
        });
        assert_eq!(sum, 190);
        let task = number(5);
        let spawned = tokio.block_on(async { tokio::spawn(async { task.await.unwrap() }).await });
        assert_eq!(spawned.unwrap(), 5);

        let mut pool = LocalPool::new();
        assert_eq!(pool.run_until(number(9).into_future()).unwrap(), 9);

        let error =
            foreign_block_on(runtime.go(|| panic!("out of tea")).into_future()).unwrap_err();
        assert!(error.to_string().contains("out of tea"), "{error}");
        finish(runtime);
    });
}

#[test]
fn of_two_awaited_handles_the_first_wins_and_the_other_is_still_good() {
    everywhere(|_, runtime| {
        let gate = Arc::new(Gate::default());
        let held = Arc::clone(&gate);
        let slow = runtime.go(move || {
            held.pass();
            "slow"
        });
        let fast = runtime.go(|| "fast");
        let rest = match foreign_block_on(select(slow.into_future(), fast.into_future())) {
            Either::Right((fast, slow)) => {
                assert_eq!(fast.unwrap(), "fast");
                slow
            }
            Either::Left(_) => panic!("the gate is shut"),
        };
        gate.open();
        assert_eq!(runtime.run(|| block_on(rest)).unwrap(), "slow");
        finish(runtime);
    });
}

/// Counts its wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn who_polled_last_is_woken_and_nobody_once_the_future_is_dropped() {
    everywhere(|_, runtime| {
        let gate = Arc::new(Gate::default());
        let [first, second, third] = [(); 3].map(|()| Arc::new(Count::default()));
        let poll = |future: &mut selvedge::JoinFuture<()>, count: &Arc<Count>| {
            let waker = Waker::from(Arc::clone(count));
            assert!(pin!(future).poll(&mut Context::from_waker(&waker)).is_pending());
        };
        let held = [(); 2].map(|()| Arc::clone(&gate));
        let [mut kept, mut dropped] =
            held.map(|gate| runtime.go(move || gate.pass()).into_future());
        poll(&mut kept, &first);
        poll(&mut kept, &second);
        poll(&mut kept, &second);
        poll(&mut dropped, &third);
        drop(dropped);
        assert_eq!(Arc::strong_count(&third), 1, "a dropped future keeps no waker");
        gate.open();
        foreign_block_on(&mut kept).unwrap();
        finish(runtime);
        assert_eq!(first.0.load(SeqCst), 0, "it was replaced");
        assert!(second.0.load(SeqCst) <= 1, "it is woken once, if it was not replaced before");
        assert_eq!(third.0.load(SeqCst), 0, "it was withdrawn");
    });
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker's panic");
        }
    }
    everywhere(|_, runtime| {
        let gate = Arc::new(Gate::default());
        let held = Arc::clone(&gate);
        let mut ends = runtime.go(move || held.pass()).into_future();
        let waker = Waker::from(Arc::new(Panics));
        assert!(pin!(&mut ends).poll(&mut Context::from_waker(&waker)).is_pending());
        gate.open();
        eventually("it ends", || {
            matches!(
                pin!(&mut ends).poll(&mut Context::from_waker(Waker::noop())),
                Poll::Ready(Ok(()))
            )
        });
        finish(runtime);
    });
}

#[test]
fn a_future_that_was_ready_says_so_when_polled_again() {
    beside(|| {
        let runtime = Runtime::new().unwrap();
        let mut ends = runtime.go(|| ()).into_future();
        foreign_block_on(&mut ends).unwrap();
        let said = panic_of(|| foreign_block_on(&mut ends));
        assert!(said.contains("not polled again"), "{said}");
    });
}

#[test]
fn a_join_that_times_out_gives_the_handle_back() {
    everywhere(|_, runtime| {
        let gate = Arc::new(Gate::default());
        let spawn = |gate: &Arc<Gate>| {
            let gate = Arc::clone(gate);
            runtime.go(move || gate.pass())
        };
        let again = |handle: JoinHandle<()>| {
            let error = handle.join_timeout(SOON).expect_err("the gate is shut");
            assert!(!error.is_cancelled());
            assert!(error.to_string().starts_with("the join timed out"), "{error}");
            error.into_handle()
        };
        // By a goroutine, by a plain thread, by another goroutine: the last is woken.
        let handle = again(spawn(&gate));
        let handle = runtime.run(move || again(handle));
        let handle = again(handle);
        let handle =
            handle.join_deadline(std::time::Instant::now()).expect_err("it is").into_handle();
        drop(again(spawn(&gate)));
        let joins = runtime.go(move || handle.join_timeout(Duration::MAX).expect("it ends"));
        yield_now();
        gate.open();
        joins.join().unwrap().unwrap();
        assert_eq!(runtime.go(|| 3).join_timeout(Duration::MAX).unwrap().unwrap(), 3);
        finish(runtime);
    });
}

#[test]
fn a_join_ends_when_its_token_is_cancelled() {
    everywhere(|_, runtime| {
        let gate = Arc::new(Gate::default());
        let (token, held) = (CancelToken::new(), Arc::clone(&gate));
        let stuck = runtime.go(move || held.pass());
        let child = token.child();
        let joins = runtime.go(move || {
            let error = stuck.join_cancel(&child).expect_err("the gate is shut");
            assert!(error.is_cancelled());
            error.into_handle()
        });
        token.cancel();
        let stuck = joins.join().unwrap();
        // A cancelled token, used again.
        let stuck = stuck.join_cancel(&token).expect_err("it still is").into_handle();
        gate.open();
        stuck.join().unwrap();
        let ended = runtime.go(|| 4);
        eventually("it ends", || ended.is_finished());
        assert_eq!(ended.join_cancel(&token).expect("a result goes first").unwrap(), 4);
        let deadline = token_of_a_moment();
        let stuck = runtime.go(loop_until_dropped);
        assert!(stuck.join_cancel(&deadline).expect_err("it loops").is_cancelled());
    });
}

fn token_of_a_moment() -> CancelToken {
    CancelToken::new().child_with_timeout(SOON)
}

fn loop_until_dropped() {
    loop {
        selvedge::park();
    }
}

#[test]
fn scoped_handles_are_joined_with_a_limit_too() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let gate = Gate::default();
            selvedge::scope(|s| {
                let child = s.go(|| gate.pass());
                let child = child.join_timeout(SOON).expect_err("the gate is shut").into_handle();
                let token = token_of_a_moment();
                let child = child.join_cancel(&token).expect_err("still so").into_handle();
                gate.open();
                child.join_timeout(Duration::MAX).expect("it ends").unwrap();
                assert!(s.go(|| panic!("a child's")).join_timeout(Duration::MAX).unwrap().is_err());
            });
        });
        finish(runtime);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Goroutines that end early or late, each awaited in some way: every result arrives, once.
    #[test]
    fn each_result_arrives_whatever_way_it_is_awaited(
        ways in prop::collection::vec((0u8..5, 0u8..4), 1..40),
        processors in 1usize..4,
    ) {
        let runtime = Runtime::builder().processors(processors).build().unwrap();
        let expected: usize = (0..ways.len()).sum();
        let sum: usize = runtime.run(|| {
            let waits = ways.iter().copied().enumerate().map(|(n, (way, yields))| {
                let target = go(move || {
                    (0..yields).for_each(|_| yield_now());
                    n
                });
                go(move || await_in_some_way(target, way))
            });
            let waits: Vec<_> = waits.collect();
            waits.into_iter().map(|waits| waits.join().unwrap()).sum()
        });
        prop_assert_eq!(sum, expected);
        finish(runtime);
    }
}

fn await_in_some_way(mut target: JoinHandle<usize>, way: u8) -> usize {
    match way {
        0 => target.join().unwrap(),
        1 => block_on(target).unwrap(),
        2 => loop {
            match target.join_timeout(Duration::from_micros(20)) {
                Ok(result) => return result.unwrap(),
                Err(error) => target = error.into_handle(),
            }
        },
        3 => {
            let mut future = target.into_future();
            let mut polls = 0;
            block_on(std::future::poll_fn(|context| {
                // Some poll with another waker first.
                polls += 1;
                if polls == 1
                    && let Poll::Ready(result) =
                        pin!(&mut future).poll(&mut Context::from_waker(Waker::noop()))
                {
                    return Poll::Ready(result);
                }
                pin!(&mut future).poll(context)
            }))
            .unwrap()
        }
        _ => {
            let token = CancelToken::new();
            let canceller = token.clone();
            go(move || canceller.cancel());
            match target.join_cancel(&token) {
                Ok(result) => result.unwrap(),
                Err(error) => block_on(error.into_handle()).unwrap(),
            }
        }
    }
}

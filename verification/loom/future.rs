//! Futures and joins that may be given up: [G2], [G5], [Z1].
//!
//! The join word alone, where it can be explored whole; and `block_on` with what wakes it.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use crate::placement::Anchored;
use selvedge::internals::platform::atomic::{AtomicUsize, Ordering};
use selvedge::internals::platform::{Arc, Mutex};
use selvedge::internals::sched::join_word::{JoinWord, Joined};
use selvedge::{Builder, block_on};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A goroutine's end without the goroutine: the word, a result, and who was woken.
struct End {
    word: JoinWord<Joiner>,
    result: Payload,
    woken: AtomicUsize,
}

/// Somebody to wake, in a race-checked place: whoever wakes it or drops it must own it.
struct Joiner(Payload);

impl Drop for Joiner {
    fn drop(&mut self) {
        self.0.take();
    }
}

impl End {
    fn new() -> Arc<End> {
        let word = JoinWord::vacant();
        // SAFETY: nobody else knows it yet.
        unsafe { word.reset() };
        Arc::new(End { word, result: Payload::new(0), woken: AtomicUsize::new(0) })
    }

    fn register(&self, number: usize) -> Joined {
        // SAFETY: the test's own thread is the one join handle; a joiner knows no word.
        unsafe { self.word.join(|| Joiner(Payload::new(number))) }
    }

    fn withdraw(&self) -> Joined {
        // SAFETY: as in `register`.
        unsafe { self.word.withdraw() }
    }

    /// What a goroutine does last.
    fn complete(&self) {
        self.result.write(7);
        let end = self.word.complete();
        if let Some(joiner) = end.joiner {
            let before = self.woken.fetch_add(joiner.0.take(), Ordering::Relaxed);
            assert_eq!(before, 0, "one is woken, once");
        }
        if end.unclaimed {
            assert_eq!(self.result.take(), 7);
        }
    }

    fn woken(&self) -> usize {
        self.woken.load(Ordering::Relaxed)
    }
}

/// 2 threads: register one, register another | end. Who stands there when the end comes is woken, and
/// whoever finds the end sees the result.
#[test]
fn a_joiner_is_replaced_or_woken() {
    Scenario {
        name: "future: a joiner is replaced, or woken [G2] [G5]",
        threads: 2,
        operations: "join ×3 | complete",
    }
    .check(Bound::Complete, || {
        let end = End::new();
        let theirs = Arc::clone(&end);
        let ender = spawn(move || theirs.complete());
        let found = (1..=3).map(|number| end.register(number)).find(|it| *it == Joined::Done);
        if found.is_some() {
            assert_eq!(end.result.take(), 7);
            join(ender);
            assert_ne!(end.woken(), 3, "the last was refused");
        } else {
            join(ender);
            assert_eq!(end.woken(), 3, "the last is woken");
            assert_eq!(end.word.joined(), Joined::Done);
        }
    });
}

/// 2 threads: register, withdraw, detach | end. Nobody is woken after that, and the result is dropped
/// by the later one.
#[test]
fn who_withdraws_is_not_woken_and_the_result_is_dropped_once() {
    Scenario {
        name: "future: who withdraws is not woken, and the result is dropped once [G2] [G5]",
        threads: 2,
        operations: "join, withdraw, detach | complete",
    }
    .check(Bound::Complete, || {
        let end = End::new();
        let theirs = Arc::clone(&end);
        let ender = spawn(move || theirs.complete());
        let registered = end.register(1);
        let withdrawn = end.withdraw();
        if end.word.detach() {
            assert_eq!(end.result.take(), 7);
        }
        join(ender);
        if registered == Joined::Done || withdrawn == Joined::Waiting {
            assert_eq!(end.woken(), 0);
        } else {
            assert_eq!(end.woken(), 1);
        }
        assert_eq!(end.result.take(), 0, "it was dropped");
    });
}

/// 3 threads: register, withdraw, read | end | the runtime ends. One of the two ends wakes the joiner.
#[test]
fn of_two_ends_one_wakes_the_joiner() {
    Scenario {
        name: "future: of two ends one wakes the joiner [G5]",
        threads: 3,
        operations: "join, withdraw | complete | abandon",
    }
    .check(Bound::complete_if_long(), || {
        let end = End::new();
        let theirs = Arc::clone(&end);
        let ender = spawn(move || theirs.complete());
        let theirs = Arc::clone(&end);
        let abandons = spawn(move || {
            if let Some(joiner) = theirs.word.abandon().joiner {
                theirs.woken.fetch_add(joiner.0.take(), Ordering::Relaxed);
            }
        });
        let registered = end.register(1);
        let withdrawn = end.withdraw();
        join(ender);
        join(abandons);
        let is_woken = registered == Joined::Waiting && withdrawn != Joined::Waiting;
        assert_eq!(end.woken(), usize::from(is_woken));
        assert_eq!(end.word.joined(), Joined::Abandoned);
    });
}

/// 2 threads: wait for a goroutine as a future | 1 worker. The result arrives.
#[test]
fn a_join_handle_is_awaited() {
    Scenario {
        name: "future: a join handle is awaited [G2] [Z1]",
        threads: 2,
        operations: "go, block_on(handle) | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime =
            Builder::new().processors(1).max_goroutines(1).modelled(2).anchored().expect("granted");
        let handle = runtime.go(|| Payload::new(8));
        assert_eq!(block_on(handle).expect("no panic").take(), 8);
    });
}

/// 2 threads: poll a join once, drop it | 1 worker. The cell is recycled, and the task's waker is gone.
#[test]
fn a_join_that_was_polled_is_dropped() {
    Scenario {
        name: "future: a join that was polled is dropped [G1] [G2] [G5]",
        threads: 2,
        operations: "go, poll, drop | 1 worker",
    }
    .check(Bound::usual(), || {
        let runtime =
            Builder::new().processors(1).max_goroutines(1).modelled(2).anchored().expect("granted");
        let mut joins = runtime.go(|| Payload::new(8)).into_future();
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(result) = pin!(&mut joins).poll(&mut context) {
            assert_eq!(result.expect("no panic").take(), 8);
        }
        drop(joins);
        runtime.shutdown(std::time::Duration::MAX).expect("it ends");
    });
}

/// Where a future leaves its waker for others.
type Slot = Arc<Mutex<Option<Waker>>>;

fn slot() -> Slot {
    Arc::new(Mutex::new(None))
}

/// Wakes whoever polls; if the poll has not come yet, waits for it.
fn take_waker(slot: &Slot) -> Waker {
    loop {
        if let Some(waker) = slot.lock().take() {
            return waker;
        }
        selvedge::internals::platform::thread::yield_now();
    }
}

/// 2 threads: block on a future | wake it. The poll that follows sees what the waker did.
#[test]
fn a_wake_up_is_followed_by_a_poll_that_sees_what_came_before() {
    Scenario {
        name: "future: a wake-up is followed by a poll that sees what came before [Z1]",
        threads: 2,
        operations: "poll, park, poll | write, wake",
    }
    .check(Bound::complete_if_long(), || {
        let slot = slot();
        let value = Arc::new(Payload::new(0));
        let (theirs, written) = (Arc::clone(&slot), Arc::clone(&value));
        let thread = spawn(move || {
            let waker = take_waker(&theirs);
            written.write(7);
            waker.wake();
        });
        let mut polled = false;
        let seen = block_on(poll_fn(|context| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(value.take());
            }
            *slot.lock() = Some(context.waker().clone());
            Poll::Pending
        }));
        assert_eq!(seen, 7);
        join(thread);
    });
}

/// 3 threads: block on a future | count, wake | count, wake. Of two wake-ups that become one poll,
/// that poll sees both.
#[test]
fn a_poll_sees_all_the_wake_ups_that_led_to_it() {
    Scenario {
        name: "future: a poll sees all the wake-ups that led to it [Z1]",
        threads: 3,
        operations: "poll until 2 | count, wake | count, wake",
    }
    .check(Bound::usual(), || {
        let count = Arc::new(AtomicUsize::new(0));
        let mut wakers = Vec::new();
        let polls = poll_fn(|context| {
            if wakers.is_empty() {
                for _ in 0..2 {
                    let (count, waker) = (Arc::clone(&count), context.waker().clone());
                    wakers.push(spawn(move || {
                        count.fetch_add(1, Ordering::Relaxed);
                        waker.wake();
                    }));
                }
            }
            // A stale 1, with no wake-up to come, would be the end.
            if count.load(Ordering::Relaxed) == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        block_on(polls);
        wakers.into_iter().for_each(join);
    });
}

/// 2 threads: block on a future whose poll blocks on another | wake the outer, then the inner. The
/// inner call uses up the permit; the outer wake-up is there all the same.
#[test]
fn a_nested_call_takes_no_wake_up_of_the_outer_one() {
    Scenario {
        name: "future: a nested call takes no wake-up of the outer one [Z1]",
        threads: 2,
        operations: "block_on(block_on) | wake outer, wake inner",
    }
    .check(Bound::complete_if_long(), || {
        let (outer, inner) = (slot(), slot());
        let (their_outer, their_inner) = (Arc::clone(&outer), Arc::clone(&inner));
        let thread = spawn(move || {
            take_waker(&their_outer).wake();
            take_waker(&their_inner).wake();
        });
        let once = |slot: Slot| {
            let mut polled = false;
            move |context: &mut Context<'_>| {
                if std::mem::replace(&mut polled, true) {
                    return Poll::Ready(());
                }
                *slot.lock() = Some(context.waker().clone());
                Poll::Pending
            }
        };
        let mut outer = once(outer);
        let mut inner = Some(once(inner));
        block_on(poll_fn(move |context| {
            let polled = outer(context);
            if let Some(inner) = inner.take() {
                block_on(poll_fn(inner));
            }
            polled
        }));
        join(thread);
    });
}

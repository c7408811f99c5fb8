//! Foreign code that misbehaves where we call it: wakers, payloads, destructors, hooks. docs/foreign-code.md has
//! the table of all such places. [Q2] [Q3] [Z5] [V10] [G4] [G7]
//!
//! Panics here are raised by `resume_unwind`, so that the panic hook says nothing of them.

use crate::common::{Gate, Placement, beside, everywhere, finish, panic_of};
use selvedge::chan::{RecvError, bounded};
use selvedge::{
    CancelToken, Runtime, block_on, go, goroutine_local, scope, select, time, yield_now,
};
use std::cell::Cell;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// What a panic carries: its destructor panics, with another one, and so on without end.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        throw();
    }
}

pub fn throw() {
    resume_unwind(Box::new(Bomb));
}

/// A waker that does something when it is called, and when its last copy goes.
struct Odd {
    when_woken: fn(),
    when_gone: fn(),
}

impl Wake for Odd {
    fn wake(self: Arc<Self>) {
        let act = self.when_woken;
        // Before that: a destructor that panics while another panic unwinds aborts.
        drop(self);
        act();
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        (self.when_gone)();
    }
}

fn odd(when_woken: fn(), when_gone: fn()) -> Waker {
    Waker::from(Arc::new(Odd { when_woken, when_gone }))
}

/// Polls once. The future then has the only copy of the waker.
fn poll<F: Future>(future: Pin<&mut F>, waker: Waker) -> Poll<F::Output> {
    let polled = future.poll(&mut Context::from_waker(&waker));
    // Where nobody has kept a copy, this one's destructor is the test's affair.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(waker))).map_err(std::mem::forget);
    polled
}

// ---- goroutine-local values -------------------------------------------------------------------------------

static ALIVE: AtomicUsize = AtomicUsize::new(0);

struct Counted(Cell<u32>);

impl Counted {
    fn new() -> Self {
        ALIVE.fetch_add(1, SeqCst);
        Counted(Cell::new(0))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, SeqCst);
    }
}

goroutine_local! {
    static COUNT: Counted = Counted::new();
    static WAKES: Cell<u32> = Cell::new(0);
}

fn count() {
    COUNT.with(|count| count.0.set(count.0.get() + 1));
}

/// A result whose destructor uses a goroutine-local value.
struct Counts;

impl Drop for Counts {
    fn drop(&mut self) {
        count();
    }
}

#[test]
fn values_made_after_the_end_of_a_goroutine_s_own_are_gone_before_its_cell_serves_another() {
    beside(|| {
        for placement in crate::common::ALL {
            // One processor, whose cell of last serves the next: the waker runs on the goroutine that ends.
            let runtime = placement.runtime(1);
            runtime.run(|| {
                let fresh = || assert_eq!(COUNT.with(|count| count.0.replace(7)), 0, "[Z5]");
                for _ in 0..20 {
                    let mut awaited = go(|| ()).into_future();
                    while poll(Pin::new(&mut awaited), odd(count, count)).is_pending() {
                        yield_now();
                    }
                    drop(awaited);
                    go(fresh).join().unwrap();
                    drop(go(|| Counts));
                    yield_now();
                    go(fresh).join().unwrap();
                }
            });
            finish(runtime);
        }
        assert_eq!(ALIVE.load(SeqCst), 0, "each value was dropped");
    });
}

#[test]
fn values_that_a_waker_makes_while_a_runtime_ends_belong_to_no_goroutine() {
    beside(|| {
        let runtime = Placement::Anchored.runtime(1);
        let gate = Arc::new(Gate::default());
        let waits = Arc::clone(&gate);
        let mut awaited = runtime.go(move || waits.pass()).into_future();
        let counts = odd(|| WAKES.set(WAKES.get() + 1), || ());
        assert!(poll(Pin::new(&mut awaited), counts).is_pending());
        drop(runtime);
        // Whoever ends it wakes the task: here this thread, which has a value of its own.
        assert_eq!(WAKES.get(), 1);
        let Poll::Ready(Err(error)) = poll(Pin::new(&mut awaited), Waker::noop().clone()) else {
            panic!("it is abandoned");
        };
        assert!(error.is_abandoned());
        drop(gate);
    });
}

// ---- scopes -------------------------------------------------------------------------------------------------

#[test]
fn a_scope_waits_for_its_children_whatever_unwinds_before_that() {
    everywhere(|_, runtime| {
        let (gate, ended) = (Arc::new(Gate::default()), AtomicBool::new(false));
        let opens = Arc::clone(&gate);
        let opener = runtime.go(move || {
            (0..50).for_each(|_| yield_now());
            opens.open();
        });
        let text = runtime.run(|| {
            panic_of(|| {
                scope(|s| {
                    s.go(|| {
                        gate.pass();
                        ended.store(true, SeqCst);
                    });
                    // The scope's token is cancelled before the scope waits.
                    let token: &'static CancelToken = Box::leak(Box::new(s.token().clone()));
                    let mut future = Box::pin(token.cancelled_async());
                    assert!(poll(future.as_mut(), odd(throw, throw)).is_pending());
                    std::mem::forget(future);
                    resume_unwind(Box::new("the closure's"));
                });
            })
        });
        assert_eq!((text.as_str(), ended.load(SeqCst)), ("the closure's", true), "[G4]");
        opener.join().unwrap();
        finish(runtime);
    });
}

#[test]
fn a_scope_hears_of_a_panic_whose_payload_panics() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let text = panic_of(|| {
                scope(|s| {
                    let child = s.go(throw);
                    while !child.is_finished() {
                        yield_now();
                    }
                    // Here the payload is dropped, by the handle: its panic is the caller's.
                    let dropped = catch_unwind(AssertUnwindSafe(|| drop(child)));
                    std::mem::forget(dropped.expect_err("the payload's"));
                });
            });
            assert_eq!(text, "a scoped goroutine panicked, and nobody joined it");
        });
        finish(runtime);
    });
}

#[test]
fn children_on_another_runtime_wake_a_parent_that_may_be_gone() {
    beside(|| {
        for placement in crate::common::ALL {
            let other = placement.runtime(1);
            for round in 0..200 {
                let own = placement.build(Runtime::builder().processors(1).max_goroutines(64));
                let left = AtomicBool::new(false);
                own.run(|| {
                    scope(|s| {
                        other.run(|| drop(s.go(|| left.store(true, SeqCst))));
                        // Not by suspending: so that the parent looks as soon as the child has left.
                        while round % 2 == 0 && !left.load(SeqCst) {
                            std::hint::spin_loop();
                        }
                    });
                    assert!(left.load(SeqCst), "[G4]");
                });
                drop(own);
            }
            finish(other);
        }
    });
}

// ---- channels -----------------------------------------------------------------------------------------------

#[test]
fn a_future_that_a_select_owes_a_value_may_go_in_the_making_of_that_value() {
    for when_gone in [(|| ()) as fn(), throw] {
        for others in [false, true] {
            let (tx, rx) = bounded::<Box<u32>>(0);
            let mut next = pin!(rx.recv_async());
            let mut future = Some(Box::pin(rx.recv_async()));
            let first = future.as_mut().expect("it was just made").as_mut();
            assert!(poll(first, odd(|| (), when_gone)).is_pending());
            if others {
                assert!(poll(next.as_mut(), Waker::noop().clone()).is_pending());
            }
            select! {
                send(tx, {
                    // It neither waits for this value, which would never come, nor unwinds.
                    drop(future.take());
                    Box::new(7)
                }) -> sent => sent.unwrap(),
            }
            // The next receiver has it, whether it waits already or not. [V10]
            assert_eq!(poll(next.as_mut(), Waker::noop().clone()), Poll::Ready(Ok(Box::new(7))));
            drop(tx);
            assert_eq!(rx.recv(), Err(RecvError));
        }
    }
}

#[test]
fn a_select_that_lets_go_after_the_receiver_has_left_holds_up_nobody() {
    let (tx, rx) = bounded::<u32>(0);
    let mut future = Some(Box::pin(rx.recv_async()));
    let first = future.as_mut().expect("it was just made").as_mut();
    assert!(poll(first, Waker::noop().clone()).is_pending());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        select! {
            send(tx, {
                drop(future.take());
                if !tx.is_closed() {
                    resume_unwind(Box::new("no value"));
                }
                1
            }) -> _ => unreachable!("no value was made"),
        }
    }));
    assert!(panicked.is_err() && tx.try_send(1).is_err());
    // Closed after the receiver has left: the value comes back.
    let mut future = Some(Box::pin(rx.recv_async()));
    let first = future.as_mut().expect("it was just made").as_mut();
    assert!(poll(first, Waker::noop().clone()).is_pending());
    select! {
        send(tx, { drop(future.take()); tx.close(); 2 }) -> sent => assert_eq!(sent.unwrap_err().0, 2),
    }
    assert_eq!(rx.try_iter().count(), 0);
}

#[test]
fn wakers_that_panic_lose_no_value_and_keep_nobody_from_going_on() {
    everywhere(|_, runtime| {
        let (tx, rx) = bounded::<u32>(1);
        let mut first = Box::pin(rx.recv_async());
        let mut second = Box::pin(rx.recv_async());
        assert!(poll(first.as_mut(), odd(throw, throw)).is_pending());
        assert!(poll(second.as_mut(), odd(throw, throw)).is_pending());
        // Polled again: the waker of before goes.
        assert!(poll(second.as_mut(), odd(throw, throw)).is_pending());
        let sends = tx.clone();
        runtime
            .run(move || go(move || (1..=3).for_each(|n| sends.send(n).unwrap())).join().unwrap());
        assert_eq!(poll(first.as_mut(), odd(throw, throw)), Poll::Ready(Ok(1)));
        drop(second);
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [2, 3]);
        let mut third = Box::pin(rx.recv_async());
        assert!(poll(third.as_mut(), odd(throw, throw)).is_pending());
        assert!(tx.close());
        assert_eq!(poll(third.as_mut(), odd(throw, throw)), Poll::Ready(Err(RecvError)));
        finish(runtime);
    });
}

// ---- the alarm ----------------------------------------------------------------------------------------------

#[test]
fn the_alarm_outlives_wakers_that_panic() {
    beside(|| {
        let soon = Duration::from_millis(1);
        let mut hostile: Vec<_> = (0..100).map(|_| Box::pin(time::sleep_async(soon))).collect();
        for future in &mut hostile {
            let _ = poll(future.as_mut(), odd(throw, throw));
            // Armed again: the waker of before goes.
            let _ = poll(future.as_mut(), odd(throw, throw));
        }
        // Dropped before its time: so does this one.
        let mut far = Box::pin(time::sleep_async(Duration::from_secs(3600)));
        assert!(poll(far.as_mut(), odd(throw, throw)).is_pending());
        drop(far);
        block_on(time::sleep_async(2 * soon));
        block_on(time::sleep_async(soon));
        for mut future in hostile {
            assert!(poll(future.as_mut(), Waker::noop().clone()).is_ready());
        }
    });
}

//! Times and tokens that are awaited: on foreign executors without a runtime of ours, and in
//! goroutines. [Z4] [V9]

use crate::common::{Gate, beside, eventually, everywhere, finish, panic_of};
use ::futures::executor::block_on as foreign_block_on;
use ::futures::future::{Either, join_all, select};
use selvedge::internals::alarm::Alarm;
use selvedge::time::{self, Instant, Timer};
use selvedge::{CancelToken, block_on, go, scope};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll_with<F: Future>(future: std::pin::Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
}

fn on_tokio<F: Future>(future: F) -> F::Output {
    // Neither its timers nor its input and output are enabled.
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    tokio.block_on(future)
}

/// Sleeps side by side; none ends early.
async fn naps() {
    let start = Instant::now();
    let naps = (0..200u32).rev().map(|n| async move {
        time::sleep_async(n % 5 * MS).await;
        assert!(start.elapsed() >= n % 5 * MS);
    });
    join_all(naps).await;
    time::sleep_until_async(start).await;
    time::sleep_async(Duration::ZERO).await;
}

#[test]
fn futures_sleep_on_any_executor() {
    beside(|| {
        foreign_block_on(naps());
        on_tokio(naps());
        block_on(naps());
        on_tokio(async { tokio::spawn(naps()).await }).expect("it may be spawned, as it is Send");
    });
    everywhere(|_, runtime| {
        runtime.run(|| {
            let naps: Vec<_> = (0..8).map(|_| go(|| block_on(naps()))).collect();
            naps.into_iter().for_each(|nap| nap.join().expect("no panic"));
        });
        finish(runtime);
    });
}

#[test]
fn a_foreign_task_limits_another_future_by_time() {
    beside(|| {
        on_tokio(async {
            let never = selvedge::chan::never::<u8>();
            let received = pin!(never.recv_async());
            let ended = select(received, time::sleep_async(2 * MS)).await;
            assert!(matches!(ended, Either::Right(_)));
            let soon = time::after(MS);
            let received = pin!(soon.recv_async());
            let ended = select(received, time::sleep_async(HOUR)).await;
            assert!(matches!(ended, Either::Left((Ok(_), _))));
        });
    });
}

#[test]
fn receivers_of_time_are_awaited() {
    beside(|| {
        foreign_block_on(async {
            let start = Instant::now();
            assert!(time::after(3 * MS).recv_async().await.unwrap() >= start + 3 * MS);
            assert_eq!(
                time::at(start).recv_async().await,
                Ok(start),
                "what is past is due at once"
            );
            let ticks = time::tick(MS);
            let mut last = start;
            for _ in 0..5 {
                let due = ticks.recv_async().await.unwrap();
                assert!(due >= last + MS && Instant::now() >= due);
                last = due;
            }
        });
    });
}

#[test]
fn of_many_who_await_one_instant_one_gets_it() {
    beside(|| {
        let soon = time::after(MS);
        let count = Arc::new(Count::default());
        let mut futures: Vec<_> = (0..10).map(|_| Box::pin(soon.recv_async())).collect();
        let mut got = 0;
        eventually("one has it", || {
            futures.retain_mut(|future| poll_with(future.as_mut(), &count).is_pending());
            got = 10 - futures.len();
            got > 0
        });
        assert!(futures.iter_mut().all(|future| poll_with(future.as_mut(), &count).is_pending()));
        assert_eq!(got, 1);
    });
}

#[test]
fn a_timer_that_is_awaited_may_be_set_anew() {
    beside(|| {
        let timer = Arc::new(Timer::after(HOUR));
        let count = Arc::new(Count::default());
        let mut future = pin!(timer.receiver().recv_async());
        assert!(poll_with(future.as_mut(), &count).is_pending());
        assert!(timer.reset(MS));
        assert_eq!(count.0.load(SeqCst), 1, "it is told at once that it was set");
        assert!(foreign_block_on(future.as_mut()).is_ok());
        assert!(panic_of(|| poll_with(future.as_mut(), &count)).contains("polled again"));
    });
}

#[test]
fn tokens_are_awaited_until_they_are_cancelled_or_their_deadline_passes() {
    everywhere(|_, runtime| {
        let above = CancelToken::new();
        let (token, thread) = (above.child_with_timeout(HOUR), above.child());
        let waits = std::thread::spawn(move || on_tokio(thread.cancelled_async()));
        runtime.run(|| {
            let waits = go(move || block_on(token.cancelled_async()));
            above.cancel();
            waits.join().expect("no panic");
        });
        waits.join().expect("no panic");
        foreign_block_on(above.cancelled_async());
        let late = CancelToken::with_timeout(2 * MS);
        on_tokio(late.child().cancelled_async());
        assert!(late.is_cancelled());
        finish(runtime);
    });
}

#[test]
fn a_future_that_is_dropped_keeps_no_waker() {
    beside(|| {
        let (count, token) = (Arc::new(Count::default()), CancelToken::with_timeout(HOUR));
        let timer = Timer::after(HOUR);
        {
            let mut sleep = pin!(time::sleep_async(HOUR));
            let mut never = pin!(time::sleep_async(Duration::MAX));
            let mut receive = pin!(timer.receiver().recv_async());
            let mut cancelled = pin!(token.cancelled_async());
            for _ in 0..3 {
                assert!(poll_with(sleep.as_mut(), &count).is_pending());
                assert!(poll_with(never.as_mut(), &count).is_pending());
                assert!(poll_with(receive.as_mut(), &count).is_pending());
                assert!(poll_with(cancelled.as_mut(), &count).is_pending());
            }
            assert!(Arc::strong_count(&count) > 4);
        }
        assert_eq!(Arc::strong_count(&count), 1);
        timer.reset(Duration::ZERO);
        token.cancel();
        assert_eq!(count.0.load(SeqCst), 0);
    });
}

#[test]
fn the_waker_of_the_last_poll_is_called_when_the_time_has_come() {
    beside(|| {
        let (first, last) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut sleep = Box::pin(time::sleep_async(20 * MS));
        let both = [&first, &last].map(|count| poll_with(sleep.as_mut(), count).is_pending());
        let was_early = both == [true; 2];
        eventually("its time has come", || sleep.deadline() <= Instant::now());
        eventually("it is woken", || !was_early || last.0.load(SeqCst) == 1);
        assert!(poll_with(sleep.as_mut(), &first).is_ready());
        // A slow machine may have let the time pass before the second poll.
        assert!(!was_early || first.0.load(SeqCst) <= 1);
    });
}

#[test]
fn a_waker_that_panics_stops_nobody() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("a waker of a test panics: this is expected");
        }
    }
    beside(|| {
        let mut bad = Box::pin(time::sleep_async(MS));
        let _ = bad.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Bad))));
        foreign_block_on(time::sleep_async(3 * MS));
        foreign_block_on(poll_fn(|context| bad.as_mut().poll(context)));
    });
}

#[test]
fn an_alarm_keeps_nothing_of_what_was_taken_back() {
    let (alarm, count) = (Alarm::new(), Arc::new(Count::default()));
    let waker = || Waker::from(Arc::clone(&count));
    let mut armed = alarm.arm(None, 1_000, waker());
    for deadline in [7, 2_000, 2_000, 3] {
        armed = alarm.arm(Some(armed), deadline, waker());
        assert_eq!(alarm.len(), 1);
    }
    let due = alarm.arm(None, 2, waker());
    alarm.turn(|| 2);
    assert_eq!((count.0.load(SeqCst), alarm.len()), (1, 1), "what is not due stays");
    assert!(alarm.disarm(armed) && !alarm.disarm(armed) && !alarm.disarm(due));
    assert!(alarm.is_empty());
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn scoped_goroutines_are_awaited_and_answer_for_their_panics() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let words = ["one", "three"];
            let lengths = scope(|s| {
                let own = words.iter().map(|word| s.go(|| word.len()).into_future());
                block_on(join_all(own)).into_iter().map(Result::unwrap).collect::<Vec<_>>()
            });
            assert_eq!(lengths, [3, 5]);
            // One that was taken is no business of the scope; one that was polled and dropped is.
            scope(|s| {
                let panics = s.go(|| panic!("taken")).into_future();
                assert!(block_on(panics).unwrap_err().is_panic());
            });
            let said = panic_of(|| {
                scope(|s| {
                    let gate = Arc::new(Gate::default());
                    let theirs = Arc::clone(&gate);
                    let mut waits = s
                        .go(move || {
                            theirs.pass();
                            panic!("of nobody")
                        })
                        .into_future();
                    let mut context = Context::from_waker(Waker::noop());
                    assert!(pin!(&mut waits).poll(&mut context).is_pending());
                    drop(waits);
                    gate.open();
                });
            });
            assert!(said.contains("a scoped goroutine panicked"), "{said}");
        });
        finish(runtime);
    });
}

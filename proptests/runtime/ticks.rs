//! Receivers whose values come with time: `after`, `tick`, `Timer`, `never`. [W4]
//!
//! What a deadline of zero or of an hour decides is checked exactly; of others only that nothing comes
//! early, and that it comes.

use crate::common::{ALL, beside, everywhere, finish, panic_of};
use proptest::prelude::*;
use selvedge::chan::{RecvTimeoutError, TryRecvError};
use selvedge::model::simulate_seeds;
use selvedge::time::{self, Instant, Ticker, Timer};
use selvedge::{go, yield_now};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

#[test]
fn after_gives_its_instant_once() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let start = Instant::now();
            let soon = time::after(3 * MS);
            let due = soon.recv().expect("it is never closed");
            assert!(due >= start + 3 * MS && Instant::now() >= due);
            assert_eq!(soon.recv_timeout(MS), Err(RecvTimeoutError::Timeout));
            assert_eq!(time::at(start).recv(), Ok(start), "what is past is due at once");
        });
        finish(runtime);
    });
}

#[test]
fn of_many_who_wait_for_one_instant_one_gets_it() {
    beside(|| {
        for placement in ALL {
            let runtime = placement.runtime(2);
            let soon = time::after(2 * MS);
            let handles: Vec<_> = (0..20)
                .map(|_| {
                    let soon = soon.clone();
                    runtime.go(move || soon.recv_timeout(10 * MS).is_ok())
                })
                .collect();
            let got = handles.into_iter().map(|handle| handle.join().unwrap());
            assert_eq!(got.filter(|got| *got).count(), 1);
            finish(runtime);
        }
    });
}

#[test]
fn ticks_keep_their_step_and_slow_receivers_miss_some() {
    beside(|| {
        let start = Instant::now();
        let ticks = time::tick(MS);
        let first = ticks.recv().unwrap();
        assert!(first >= start + MS);
        time::sleep(5 * MS);
        let before = Instant::now();
        let late = ticks.recv().unwrap();
        assert!(before - late >= 4 * MS, "the oldest of those missed is kept");
        let next = ticks.recv().unwrap();
        assert!(next > before, "the others are dropped");
        for tick in [late, next] {
            assert_eq!((tick - first).as_nanos() % MS.as_nanos(), 0, "all in step");
        }
    });
}

#[test]
fn a_tick_of_zero_is_refused_and_one_of_ages_never_comes() {
    assert!(panic_of(|| time::tick(Duration::ZERO)).contains("period zero"));
    assert_eq!(time::tick(Duration::MAX).try_recv(), Err(TryRecvError::Empty));
    assert_eq!(time::after(HOUR).try_recv(), Err(TryRecvError::Empty));
    assert_eq!(time::after(Duration::MAX).recv_timeout(MS), Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_ticker_is_set_to_another_period_and_stopped_while_somebody_waits() {
    assert!(panic_of(|| Ticker::new(Duration::ZERO)).contains("period zero"));
    simulate_seeds(0..50, || {
        let ticker = Arc::new(Ticker::new(HOUR));
        let theirs = ticker.receiver().clone();
        let two = go(move || [theirs.recv().unwrap(), theirs.recv().unwrap()]);
        yield_now();
        let start = Instant::now();
        assert!(ticker.reset(60 * MS), "it was running");
        let [first, second] = two.join().unwrap();
        assert!(
            first >= start + 60 * MS && first < start + 120 * MS,
            "the new period, from then on"
        );
        assert_eq!(second - first, 60 * MS);

        time::sleep(300 * MS);
        assert!(ticker.stop());
        assert!(ticker.receiver().try_recv().is_err(), "what was due is not received any more");
        assert!(!ticker.reset(MS), "it was stopped");
        assert!(ticker.receiver().recv_timeout(2 * MS).is_ok());
        assert!(panic_of(|| ticker.reset(Duration::ZERO)).contains("period zero"));
    });
}

#[test]
fn never_never_receives() {
    let never = time::never::<String>();
    assert_eq!(never.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(never.recv_timeout(MS), Err(RecvTimeoutError::Timeout));
    assert!(!never.is_closed());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    ResetFar,
    ResetNow,
    Stop,
    TryRecv,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Stopped,
    Running,
    Due,
}

proptest! {
    #[test]
    fn timers_do_as_the_oracle_says(
        steps in prop::collection::vec(
            prop_oneof![
                Just(Step::ResetFar), Just(Step::ResetNow), Just(Step::Stop), Just(Step::TryRecv),
            ],
            0..60,
        ),
    ) {
        let timer = Timer::after(HOUR);
        let mut state = State::Running;
        for step in steps {
            let before = state;
            match step {
                Step::ResetFar => {
                    prop_assert_eq!(timer.reset(HOUR), before != State::Stopped);
                    state = State::Running;
                }
                Step::ResetNow => {
                    prop_assert_eq!(timer.reset(Duration::ZERO), before != State::Stopped);
                    state = State::Due;
                }
                Step::Stop => {
                    prop_assert_eq!(timer.stop(), before != State::Stopped);
                    state = State::Stopped;
                }
                Step::TryRecv => {
                    prop_assert_eq!(timer.receiver().try_recv().is_ok(), before == State::Due);
                    state = if before == State::Due { State::Stopped } else { before };
                }
            }
            prop_assert_eq!(timer.receiver().len(), usize::from(state == State::Due));
        }
    }
}

#[test]
fn who_waits_for_a_timer_sees_that_it_is_set_anew() {
    everywhere(|_, runtime| {
        let timer = Arc::new(Timer::after(HOUR));
        let waiting = Arc::clone(&timer);
        let waiter = runtime.go(move || waiting.receiver().recv());
        let start = Instant::now();
        timer.reset(2 * MS);
        let due = waiter.join().expect("no panic").expect("never closed");
        assert!(due >= start + 2 * MS);
        assert!(!timer.stop());
        finish(runtime);
    });
}

#[test]
fn a_timer_put_off_while_somebody_waits_is_not_early() {
    everywhere(|_, runtime| {
        let timer = Arc::new(Timer::after(2 * MS));
        let waiting = Arc::clone(&timer);
        let waiter = runtime.go(move || (waiting.receiver().recv(), Instant::now()));
        // If this came too late the value was taken, and the next one is nobody's.
        let until = Instant::now() + 6 * MS;
        let was_running = timer.reset_at(until);
        let (due, woken) = waiter.join().expect("no panic");
        if was_running {
            assert_eq!(due, Ok(until));
            assert!(woken >= until);
        }
        finish(runtime);
    });
}

#[test]
fn each_setting_is_received_once_or_taken_back() {
    everywhere(|_, runtime| {
        let timer = Arc::new(Timer::after(HOUR));
        let received = Arc::new(AtomicUsize::new(0));
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let (timer, received) = (Arc::clone(&timer), Arc::clone(&received));
                runtime.go(move || {
                    while timer.receiver().recv_timeout(5 * MS).is_ok() {
                        received.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        let mut taken_back = 0;
        for turn in 0..2000 {
            // The first takes back the hour.
            taken_back += usize::from(timer.reset(Duration::ZERO));
            if turn % 7 == 0 {
                selvedge::yield_now();
            }
        }
        receivers.into_iter().for_each(|receiver| receiver.join().expect("no panic"));
        taken_back += usize::from(timer.stop());
        assert_eq!(received.load(SeqCst) + taken_back, 2001, "each setting has one end");
        finish(runtime);
    });
}

//! A timer, or a ticker, between those who set it and those who receive from it: [W4].
//!
//! Time stands still in a model: what is due of a timer is due from the start, what isn't never will be.
//! A ticker is never due from the start, so its models have a clock: one thread more, which lets the
//! earliest that somebody waits for come at any point.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::chan::Receiver;
use selvedge::internals::platform::{Arc, Parker, tls, virtual_time};
use selvedge::time::{Ticker, Timer, sleep, tick};
use std::time::Duration;

/// Of the model's clock.
type Time = selvedge::time::Instant;

const FAR: Duration = Duration::from_secs(3600);
/// Of the tickers that are made, at zero.
const TEN: Duration = Duration::from_nanos(10);
/// Of those that are set anew: no number is soon in step with both.
const SEVEN: Duration = Duration::from_nanos(7);
/// In step with seven, not with ten.
const THIRTY_FIVE: Duration = Duration::from_nanos(35);

/// Runs `model` with a clock that begins at zero.
fn with_a_clock(model: impl FnOnce()) {
    virtual_time::begin();
    keep_time();
    model();
    virtual_time::end();
}

/// From now on the calling thread's time-outs end: a parker with a number asks the clock.
fn keep_time() {
    tls::set_parker(Arc::new(Parker::of(1, None)));
}

/// Nanoseconds since the clock began.
fn nanos(tick: Time, zero: Time) -> usize {
    (tick - zero).as_nanos() as usize
}

/// When the tick was due that is received without a wait; 0 if there is none.
fn due_now(ticks: &Receiver<Time>, zero: Time) -> usize {
    ticks.try_recv().map_or(0, |tick| nanos(tick, zero))
}

/// 2 threads: receive from a timer that is not running | write, set it to now; complete. The receiver
/// sees that it was set, and what came before.
#[test]
fn who_waits_for_a_stopped_timer_sees_it_set() {
    Scenario {
        name: "ticks: who waits for a stopped timer sees it set [W4]",
        threads: 2,
        operations: "recv, read | write, reset",
    }
    .check(Bound::Complete, || {
        let timer = Arc::new(Timer::after(FAR));
        assert!(timer.stop());
        let message = Arc::new(Payload::new(0));
        let setter = {
            let (timer, message) = (Arc::clone(&timer), Arc::clone(&message));
            spawn(move || {
                message.write(7);
                assert!(!timer.reset(Duration::ZERO), "it was stopped");
            })
        };
        assert!(timer.receiver().recv().is_ok());
        assert_eq!(message.take(), 7);
        assert!(timer.receiver().try_recv().is_err(), "once");
        join(setter);
    });
}

/// 3 threads: receive from a timer that is due | the same | stop it. One has the value: a receiver, or
/// who stops it.
#[test]
fn a_value_is_received_once_or_taken_back() {
    Scenario {
        name: "ticks: a value is received once or taken back [W4]",
        threads: 3,
        operations: "try_recv | try_recv | stop",
    }
    .check(Bound::Complete, || {
        let timer = Arc::new(Timer::after(Duration::ZERO));
        let counts = Arc::new([Payload::new(0), Payload::new(0)]);
        let receivers: Vec<_> = (0..2)
            .map(|number: usize| {
                let (timer, counts) = (Arc::clone(&timer), Arc::clone(&counts));
                spawn(move || {
                    counts[number].write(usize::from(timer.receiver().try_recv().is_ok()))
                })
            })
            .collect();
        let taken_back = usize::from(timer.stop());
        assert!(timer.receiver().try_recv().is_err(), "nothing is received after the stop");
        receivers.into_iter().for_each(join);
        assert_eq!(counts[0].take() + counts[1].take() + taken_back, 1);
    });
}

/// 4 threads: receive from a ticker of which three ticks are due | the same | the same, then wait for one
/// more | the clock. One has the first; the others are dropped, and the next is in step. So of what `tick`
/// gives, which no lock guards.
#[test]
fn a_tick_is_received_once_and_those_missed_are_dropped() {
    for is_settable in [true, false] {
        Scenario {
            name: "ticks: a tick is received once, and those missed are dropped [W4]",
            threads: 4,
            operations: "try_recv | try_recv | try_recv, join, try_recv, recv | clock",
        }
        .check(Bound::usual(), move || {
            with_a_clock(|| {
                let zero = Time::now();
                let ticks =
                    if is_settable { Ticker::new(TEN).receiver().clone() } else { tick(TEN) };
                sleep(THIRTY_FIVE);
                let receivers = [(); 2].map(|()| {
                    let (ticks, got) = (ticks.clone(), Arc::new(Payload::new(0)));
                    let own = Arc::clone(&got);
                    (spawn(move || own.write(due_now(&ticks, zero))), got)
                });
                let own = due_now(&ticks, zero);
                let [one, two] = receivers.map(|(receiver, got)| {
                    join(receiver);
                    got.take()
                });
                let mut got = [own, one, two];
                got.sort();
                assert_eq!(got, [0, 0, 10], "the oldest, for one of them");
                assert_eq!(due_now(&ticks, zero), 0, "those that were missed are dropped");
                assert_eq!(nanos(ticks.recv().unwrap(), zero), 40, "in step");
            });
        });
    }
}

/// 3 threads: receive from a ticker that is due | set it to another period, wait for one | the clock; complete.
/// What follows a tick is of the setting that it was taken from.
#[test]
fn a_ticker_keeps_to_the_step_of_its_last_setting() {
    Scenario {
        name: "ticks: a ticker keeps to the step of its last setting [W4]",
        threads: 3,
        operations: "sleep, try_recv | reset, join, recv | clock",
    }
    .check(Bound::Complete, || {
        with_a_clock(|| {
            let zero = Time::now();
            let ticker = Arc::new(Ticker::new(TEN));
            let theirs = Arc::clone(&ticker);
            let receiver = spawn(move || {
                keep_time();
                sleep(THIRTY_FIVE);
                // Of the first setting, or of one made at zero; of one made at 35 none is due yet.
                assert!(matches!(due_now(theirs.receiver(), zero), 0 | 7 | 10));
            });
            assert!(ticker.reset(SEVEN), "it was running");
            join(receiver);
            assert_eq!(nanos(ticker.receiver().recv().unwrap(), zero) % 7, 0, "in step");
        });
    });
}

/// 3 threads: wait for a tick, twice | stop the ticker, set it anew, and drop it | the clock. The
/// receiver misses no setting, sees what came before it, and goes on without the ticker.
#[test]
fn who_waits_for_ticks_outlives_stop_and_drop() {
    Scenario {
        name: "ticks: who waits for ticks outlives stop and drop [W4]",
        threads: 3,
        operations: "recv ×2, read | stop, write, reset, drop | clock",
    }
    .check(Bound::usual(), || {
        with_a_clock(|| {
            let zero = Time::now();
            let ticker = Ticker::new(TEN);
            let ticks = ticker.receiver().clone();
            let message = Arc::new(Payload::new(0));
            let read = Arc::clone(&message);
            let receiver = spawn(move || {
                keep_time();
                let [first, second] = [(); 2].map(|()| nanos(ticks.recv().unwrap(), zero));
                assert!(second > first, "{first}, {second}");
                // Whole hours are far beyond the ticks that came before the stop.
                if second > 100 {
                    assert_eq!(read.take(), 7);
                }
            });
            assert!(ticker.stop(), "it was running");
            assert!(ticker.receiver().try_recv().is_err(), "nothing is received after the stop");
            message.write(7);
            assert!(!ticker.reset(FAR), "it was stopped");
            drop(ticker);
            join(receiver);
        });
    });
}

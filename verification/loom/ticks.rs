//! A timer between those who set it and those who receive from it: [W4].
//!
//! Time stands still in a model: what is due is due from the start, what isn't never will be.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::platform::Arc;
use selvedge::time::Timer;
use std::time::Duration;

const FAR: Duration = Duration::from_secs(3600);

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

//! Tasks that await a time: the alarm, whose thread the model plays, and futures on sources: [Z4], [V9].
//!
//! Time stands still in a model, and the alarm has its own: `NOW`. A lost wake-up is a deadlock.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::alarm::{Alarm, Armed};
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::atomic::{AtomicUsize, Ordering};
use selvedge::time::Timer;
use selvedge::{CancelToken, block_on};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const NOW: u64 = 10;
const DUE: u64 = 5;
const LATER: u64 = 99;
const FAR: Duration = Duration::from_secs(3600);

/// Counts its wake-ups.
struct Task(AtomicUsize);

impl Task {
    fn new() -> Arc<Task> {
        Arc::new(Task(AtomicUsize::new(0)))
    }

    fn woken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn arm(alarm: &Alarm, before: Option<Armed>, deadline: u64, task: &Arc<Task>) -> Armed {
    alarm.arm(before, deadline, Waker::from(Arc::clone(task)))
}

fn turn_until(alarm: &Alarm, is_over: impl Fn() -> bool) {
    while !is_over() {
        alarm.turn(|| NOW);
    }
}

/// 2 threads: arm what is due | the alarm, which has nothing to wait for, or something later.
#[test]
fn who_arms_wakes_an_alarm_that_sleeps_beyond_it() {
    for later in [false, true] {
        Scenario {
            name: "alarm: who arms wakes an alarm that sleeps beyond it [Z4]",
            threads: 2,
            operations: "arm | turn until woken",
        }
        .check(Bound::Complete, move || {
            let (alarm, first, other) = (Arc::new(Alarm::new()), Task::new(), Task::new());
            if later {
                let _ = arm(&alarm, None, LATER, &other);
            }
            let (own, task) = (Arc::clone(&alarm), Arc::clone(&first));
            let turns = spawn(move || turn_until(&own, || task.woken() > 0));
            let _ = arm(&alarm, None, DUE, &first);
            join(turns);
            assert_eq!((first.woken(), other.woken()), (1, 0));
            assert_eq!(alarm.len(), usize::from(later));
        });
    }
}

/// 3 threads: arm what is due | the same | the alarm. Both are woken, each once.
#[test]
fn of_two_who_arm_both_are_woken() {
    Scenario {
        name: "alarm: of two who arm both are woken [Z4]",
        threads: 3,
        operations: "arm | arm | turn until both are woken",
    }
    .check(Bound::complete_if_long(), || {
        let (alarm, tasks) = (Arc::new(Alarm::new()), [Task::new(), Task::new()]);
        let (own, both) = (Arc::clone(&alarm), tasks.clone());
        let turns = spawn(move || turn_until(&own, || both.iter().all(|task| task.woken() > 0)));
        let (own, second) = (Arc::clone(&alarm), Arc::clone(&tasks[1]));
        let arms = spawn(move || {
            let _ = arm(&own, None, DUE + 1, &second);
        });
        let _ = arm(&alarm, None, DUE, &tasks[0]);
        join(arms);
        join(turns);
        assert!(tasks.iter().all(|task| task.woken() == 1) && alarm.is_empty());
    });
}

/// 2 threads: take an entry back, due or not | the alarm. The entry leaves once, and its waker with it.
#[test]
fn an_entry_is_woken_or_taken_back() {
    for deadline in [DUE, LATER] {
        Scenario {
            name: "alarm: an entry is woken or taken back [Z4]",
            threads: 2,
            operations: "disarm | turn",
        }
        .check(Bound::Complete, move || {
            let (alarm, task, other) = (Arc::new(Alarm::new()), Task::new(), Task::new());
            let armed = arm(&alarm, None, deadline, &task);
            // There is something due in any case, so that the turn ends.
            let _ = arm(&alarm, None, DUE, &other);
            let own = Arc::clone(&alarm);
            let turns = spawn(move || own.turn(|| NOW));
            let taken_back = alarm.disarm(armed);
            join(turns);
            assert_eq!(task.woken() + usize::from(taken_back), 1);
            assert!(taken_back || deadline == DUE, "what is not due is there");
            assert_eq!(other.woken(), 1);
            assert!(!alarm.disarm(armed) && alarm.is_empty());
            assert_eq!(Arc::strong_count(&task), 1, "no waker is left");
        });
    }
}

/// 2 threads: arm again with another waker | the alarm. The last waker is called, once, and the first
/// only if its time came before.
#[test]
fn the_last_waker_is_called() {
    for deadline in [DUE, LATER] {
        Scenario {
            name: "alarm: the last waker is called [Z4]",
            threads: 2,
            operations: "arm again | turn until the last is woken",
        }
        .check(Bound::Complete, move || {
            let (alarm, first, last) = (Arc::new(Alarm::new()), Task::new(), Task::new());
            let armed = arm(&alarm, None, deadline, &first);
            let (own, task) = (Arc::clone(&alarm), Arc::clone(&last));
            let turns = spawn(move || turn_until(&own, || task.woken() > 0));
            let _ = arm(&alarm, Some(armed), DUE, &last);
            join(turns);
            assert!(first.woken() <= usize::from(deadline == DUE));
            assert_eq!(last.woken(), 1);
            assert!(alarm.is_empty() && Arc::strong_count(&first) == 1);
        });
    }
}

/// Awaits it; the future is first polled for nobody, then for the caller.
fn await_by_second_poll<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut first = true;
    block_on(poll_fn(|cx| {
        if std::mem::take(&mut first)
            && let Poll::Ready(output) =
                future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            return Poll::Ready(output);
        }
        future.as_mut().poll(cx)
    }))
}

/// 2 threads: await a timer that is not running | write, set it to now. The future ends, and what came
/// before is seen.
#[test]
fn who_awaits_a_stopped_timer_sees_it_set() {
    Scenario {
        name: "alarm: who awaits a stopped timer sees it set [V9] [W4]",
        threads: 2,
        operations: "poll, poll until ready, read | write, reset",
    }
    .check(Bound::complete_if_long(), || {
        let timer = Arc::new(Timer::after(FAR));
        assert!(timer.stop());
        let message = Arc::new(Payload::new(0));
        let (own, written) = (Arc::clone(&timer), Arc::clone(&message));
        let setter = spawn(move || {
            written.write(7);
            assert!(!own.reset(Duration::ZERO), "it was stopped");
        });
        assert!(await_by_second_poll(timer.receiver().recv_async()).is_ok());
        assert_eq!(message.take(), 7);
        join(setter);
    });
}

/// 2 threads: await a token | cancel the one above it.
#[test]
fn who_awaits_a_token_learns_that_it_is_cancelled() {
    Scenario {
        name: "alarm: who awaits a token learns that it is cancelled [V9] [Y1]",
        threads: 2,
        operations: "poll, poll until ready | cancel",
    }
    .check(Bound::usual(), || {
        let above = CancelToken::new();
        let token = above.child();
        let cancels = spawn(move || above.cancel());
        await_by_second_poll(token.cancelled_async());
        assert!(token.is_cancelled());
        join(cancels);
    });
}

/// 2 threads: poll a future, drop it | set the timer it awaits. Its task is woken at most once, and the
/// timer keeps no waker.
#[test]
fn a_dropped_future_leaves_the_timer_alone() {
    Scenario {
        name: "alarm: a dropped future leaves the timer alone [X3] [V9]",
        threads: 2,
        operations: "poll, drop | reset",
    }
    .check(Bound::Complete, || {
        let timer = Arc::new(Timer::after(FAR));
        let (own, task) = (Arc::clone(&timer), Task::new());
        let setter = spawn(move || {
            own.reset(FAR);
        });
        let waker = Waker::from(Arc::clone(&task));
        {
            let future = pin!(timer.receiver().recv_async());
            assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        drop(waker);
        join(setter);
        assert!(task.woken() <= 1);
        assert_eq!(Arc::strong_count(&task), 1, "no waker is left");
    });
}

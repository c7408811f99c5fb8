//! Ends, with work left and without, from outside and from inside: [T1], [T2], [T3].
//! What is left is leaked, so these run fewer schedules than the others.

use crate::harness::{Plan, Scenario};
use crate::support::{Gate, Ledger, Monitor, anchored, migrating};
use selvedge::{JoinHandle, RemainingState, Runtime, current, go, park, try_go, yield_now};
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts the closures that were dropped, run or not.
struct Token(Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A goroutine that has ended gave its number; one that has not, an error that says so.
#[track_caller]
fn join_or_abandoned(handle: JoinHandle<usize>, number: usize) -> bool {
    match handle.join() {
        Ok(n) => {
            assert_eq!(n, number);
            true
        }
        Err(error) => {
            assert!(error.is_abandoned(), "nobody panics here");
            false
        }
    }
}

/// 4 threads, 4 goroutines; sampled. Dropped at once: each join returns, each goroutine ran at most
/// once, and each closure was dropped unless its goroutine is suspended for ever.
#[test]
fn each_joiner_of_a_dropped_runtime_gets_an_answer() {
    let name = "shutdown: each joiner of a dropped runtime gets an answer [T1] [T2]";
    Scenario { name, threads: 4, goroutines: 4 }.check(&Plan::usual(1000), || {
        let (ledger, dropped) = (Ledger::new(4), Arc::new(AtomicUsize::new(0)));
        let runtime = anchored(2, 2);
        let handles = [0, 1, 2, 3].map(|i| {
            let (ledger, token) = (ledger.clone(), Token(Arc::clone(&dropped)));
            runtime.go(move || {
                drop(token);
                yield_now();
                ledger.enter(i);
                i
            })
        });
        let joiners = handles.map(|handle| {
            let number = ledger.clone();
            thread::spawn(move || {
                let i = (0..4).find(|i| handle.goroutine().id() == Some(*i as u64 + 1));
                let i = i.expect("ids count from 1");
                if join_or_abandoned(handle, i) {
                    assert_eq!(number.times(i), 1, "it has ended");
                }
            })
        });
        drop(runtime);
        joiners.into_iter().for_each(|joiner| joiner.join().expect("no panic"));
        assert_eq!(dropped.load(Ordering::Relaxed), 4, "each had begun, or was dropped");
        assert!((0..4).all(|i| ledger.times(i) <= 1));
    });
}

/// Some parked, some not begun; the end has no patience, and says who is left.
fn ended_with_work_left(runtime: Runtime) {
    let parked = [(), ()].map(|()| {
        runtime.go(|| -> usize {
            loop {
                park();
            }
        })
    });
    let others = [2, 3].map(|i| runtime.go(move || i));
    thread::yield_now();
    let error = runtime.shutdown(Duration::ZERO).expect_err("two never end");
    let left = error.remaining();
    assert!((2..=4).contains(&left.len()), "those who park, and who had not ended: {left:?}");
    for remaining in left {
        if remaining.state == RemainingState::Parked {
            assert!(remaining.place.is_some(), "it suspended somewhere");
        }
    }
    for handle in parked {
        assert!(!join_or_abandoned(handle, 9), "it can't have ended");
    }
    let ended = [2, 3].into_iter().zip(others).map(|(i, handle)| join_or_abandoned(handle, i));
    let ended = ended.filter(|ended| *ended).count();
    let running =
        left.iter().filter(|remaining| remaining.state == RemainingState::Running).count();
    assert!(left.len() - running + ended <= 4, "only one in user code both is left and ends");
}

/// 3 threads, 4 goroutines; sampled.
#[test]
fn an_impatient_end_says_who_is_left() {
    let name = "shutdown: an impatient end says who is left [T2] [T3]";
    Scenario { name, threads: 3, goroutines: 4 }
        .check(&Plan::usual(1000), || ended_with_work_left(anchored(2, 2)));
}

/// 3 threads, 4 goroutines; sampled. The same, migrating.
#[test]
fn an_impatient_end_says_who_is_left_migrating() {
    let name = "shutdown: an impatient end says who is left, migrating [T2] [T3]";
    Scenario { name, threads: 3, goroutines: 4 }
        .check(&Plan::usual(1000), || ended_with_work_left(migrating(2, 2)));
}

/// 4 threads, 6 goroutines; sampled. A drain waits for goroutines that spawn others, and are woken
/// from outside.
#[test]
fn a_patient_end_waits_for_everybody() {
    let name = "shutdown: a patient end waits for everybody";
    Scenario { name, threads: 4, goroutines: 6 }.check(&Plan::usual(2000), || {
        let ledger = Ledger::new(6);
        let runtime = anchored(2, 2);
        let ready = Arc::new(AtomicUsize::new(0));
        let mut parked = None;
        for i in 0..3 {
            let (ledger, ready) = (ledger.clone(), Arc::clone(&ready));
            let handle = runtime.go(move || {
                ledger.enter(i);
                drop(go(move || ledger.enter(3 + i)));
                while i == 0 && ready.load(Ordering::Acquire) == 0 {
                    park();
                }
            });
            parked.get_or_insert(handle.goroutine());
        }
        let waker = thread::spawn(move || {
            ready.store(1, Ordering::Release);
            parked.expect("the first").unpark();
        });
        runtime.shutdown(Duration::MAX).expect("everybody ends");
        ledger.assert_each_ran_once();
        waker.join().expect("no panic");
    });
}

/// A goroutine drops the last handle to its own runtime, and goes on.
fn ended_from_inside(runtime: Runtime) {
    let ledger = Ledger::new(1);
    let runtime = Arc::new(runtime);
    let (mine, seen) = (Arc::clone(&runtime), ledger.clone());
    let go_on = Gate::default();
    let wait = go_on.clone();
    let child_of = Arc::clone(&runtime);
    let child = child_of.go(|| {
        yield_now();
        1
    });
    let ender = runtime.go(move || {
        wait.pass();
        drop(Arc::into_inner(mine).expect("the last"));
        assert!(try_go(|| ()).is_err(), "nothing is spawned once the runtime ends");
        seen.enter(0);
        5
    });
    drop((runtime, child_of));
    go_on.open();
    assert!(join_or_abandoned(ender, 5), "it was in user code, and has gone on to its end");
    join_or_abandoned(child, 1);
    ledger.assert_each_ran_once();
}

/// 3 threads, 2 goroutines; sampled.
#[test]
fn a_goroutine_ends_its_own_runtime() {
    let name = "shutdown: a goroutine ends its own runtime [T1] [T2]";
    Scenario { name, threads: 3, goroutines: 2 }
        .check(&Plan::usual(1000), || ended_from_inside(anchored(2, 2)));
}

/// 3 threads, 2 goroutines; sampled. The same, migrating.
#[test]
fn a_goroutine_ends_its_own_runtime_migrating() {
    let name = "shutdown: a goroutine ends its own runtime, migrating [T1] [T2]";
    Scenario { name, threads: 3, goroutines: 2 }
        .check(&Plan::usual(1000), || ended_from_inside(migrating(2, 2)));
}

/// 4 threads, 3 goroutines; sampled. The runtime ends while goroutines are in user code, blocked or
/// at work; what they do then is refused or in vain, and nothing hangs.
#[test]
fn those_in_user_code_come_back_to_an_ended_runtime() {
    let name = "shutdown: those in user code come back to an ended runtime [T1] [T2]";
    Scenario { name, threads: 4, goroutines: 3 }.check(&Plan::usual(1000), || {
        let runtime = anchored(2, 2);
        let (begun, gate) = (Gate::default(), Gate::default());
        let (there, wait) = (begun.clone(), gate.clone());
        let blocked = runtime.go(move || {
            there.open();
            wait.pass();
            let spawned = try_go(|| 7);
            current().unpark();
            match spawned {
                Ok(handle) => usize::from(join_or_abandoned(handle, 7)),
                Err(_) => 2,
            }
        });
        let parked = runtime.go(|| {
            park();
            1
        });
        let goroutine = parked.goroutine();
        begun.pass();
        drop(runtime);
        goroutine.unpark();
        gate.open();
        assert!(!matches!(blocked.join(), Ok(0 | 1)), "nothing is spawned any more");
        join_or_abandoned(parked, 1);
    });
}

/// 5 threads, 3 goroutines; sampled. A monitor takes processors up to the end.
#[test]
fn processors_are_taken_up_to_the_end() {
    let name = "shutdown: processors are taken up to the end [H1] [T2]";
    Scenario { name, threads: 5, goroutines: 3 }.check(&Plan::usual(1000), || {
        let runtime = Arc::new(anchored(1, 3));
        let handles = [0, 1, 2].map(|i| {
            runtime.go(move || {
                thread::yield_now();
                yield_now();
                i
            })
        });
        let monitor = Monitor::start(&runtime);
        thread::yield_now();
        monitor.stop();
        drop(Arc::into_inner(runtime).expect("the monitor has ended"));
        for (i, handle) in handles.into_iter().enumerate() {
            join_or_abandoned(handle, i);
        }
    });
}

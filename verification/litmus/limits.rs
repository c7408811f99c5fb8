//! loom against the machine: what its threads, time-outs and caps do otherwise.

use crate::explore::{Row, Says, rejects, spawn};
use crate::shapes::{RACE, Slot, words};
use Says::{Allowed, Crashes, Forbidden};
use loom::sync::{Condvar, Mutex};
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::atomic::Ordering::Relaxed;

/// What loom says of threads that all wait.
const DEADLOCK: &str = "deadlock";

#[test]
fn unpark_orders_what_nobody_parked_for() {
    let name = "limits::unpark_orders_what_nobody_parked_for";
    let rejected = rejects(name, &[RACE], || {
        let (slot, [flag, _]) = (Slot::new(), words());
        let reader = {
            let (slot, flag) = (Arc::clone(&slot), Arc::clone(&flag));
            loom::thread::spawn(move || {
                if flag.load(Relaxed) == 1 {
                    slot.read();
                }
            })
        };
        slot.write(7);
        reader.thread().unpark();
        flag.store(1, Relaxed);
        reader.join().expect("it never parks");
    });
    Row {
        behaviour: "`thread::unpark` without a `park` orders nothing: the race is reported",
        loom: Forbidden,
        c11: Allowed,
    }
    .hold(rejected);
}

#[test]
fn unpark_of_a_thread_inside_join() {
    let rejected = rejects("limits::unpark_of_a_thread_inside_join", &["state.notified"], || {
        let main = loom::thread::current();
        loom::thread::spawn(move || main.unpark()).join().expect("it ends");
    });
    assert!(rejected, "loom now lets a thread inside `join` be unparked: strike that row");
    Row { behaviour: "`thread::unpark` of a thread inside `join`", loom: Crashes, c11: Allowed }
        .hold(rejected);
}

#[test]
fn a_timed_wait_runs_out() {
    let rejected = rejects("limits::a_timed_wait_runs_out", &[DEADLOCK], || {
        let lock = Mutex::new(());
        let limit = std::time::Duration::from_nanos(1);
        let guard = lock.lock().expect("never poisoned");
        drop(Condvar::new().wait_timeout(guard, limit).expect("never poisoned"));
    });
    Row { behaviour: "`wait_timeout` runs out", loom: Forbidden, c11: Allowed }.hold(!rejected);
}

#[test]
fn a_wait_returns_for_no_reason() {
    let rejected = rejects("limits::a_wait_returns_for_no_reason", &[DEADLOCK], || {
        let lock = Mutex::new(());
        let guard = lock.lock().expect("never poisoned");
        drop(Condvar::new().wait(guard).expect("never poisoned"));
    });
    Row { behaviour: "`Condvar::wait` returns for no reason", loom: Forbidden, c11: Allowed }
        .hold(!rejected);
}

#[test]
fn a_lost_wake_up() {
    // The flag is looked at outside of the lock, so the notification may come before the wait.
    let rejected = rejects("limits::a_lost_wake_up", &[DEADLOCK], || {
        let ([flag, _], lock) = (words(), Arc::new((Mutex::new(()), Condvar::new())));
        let waker = {
            let (flag, lock) = (Arc::clone(&flag), Arc::clone(&lock));
            spawn(move || {
                flag.store(1, Relaxed);
                lock.1.notify_one();
            })
        };
        if flag.load(Relaxed) == 0 {
            let guard = lock.0.lock().expect("never poisoned");
            drop(lock.1.wait(guard).expect("never poisoned"));
        }
        waker.join();
    });
    Row { behaviour: "a lost wake-up: reported, as a deadlock", loom: Allowed, c11: Allowed }
        .hold(rejected);
}

#[test]
fn more_than_five_threads() {
    let rejected =
        rejects("limits::more_than_five_threads", &["self.threads.len() < self.max()"], || {
            let threads = [(), (), (), (), ()].map(|()| spawn(|| ()));
            threads.into_iter().for_each(|thread| thread.join());
        });
    Row { behaviour: "six threads", loom: Crashes, c11: Allowed }.hold(rejected);
}

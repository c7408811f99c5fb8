//! Each kind of wait is told by what it does, to what, and where.

use crate::common::fails;
use selvedge::chan::{Select, bounded};
use selvedge::model::Failure;
use selvedge::sync::{
    Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, Semaphore, WaitGroup,
};
use selvedge::{CancelToken, Spawn, block_on, go, park_cancel, select, time};
use std::sync::Arc;
use std::time::Duration;

/// What the goroutine "worker" of a program that hangs waits for.
#[track_caller]
fn waits(program: impl Fn() + Send + Sync + Clone + 'static) -> (String, Failure) {
    let failure = fails(program);
    assert!(matches!(failure, Failure::Deadlock(_)), "{failure}");
    let alive = failure.story().alive();
    let worker =
        alive.iter().find(|line| line.starts_with("goroutine 2 \"worker\"")).expect("it hangs");
    let (_, doing) = worker.split_once(": waits: ").unwrap_or_else(|| panic!("{worker}"));
    (doing.to_owned(), failure)
}

/// `what`, done somewhere in this file.
#[track_caller]
fn says((doing, failure): &(String, Failure), what: &str) {
    let expected = format!("{what} at proptests/model/stories.rs:");
    assert!(doing.starts_with(&expected), "{doing}");
    let history = failure.story().history();
    assert!(history.iter().any(|line| line.contains(&expected)), "{failure}");
}

fn worker(work: impl FnOnce() + Send + 'static) {
    Spawn::new().name("worker").go(work).join().unwrap();
}

#[test]
fn a_select_names_its_arms() {
    let told = waits(|| {
        let (_kept, rx) = bounded::<u8>(0);
        let (tx, _kept) = bounded::<u8>(0);
        let token = CancelToken::new();
        worker(move || {
            select! {
                recv(rx) -> _ => {}
                send(tx, 1) -> _ => {}
                cancel(token) => {}
            }
        });
    });
    says(&told, "select on channel 1 (recv), channel 2 (send), token 1 (cancel)");
}

#[test]
fn a_select_made_at_run_time_names_its_arms() {
    let told = waits(|| {
        let (_kept, rx) = bounded::<u8>(0);
        worker(move || {
            let mut select = Select::new();
            select.recv(&rx);
            assert!(select.try_ready().is_err());
            select.ready();
        });
    });
    says(&told, "select on channel 1 (recv)");
    let history = told.1.story().history();
    assert!(history.iter().any(|line| line.contains("try to select on channel 1 (recv) at ")));
}

#[test]
fn a_read_write_lock_is_named() {
    let told = waits(|| {
        let lock = Arc::new(RwLock::new(0));
        let read = lock.read().unwrap();
        let own = Arc::clone(&lock);
        worker(move || *own.write().unwrap() += 1);
        drop(read);
    });
    says(&told, "write rwlock 1");
    assert!(told.0.contains(", which goroutine 1 \"main\" has since proptests/model/stories.rs:"));
    let told = waits(|| {
        let lock = Arc::new(RwLock::new(0));
        let write = lock.try_write().unwrap();
        let own = Arc::clone(&lock);
        worker(move || drop(own.read().unwrap()));
        drop(write);
    });
    says(&told, "read rwlock 1");
    assert!(told.0.contains(", which goroutine 1 \"main\" has since proptests/model/stories.rs:"));
    // Given up, it is nobody's.
    let told = waits(|| {
        let lock = Arc::new(RwLock::new(0));
        drop(lock.read());
        drop(lock.write());
        let own = Arc::clone(&lock);
        worker(move || {
            go(move || std::mem::forget(lock.write())).join().unwrap();
            drop(own.read());
        });
    });
    assert_eq!(told.0.matches(", which ").count(), 1, "{}", told.0);
    assert!(told.0.contains(", which goroutine 3 has since proptests/model/stories.rs:"));
}

#[test]
fn a_semaphore_is_named() {
    let told = waits(|| {
        let (one, two) = (Semaphore::new(1), Arc::new(Semaphore::new(1)));
        drop(one.acquire(1));
        worker(move || drop(two.acquire(2)));
    });
    says(&told, "acquire of semaphore 2");
    let history = told.1.story().history();
    assert!(history.iter().any(|line| line.ends_with("release to semaphore 1")), "{history:?}");
}

#[test]
fn a_barrier_is_named() {
    let told = waits(|| {
        let barrier = Arc::new(Barrier::new(2));
        worker(move || assert!(barrier.wait().is_leader()));
    });
    says(&told, "wait at barrier 1");
}

#[test]
fn what_is_done_once_is_named() {
    let told = waits(|| {
        let once = Arc::new(Once::new());
        worker(move || once.wait());
    });
    says(&told, "wait for once 1");
    let told = waits(|| {
        let lock = Arc::new(OnceLock::<u8>::new());
        worker(move || assert_eq!(*lock.wait(), 1));
    });
    says(&told, "wait for once lock 1");
}

#[test]
fn a_future_is_named_and_what_it_waits_for_stands_before() {
    let told = waits(|| {
        let (_kept, rx) = bounded::<u8>(0);
        worker(move || assert!(block_on(rx.recv_async()).is_ok()));
    });
    says(&told, "block on a future");
    let history = told.1.story().history();
    assert!(history.iter().any(|line| line.ends_with("await recv on channel 1")), "{history:?}");
    let told = waits(|| {
        let (tx, _kept) = bounded::<u8>(0);
        worker(move || block_on(tx.send_async(1)).unwrap());
    });
    says(&told, "block on a future");
    let history = told.1.story().history();
    assert!(history.iter().any(|line| line.ends_with("await send on channel 1")), "{history:?}");
    let told = waits(|| {
        let token = CancelToken::new();
        worker(move || block_on(token.cancelled_async()));
    });
    let history = told.1.story().history();
    assert!(history.iter().any(|line| line.ends_with("await token 1")), "{history:?}");
    let told = waits(|| {
        worker(|| drop(block_on(go(selvedge::park))));
    });
    let history = told.1.story().history();
    assert!(history.iter().any(|line| line.ends_with("await goroutine 3")), "{history:?}");
}

#[test]
fn what_comes_with_time_or_never_is_named() {
    let told = waits(|| worker(|| assert!(time::never::<u8>().recv().is_ok())));
    says(&told, "recv on timer 1");
    let told = waits(|| {
        let token = CancelToken::new();
        worker(move || token.wait());
    });
    says(&told, "wait for token 1");
    let told = waits(|| {
        let token = CancelToken::new();
        worker(move || assert!(token.done().recv().is_ok()));
    });
    says(&told, "recv on token 1");
    let told = waits(|| {
        let token = CancelToken::new();
        worker(move || time::sleep_cancel(Duration::MAX, &token).unwrap());
    });
    says(&told, "sleep, under token 1");
    let told = waits(|| {
        let token = CancelToken::new();
        worker(move || park_cancel(&token).unwrap());
    });
    says(&told, "park, under token 1");
}

#[test]
fn a_condvar_and_a_wait_group_are_named() {
    let told = waits(|| {
        let both = Arc::new((Mutex::new(()), Condvar::new()));
        worker(move || drop(both.1.wait(both.0.lock().unwrap())));
    });
    says(&told, "wait on condvar 1");
    let told = waits(|| {
        let group = WaitGroup::new();
        group.add(1);
        worker(move || group.wait());
    });
    says(&told, "wait for wait group 1");
}

#[test]
fn a_value_that_is_made_once_and_for_itself_is_named() {
    let told = waits(|| {
        let lock = Arc::new(OnceLock::new());
        let own = Arc::clone(&lock);
        worker(move || {
            lock.get_or_init(|| *own.get_or_init(|| 1));
        });
    });
    says(&told, "set once lock 1");
    let told = waits(|| {
        let (tx, rx) = bounded::<u8>(0);
        let lazy = Arc::new(LazyLock::new(move || rx.recv().is_ok()));
        worker(move || {
            let own = Arc::clone(&lazy);
            let first = go(move || **own);
            assert!(**lazy && first.join().unwrap());
        });
        drop(tx);
    });
    let history = told.1.story().history();
    assert!(history.iter().any(|line| line.contains("force lazy lock 1 at ")), "{history:?}");
}

#[test]
fn a_select_says_which_arm_it_has_chosen() {
    let failure = fails(|| {
        let (tx, rx) = bounded(1);
        tx.send(1).unwrap();
        let (other, _kept) = bounded::<u8>(0);
        select! {
            send(other, 1) -> _ => {},
            recv(rx) -> _ => panic!("as expected"),
            default => {},
        }
    });
    let history = failure.story().history();
    let line = "try to select on channel 2 (send), channel 1 (recv) at ";
    let chosen =
        history.iter().any(|step| step.contains(line) && step.contains(": recv channel 1"));
    assert!(chosen, "{history:?}");
}

#[test]
fn who_waits_for_a_lock_that_it_has_is_told_so() {
    let told = waits(|| {
        let lock = Mutex::new(0);
        worker(move || {
            let _first = lock.lock().unwrap();
            drop(lock.lock());
        });
    });
    says(&told, "lock mutex 1");
    assert!(
        told.0.contains(", which it has itself since proptests/model/stories.rs:"),
        "{}",
        told.0
    );
    let said = told.1.story().message();
    assert!(
        said.starts_with("goroutine 2 waits for mutex 1, which it has itself since "),
        "{said}"
    );
    let told = waits(|| {
        let lock = RwLock::new(0);
        worker(move || {
            let _first = lock.try_read().unwrap();
            drop(lock.write());
        });
    });
    assert!(told.1.story().message().contains("a lock can't be had twice"), "{}", told.1);
    // Given up, it is nobody's.
    let told = waits(|| {
        let lock = Arc::new(Mutex::new(0));
        let own = Arc::clone(&lock);
        worker(move || {
            drop(own.lock());
            drop(own.try_lock());
            let waited = Condvar::new().wait_timeout(own.lock().unwrap(), Duration::ZERO);
            drop(waited);
            go(move || std::mem::forget(lock.try_lock())).join().unwrap();
            drop(own.lock());
        });
    });
    assert_eq!(told.0.matches(", which ").count(), 1, "{}", told.0);
    assert!(told.0.contains(", which goroutine 3 has since proptests/model/stories.rs:"));
    assert!(!told.1.to_string().contains("which it has itself"), "{}", told.1);
}

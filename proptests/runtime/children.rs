//! What ends the process, or needs a process of its own: the test runs itself again in a child, and
//! looks at the child's last words and at how it ended.
//!
//! Threads and memory are refused by `RLIMIT_AS`: the limit on processes does not bind root.

use crate::child::{End, THREAD_STACK, in_child};
use crate::common::{ALL, Placement, beside, eventually, finish};
use selvedge::{BuildError, PanicPolicy, Runtime, Spawn};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

fn child(test: &str, body: impl FnOnce()) -> End {
    in_child("children", test, body)
}

fn each(body: fn(Placement)) {
    ALL.into_iter().for_each(body);
}

fn endless(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if black_box(depth) == u64::MAX { 0 } else { endless(depth + 1) + frame[3] }
}

#[test]
fn a_panic_under_the_abort_policy_ends_the_process() {
    beside(|| {
        let end = child("a_panic_under_the_abort_policy_ends_the_process", || {
            let builder = Runtime::builder().processors(2).panic_policy(PanicPolicy::Abort);
            let runtime = builder.build().unwrap();
            // Caught by the goroutine itself, it is nobody's business.
            runtime.run(|| drop(std::panic::catch_unwind(|| panic!("a small one"))));
            eprintln!("still here");
            let _ = runtime.go(|| panic!("the fatal one")).join();
        });
        let id = end.stderr.split("aborting: goroutine ").nth(1).expect(&end.stderr);
        assert!(id.starts_with(|c: char| c.is_ascii_digit()), "{}", end.stderr);
        end.is_abort_after(&["still here", "the fatal one", "(panic policy)"]);
    });
}

#[test]
fn an_overflow_in_a_goroutine_names_it_and_aborts() {
    beside(|| {
        let end = child("an_overflow_in_a_goroutine_names_it_and_aborts", || {
            let runtime = Runtime::builder().processors(2).build().unwrap();
            let deep = || {
                eprintln!("my id is {}.", selvedge::current().id().unwrap());
                selvedge::yield_now();
                black_box(endless(0));
            };
            let handle = runtime.go_with(Spawn::new().name("deep"), deep).unwrap();
            let _ = handle.join();
        });
        let id = end.stderr.split("my id is ").nth(1).expect(&end.stderr);
        let id = id.split('.').next().unwrap();
        let words = format!("selvedge: goroutine {id} \"deep\" overflowed its stack of ");
        let bytes = end.stderr.split(&words).nth(1).and_then(|rest| rest.split(' ').next());
        let bytes: usize = bytes.expect(&end.stderr).parse().expect(&end.stderr);
        // What is left of the last page is the stack's.
        assert!((320 << 10..330 << 10).contains(&bytes), "{bytes}");
        end.is_abort_after(&[&words, "raise it with Builder::stack_size"]);
    });
}

#[test]
fn an_overflow_in_a_migrating_goroutine_that_has_moved_names_it() {
    beside(|| {
        let end = child("an_overflow_in_a_migrating_goroutine_that_has_moved_names_it", || {
            let runtime = Placement::Migrating.runtime(4);
            for n in 0..20 {
                drop(runtime.go(|| (0..1000).for_each(|_| selvedge::yield_now())));
                let mover = move || {
                    (0..500).for_each(|_| selvedge::yield_now());
                    if n == 19 {
                        black_box(endless(0));
                    }
                };
                let handle = runtime.go_with(Spawn::new().name(format!("mover-{n}")), mover);
                handle.unwrap().join().unwrap();
            }
        });
        end.is_abort_after(&["\"mover-19\" overflowed its stack of 330752 bytes"]);
    });
}

#[test]
fn an_overflow_in_a_plain_thread_gets_the_words_of_std() {
    beside(|| {
        let end = child("an_overflow_in_a_plain_thread_gets_the_words_of_std", || {
            let runtime = Runtime::builder().processors(2).build().unwrap();
            assert_eq!(runtime.run(|| 1), 1);
            let plain = std::thread::Builder::new().name(String::from("plain")).stack_size(1 << 18);
            let _ = plain.spawn(|| black_box(endless(0))).unwrap().join();
        });
        assert!(!end.stderr.contains("selvedge:"), "{}", end.stderr);
        if cfg!(selvedge_asan) {
            // The handler that was there before ours is the sanitizer's, not std's.
            return assert!(
                end.stderr.contains("AddressSanitizer: stack-overflow"),
                "{}",
                end.stderr
            );
        }
        end.is_abort_after(&["plain", "has overflowed its stack"]);
    });
}

#[test]
fn a_result_that_panics_while_nobody_holds_it_aborts_and_says_so() {
    struct Fatal;
    impl Drop for Fatal {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    beside(|| {
        let end = child("a_result_that_panics_while_nobody_holds_it_aborts_and_says_so", || {
            let runtime = Runtime::builder().processors(1).build().unwrap();
            runtime.run(|| {
                drop(selvedge::go(|| Fatal));
                (0..100).for_each(|_| selvedge::yield_now());
            });
            eventually("it is dropped", || runtime.metrics().finished == 2);
        });
        end.is_abort_after(&["selvedge: aborting", "panicked while dropped"]);
    });
}

#[test]
fn a_local_value_that_panics_while_dropped_aborts_and_says_so() {
    struct Fatal;
    impl Drop for Fatal {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    selvedge::goroutine_local! { static FATAL: Fatal = Fatal; }
    beside(|| {
        let end = child("a_local_value_that_panics_while_dropped_aborts_and_says_so", || {
            Runtime::new().unwrap().run(|| FATAL.with(|_| ()));
        });
        end.is_abort_after(&["selvedge: aborting", "goroutine-local value panicked"]);
    });
}

// ---- a machine that grants nothing --------------------------------------------------------------------

/// The address space in use, in bytes.
fn in_use() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    pages * 4096
}

/// Lets the address space grow by `room` bytes from here; `None`: as it likes.
fn limit(room: Option<u64>) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a place for the answer.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) }, 0);
    limit.rlim_cur = room.map_or(limit.rlim_max, |room| in_use() + room);
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

/// Less than a thread's stack, enough for small allocations.
const NO_THREAD: u64 = THREAD_STACK / 2;

/// While it lives, no thread can be started: neither on new memory nor on a stack left by another.
struct Hoard {
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Hoard {
    fn new() -> Self {
        limit(Some(NO_THREAD));
        let mut threads = Vec::new();
        while let Ok(thread) = std::thread::Builder::new().spawn(std::thread::park) {
            threads.push(thread);
        }
        Hoard { threads }
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        limit(None);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}

#[test]
fn where_no_thread_can_be_started_goroutines_still_run_and_later_more_threads_do() {
    fn starved(placement: Placement) {
        let runtime = placement.runtime(4);
        assert_eq!(runtime.run(|| 1), 1);
        let hoard = Hoard::new();
        let spread = |n| runtime.go(move || work(n));
        // Few, since there is room for no more stacks than were reserved before.
        let handles: Vec<_> = (0..30).map(spread).collect();
        let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, (0..30).sum::<u64>());
        assert!(runtime.metrics().failed_thread_starts > 0, "{:?}", runtime.metrics());
        let before = runtime.metrics().threads;
        drop(hoard);
        // Whoever has work for them gets threads again: each of these needs one, until there are more.
        let enough = Arc::new(AtomicBool::new(false));
        let block = |_| {
            let enough = Arc::clone(&enough);
            let wait = move || {
                while !enough.load(SeqCst) {
                    std::thread::sleep(std::time::Duration::from_micros(100));
                }
            };
            runtime.go(move || selvedge::blocking(wait))
        };
        let handles: Vec<_> = (0..=before).map(block).collect();
        eventually("there are more threads", || runtime.metrics().threads > before);
        enough.store(true, SeqCst);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        finish(runtime);
    }
    beside(|| {
        let name = "where_no_thread_can_be_started_goroutines_still_run_and_later_more_threads_do";
        child(name, || each(starved)).is_success();
    });
}

/// Yields, spawns, announces blocking calls; needs one thread at least.
fn work(n: u64) -> u64 {
    selvedge::yield_now();
    let inner = selvedge::go(move || n);
    let value = selvedge::blocking(|| {
        std::thread::sleep(std::time::Duration::from_micros(50));
        7
    });
    assert_eq!(value, 7);
    inner.join().unwrap()
}

#[test]
fn a_blocked_thread_that_can_not_be_replaced_strands_nobody() {
    fn blocked(placement: Placement) {
        let runtime = placement.runtime(1);
        assert_eq!(runtime.run(|| 1), 1);
        let hoard = Hoard::new();
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let blocker = runtime.go(move || wait.recv().unwrap());
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let done = Arc::clone(&done);
            drop(runtime.go(move || done.fetch_add(1, SeqCst)));
        }
        eventually("a thread is refused", || runtime.metrics().failed_thread_starts > 0);
        drop(hoard);
        // Nobody spawns, nobody unparks: the monitor alone tries again.
        eventually("the others run", || done.load(SeqCst) == 50);
        go_on.send(()).unwrap();
        blocker.join().unwrap();
        finish(runtime);
    }
    beside(|| {
        let name = "a_blocked_thread_that_can_not_be_replaced_strands_nobody";
        child(name, || each(blocked)).is_success();
    });
}

#[test]
fn a_machine_that_grants_nothing_is_a_typed_error_that_says_what_to_do() {
    beside(|| {
        let name = "a_machine_that_grants_nothing_is_a_typed_error_that_says_what_to_do";
        child(name, || {
            let builder = || Runtime::builder().processors(2).max_processors(2).max_goroutines(16);
            // Upwards, so that nothing was started before: room for its stacks, but for no thread.
            let hoard = Hoard::new();
            let mut refused = false;
            for room in (0..64).map(|part| part * NO_THREAD / 16) {
                limit(Some(room));
                // SAFETY: nothing runs. An isolated runtime would ask for threads first.
                match unsafe { builder().build_anchored() }.map(drop) {
                    Err(BuildError::Stack(error)) => {
                        assert!(error.to_string().contains("ulimit -v"), "{error}");
                        refused = true;
                    }
                    Err(error @ BuildError::Thread(_)) => {
                        let text = error.to_string();
                        assert!(text.contains("raise the limit on processes or threads"), "{text}");
                        assert!(refused, "no limit made the first stack fail");
                        drop(hoard);
                        assert_eq!(builder().build().unwrap().run(|| 5), 5);
                        return;
                    }
                    other => panic!("{other:?}"),
                }
            }
            panic!("no limit made the start of a thread fail");
        })
        .is_success();
    });
}

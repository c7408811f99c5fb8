//! Runtimes used from several threads, twice, within each other, and dropped where they run.

use crate::common::{ALL, beside, eventually, everywhere, finish, panic_of};
use selvedge::{JoinHandle, Runtime};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::Duration;

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let left = selvedge::go(move || fib(n - 1));
    fib(n - 2) + left.join().unwrap()
}

#[test]
fn a_runtime_runs_twice_and_borrows() {
    everywhere(|_, runtime| {
        let mut words = vec![String::from("one")];
        let len = runtime.run(|| {
            words.push(String::from("two"));
            words.len()
        });
        assert_eq!(len, 2);
        assert_eq!(runtime.run(|| words.concat()), "onetwo");
        let text = panic_of(|| runtime.run(|| -> () { panic!("third") }));
        assert_eq!(text, "third");
        assert_eq!(runtime.run(|| fib(10)), 55);
        finish(runtime);
    });
}

#[test]
fn several_threads_run_at_once() {
    everywhere(|_, runtime| {
        std::thread::scope(|s| {
            let run = |n: u64| {
                let runtime = &runtime;
                s.spawn(move || (0..20).map(|_| runtime.run(|| fib(n))).sum::<u64>())
            };
            let threads: Vec<_> = (5..9).map(run).collect();
            let sums: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert_eq!(sums, [100, 160, 260, 420]);
        });
        finish(runtime);
    });
}

#[test]
fn a_goroutine_runs_another_on_its_own_runtime() {
    everywhere(|_, runtime| {
        let value = runtime.run(|| {
            let outer: Vec<_> = (0..10).map(|n| selvedge::go(move || fib(n))).collect();
            let within = runtime.run(|| runtime.run(|| fib(9)));
            within + outer.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>()
        });
        assert_eq!(value, 34 + 88);
        finish(runtime);
    });
}

#[test]
fn a_goroutine_runs_another_runtime() {
    beside(|| {
        for placement in ALL {
            for other in ALL {
                let outer = placement.runtime(2);
                let inner = Arc::new(other.runtime(1));
                let sum = outer.run(|| {
                    let spawn = |n| {
                        let inner = Arc::clone(&inner);
                        selvedge::go(move || inner.run(move || fib(n)))
                    };
                    let handles: Vec<_> = (0..10).map(spawn).collect();
                    handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>()
                });
                assert_eq!(sum, 88);
                finish(Arc::into_inner(inner).unwrap());
                finish(outer);
            }
        }
    });
}

#[test]
fn goroutines_of_two_runtimes_unpark_and_join_each_other() {
    beside(|| {
        for placement in ALL {
            let (one, two) = (placement.runtime(2), placement.runtime(2));
            let turns = Arc::new(AtomicUsize::new(0));
            let spawn = |runtime: &Runtime, parity: usize| -> JoinHandle<()> {
                let turns = Arc::clone(&turns);
                runtime.go(move || {
                    while turns.load(SeqCst) < 200 {
                        if turns.load(SeqCst) % 2 == parity {
                            turns.fetch_add(1, SeqCst);
                        }
                        selvedge::yield_now();
                    }
                })
            };
            let (ping, pong) = (spawn(&one, 0), spawn(&two, 1));
            let joined = two.go(move || ping.join().is_ok());
            assert!(one.run(|| joined.join().unwrap() && pong.join().is_ok()));
            finish(one);
            finish(two);
        }
    });
}

#[test]
fn a_runtime_is_built_used_and_dropped_in_a_goroutine_of_another() {
    everywhere(|placement, outer| {
        let sums: Vec<u64> = outer.run(|| {
            let spawn = |n: u64| {
                selvedge::go(move || {
                    let inner =
                        placement.build(Runtime::builder().processors(1).max_goroutines(500));
                    let sum = inner.run(|| fib(n));
                    if n.is_multiple_of(2) {
                        drop(inner);
                    } else {
                        inner.shutdown(Duration::from_secs(60)).unwrap();
                    }
                    selvedge::yield_now();
                    sum
                })
            };
            let handles: Vec<_> = (0..8).map(spawn).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        assert_eq!(sums, [0, 1, 1, 2, 3, 5, 8, 13]);
        finish(outer);
    });
}

#[test]
fn a_runtime_dropped_in_its_own_goroutine_lets_that_end() {
    everywhere(|_, runtime| {
        let (give, take) = channel::<Runtime>();
        let handle = runtime.go(move || {
            drop(take.recv().unwrap());
            assert!(selvedge::try_go(|| ()).is_err(), "no goroutine begins after the end");
            selvedge::current().unpark();
            selvedge::park();
            17
        });
        give.send(runtime).unwrap();
        assert_eq!(handle.join().unwrap(), 17);
    });
}

#[test]
fn a_goroutine_that_suspends_after_its_runtime_ended_is_abandoned() {
    everywhere(|_, runtime| {
        let (give, take) = channel::<Runtime>();
        let neighbours: Vec<_> = (0..10).map(|_| runtime.go(loop_park)).collect();
        let handle = runtime.go(move || {
            drop(take.recv().unwrap());
            selvedge::yield_now();
            unreachable!("it is never resumed");
        });
        give.send(runtime).unwrap();
        assert!(handle.join().unwrap_err().is_abandoned());
        for neighbour in neighbours {
            assert!(neighbour.join().unwrap_err().is_abandoned());
        }
    });
}

fn loop_park() {
    loop {
        selvedge::park();
    }
}

#[test]
fn a_runtime_shut_down_in_its_own_goroutine_names_that_goroutine() {
    everywhere(|_, runtime| {
        let (give, take) = channel::<Runtime>();
        let handle = runtime.go(move || {
            let runtime = take.recv().unwrap();
            let error = runtime.shutdown(Duration::from_millis(20)).unwrap_err();
            let ids: Vec<_> = error.remaining().iter().map(|left| left.id).collect();
            ids == [selvedge::current().id().unwrap()]
        });
        give.send(runtime).unwrap();
        assert!(handle.join().unwrap());
    });
}

#[test]
fn plain_threads_join_and_are_unparked_by_goroutines() {
    everywhere(|_, runtime| {
        std::thread::scope(|s| {
            for n in 0..4_u64 {
                let runtime = &runtime;
                s.spawn(move || {
                    for round in 0..30 {
                        let me = selvedge::current();
                        assert_eq!(me.id(), None);
                        let handle = runtime.go(move || {
                            me.unpark();
                            n * round
                        });
                        selvedge::park();
                        assert_eq!(handle.join().unwrap(), n * round);
                    }
                });
            }
        });
        finish(runtime);
    });
}

#[test]
fn many_runtimes_come_and_go_and_leave_no_thread_behind() {
    beside(|| {
        for placement in ALL {
            for round in 0..50_u64 {
                let runtime = placement.runtime(1 + round as usize % 4);
                if round % 2 == 0 {
                    assert!(runtime.run(|| fib(round % 8)) < 10);
                } else {
                    // Whether it has begun or not, nothing is suspended at the end.
                    drop(runtime.go(move || round));
                }
                drop(runtime);
            }
        }
        // Those of other tests come and go meanwhile; a leak of this one's would stay above 100.
        eventually("threads end", || std::fs::read_dir("/proc/self/task").unwrap().count() < 90);
    });
}

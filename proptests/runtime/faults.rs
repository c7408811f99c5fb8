//! Numbers out of range, limits, calls in the wrong place, joins that are refused, `no_suspend`.
//! Each error says what to do, and gives back what it was given. [G3]

use crate::common::{
    ALL, Gate, beside, eventually, everywhere, finish, has_light_guards, panic_of,
};
use selvedge::{BuildError, Builder, JoinHandle, Runtime, SpawnErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

#[track_caller]
fn refused(builder: Builder, words: &[&str]) -> BuildError {
    let error = builder.build().map(drop).expect_err("it can't be built");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
    let first = text.chars().next().unwrap();
    assert!(!first.is_uppercase(), "messages start in lower case: {text:?}");
    error
}

#[test]
fn absurd_numbers_are_refused_with_what_to_ask_for() {
    beside(|| {
        let new = Runtime::builder;
        for builder in [new().processors(0), new().processors(1025), new().max_processors(1025)] {
            let error = refused(builder, &["ask for 1 to 1024"]);
            assert!(matches!(error, BuildError::Processors { .. }), "{error:?}");
        }
        refused(new().processors(usize::MAX), &["ask for 1 to 1024"]);
        refused(new().processors(3).max_processors(2), &["3 processors", "ask for 1 to 2"]);
        for builder in [new().processors(4).max_threads(3), new().processors(4).max_threads(0)] {
            let error = refused(builder, &["ask for 4 to 65536", "fewer processors"]);
            assert!(matches!(error, BuildError::Threads { .. }), "{error:?}");
        }
        refused(new().processors(1).max_threads(65_537), &["ask for 1 to 65536"]);
        for builder in [new().max_goroutines(0), new().max_goroutines(usize::MAX)] {
            let error = refused(builder, &["goroutines can't be had: ask for 1 to"]);
            assert!(matches!(error, BuildError::Goroutines { .. }), "{error:?}");
        }
        let error = refused(new().thread_name("a\0b"), &["NUL byte: remove it"]);
        assert!(matches!(error, BuildError::ThreadName), "{error:?}");
    });
}

#[test]
fn absurd_stack_sizes_are_refused_as_such() {
    beside(|| {
        for size in [0, 1, 4096, 32 * 1024 - 4096, (1 << 30) + 4096, usize::MAX] {
            let error =
                refused(Runtime::builder().stack_size(size), &["ask for 32768 to 1073741824"]);
            assert!(matches!(error, BuildError::Stack(_)), "{error:?}");
        }
    });
}

#[test]
fn the_largest_numbers_allowed_can_be_had() {
    // Each processor keeps stacks at hand, which are counted where guards are few.
    if !has_light_guards("the_largest_numbers_allowed_can_be_had") {
        return;
    }
    beside(|| {
        let builder = Runtime::builder().processors(1024).max_processors(1024).max_threads(65_536);
        let runtime = builder.max_goroutines(1000).build().unwrap();
        assert_eq!(runtime.processors(), 1024);
        assert_eq!(runtime.run(|| selvedge::go(|| 5).join().unwrap()), 5);
        finish(runtime);
        let big = Runtime::builder().processors(1).stack_size(1 << 30).max_goroutines(4);
        assert_eq!(big.build().unwrap().run(|| 6), 6);
        let one =
            Runtime::builder().processors(1).max_processors(1).max_threads(1).max_goroutines(1);
        assert_eq!(one.build().unwrap().run(|| 7), 7);
    });
}

#[test]
fn a_resize_out_of_range_says_what_to_ask_for() {
    beside(|| {
        let runtime = Runtime::builder().processors(2).max_processors(4).build().unwrap();
        for absurd in [0, 5, usize::MAX] {
            let text = runtime.set_processors(absurd).unwrap_err().to_string();
            assert!(text.contains("ask for 1 to 4"), "{text:?}");
        }
        assert_eq!(runtime.processors(), 2);
        runtime.set_processors(4).unwrap();
        assert_eq!((runtime.processors(), runtime.run(|| 9)), (4, 9));
    });
}

#[test]
fn the_limit_is_exact_gives_the_closure_back_and_holds_again_after_a_join() {
    beside(|| {
        for placement in ALL {
            let builder = Runtime::builder().processors(2).max_goroutines(10);
            let runtime = placement.build(builder);
            for _ in 0..20 {
                let gate = Arc::new(Gate::default());
                let spawn = || {
                    let gate = Arc::clone(&gate);
                    runtime.go(move || gate.pass())
                };
                let mut handles: Vec<_> = (0..10).map(|_| spawn()).collect();
                let precious = String::from("precious");
                let error = runtime.try_go(move || precious).unwrap_err();
                assert_eq!(error.kind(), SpawnErrorKind::Limit);
                assert!(error.to_string().contains("join some first"), "{error}");
                assert!(panic_of(|| runtime.run(|| 1)).contains("Builder::max_goroutines"));
                gate.open();
                handles.pop().unwrap().join().unwrap();
                let mut closure = error.into_closure();
                let value = loop {
                    // A joined goroutine's place is free once its worker has buried it.
                    match runtime.try_go(closure) {
                        Ok(handle) => break handle.join().unwrap(),
                        Err(error) => closure = error.into_closure(),
                    }
                };
                assert_eq!(value, "precious");
                handles.into_iter().for_each(|handle| handle.join().unwrap());
                eventually("all are buried", || runtime.metrics().finished % 11 == 0);
            }
            finish(runtime);
        }
    });
}

/// More stacks than the limit allows would be used otherwise, and there are not so many.
#[test]
fn the_limit_holds_after_handles_of_ended_goroutines_were_kept() {
    beside(|| {
        for placement in ALL {
            let builder = Runtime::builder().processors(1).max_processors(1).max_goroutines(10);
            let runtime = placement.build(builder);
            let mut kept: Vec<JoinHandle<()>> = Vec::new();
            while kept.len() < 60 {
                // Refused while the last ones have not ended.
                kept.extend(runtime.try_go(|| ()).ok());
            }
            eventually("all ended", || runtime.metrics().finished == 60);
            kept.into_iter().for_each(|handle| handle.join().unwrap());
            let gate = Arc::new(Gate::default());
            let spawn = || {
                let gate = Arc::clone(&gate);
                runtime.try_go(move || gate.pass())
            };
            let alive: Vec<_> = (0..30).filter_map(|_| spawn().ok()).collect();
            gate.open();
            assert_eq!(alive.len(), 10, "[G3] {placement:?}");
            alive.into_iter().for_each(|handle| handle.join().unwrap());
            finish(runtime);
        }
    });
}

#[test]
fn a_large_limit_is_kept_to_within_what_processors_have_at_hand() {
    beside(|| {
        for placement in ALL {
            let runtime = placement.build(Runtime::builder().processors(2).max_goroutines(5000));
            let spawned = runtime.run(|| {
                let gate = Arc::new(Gate::default());
                let mut handles = Vec::new();
                let spawn = || {
                    let gate = Arc::clone(&gate);
                    selvedge::try_go(move || gate.pass())
                };
                while let Ok(handle) = spawn() {
                    handles.push(handle);
                    if handles.len().is_multiple_of(100) {
                        selvedge::yield_now();
                    }
                }
                gate.open();
                let spawned = handles.len();
                handles.into_iter().for_each(|handle| handle.join().unwrap());
                spawned
            });
            assert!((4999..5000 + 2 * 64).contains(&spawned), "{spawned}");
            finish(runtime);
        }
    });
}

/// Every goroutine that was accepted gets a stack, also when all of them are suspended at once.
#[test]
fn as_many_as_the_limit_allows_can_be_suspended_at_once() {
    everywhere(|placement, first| {
        finish(first);
        let runtime = placement.build(Runtime::builder().processors(4).max_goroutines(300));
        let (gate, begun) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let spawn = |_| {
            let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
            runtime.go(move || {
                begun.fetch_add(1, SeqCst);
                gate.pass();
            })
        };
        let handles: Vec<_> = (0..300).map(spawn).collect();
        eventually("all have begun", || begun.load(SeqCst) == 300);
        gate.open();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        finish(runtime);
    });
}

#[test]
fn calls_on_a_plain_thread_name_what_to_call() {
    beside(|| {
        let text = panic_of(|| selvedge::go(|| ()));
        assert!(text.contains("Runtime::go") && text.contains("Runtime::run"), "{text:?}");
        assert!(panic_of(|| selvedge::Spawn::new().name("x").go(|| ())).contains("Runtime::go"));
        assert_eq!(selvedge::try_go(|| ()).unwrap_err().kind(), SpawnErrorKind::NoRuntime);
        assert!(panic_of(|| selvedge::scope(|_| ())).contains("Runtime::run"));
        // What makes sense there, works there.
        assert_eq!(selvedge::blocking(|| 1) + selvedge::pinned(|| 2), 3);
        assert_eq!(selvedge::no_suspend(|| 4), 4);
        selvedge::yield_now();
        selvedge::current().unpark();
        selvedge::park();
    });
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_goroutine_that_joins_itself_panics_and_its_result_is_dropped() {
    everywhere(|_, runtime| {
        let drops = Arc::new(AtomicUsize::new(0));
        let own: Arc<Mutex<Option<JoinHandle<Dropped>>>> = Arc::default();
        let (slot, result) = (Arc::clone(&own), Dropped(Arc::clone(&drops)));
        let handle = runtime.go(move || {
            eventually("the handle is there", || slot.lock().unwrap().is_some());
            let handle = slot.lock().unwrap().take().unwrap();
            let text = panic_of(move || handle.join().map(drop));
            assert!(text.contains("can't join itself: send the handle"), "{text:?}");
            result
        });
        *own.lock().unwrap() = Some(handle);
        eventually("the result is dropped", || drops.load(SeqCst) == 1);
        finish(runtime);
    });
}

#[test]
fn no_suspend_refuses_and_names_the_place() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let text = panic_of(|| selvedge::no_suspend(selvedge::park));
            assert!(text.contains("no_suspend"), "{text:?}");
            let line = line!() + 1;
            let text = panic_of(|| selvedge::no_suspend(|| selvedge::yield_now()));
            assert!(text.contains(&format!("faults.rs:{line}")), "{text:?}");
            // Nested, and left by the panic: the section is over.
            let text = panic_of(|| {
                selvedge::no_suspend(|| {
                    selvedge::no_suspend(|| ());
                    selvedge::yield_now();
                })
            });
            assert!(text.contains("no_suspend"), "{text:?}");
            selvedge::yield_now();
            // What need not wait, need not be refused.
            selvedge::no_suspend(|| {
                selvedge::current().unpark();
                selvedge::park();
                drop(selvedge::go(|| ()));
                assert_eq!(selvedge::blocking(|| 3), 3);
            });
        });
        finish(runtime);
    });
}

#[test]
fn a_join_refused_by_no_suspend_drops_the_result() {
    everywhere(|_, runtime| {
        let drops = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Gate::default());
        runtime.run(|| {
            let (result, pass) = (Dropped(Arc::clone(&drops)), Arc::clone(&gate));
            let handle = selvedge::go(move || {
                pass.pass();
                result
            });
            let text = panic_of(|| selvedge::no_suspend(move || handle.join().map(drop)));
            assert!(text.contains("no_suspend"), "{text:?}");
            gate.open();
        });
        eventually("the result is dropped", || drops.load(SeqCst) == 1);
        finish(runtime);
    });
}

#[test]
fn a_scope_that_ends_in_no_suspend_waits_all_the_same() {
    everywhere(|_, runtime| {
        let mut numbers = vec![0_u64; 50];
        runtime.run(|| {
            // Somebody at home here, who must go on afterwards.
            let neighbour = selvedge::go(|| (0..50).for_each(|_| selvedge::yield_now()));
            selvedge::yield_now();
            selvedge::no_suspend(|| {
                selvedge::scope(|s| {
                    for (n, number) in numbers.iter_mut().enumerate() {
                        s.go(move || {
                            selvedge::yield_now();
                            *number = n as u64;
                        });
                    }
                });
            });
            neighbour.join().unwrap();
        });
        assert_eq!(numbers.iter().sum::<u64>(), 49 * 50 / 2);
        finish(runtime);
    });
}

#[test]
fn a_run_in_no_suspend_waits_all_the_same() {
    everywhere(|_, runtime| {
        let value = runtime.run(|| selvedge::no_suspend(|| runtime.run(|| 11)));
        assert_eq!(value, 11);
        finish(runtime);
    });
}

/// One kernel thread, which a goroutine blocks: the others wait, and none is lost.
#[test]
fn at_the_cap_of_threads_goroutines_wait_and_none_is_stranded() {
    beside(|| {
        for placement in ALL {
            let builder = Runtime::builder().processors(1).max_processors(1).max_threads(1);
            let runtime = placement.build(builder.max_goroutines(1000));
            let (go_on, blocked) = std::sync::mpsc::channel::<()>();
            let (tell, told) = std::sync::mpsc::channel::<()>();
            let blocker = runtime.go(move || {
                tell.send(()).unwrap();
                selvedge::blocking(move || blocked.recv().unwrap());
            });
            told.recv().unwrap();
            let others: Vec<_> = (0..100).map(|n| runtime.go(move || n)).collect();
            eventually("the processor is taken", || runtime.metrics().retakes > 0);
            assert!(others.iter().all(|other| !other.is_finished()), "who could run them?");
            go_on.send(()).unwrap();
            blocker.join().unwrap();
            let sum: i32 = others.into_iter().map(|other| other.join().unwrap()).sum();
            assert_eq!((sum, runtime.metrics().threads), (4950, 1));
            finish(runtime);
        }
    });
}

#[test]
fn a_call_that_is_refused_panics_where_the_caller_wrote_it() {
    let name = "a_call_that_is_refused_panics_where_the_caller_wrote_it";
    let end = crate::child::in_child("faults", name, || {
        let refused: [fn(); 4] = [
            || drop(selvedge::go(|| ())),
            || drop(selvedge::Spawn::new().go(|| ())),
            || {
                selvedge::model::simulate(1, || -> () { panic!("the program's own") });
            },
            || {
                selvedge::model::simulate_seeds(0..2, || panic!("the program's own"));
            },
        ];
        for call in refused {
            std::panic::catch_unwind(call).unwrap_err();
        }
    });
    end.is_success();
    let places = end.stderr.matches(" panicked at proptests/runtime/faults.rs:").count();
    assert!(places >= 4, "{}", end.stderr);
    assert!(!end.stderr.contains(" panicked at src/"), "{}", end.stderr);
}

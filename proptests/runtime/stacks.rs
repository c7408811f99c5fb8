//! Stacks of other sizes than the runtime's, what goroutines use of their stacks, and the stacks of helper
//! threads. Tests that look at, or limit, what the whole process has are in processes of their own. [C5]

use crate::child::in_child;
use crate::common::{ALL, Gate, Placement, alone, beside, eventually, everywhere, finish};
use crate::memory::{address_space, deny_marks, limit_address_space, resident};
use selvedge::chan::bounded;
use selvedge::{Runtime, Spawn, SpawnErrorKind, StackError};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub const KIB: usize = 1 << 10;
pub const MIB: usize = 1 << 20;

#[track_caller]
fn in_process(test: &str, body: impl FnOnce()) {
    in_child("stacks", test, body).is_success();
}

/// Fills `bytes` of the stack below the caller, and some 2000 more at most. Returns 0.
pub fn use_stack(bytes: usize) -> usize {
    #[inline(never)]
    fn down(to: usize) -> usize {
        let frame = black_box([1_u8; 1000]);
        if frame.as_ptr().addr() <= to { 0 } else { down(to) + usize::from(frame[3]) - 1 }
    }
    let here = 0_u8;
    down((&raw const here).addr() - bytes)
}

// ---- one goroutine's size ------------------------------------------------------------------------------

#[test]
fn a_goroutine_has_the_stack_that_was_asked_for() {
    everywhere(|_, runtime| {
        for (asked, used) in [(32 * KIB, 16 * KIB), (MIB, 900 * KIB), (20 * MIB, 18 * MIB)] {
            let traits = Spawn::new().name("deep").stack_size(asked);
            runtime.go_with(traits, move || use_stack(used)).unwrap().join().unwrap();
        }
        runtime.run(|| {
            let traits = || Spawn::new().stack_size(2 * MIB);
            traits().go(|| use_stack(MIB)).join().unwrap();
            let borrowed = [1, 2, 3];
            selvedge::scope(|s| {
                let sum = || use_stack(MIB) + borrowed.iter().sum::<usize>();
                assert_eq!(s.go_with(traits(), sum).unwrap().join().unwrap(), 6);
            });
        });
        finish(runtime);
    });
}

/// They come back to their own stack wherever they resume, and stacks are used again.
#[test]
fn goroutines_with_stacks_of_many_sizes_wait_and_go_on() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            for _ in 0..3 {
                let (requests, answers) = (bounded::<usize>(0), bounded::<usize>(4));
                let serve = |size: usize| {
                    let (requests, answers) = (requests.1.clone(), answers.0.clone());
                    Spawn::new().stack_size(size).go(move || {
                        use_stack(size / 2);
                        loop {
                            selvedge::select! {
                                recv(requests) -> request => match request {
                                    Ok(request) => answers.send(request + size).unwrap(),
                                    Err(_) => return use_stack(size / 2),
                                },
                            }
                            selvedge::yield_now();
                        }
                    })
                };
                let sizes = [64 * KIB, 100 * KIB, 300 * KIB, MIB, 5 * MIB];
                let servers: Vec<_> = sizes.iter().map(|&size| serve(size)).collect();
                for n in 0..100 {
                    requests.0.send(n).unwrap();
                    let size = answers.1.recv().unwrap() - n;
                    assert!(sizes.contains(&size), "{size}");
                }
                drop(requests.0);
                servers.into_iter().for_each(|server| assert_eq!(server.join().unwrap(), 0));
            }
        });
        finish(runtime);
    });
}

#[test]
fn a_size_that_is_out_of_range_is_refused_with_the_closure() {
    everywhere(|_, runtime| {
        for asked in [0, 4 * KIB, (1 << 30) + 1, usize::MAX] {
            let expected = SpawnErrorKind::Stack(StackError::Size { asked });
            let traits = || Spawn::new().stack_size(asked);
            let error = runtime.go_with(traits(), || 7).map(drop).unwrap_err();
            assert_eq!((error.kind(), error.into_closure()()), (expected, 7));
            runtime.run(|| {
                let error = traits().try_go(|| 8).map(drop).unwrap_err();
                assert_eq!((error.kind(), error.into_closure()()), (expected, 8));
                selvedge::scope(|s| {
                    let error = s.go_with(traits(), || 9).map(drop).unwrap_err();
                    assert_eq!((error.kind(), error.into_closure()()), (expected, 9));
                });
            });
        }
        finish(runtime);
    });
}

#[test]
fn an_overflow_of_such_a_stack_is_reported_by_name() {
    beside(|| {
        let end = in_child("stacks", "an_overflow_of_such_a_stack_is_reported_by_name", || {
            let runtime = Runtime::new().unwrap();
            let traits = Spawn::new().name("too deep").stack_size(MIB);
            let _ = runtime.go_with(traits, || use_stack(5 * MIB)).unwrap().join();
        });
        end.is_abort_after(&["\"too deep\" overflowed its stack of 1054720 bytes"]);
    });
}

#[test]
fn a_simulation_runs_them() {
    beside(|| {
        selvedge::model::simulate(20, || {
            let deep = Spawn::new().stack_size(4 * MIB).go(|| use_stack(3 * MIB));
            let other = selvedge::go(selvedge::yield_now);
            assert_eq!(deep.join().unwrap(), 0);
            other.join().unwrap();
            assert!(Spawn::new().stack_size(1).try_go(|| ()).is_err());
        });
    });
}

// ---- what the machine grants -----------------------------------------------------------------------------

#[test]
fn the_memory_of_large_stacks_comes_back_while_a_processor_is_busy() {
    alone(|| {
        let name = "the_memory_of_large_stacks_comes_back_while_a_processor_is_busy";
        in_process(name, || {
            let runtime = Runtime::builder().processors(2).build().unwrap();
            let before = resident();
            let gate = Arc::new(Gate::default());
            let spawn = || {
                let gate = Arc::clone(&gate);
                let body = move || (use_stack(MIB), gate.pass());
                runtime.go_with(Spawn::new().stack_size(2 * MIB), body).unwrap()
            };
            let handles: Vec<_> = (0..200).map(|_| spawn()).collect();
            eventually("all wait", || gate.waiting() == 200);
            let burst = resident() - before;
            assert!(burst > 200 << 20, "{burst}");
            gate.open();
            handles.into_iter().for_each(|handle| assert_eq!(handle.join().unwrap(), (0, ())));
            let stop = Arc::new(AtomicBool::new(false));
            let told = Arc::clone(&stop);
            let busy = runtime.go(move || {
                while !told.load(SeqCst) {
                    (0..1000).for_each(|_| std::hint::spin_loop());
                    selvedge::yield_now();
                }
            });
            let ended = Instant::now();
            // 16 stacks of 4 MiB are kept, and a quarter of each was touched.
            while resident() - before > burst / 10 {
                assert!(ended.elapsed() < Duration::from_secs(2), "{}", resident() - before);
                std::thread::yield_now();
            }
            stop.store(true, SeqCst);
            busy.join().unwrap();
            finish(runtime);
        });
    });
}

#[test]
fn a_runtime_that_has_ended_keeps_none_of_these_stacks() {
    beside(|| {
        in_process("a_runtime_that_has_ended_keeps_none_of_these_stacks", || {
            // The first one starts what a process has once.
            let mut before = 0;
            for round in 0..6 {
                let runtime = Runtime::builder().processors(1).build().unwrap();
                let traits = Spawn::new().stack_size(512 * MIB);
                runtime.go_with(traits, || use_stack(MIB)).unwrap().join().unwrap();
                finish(runtime);
                if round == 1 {
                    before = address_space();
                }
            }
            let grown = address_space().saturating_sub(before);
            assert!(grown < 512 << 20, "{} MiB", grown >> 20);
        });
    });
}

/// Spawns goroutines with stacks of this size that wait, until one is refused.
pub fn until_refused(
    runtime: &Runtime,
    size: usize,
    gate: &Arc<Gate>,
) -> (Vec<selvedge::JoinHandle<()>>, SpawnErrorKind) {
    let mut handles = Vec::new();
    loop {
        let gate = Arc::clone(gate);
        match runtime.go_with(Spawn::new().stack_size(size), move || gate.pass()) {
            Ok(handle) => handles.push(handle),
            Err(error) => return (handles, error.kind()),
        }
    }
}

#[test]
fn where_address_space_is_limited_a_large_stack_is_refused_and_the_rest_goes_on() {
    beside(|| {
        let name = "where_address_space_is_limited_a_large_stack_is_refused_and_the_rest_goes_on";
        in_process(name, || {
            limit_address_space(1200 << 20);
            let runtime = Runtime::builder().processors(2).build().unwrap();
            let gate = Arc::new(Gate::default());
            let error = runtime.go_with(Spawn::new().stack_size(1 << 30), || ()).map(drop);
            let kind = error.unwrap_err().kind();
            assert!(matches!(kind, SpawnErrorKind::Stack(StackError::Reserve { .. })), "{kind:?}");
            assert!(kind.to_string().contains("ulimit -v"), "{kind}");
            runtime.go_with(Spawn::new().stack_size(MIB), || use_stack(MIB / 2)).unwrap();
            let (handles, kind) = until_refused(&runtime, 10 * MIB, &gate);
            assert!(matches!(kind, SpawnErrorKind::Stack(StackError::Reserve { .. })), "{kind:?}");
            assert!(handles.len() > 20, "{}", handles.len());
            runtime.run(|| selvedge::go(|| use_stack(200 * KIB)).join().unwrap());
            gate.open();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            eventually("there are stacks again", || {
                runtime.go_with(Spawn::new().stack_size(10 * MIB), || ()).is_ok()
            });
            finish(runtime);
        });
    });
}

/// All whom the spawn accepts run: none waits for a stack of its size.
#[test]
fn an_old_kernel_refuses_what_it_can_not_guard() {
    beside(|| {
        in_process("an_old_kernel_refuses_what_it_can_not_guard", || {
            deny_marks();
            let runtime = Runtime::builder().processors(2).build().unwrap();
            let gate = Arc::new(Gate::default());
            let (handles, kind) = until_refused(&runtime, 64 * KIB, &gate);
            let SpawnErrorKind::Stack(error) = kind else { panic!("{kind:?}") };
            assert!(error.to_string().contains("raise vm.max_map_count"), "{error}");
            assert!(handles.len() > 25_000, "{}", handles.len());
            eventually("all of them run", || gate.waiting() == handles.len());
            gate.open();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            finish(runtime);
        });
    });
}

// ---- what is used ----------------------------------------------------------------------------------------

#[test]
fn what_goroutines_use_of_their_stacks_is_told_by_name() {
    beside(|| {
        for placement in ALL {
            let runtime = placement.build(Runtime::builder().processors(2).measure_stacks(true));
            let spend = |name: &str, bytes: usize| {
                let traits = Spawn::new().name(name);
                runtime.go_with(traits, move || use_stack(bytes)).unwrap().join().unwrap();
            };
            // The stack of the deep one is used again by others, which must not inherit its depth.
            for bytes in [10 * KIB, 100 * KIB, 20 * KIB] {
                spend("varied", bytes);
            }
            (0..20).for_each(|_| spend("shallow", 10 * KIB));
            let traits = Spawn::new().name("large").stack_size(4 * MIB);
            runtime.go_with(traits, || use_stack(3 * MIB)).unwrap().join().unwrap();
            runtime.run(|| ());

            let used = runtime.stack_use();
            let of = |name: Option<&str>| {
                used.iter().find(|used| used.name.as_deref() == name).expect("it has run")
            };
            let (varied, shallow) = (of(Some("varied")), of(Some("shallow")));
            assert_eq!((varied.goroutines, shallow.goroutines), (3, 20));
            assert!((100 * KIB..130 * KIB).contains(&varied.most), "{varied:?}");
            assert!((10 * KIB..30 * KIB).contains(&shallow.most), "{shallow:?}");
            assert!((320 * KIB..340 * KIB).contains(&varied.size), "{varied:?}");
            let large = of(Some("large"));
            assert!((3 * MIB..4 * MIB).contains(&large.most) && large.size >= 4 * MIB, "{large:?}");
            assert_eq!(of(None).goroutines, 1);
            assert_eq!(used[0], *large, "the largest first");
            finish(runtime);
        }
    });
}

#[test]
fn nothing_is_told_unless_it_is_asked_for() {
    everywhere(|_, runtime| {
        runtime.run(|| use_stack(10 * KIB));
        assert_eq!(runtime.stack_use(), []);
        finish(runtime);
    });
}

// ---- helpers -----------------------------------------------------------------------------------------------

/// Calls `f` on a helper, since another goroutine is at home on the only worker.
fn beside_a_neighbour<T: Send>(runtime: &Runtime, size: usize, f: impl FnOnce() -> T + Send) -> T {
    let gate = Arc::new(Gate::default());
    let neighbour = {
        let gate = Arc::clone(&gate);
        runtime.go(move || gate.pass())
    };
    eventually("it waits", || gate.is_waited_for());
    let result = runtime.run(|| {
        selvedge::scope(|s| {
            let call = || selvedge::blocking(f);
            s.go_with(Spawn::new().stack_size(size), call).unwrap().join().unwrap()
        })
    });
    gate.open();
    neighbour.join().unwrap();
    result
}

/// What fits the stack of a goroutine fits wherever `blocking` runs it.
#[test]
fn a_blocking_call_has_as_much_stack_beside_neighbours_as_alone() {
    beside(|| {
        for stack in [128 * KIB, 320 * KIB, 6 * MIB] {
            let builder = Runtime::builder().processors(1).stack_size(stack);
            let runtime = Placement::Anchored.build(builder);
            let used = stack - 32 * KIB;
            runtime.run(|| selvedge::blocking(|| use_stack(used)));
            let gate = Arc::new(Gate::default());
            let waits = Arc::clone(&gate);
            let neighbour = runtime.go(move || waits.pass());
            eventually("it waits", || gate.is_waited_for());
            runtime.run(|| selvedge::blocking(|| use_stack(used)));
            gate.open();
            neighbour.join().unwrap();
            finish(runtime);
        }
    });
}

#[test]
fn a_blocking_call_of_a_goroutine_with_a_large_stack_has_that_stack() {
    beside(|| {
        for placement in ALL {
            let runtime = placement.runtime(1);
            beside_a_neighbour(&runtime, 16 * MIB, || black_box(use_stack(12 * MIB)));
            finish(runtime);
        }
    });
}

//! What the machine limits beside address space: data, locked memory, and how many kernel threads a program keeps.
//! Each test has a process of its own.

use crate::child::in_child;
use crate::common::{Gate, Placement, alone, beside, eventually, finish};
use crate::memory::resident;
use crate::stacks::{MIB, until_refused, use_stack};
use selvedge::{Runtime, Spawn, SpawnErrorKind, StackError};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

#[track_caller]
fn in_process(test: &str, body: impl FnOnce()) {
    in_child("limits", test, body).is_success();
}

fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn where_data_is_limited_goroutines_are_refused_and_the_rest_goes_on() {
    beside(|| {
        in_process("where_data_is_limited_goroutines_are_refused_and_the_rest_goes_on", || {
            let room = (status("VmData:") << 10) + (800 << 20);
            let limit = libc::rlimit { rlim_cur: room, rlim_max: room };
            // SAFETY: a valid limit.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) }, 0);
            let runtime = Runtime::builder().processors(2).build().unwrap();
            let gate = Arc::new(Gate::default());
            let (handles, kind) = until_refused(&runtime, 10 * MIB, &gate);
            assert!(matches!(kind, SpawnErrorKind::Stack(StackError::Reserve { .. })), "{kind:?}");
            assert!(kind.to_string().contains("ulimit -d"), "{kind}");
            assert!(handles.len() > 10, "{}", handles.len());
            runtime.run(|| selvedge::go(|| use_stack(MIB / 5)).join().unwrap());
            gate.open();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            finish(runtime);
        });
    });
}

/// False, and a word on the standard error output, where the process may not lock its memory.
fn lock_all_memory(test: &str) -> bool {
    // SAFETY: takes no pointer.
    let locked = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } == 0;
    if !locked {
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no permission to lock memory");
    }
    locked
}

/// Goroutines with stacks of two sizes, all at once.
fn many_run(runtime: &Runtime) {
    let gate = Arc::new(Gate::default());
    let spawn = |traits: Spawn| {
        let gate = Arc::clone(&gate);
        runtime.go_with(traits, move || (use_stack(MIB / 5), gate.pass())).unwrap()
    };
    let plain = (0..100).map(|_| spawn(Spawn::new()));
    let large = (0..10).map(|_| spawn(Spawn::new().stack_size(MIB)));
    let handles: Vec<_> = plain.chain(large).collect();
    eventually("all wait", || gate.waiting() == 110);
    gate.open();
    handles.into_iter().for_each(|handle| assert_eq!(handle.join().unwrap(), (0, ())));
}

#[test]
fn memory_that_was_locked_before_the_start_holds_the_stacks_in_use() {
    beside(|| {
        let name = "memory_that_was_locked_before_the_start_holds_the_stacks_in_use";
        in_process(name, || {
            if !lock_all_memory(name) {
                return;
            }
            let before = resident();
            let runtime = Runtime::builder().processors(2).build().unwrap();
            many_run(&runtime);
            // Those in use in full, and threads with their allocators; no segment beyond.
            let grown = resident() - before;
            assert!(grown < 600 << 20, "{} MiB", grown >> 20);
            finish(runtime);
        });
    });
}

#[test]
fn memory_that_is_locked_after_the_start_is_no_obstacle() {
    beside(|| {
        let name = "memory_that_is_locked_after_the_start_is_no_obstacle";
        in_process(name, || {
            let runtime = Runtime::builder().processors(2).build().unwrap();
            runtime.run(|| ());
            if lock_all_memory(name) {
                many_run(&runtime);
            }
            finish(runtime);
        });
    });
}

/// Goroutines that have once blocked their kernel threads, and live on, keep none of these threads.
#[test]
fn a_block_at_the_start_costs_no_thread_for_life() {
    alone(|| {
        in_process("a_block_at_the_start_costs_no_thread_for_life", || {
            for placement in [Placement::Isolated, Placement::Migrating] {
                let runtime = placement.runtime(2);
                runtime.run(|| ());
                let before = status("Threads:");
                let gate = Arc::new(Gate::default());
                let block = || std::thread::sleep(Duration::from_millis(50));
                let spawn = || {
                    let gate = Arc::clone(&gate);
                    runtime.go(move || (block(), gate.pass()))
                };
                let handles: Vec<_> = (0..40).map(|_| spawn()).collect();
                eventually("all live on", || gate.waiting() == 40);
                assert!(status("Threads:") > before + 10, "they have blocked as many threads");
                eventually("threads end", || {
                    std::thread::sleep(Duration::from_millis(20));
                    status("Threads:") <= before + 2
                });
                gate.open();
                handles.into_iter().for_each(|handle| assert_eq!(handle.join().unwrap(), ((), ())));
                finish(runtime);
            }
        });
    });
}

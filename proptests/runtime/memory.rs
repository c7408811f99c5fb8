//! Stacks where the machine refuses something, and memory that comes back. Each test has a process of its
//! own, since it looks at, or limits, what the whole process has. [C3], [C5]

use crate::child::in_child;
use crate::common::{Gate, alone, beside, eventually, finish, has_light_guards};
use selvedge::{BuildError, JoinHandle, Runtime, SpawnErrorKind, StackError};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[track_caller]
fn in_process(test: &str, body: impl FnOnce()) {
    in_child("memory", test, body).is_success();
}

// ---- a kernel that refuses ---------------------------------------------------------------------------

/// From here on, these calls fail with an error in this thread and those that it starts; if `all`, in all
/// threads: by seccomp. `advice`: only `madvise` with this advice.
fn deny(call: libc::c_long, advice: Option<u32>, error: libc::c_int, all: bool) {
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const ANSWER: u16 = 0x06;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = vec![step(LOAD, 0, 0, 0)];
    match advice {
        None => filter.push(step(IF_EQUAL, 0, 1, call as u32)),
        Some(advice) => filter.extend([
            step(IF_EQUAL, 0, 3, call as u32),
            // The third argument.
            step(LOAD, 0, 0, 16 + 2 * 8),
            step(IF_EQUAL, 0, 1, advice),
        ]),
    }
    filter.push(step(ANSWER, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32));
    filter.push(step(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let flags = if all { libc::SECCOMP_FILTER_FLAG_TSYNC } else { 0 };
    // SAFETY: the filter lives until the kernel has read it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let done = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        );
        assert_eq!(done, 0, "seccomp: {}", std::io::Error::last_os_error());
    }
}

const MADV_GUARD_INSTALL: u32 = 102;

/// A kernel before 6.13.
pub fn deny_marks() {
    deny(libc::SYS_madvise, Some(MADV_GUARD_INSTALL), libc::EINVAL, false);
}

/// Spawns goroutines that wait, until one is refused or there are `most`.
fn waiting(
    runtime: &Runtime,
    gate: &Arc<Gate>,
    most: usize,
) -> (Vec<JoinHandle<()>>, Option<SpawnErrorKind>) {
    let mut handles = Vec::new();
    while handles.len() < most {
        let gate = Arc::clone(gate);
        match runtime.try_go(move || gate.pass()) {
            Ok(handle) => handles.push(handle),
            Err(error) => return (handles, Some(error.kind())),
        }
    }
    (handles, None)
}

fn max_map_count() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    text.trim().parse().unwrap()
}

#[test]
fn an_old_kernel_runs_thirty_thousand_goroutines_and_says_what_helps() {
    beside(|| {
        let name = "an_old_kernel_runs_thirty_thousand_goroutines_and_says_what_helps";
        in_process(name, || {
            if max_map_count() > 70_000 {
                return;
            }
            deny_marks();
            let runtime = Runtime::new().unwrap();
            let gate = Arc::new(Gate::default());
            let (handles, refused) = waiting(&runtime, &gate, 40_000);
            assert!(handles.len() >= 30_000, "{}", handles.len());
            let Some(SpawnErrorKind::Stack(error)) = refused else { panic!("{refused:?}") };
            assert!(matches!(error, StackError::Mappings { .. }), "{error:?}");
            assert!(error.to_string().contains("raise vm.max_map_count"), "{error}");
            // Another one is not refused, and gets stacks once there are some.
            let other = Runtime::new();
            assert!(matches!(other, Err(BuildError::Stack(StackError::Mappings { .. }))));
            gate.open();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            eventually("there is room again", || runtime.try_go(|| ()).is_ok());
            let error = Runtime::builder().max_goroutines(100_000).build().map(drop).unwrap_err();
            assert!(matches!(error, BuildError::Stack(StackError::Guards { .. })), "{error:?}");
            assert!(error.to_string().contains("raise vm.max_map_count"), "{error}");
            finish(runtime);
        });
    });
}

#[test]
fn two_runtimes_on_an_old_kernel_share_what_there_is() {
    beside(|| {
        in_process("two_runtimes_on_an_old_kernel_share_what_there_is", || {
            deny_marks();
            let (one, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
            let gate = Arc::new(Gate::default());
            let (first, refused) = waiting(&one, &gate, 8000);
            assert!(refused.is_none(), "{refused:?}");
            let (second, refused) = waiting(&other, &gate, 8000);
            assert!(refused.is_none(), "{refused:?}");
            gate.open();
            first.into_iter().chain(second).for_each(|handle| handle.join().unwrap());
            finish(one);
            finish(other);
        });
    });
}

#[test]
fn stacks_without_guards_are_used_where_that_is_allowed() {
    beside(|| {
        in_process("stacks_without_guards_are_used_where_that_is_allowed", || {
            deny_marks();
            // SAFETY: these goroutines use little of their stacks.
            let builder = unsafe { Runtime::builder().allow_unguarded_stacks() };
            let runtime = builder.max_goroutines(60_000).build().unwrap();
            let gate = Arc::new(Gate::default());
            let (handles, refused) = waiting(&runtime, &gate, 50_000);
            assert!(refused.is_none(), "{refused:?}");
            gate.open();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            finish(runtime);
        });
    });
}

#[test]
fn a_sandbox_entered_late_that_denies_marks_is_no_obstacle() {
    beside(|| {
        in_process("a_sandbox_entered_late_that_denies_marks_is_no_obstacle", || {
            let runtime = Runtime::new().unwrap();
            let gate = Arc::new(Gate::default());
            let (first, _) = waiting(&runtime, &gate, 100);
            eventually("all wait", || gate.waiting() == 100);
            deny(libc::SYS_madvise, Some(MADV_GUARD_INSTALL), libc::EPERM, true);
            let (second, refused) = waiting(&runtime, &gate, 3000);
            assert!(refused.is_none(), "{refused:?}");
            eventually("all wait", || gate.waiting() == 3100);
            gate.open();
            first.into_iter().chain(second).for_each(|handle| handle.join().unwrap());
            finish(runtime);
        });
    });
}

/// Whether all threads of the process but the calling one sleep.
fn others_sleep() -> bool {
    let sleeps = |task: &std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter(|task| !sleeps(task.as_ref().unwrap())).count() == 1
}

/// A runtime of two processors that will start no more threads.
fn with_all_threads() -> Runtime {
    let runtime = Runtime::builder().processors(2).max_threads(2).build().unwrap();
    let met = Arc::new(AtomicUsize::new(0));
    let meet = |_| {
        let met = Arc::clone(&met);
        runtime.go(move || {
            met.fetch_add(1, SeqCst);
            while met.load(SeqCst) < 2 {
                std::hint::spin_loop();
            }
        })
    };
    let two: Vec<_> = (0..2).map(meet).collect();
    two.into_iter().for_each(|one| one.join().unwrap());
    eventually("each thread has begun, and sleeps", others_sleep);
    runtime
}

/// Those that were accepted before wait for stacks of others; those after are refused.
#[test]
fn a_sandbox_that_denies_every_guard_ends_nothing() {
    // Else nobody is accepted who would have to wait.
    if !has_light_guards("a_sandbox_that_denies_every_guard_ends_nothing") {
        return;
    }
    beside(|| {
        let name = "a_sandbox_that_denies_every_guard_ends_nothing";
        let end = in_child("memory", name, || {
            // A thread of `std` that starts where `mprotect` is denied ends the process: so all are there before.
            let runtime = with_all_threads();
            let gate = Arc::new(Gate::default());
            let (first, _) = waiting(&runtime, &gate, 40);
            eventually("all wait", || gate.waiting() == 40);
            deny(libc::SYS_madvise, Some(MADV_GUARD_INSTALL), libc::EPERM, true);
            deny(libc::SYS_mprotect, None, libc::EPERM, true);
            let (second, _) = waiting(&runtime, &Arc::new(Gate::opened()), 500);
            std::thread::yield_now();
            let error = (0..100_000).find_map(|_| runtime.try_go(|| ()).err());
            if let Some(error) = error {
                assert!(matches!(error.kind(), SpawnErrorKind::Stack(_)), "{error}");
                assert!(error.to_string().contains("a sandbox denies"), "{error}");
            }
            gate.open();
            first.into_iter().chain(second).for_each(|handle| handle.join().unwrap());
            finish(runtime);
        });
        end.is_success();
        assert!(end.stderr.contains("waits for a stack until another one ends"), "{}", end.stderr);
    });
}

// ---- little address space -----------------------------------------------------------------------------

fn statm(field: usize) -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(field).unwrap().parse::<u64>().unwrap() * 4096
}

pub fn address_space() -> u64 {
    statm(0)
}

pub fn resident() -> u64 {
    statm(1)
}

/// From here on the process gets so many bytes more for stacks: an eighth of the limit, which is returned, is
/// left to threads and allocations.
pub fn limit_address_space(more: u64) -> u64 {
    let room = (address_space() + more) * 8 / 7;
    let limit = libc::rlimit { rlim_cur: room, rlim_max: room };
    // SAFETY: a valid limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    room
}

#[test]
fn where_address_space_is_limited_goroutines_are_refused_and_the_rest_goes_on() {
    beside(|| {
        let name = "where_address_space_is_limited_goroutines_are_refused_and_the_rest_goes_on";
        in_process(name, || {
            // A thread that started later would take its stack, and its part of the heap, from what is left.
            let runtime = with_all_threads();
            let room = limit_address_space(800 << 20);
            let gate = Arc::new(Gate::default());
            let mut handles = Vec::new();
            // They wait one after the other, so that few are accepted before there is a refusal.
            let refused = loop {
                let (mut one, refused) = waiting(&runtime, &gate, 1);
                if let Some(refused) = refused {
                    break refused;
                }
                handles.append(&mut one);
                // Those that were accepted before the first refusal may wait for a stack, so this ends.
                let mut looks = 0;
                while gate.waiting() + 8 < handles.len() && looks < 10_000 {
                    std::thread::yield_now();
                    looks += 1;
                }
            };
            assert!(handles.len() > 500, "{}", handles.len());
            let SpawnErrorKind::Stack(StackError::Reserve { .. }) = refused else {
                panic!("{refused:?}")
            };
            assert!(refused.to_string().contains("ulimit -v"), "{refused}");
            assert!(room - address_space() > room / 10, "the rest has room");
            gate.open();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            eventually("there are stacks again", || runtime.try_go(|| ()).is_ok());
            finish(runtime);
        });
    });
}

#[test]
fn a_runtime_reserves_little_and_leaks_no_more_than_what_its_abandoned_need() {
    beside(|| {
        let name = "a_runtime_reserves_little_and_leaks_no_more_than_what_its_abandoned_need";
        in_process(name, || {
            // Threads that never end keep their stacks; see [T3].
            let thread = crate::child::THREAD_STACK;
            let before = address_space();
            for _ in 0..4 {
                let runtime = Runtime::builder().processors(1).build().unwrap();
                drop(runtime.go(|| {
                    loop {
                        selvedge::park();
                    }
                }));
                let gate = Arc::new(Gate::default());
                let (handles, _) = waiting(&runtime, &gate, 5000);
                eventually("all wait", || gate.waiting() == 5000);
                gate.open();
                handles.into_iter().for_each(|handle| handle.join().unwrap());
                drop(runtime);
            }
            let grown = address_space() - before;
            // Per runtime: the segment, and that thread with its allocator's part.
            assert!(grown < 4 * (thread + (200 << 20)), "{} MiB", grown >> 20);
        });
    });
}

// ---- memory that comes back -----------------------------------------------------------------------------

#[inline(never)]
fn deep(n: usize) -> usize {
    let frame = black_box([1_u8; 1000]);
    if n == 0 { 0 } else { deep(n - 1) + usize::from(frame[black_box(3)]) }
}

/// The memory that a burst of goroutines leaves is given back within two seconds while `beside` runs.
fn comes_back(beside: impl FnOnce(Arc<AtomicBool>) + Send + 'static) {
    let runtime = Runtime::builder().processors(2).build().unwrap();
    let before = resident();
    let gate = Arc::new(Gate::default());
    let spawn = || {
        let gate = Arc::clone(&gate);
        runtime.go(move || {
            black_box(deep(20));
            gate.pass();
        })
    };
    let handles: Vec<_> = (0..10_000).map(|_| spawn()).collect();
    eventually("all wait", || gate.waiting() == 10_000);
    let burst = resident() - before;
    assert!(burst > 10_000 * 5 * 4096, "{burst}");
    gate.open();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let load = runtime.go(move || beside(told));
    let ended = Instant::now();
    while resident() - before > burst / 10 {
        assert!(ended.elapsed() < Duration::from_secs(2), "{} of {burst}", resident() - before);
        std::thread::yield_now();
    }
    stop.store(true, SeqCst);
    load.join().unwrap();
    finish(runtime);
}

#[test]
fn memory_comes_back_while_nothing_runs() {
    alone(|| in_process("memory_comes_back_while_nothing_runs", || comes_back(drop)));
}

#[test]
fn memory_comes_back_while_a_processor_is_busy() {
    alone(|| {
        in_process("memory_comes_back_while_a_processor_is_busy", || {
            comes_back(|stop| {
                while !stop.load(SeqCst) {
                    (0..1000).for_each(|_| std::hint::spin_loop());
                    selvedge::yield_now();
                }
            });
        });
    });
}

#[test]
fn memory_comes_back_while_goroutines_come_and_go() {
    alone(|| {
        in_process("memory_comes_back_while_goroutines_come_and_go", || {
            comes_back(|stop| {
                while !stop.load(SeqCst) {
                    (0..10).for_each(|_| selvedge::go(|| ()).join().unwrap());
                    selvedge::time::sleep(Duration::from_millis(1));
                }
            });
        });
    });
}

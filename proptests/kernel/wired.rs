//! A goroutine that changes its kernel thread has that thread for itself, until it has taken the change
//! back, or has ended.

use crate::changes::*;
use crate::common::process;
use selvedge::{Builder, JoinHandle, Runtime, go, park_timeout, yield_now};
use std::collections::HashSet;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub fn runtime(processors: usize) -> Runtime {
    Builder::new().processors(processors).build().unwrap()
}

pub fn kernel_thread() -> libc::pid_t {
    // SAFETY: takes nothing.
    unsafe { libc::gettid() }
}

/// The kernel thread of the wired goroutine, while it is wired.
static WIRED_ON: AtomicI32 = AtomicI32::new(0);

/// Goroutines that would take the kernel thread of one that suspends. Each returns how often it ran there.
fn others(stop: &'static AtomicBool) -> Vec<JoinHandle<usize>> {
    let look = || {
        let mut seen = 0;
        while !stop.load(SeqCst) {
            let own = kernel_thread();
            seen += usize::from(WIRED_ON.load(SeqCst) == own);
            yield_now();
        }
        seen
    };
    (0..20).map(|_| go(look)).collect()
}

pub fn is_root() -> bool {
    // SAFETY: takes nothing.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        eprintln!("not root: NOTHING CHECKED");
    }
    is_root
}

#[test]
fn who_changes_its_kernel_thread_stays_there_alone() {
    process("wired::who_changes_its_kernel_thread_stays_there_alone", || {
        if !is_root() {
            return;
        }
        for change in CHANGES {
            static STOP: AtomicBool = AtomicBool::new(false);
            STOP.store(false, SeqCst);
            let runtime = runtime(2);
            runtime.run(|| {
                let others = others(&STOP);
                let before = (change.see)();
                let wired = go(move || {
                    (change.make)();
                    let (own, changed) = (kernel_thread(), (change.see)());
                    WIRED_ON.store(own, SeqCst);
                    assert_ne!(before, changed, "{}", change.name);
                    for _ in 0..50 {
                        yield_now();
                        park_timeout(Duration::from_micros(50));
                        assert_eq!((kernel_thread(), (change.see)()), (own, changed.clone()));
                    }
                    WIRED_ON.store(0, SeqCst);
                });
                wired.join().unwrap_or_else(|_| panic!("{}", change.name));
                // Nobody finds what is left of it.
                let before = (change.see)();
                let found: HashSet<String> =
                    (0..100).map(|_| go(|| (change.see)()).join().unwrap()).collect();
                STOP.store(true, SeqCst);
                let seen: usize = others.into_iter().map(|other| other.join().unwrap()).sum();
                assert_eq!(found, HashSet::from([before]), "{}", change.name);
                assert_eq!(seen, 0, "{}", change.name);
            });
            println!("{} holds", change.name);
        }
    })
    .is_success();
}

/// The kernel thread of a namespace ends with its goroutine; one with another mask gets its own back.
#[test]
fn a_kernel_thread_that_was_changed_for_good_ends() {
    process("wired::a_kernel_thread_that_was_changed_for_good_ends", || {
        if !is_root() {
            return;
        }
        let runtime = runtime(1);
        let wired = |change: fn()| {
            runtime.go(move || {
                change();
                yield_now();
                kernel_thread()
            })
        };
        let mask = wired(|| block(libc::SIGUSR2)).join().unwrap();
        assert_eq!(runtime.run(kernel_thread), mask, "it goes on");
        assert_eq!(runtime.run(|| of_status("SigBlk:")), of_status("SigBlk:"));
        let space = wired(new_namespace);
        let space = space.join().unwrap();
        for _ in 0..100 {
            assert_ne!(runtime.run(kernel_thread), space);
            assert_eq!(runtime.run(|| link("ns/uts")), link("ns/uts"));
        }
        // A number may be used again, but not so soon.
        for _ in 0..1000 {
            if !std::path::Path::new(&format!("/proc/self/task/{space}")).exists() {
                return;
            }
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(1));
        }
        panic!("the thread has not ended");
    })
    .is_success();
}

/// With one processor, so that the others have it whenever the wired one gives way, and it theirs.
#[test]
fn a_wired_goroutine_and_others_share_a_processor() {
    process("wired::a_wired_goroutine_and_others_share_a_processor", || {
        static TURNS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
        static STOP: AtomicBool = AtomicBool::new(false);
        let runtime = runtime(1);
        let turns = |who: usize| {
            move || {
                if who == 0 {
                    block(libc::SIGUSR2);
                }
                while !STOP.load(SeqCst) {
                    TURNS[who].fetch_add(1, SeqCst);
                    yield_now();
                }
            }
        };
        let both = [0, 1].map(|who| runtime.go(turns(who)));
        while TURNS.iter().any(|turns| turns.load(SeqCst) < 1000) {
            std::thread::yield_now();
        }
        // In a slice there is time for some ten thousand turns.
        let turns = TURNS[0].load(SeqCst);
        STOP.store(true, SeqCst);
        both.into_iter().for_each(|one| one.join().unwrap());
        assert!(turns < 2_000_000, "{turns}");
    })
    .is_success();
}

#[test]
fn who_takes_its_change_back_moves_again() {
    process("wired::who_takes_its_change_back_moves_again", || {
        static STOP: AtomicBool = AtomicBool::new(false);
        let runtime = runtime(3);
        runtime.run(|| {
            let others = others(&STOP);
            block(libc::SIGUSR2);
            let own = kernel_thread();
            for _ in 0..100 {
                yield_now();
                assert_eq!(kernel_thread(), own);
            }
            STOP.store(true, SeqCst);
            others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), 0));
            change_mask(libc::SIG_UNBLOCK, libc::SIGUSR2);
            // Somebody takes this kernel thread and does not give way: others run the caller meanwhile.
            static RESUMED: AtomicUsize = AtomicUsize::new(0);
            let moves = |turn: usize| {
                let hog = go(move || {
                    let start = Instant::now();
                    while RESUMED.load(SeqCst) < turn
                        && start.elapsed() < Duration::from_millis(100)
                    {
                        std::hint::spin_loop();
                    }
                });
                yield_now();
                RESUMED.store(turn, SeqCst);
                hog.join().unwrap();
                kernel_thread() != own
            };
            assert!((1..=200).any(moves));
        });
    })
    .is_success();
}

/// Threads that are started meanwhile are as if nothing had been changed.
#[test]
fn no_worker_inherits_what_a_goroutine_has_changed() {
    process("wired::no_worker_inherits_what_a_goroutine_has_changed", || {
        if !is_root() {
            return;
        }
        let runtime = runtime(2);
        let spaces: HashSet<String> = runtime.run(|| {
            block(libc::SIGUSR2);
            new_namespace();
            // Each blocks its kernel thread, so that others are started, from here among others.
            let (done, wait) = std::os::unix::net::UnixStream::pair().unwrap();
            let fd = wait.as_raw_fd();
            let one = move || {
                let seen = link("ns/uts") + &of_status("SigBlk:");
                let mut byte = [0_u8];
                // SAFETY: a place for the byte.
                unsafe { libc::recv(fd, byte.as_mut_ptr().cast(), 1, libc::MSG_PEEK) };
                seen
            };
            let all: Vec<_> = (0..12).map(|_| go(one)).collect();
            while kernel_threads() <= 14 {
                yield_now();
            }
            // Each finds it there still.
            std::io::Write::write_all(&mut &done, b"x").unwrap();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(spaces, HashSet::from([link("ns/uts") + &of_status("SigBlk:")]));
    })
    .is_success();
}

fn kernel_threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// To start a child is to start it from this kernel thread, as in a thread.
#[test]
fn a_child_process_inherits_what_its_goroutine_has_changed() {
    process("wired::a_child_process_inherits_what_its_goroutine_has_changed", || {
        if !is_root() {
            return;
        }
        let of_child = || {
            let mut child = selvedge::process::Command::new("readlink");
            let child = child.arg("/proc/self/ns/uts").stdout(std::process::Stdio::piped()).spawn();
            let output = child.unwrap().wait_with_output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let runtime = runtime(2);
        assert_eq!(runtime.run(of_child), link("ns/uts"));
        runtime.run(move || {
            new_namespace();
            assert_eq!(of_child(), link("ns/uts"));
            assert_ne!(go(of_child).join().unwrap(), link("ns/uts"));
        });
        assert_eq!(runtime.run(of_child), link("ns/uts"));
    })
    .is_success();
}

/// A simulation has one kernel thread, so a wired goroutine shares it.
#[test]
fn a_simulation_wires_nobody() {
    process("wired::a_simulation_wires_nobody", || {
        let run = selvedge::model::simulate(3, || {
            block(libc::SIGUSR2);
            go(kernel_thread).join().unwrap() == kernel_thread()
        });
        assert!(run.value);
    })
    .is_success();
}

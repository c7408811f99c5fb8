//! `set*id`: a call that every kernel thread of the process makes, by an interruption of each.
//! As root alone: otherwise the tests say so, and check that nothing changes.

use crate::common::process;
use selvedge::{Runtime, go, yield_now};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// The values that the kernel tells of this process's threads: one, if they agree.
fn of_all_threads(what: &str) -> BTreeSet<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok())
        .map(|status| {
            let line = status.lines().find(|line| line.starts_with(what));
            line.unwrap_or_else(|| panic!("no {what} in {status}")).to_owned()
        })
        .collect()
}

fn all_are(what: &str, id: u32) {
    let expected = BTreeSet::from([format!("{what}\t{id}\t{id}\t{id}\t{id}")]);
    assert_eq!(of_all_threads(what), expected);
}

fn is_root() -> bool {
    // SAFETY: takes nothing.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        eprintln!("not root: nothing to see");
    }
    is_root
}

/// Goroutines that are suspended, that yield, and one that computes; all on blocks of their own.
fn beside_goroutines(runtime: &Runtime, f: impl FnOnce()) {
    static STOP: AtomicBool = AtomicBool::new(false);
    runtime.run(|| {
        for number in 0..200 {
            go(move || {
                while !STOP.load(SeqCst) {
                    if number == 0 {
                        std::hint::spin_loop();
                    } else {
                        yield_now();
                    }
                }
            });
        }
    });
    f();
    STOP.store(true, SeqCst);
}

fn runtime() -> Runtime {
    Runtime::builder().processors(3).build().unwrap()
}

fn set_group(id: u32) {
    // SAFETY: takes no pointer.
    let result = unsafe { libc::setgid(id) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_goroutine_changes_the_group_of_all_threads() {
    process("identity::a_goroutine_changes_the_group_of_all_threads", || {
        if !is_root() {
            return;
        }
        let runtime = runtime();
        beside_goroutines(&runtime, || {
            for round in 0..50 {
                runtime.run(move || set_group(1001 + round));
                all_are("Gid:", 1001 + round);
            }
        });
    })
    .is_success();
}

#[test]
fn a_plain_thread_changes_the_group_of_goroutines_threads() {
    process("identity::a_plain_thread_changes_the_group_of_goroutines_threads", || {
        if !is_root() {
            return;
        }
        let runtime = runtime();
        beside_goroutines(&runtime, || {
            for round in 0..50 {
                set_group(1001 + round);
                all_are("Gid:", 1001 + round);
            }
        });
    })
    .is_success();
}

#[test]
fn goroutines_and_threads_change_the_group_at_a_time() {
    process("identity::goroutines_and_threads_change_the_group_at_a_time", || {
        if !is_root() {
            return;
        }
        let runtime = runtime();
        beside_goroutines(&runtime, || {
            std::thread::scope(|scope| {
                scope.spawn(|| (0..200).for_each(|round| set_group(1 + round)));
                runtime.run(|| {
                    let change =
                        |base: u32| move || (0..200).for_each(|round| set_group(base + round));
                    let others = [go(change(1000)), go(change(2000))];
                    others.into_iter().for_each(|other| other.join().unwrap());
                });
            });
            runtime.run(|| set_group(77));
            all_are("Gid:", 77);
        });
    })
    .is_success();
}

#[test]
fn a_goroutine_gives_up_root_for_good() {
    process("identity::a_goroutine_gives_up_root_for_good", || {
        if !is_root() {
            return;
        }
        let runtime = runtime();
        beside_goroutines(&runtime, || {
            runtime.run(|| {
                let groups = [4, 24];
                // SAFETY: a list of two groups, and numbers.
                unsafe {
                    assert_eq!(libc::setgroups(2, groups.as_ptr()), 0);
                    assert_eq!(libc::setresgid(100, 101, 102), 0);
                    assert_eq!(libc::setresuid(1000, 1001, 1002), 0);
                    // Each may become another of the three, no other.
                    assert_eq!(libc::setresuid(1001, 1000, 1002), 0);
                    assert_eq!(libc::seteuid(1002), 0);
                    assert_eq!(libc::setuid(0), -1);
                    assert_eq!(libc::setreuid(1002, 1002), 0);
                }
            });
            all_are("Uid:", 1002);
            assert_eq!(of_all_threads("Gid:"), BTreeSet::from(["Gid:\t100\t101\t102\t101".into()]));
            assert_eq!(of_all_threads("Groups:"), BTreeSet::from(["Groups:\t4 24 ".into()]));
        });
    })
    .is_success();
}

/// In the child of a fork the library's handler must find the goroutine's block to be the thread's own.
#[test]
fn threads_of_a_goroutines_child_change_their_group() {
    process("identity::threads_of_a_goroutines_child_change_their_group", || {
        if !is_root() {
            return;
        }
        let runtime = runtime();
        let end = runtime.run(|| {
            // SAFETY: the child calls what the C library allows there, and ends.
            let id = unsafe { libc::fork() };
            if id != 0 {
                return crate::common::await_process(id);
            }
            // SAFETY: takes no pointer.
            unsafe { libc::alarm(20) };
            let others = std::thread::spawn(|| set_group(1234)).join().is_ok();
            all_are("Gid:", 1234);
            set_group(1235);
            all_are("Gid:", 1235);
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(!others)) }
        });
        assert_eq!(end, 0);
    })
    .is_success();
}

/// `Command::uid` has the child change; `exec` is without a child, so the calling process does.
#[test]
fn a_goroutine_executes_another_program_as_another_user() {
    use std::os::unix::process::CommandExt;
    let end = process("identity::a_goroutine_executes_another_program_as_another_user", || {
        if !is_root() {
            println!("\nUid:\t1003\t1003\t1003\t1003\nGid:\t1004\t1004\t1004\t1004");
            return;
        }
        let runtime = runtime();
        runtime.run(|| {
            for _ in 0..100 {
                go(yield_now);
            }
            let mut command = std::process::Command::new("/bin/sh");
            command.args(["-c", "echo; grep '^[UG]id:' /proc/self/status"]).uid(1003).gid(1004);
            panic!("{}", command.exec());
        });
    });
    end.is_success();
    for line in ["Uid:\t1003\t1003\t1003\t1003\n", "Gid:\t1004\t1004\t1004\t1004\n"] {
        assert!(end.stdout.contains(line), "{}", end.stdout);
    }
}

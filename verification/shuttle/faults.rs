//! Deliberate faults (`src/observe/fault.rs`) are found by the specification, under the invariant's
//! name, and the schedule that found each finds it again: [A1], [E2], [E3], [E4], [G1], [G2], [I1],
//! [I3], [I4], [I5], [S1], [S3], [T1].

use crate::harness::{Plan, Scenario};
use crate::replay::child;
use crate::support::{Flag, anchored, end};
use selvedge::{current, go, park, yield_now};
use shuttle::thread;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A fault, the scenario that finds it, and what the specification says.
struct Fault {
    name: &'static str,
    scenario: &'static str,
    said: &'static str,
}

fn said_by(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Fault {
    fn run(&self, fault: &str, variable: &str, path: &Path) -> Output {
        let mut command = child(&["--exact", self.scenario]);
        command.env("SELVEDGE_FAULT", fault).env(variable, path);
        command.output().expect("a child process")
    }

    /// 3 child processes: the fault is found and its schedule saved; that schedule fails again, in
    /// the same way; and without the fault it passes.
    fn is_found_and_found_again(&self) {
        if std::env::var_os("SELVEDGE_REPLAY").is_some() {
            return;
        }
        let red = |output: &Output| {
            let told = said_by(output);
            assert!(!output.status.success(), "{}: not found: {told}", self.name);
            assert!(told.contains(self.said), "{}: found under another name: {told}", self.name);
        };
        let directory = Scratch::new(self.name);
        red(&self.run(self.name, "SELVEDGE_REPLAYS", &directory.0));
        let mut saved = std::fs::read_dir(&directory.0).expect("it is there").flatten();
        let schedule = saved.next().expect("the schedule is saved").path();
        red(&self.run(self.name, "SELVEDGE_REPLAY", &schedule));
        let sound = self.run("", "SELVEDGE_REPLAY", &schedule);
        assert!(sound.status.success(), "{}: fails without: {}", self.name, said_by(&sound));
        assert!(said_by(&sound).contains("| replay |"), "{}: ran nothing", self.name);
    }
}

/// 3 threads, 1 goroutine; sampled. It is unparked while it runs, and then parks. [S1]
#[test]
fn one_that_is_unparked_while_it_runs() {
    Scenario { name: "faults: one that is unparked while it runs [S1]", threads: 3, goroutines: 1 }
        .check(&Plan::usual(500), || {
            let runtime = anchored(1, 1);
            runtime.run(|| {
                let me = current();
                let waker = thread::spawn(move || me.unpark());
                waker.join().expect("no panic");
                park();
            });
            end(runtime);
        });
}

/// 2 threads, 2 goroutines; sampled. One waits in a queue, is unparked once more, and its home has but
/// one processor. [E3]
#[test]
fn one_that_is_unparked_twice() {
    Scenario { name: "faults: one that is unparked twice [E3]", threads: 2, goroutines: 2 }.check(
        &Plan::usual(300),
        || {
            let runtime = anchored(1, 1);
            runtime.run(|| {
                let (parks, woken) = (Flag::default(), Flag::default());
                let (tells, awaits) = (parks.clone(), woken.clone());
                let other = go(move || {
                    tells.set();
                    while !awaits.is_set() {
                        park();
                    }
                });
                while !parks.is_set() {
                    yield_now();
                }
                woken.set();
                other.goroutine().unpark();
                other.goroutine().unpark();
                other.join().expect("no panic");
            });
            end(runtime);
        },
    );
}

/// 2 threads, 3 goroutines; sampled. The handle of one is dropped; another is spawned, and joined.
/// [G1] [G2]
#[test]
fn one_that_is_detached_and_one_that_is_joined() {
    let name = "faults: one that is detached and one that is joined [G1] [G2]";
    Scenario { name, threads: 2, goroutines: 3 }.check(&Plan::usual(300), || {
        let runtime = anchored(1, 1);
        runtime.run(|| {
            drop(go(|| ()));
            go(|| ()).join().expect("no panic");
        });
        end(runtime);
    });
}

/// A place for schedules.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("selvedge-fault-{}-{}", name.replace(' ', "-"), std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a place for schedules");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_lost_wake_up_is_found_by_name() {
    Fault {
        name: "lost wake-up",
        scenario: "steal::what_plain_threads_spawn_is_run",
        said: "specification: [I1] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn a_double_run_is_found_by_name() {
    Fault {
        name: "double run",
        scenario: "park::a_baton_goes_round_migrating",
        said: "specification: [E2] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn a_resume_before_settle_is_found_by_name() {
    Fault {
        name: "resume before settle",
        scenario: "faults::one_that_is_unparked_while_it_runs",
        said: "specification: [S1] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn a_lost_permit_is_found_by_name() {
    Fault {
        name: "lost permit",
        scenario: "park::goroutines_are_woken_by_plain_threads",
        said: "specification: [S3] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn a_stranded_retake_is_found_by_name() {
    Fault {
        name: "stranded retake",
        scenario: "blocking::a_blocking_section_gives_its_processor_up",
        said: "specification: [I5] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn who_queues_beside_an_idle_processor_is_found_by_name() {
    Fault {
        name: "queue beside an idle processor",
        scenario: "blocking::what_blocks_unannounced_loses_its_processor",
        said: "specification: [I3] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn two_holders_are_found_by_name() {
    Fault {
        name: "two holders",
        scenario: "steal::what_one_spawns_all_run",
        said: "specification: [I4] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn one_that_is_away_from_home_is_found_by_name() {
    Fault {
        name: "away from home",
        scenario: "park::a_baton_goes_round",
        said: "specification: [A1] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn one_in_two_queues_is_found_by_name() {
    Fault {
        name: "two queues",
        scenario: "faults::one_that_is_unparked_twice",
        said: "specification: [E3] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn who_goes_on_without_a_processor_is_found_by_name() {
    Fault {
        name: "no processor",
        scenario: "blocking::what_blocks_unannounced_loses_its_processor",
        said: "specification: [E4] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn a_late_resume_is_found_by_name() {
    Fault {
        name: "late resume",
        scenario: "shutdown::each_joiner_of_a_dropped_runtime_gets_an_answer",
        said: "specification: [T1] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn a_cell_that_is_used_twice_is_found_by_name() {
    Fault {
        name: "cell used twice",
        scenario: "faults::one_that_is_detached_and_one_that_is_joined",
        said: "specification: [G1] is broken",
    }
    .is_found_and_found_again();
}

#[test]
fn one_that_is_joined_twice_is_found_by_name() {
    Fault {
        name: "joined twice",
        scenario: "faults::one_that_is_detached_and_one_that_is_joined",
        said: "specification: [G2] is broken",
    }
    .is_found_and_found_again();
}

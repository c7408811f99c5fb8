//! Deliberate faults (`src/platform/fault.rs`) are found by the specification, under the invariant's
//! name, and the schedule that found each finds it again: [I1], [I5], [E2], [S1], [S3].

use crate::harness::{Plan, Scenario};
use crate::replay::child;
use crate::support::{anchored, end};
use selvedge::{current, park};
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

//! Deliberate faults (`src/observe/fault.rs`) are found by the specification, under the invariant's
//! name, and the path that found each finds it again at once: [I1], [I5], [E2], [S1], [S3].

use crate::harness::{Bound, Scenario, join, spawn};
use crate::placement::Anchored;
use selvedge::{Builder, current, park};
use std::path::Path;

/// 2 child processes: the scenario finds the fault, and the path that it left finds it again.
fn is_found_and_found_again(fault: &str, scenario: &str, said: &str) {
    let name = format!("selvedge-path-{}-{}", fault.replace(' ', "-"), std::process::id());
    let path = std::env::temp_dir().join(name);
    let (first, again) = (red(fault, scenario, &path, said), red(fault, scenario, &path, said));
    let _ = std::fs::remove_file(&path);
    assert_eq!(first, again, "{fault}: the path leads elsewhere");
}

/// What the specification said of the goroutine, and its history.
fn red(fault: &str, scenario: &str, path: &Path, said: &str) -> String {
    let mut command =
        std::process::Command::new(std::env::current_exe().expect("a test knows its binary"));
    command.args(["--exact", scenario]).env_remove("SELVEDGE_CHECK").env_remove("SELVEDGE_TABLE");
    command.env("SELVEDGE_FAULT", fault).env("SELVEDGE_PATH", path);
    let output = command.output().expect("a child process");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{fault}: not found: {told}");
    let begins = told.find(said).unwrap_or_else(|| panic!("{fault}: not as {said}: {told}"));
    told[begins..].to_owned()
}

/// 3 threads: a goroutine is unparked while it runs, and then parks | 1 worker. [S1] [S3]
#[test]
fn one_that_is_unparked_while_it_runs() {
    Scenario {
        name: "faults: one that is unparked while it runs [S1] [S3]",
        threads: 3,
        operations: "run(unpark, park), drop | 1 worker",
    }
    .check(Bound::usual(), || {
        let builder = Builder::new().processors(1).max_goroutines(4).modelled(2);
        let runtime = builder.anchored().expect("a model grants what is asked for");
        runtime.run(|| {
            let me = current();
            join(spawn(move || me.unpark()));
            park();
        });
        drop(runtime);
    });
}

#[test]
fn a_lost_wake_up_is_found_by_name() {
    let scenario = "sched::a_child_runs_while_its_parent_blocks_the_kernel_thread";
    is_found_and_found_again("lost wake-up", scenario, "specification: [I1] is broken");
}

#[test]
fn a_double_run_is_found_by_name() {
    let scenario = "sched::whom_a_goroutine_wakes_either_worker_may_run";
    is_found_and_found_again("double run", scenario, "specification: [E2] is broken");
}

#[test]
fn a_resume_before_settle_is_found_by_name() {
    let scenario = "faults::one_that_is_unparked_while_it_runs";
    is_found_and_found_again("resume before settle", scenario, "specification: [S1] is broken");
}

#[test]
fn a_lost_permit_is_found_by_name() {
    let scenario = "sched::a_parked_goroutine_is_unparked_by_a_plain_thread";
    is_found_and_found_again("lost permit", scenario, "specification: [S3] is broken");
}

#[test]
fn a_stranded_retake_is_found_by_name() {
    let scenario = "blocking::a_section_in_place_loses_its_processor";
    is_found_and_found_again("stranded retake", scenario, "specification: [I5] is broken");
}

//! The harness itself, in child processes: what a cap ends is CUT, what fails is RED, and says so.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::platform::{Arc, Parker};
use std::process::Command;

/// Asks a child process for a scenario of this file.
const ASKED: &str = "SELVEDGE_VERDICT";

const MANY: Scenario = Scenario { name: "harness: many", threads: 3, operations: "permits" };
const STUCK: Scenario = Scenario { name: "harness: stuck", threads: 1, operations: "park" };
const RACE: Scenario = Scenario { name: "harness: race", threads: 2, operations: "write | take" };

/// Thousands of executions, were there no cap.
fn many() {
    MANY.check(Bound::Complete, || {
        let parkers = [(); 2].map(|()| Arc::new(Parker::new()));
        let threads =
            parkers.clone().map(|parker| spawn(move || (0..4).for_each(|_| parker.unpark())));
        parkers.iter().for_each(|parker| parker.park());
        threads.into_iter().for_each(join);
    });
}

/// Nobody unparks it.
fn stuck() {
    STUCK.check(Bound::Complete, || Parker::new().park());
}

fn race() {
    RACE.check(Bound::Complete, || {
        let payload = Arc::new(Payload::new(1));
        let theirs = Arc::clone(&payload);
        let writer = spawn(move || theirs.write(2));
        payload.take();
        join(writer);
    });
}

/// Whether this is a child process, which has then run the scenario that it was asked for.
fn ran_as_child() -> bool {
    let Ok(asked) = std::env::var(ASKED) else { return false };
    let runs = [(MANY, many as fn()), (STUCK, stuck), (RACE, race)];
    runs.iter().filter(|(scenario, _)| scenario.name == asked).for_each(|(_, run)| run());
    true
}

/// The row of a scenario that a child process runs in `test`, and whether that passed.
fn row_of(test: &str, scenario: Scenario, cap: Option<(&str, &str)>) -> (String, bool) {
    let mut child = Command::new(std::env::current_exe().expect("a test knows its binary"));
    child.args(["--exact", "--nocapture", test]).env(ASKED, scenario.name);
    child.env_remove("SELVEDGE_TABLE").env_remove("SELVEDGE_CHECK").envs(cap);
    let output = child.output().expect("a child process");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let row = told.lines().find(|line| line.starts_with(scenario.name)).unwrap_or_default();
    assert!(!row.is_empty(), "no row of {}: {told}", scenario.name);
    (row.to_owned(), output.status.success())
}

/// 3 threads, complete, in 3 child processes.
#[test]
fn what_a_cap_ends_is_cut() {
    if ran_as_child() {
        return;
    }
    let name = "verdicts::what_a_cap_ends_is_cut";
    let (row, passed) = row_of(name, MANY, None);
    assert!(passed && row.ends_with(" | COMPLETE"), "{row}");
    for cap in [("LOOM_MAX_PERMUTATIONS", "1000"), ("LOOM_MAX_DURATION", "0")] {
        let (row, _) = row_of(name, MANY, Some(cap));
        assert!(row.ends_with(" | CUT"), "{cap:?}: {row}");
    }
}

/// 1 and 2 threads, complete, in 2 child processes.
#[test]
fn what_fails_is_red() {
    if ran_as_child() {
        return;
    }
    for scenario in [STUCK, RACE] {
        let (row, passed) = row_of("verdicts::what_fails_is_red", scenario, None);
        assert!(!passed && row.ends_with(" | RED"), "{row}");
    }
}

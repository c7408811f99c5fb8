//! Random programs, each under schedules that shuttle samples; processors are taken meanwhile: [A1],
//! [D1], [G2], [H1], [I1], [I2], [Q1], [S1], [S3].

use crate::harness::{Plan, Scenario};
use crate::random::{Program, Run, Size};
use crate::support::{anchored, migrating, run_retaken};
use crate::table;
use selvedge::Runtime;
use std::sync::Arc;

fn check(scenario: Scenario, is_anchored: bool, runtime: fn() -> Runtime) {
    let size = Size { goroutines: scenario.goroutines, operations: 30, blocks: true };
    let programs = if table::long() { 400 } else { 40 };
    scenario.check_each(&Plan::usual(45), Program::numbers(programs, size), |seed| {
        let program = Arc::new(Program::of(seed, size));
        move || {
            let run = Run::new(&program, is_anchored);
            let first = Arc::clone(&run);
            run_retaken(runtime(), move || assert_eq!(first.live(0), 0));
            run.assert_each_ran_once();
        }
    });
}

/// 9 threads, up to 6 goroutines; sampled, for each of 40 programs.
#[test]
fn random_programs_run_to_their_end() {
    let name = "programs: random ones, anchored [A1] [G2] [I1] [I2] [S3]";
    check(Scenario { name, threads: 10, goroutines: 6 }, true, || anchored(2, 8));
}

/// As above, migrating.
#[test]
fn random_migrating_programs_run_to_their_end() {
    let name = "programs: random ones, migrating [G2] [I1] [S1] [S3]";
    check(Scenario { name, threads: 10, goroutines: 6 }, false, || migrating(2, 8));
}

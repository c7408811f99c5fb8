//! Random programs of three goroutines on two workers, in every execution within the bound: [A1],
//! [G2], [I1], [I2], [S1], [S3].

use crate::harness::{Bound, Scenario};
use crate::random::{Program, Run, Size};
use crate::sched::{migrating, runtime};
use selvedge::Runtime;
use selvedge::internals::platform::Arc;
use std::time::Duration;

const SIZE: Size = Size { goroutines: 3, operations: 8, blocks: false };
/// Of each kind; the first ones in which one waits for another.
const PROGRAMS: usize = 3;

fn check(kind: &str, is_anchored: bool, runtime: fn(usize) -> Runtime) {
    for seed in Program::numbers(PROGRAMS, SIZE) {
        let program = Arc::new(Program::of(seed, SIZE));
        let name = String::leak(format!("programs: number {seed}, {kind}"));
        let operations = String::leak(format!("{program} | 2 workers"));
        Scenario { name, threads: 3, operations }.check(Bound::narrow(), move || {
            let run = Run::new(&program, is_anchored);
            let runtime = runtime(2);
            let first = Arc::clone(&run);
            runtime.run(move || first.live(0));
            runtime.shutdown(Duration::MAX).expect("every goroutine ends");
            run.assert_each_ran_once();
        });
    }
}

/// 3 threads: 3 times 8 operations of 3 goroutines | 2 workers.
#[test]
fn random_programs_run_to_their_end() {
    check("anchored [A1] [I2] [S3]", true, runtime);
}

/// As above, migrating.
#[test]
fn random_migrating_programs_run_to_their_end() {
    check("migrating [I1] [S1] [S3]", false, migrating);
}

//! What the tests share that run in every build.

use selvedge::model::{Check, Failure, Report, try_simulate_seeds};

/// By whatever checker this build has; by simulations, whatever `check` says, if it has none.
pub fn explore(
    check: Check,
    program: impl Fn() + Send + Sync + 'static,
) -> Result<Report, Failure> {
    if cfg!(feature = "loom") {
        check.try_check(program)
    } else if cfg!(feature = "shuttle") {
        check.try_random(1, 1000, program)
    } else {
        try_simulate_seeds(0..200, program)
    }
}

/// Finds the failure, then sees it again by its line, with the same history.
#[track_caller]
pub fn fails(program: impl Fn() + Send + Sync + Clone + 'static) -> Failure {
    let first = explore(Check::new(), program.clone()).expect_err("it must fail");
    let line = first.story().replay().to_owned();
    let again = Check::new().try_replay(&line, program).expect_err("it must fail again");
    assert_eq!(first.story().history(), again.story().history(), "{line}");
    assert_eq!(first.story().message(), again.story().message(), "{line}");
    println!("{first}");
    first
}

#[track_caller]
pub fn passes(program: impl Fn() + Send + Sync + 'static) -> Report {
    let report = explore(Check::new(), program).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    report
}

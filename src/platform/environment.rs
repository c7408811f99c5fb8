//! Environment: reports that the machine has taken away something that the process already used, for example a system
//! call that a sandbox refuses from now on, or a descriptor that other code has closed.
//! No invariant of ours failed then, so the report is not that of `broken`.
//! docs/environment.md lists what can be taken away, and what follows.
#![forbid(unsafe_code)]

use std::fmt::Display;

/// Ends the process, because `what` is gone and the runtime cannot continue without it. `remedy` says what to do.
#[cold]
pub fn environment_took(what: &str, error: &dyn Display, remedy: &str) -> ! {
    use std::io::Write;
    let _ = writeln!(
        std::io::stderr(),
        "selvedge: the environment took away {what}: {error}; the runtime can't go on without: \
         {remedy}"
    );
    std::process::abort();
}

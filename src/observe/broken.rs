//! Broken: an invariant of the runtime does not hold, so nothing that follows can be trusted.

use std::io::Write;
use std::panic::Location;

/// Reports what was found where, and aborts.
#[cold]
#[track_caller]
pub(crate) fn broken(function: &str, expected: &str, found: &str) -> ! {
    let place = Location::caller();
    let _ = writeln!(
        std::io::stderr(),
        "selvedge: broken invariant at {place}: {function}: expected {expected}, found {found}; \
         this is a bug in selvedge, please report it"
    );
    std::process::abort();
}

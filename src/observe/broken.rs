//! Broken: an invariant of the runtime does not hold, so nothing that follows can be trusted.

use crate::platform::{MODELLED, panicking};
use std::io::Write;
use std::panic::Location;

/// Reports which invariant did not hold, and aborts.
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

/// Aborts on a panic that unwinds out of foreign code. The runtime's own steps call foreign code only in ways from
/// which it cannot unwind [Q2]. So a panic that does unwind breaks an invariant, either ours or that of `std` towards
/// the kernel. If only the thread or the step ended, the rest of the program would hang.
pub(crate) struct AbortIfUnwinding(pub(crate) &'static str);

impl Drop for AbortIfUnwinding {
    fn drop(&mut self) {
        if panicking() && !MODELLED {
            let what = self.0;
            eprintln!("selvedge: {what} has panicked, as reported above; the runtime can't go on");
            std::process::abort();
        }
    }
}

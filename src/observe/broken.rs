//! Broken: an invariant of the runtime does not hold, so nothing that follows can be trusted.

use crate::platform::{MODELLED, panicking};
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

/// Aborts on a panic that unwinds out of foreign code. The runtime's own steps call foreign code where it can't
/// unwind out of them [Q2]. So a panic that does unwind is a broken invariant, of ours or of `std`'s towards
/// the kernel. Without the thread, or the step, the rest would hang.
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

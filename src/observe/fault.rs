//! Deliberate faults, for the checks that must find them. Each fault is one step of the runtime that goes wrong if a
//! model asks for it by name, in SELVEDGE_FAULT. The build that ships has no faults.
//!
//! | name | what goes wrong | breaks |
//! |---|---|---|
//! | `lost wake-up` | a worker sleeps without a last look for shared work | [I1] |
//! | `double run` | a worker that takes `run_next` leaves it there | [E2] |
//! | `resume before settle` | an unpark queues a goroutine that is still on its stack | [S1] |
//! | `lost permit` | a park overlooks the permit that came first | [S3] |
//! | `stranded retake` | no worker is woken for the work of a retaken processor | [I5] |
//! | `queue beside an idle processor` | a worker with bound goroutines waits, though a processor is idle | [I3] |
//! | `two holders` | an idle processor that is taken stays among the idle ones | [I4] |
//! | `away from home` | a bound goroutine that another thread unparks is queued as if it were not bound | [A1] |
//! | `two queues` | a second unpark queues the goroutine once more | [E3] |
//! | `no processor` | a worker continues with a processor that was retaken | [E4] |
//! | `late resume` | a stop does not wait for workers | [T1] |
//! | `cell used twice` | a cell is free while its goroutine is alive | [G1] |
//! | `joined twice` | a result is taken once more when its handle goes | [G2] |
//!
//! Checked by: verification/shuttle/faults.rs, verification/loom/faults.rs.

use crate::platform::MODELLED;
use crate::platform::OnceLock;

/// Returns whether this fault was asked for.
#[inline(always)]
pub fn fault(name: &str) -> bool {
    MODELLED && asked_for() == Some(name)
}

fn asked_for() -> Option<&'static str> {
    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    ASKED.get_or_init(|| std::env::var("SELVEDGE_FAULT").ok()).as_deref()
}

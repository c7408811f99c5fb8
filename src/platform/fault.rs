//! Deliberate faults, for the checks whose duty is to find them: each is one step of the runtime that
//! goes wrong where a model is asked for it by name, in SELVEDGE_FAULT. In what ships there is none.
//!
//! | name | what goes wrong | breaks |
//! |---|---|---|
//! | `lost wake-up` | a worker sleeps without a last look for shared work | [I1] |
//! | `double run` | who takes `run_next` leaves it there | [E2] |
//! | `resume before settle` | an unpark queues a goroutine that is still on its stack | [S1] |
//! | `lost permit` | a park overlooks the permit that came first | [S3] |
//! | `stranded retake` | nobody is woken for the work of a retaken processor | [I5] |
//!
//! Checked by: verification/shuttle/faults.rs, verification/loom/faults.rs.

use super::MODELLED;
use super::OnceLock;

/// Whether this fault was asked for.
#[inline(always)]
pub fn fault(name: &str) -> bool {
    MODELLED && asked_for() == Some(name)
}

fn asked_for() -> Option<&'static str> {
    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    ASKED.get_or_init(|| std::env::var("SELVEDGE_FAULT").ok()).as_deref()
}

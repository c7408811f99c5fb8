//! What a stack overflow says about the goroutine it happened in. Runs in a signal handler: no
//! allocation, no lock.
//! Checked by: proptests/runtime/faults.rs.

use super::enter::current_goroutine;
use crate::context::overflow::{self, Report};

/// Installs the handler; once a process.
pub(crate) fn install() {
    overflow::install(describe);
}

fn describe(report: &mut Report) {
    let Some(goroutine) = current_goroutine() else { return report.text("a goroutine") };
    report.text("goroutine ");
    report.number(goroutine.id());
    if let Some(name) = goroutine.name() {
        report.text(" \"");
        report.text(name);
        report.text("\"");
    }
}

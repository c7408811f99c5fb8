//! What a stack overflow and a panic say about the goroutine that they happened in, or of the runtime itself.
//! Checked by: proptests/runtime/faults.rs, proptests/runtime/children.rs.

use crate::fiber::overflow;
use crate::fiber::overflow::Report;
use crate::platform::{MODELLED, OnceLock, panicking};
use crate::sched::core::current::current_goroutine;

/// Installs the handler of overflows and the panic hook; once a process.
pub(crate) fn install() {
    overflow::install(describe);
    if !MODELLED {
        name_panics();
    }
}

/// Before a panic in a goroutine is reported, says which goroutine it is: to `std` it is a thread without
/// a name. The report itself is that of the hook that was there.
fn name_panics() {
    static DONE: OnceLock<()> = OnceLock::new();
    // A hook can't be set by a thread that panics: the next runtime does it.
    if panicking() {
        return;
    }
    DONE.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            say_who_panics();
            before(info);
        }));
    });
}

fn say_who_panics() {
    use std::io::Write;
    let Some(goroutine) = current_goroutine() else { return };
    let id = goroutine.id();
    // Nobody is told if there is no standard error.
    let _ = match goroutine.name() {
        Some(name) => writeln!(std::io::stderr(), "goroutine {id} {name:?}:"),
        None => writeln!(std::io::stderr(), "goroutine {id}:"),
    };
}

/// For the handler of overflows, which is a signal handler: no allocation, no lock.
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

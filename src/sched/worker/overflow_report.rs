//! Names the goroutine in the messages of a stack overflow and of a panic.
//! Checked by: proptests/runtime/faults.rs, proptests/runtime/children.rs.

use crate::fiber::overflow;
use crate::fiber::overflow::Report;
use crate::platform::{MODELLED, OnceLock, panicking};
use crate::sched::core::current::current_goroutine;

/// Installs the handler of stack overflows and the panic hook. The installation happens once in a process.
pub(crate) fn install() {
    overflow::install(describe);
    if !MODELLED {
        name_panics();
    }
}

/// Installs a panic hook that names the goroutine before the panic is reported, because to `std` a
/// goroutine is a thread without a name. The previous hook then makes the report itself.
fn name_panics() {
    static DONE: OnceLock<()> = OnceLock::new();
    // A thread that panics cannot set a hook, so the next runtime sets it.
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
    // The message is lost if there is no standard error.
    let _ = match goroutine.name() {
        Some(name) => writeln!(std::io::stderr(), "goroutine {id} {name:?}:"),
        None => writeln!(std::io::stderr(), "goroutine {id}:"),
    };
}

/// Describes the goroutine for the handler of stack overflows. This runs in a signal handler, so it must
/// not allocate and must not take a lock.
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

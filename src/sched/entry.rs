//! Entry: what runs on a goroutine's stack. A stack serves one goroutine after another.
//! run the body; destroy its locals; publish the result; tell the scope; enter the runtime; switch out for good.
//! Checked by: verification/loom/sched.rs, verification/loom/local.rs, proptests/runtime/lifecycle.rs.

use super::enter::{Inside, current_worker};
use super::goroutine::{Goroutine, Ptr};
use super::settle::EXIT;
use super::simulation;
use crate::context::Suspender;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// The entry of every fiber.
pub(crate) fn fiber_main(suspender: &Suspender, mut argument: *mut ()) -> ! {
    loop {
        let raw = NonNull::new(argument.cast::<Goroutine>()).expect("a goroutine to run");
        let goroutine = Ptr::from_raw(raw);
        goroutine.own.suspender.set(suspender);
        live(goroutine);
        let worker = current_worker().expect("a goroutine runs on a worker");
        argument = Inside::enter(worker).switch(&goroutine, EXIT);
    }
}

/// One goroutine's life. In its own frame, so that nothing of it stays when the stack is reused.
#[inline(never)]
fn live(goroutine: Ptr) {
    let body = goroutine.body.with_mut(|body| body);
    // SAFETY: written at the spawn; a goroutine begins once. [D1]
    let panicked = unsafe { (goroutine.vtable().run)(body) };
    // SAFETY: the goroutine runs, so its runtime is there.
    let shared = unsafe { &*goroutine.shared };
    if panicked && shared.config.abort_on_panic {
        eprintln!("selvedge: aborting: goroutine {} panicked (panic policy)", goroutine.id());
        std::process::abort();
    }
    // Before anybody learns of the end.
    // mutant: drop end of the locals
    end_locals(goroutine);
    let group = goroutine.take_group();
    shared.pool.note_ending();
    let unclaimed = goroutine.complete();
    if unclaimed {
        // Its stack is in use until the result is dropped, which may take as long as it likes.
        shared.pool.note_going_on();
        if panicked {
            shared.counters.count_panic();
        }
        // SAFETY: nobody will ask for the result [G2]; the body has run.
        let drop_it = || unsafe { (goroutine.vtable().drop_output)(body) };
        if catch_unwind(AssertUnwindSafe(drop_it)).is_err() {
            eprintln!("selvedge: aborting: the result of a goroutine panicked while dropped");
            std::process::abort();
        }
        // Those that were made by the destructor.
        end_locals(goroutine);
        shared.pool.note_ending();
    }
    let unheard = panicked && unclaimed && group.is_none();
    if let Some(group) = group {
        group.leave(panicked && unclaimed);
    }
    simulation::ends(goroutine, panicked, unheard);
}

fn end_locals(goroutine: Ptr) {
    if catch_unwind(AssertUnwindSafe(|| goroutine.end_locals())).is_err() {
        eprintln!("selvedge: aborting: a goroutine-local value panicked while dropped");
        std::process::abort();
    }
}

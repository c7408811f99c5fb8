//! Entry: what runs on a goroutine's stack. A stack serves one goroutine after another.
//! run the body; destroy its locals and thread-locals; publish the result; drop what nobody asks for; tell
//! the scope; enter the runtime; switch out for good.
//! Checked by: verification/loom/sched.rs, verification/loom/local.rs, proptests/runtime/lifecycle.rs,
//! proptests/isolated/.

use super::run;
use crate::fiber::{Blocks, Suspender};
use crate::platform::foreign::{abort, call_or_abort};
use crate::platform::tls;
use crate::sched::core::cell::{Completed, Ptr};
use crate::sched::core::current::EXIT;
use crate::sched::core::current::{RuntimeGuard, current_worker};
use crate::sched::core::forked;
use crate::sched::core::simulation;

/// The entry of every fiber.
pub(crate) fn fiber_main(suspender: &Suspender, mut argument: *mut ()) -> ! {
    loop {
        let goroutine = run::named(argument);
        goroutine.own.suspender.set(suspender);
        // SAFETY: it is about to run, so its runtime is there.
        let blocks = unsafe { &*goroutine.shared }.stack_pool.blocks();
        if blocks.is_some() {
            find_worker_by(suspender);
        }
        run::goes_on(goroutine, argument);
        live(goroutine, suspender, blocks);
        let Some(worker) = current_worker() else {
            // None but in the child of a fork.
            forked::end("a goroutine that has called `fork` came to its end")
        };
        argument = RuntimeGuard::enter(worker).leave(goroutine, EXIT);
    }
}

/// One goroutine's life. In its own frame, so that nothing of it stays when the stack is reused.
///
/// Foreign code runs in three places after the body: the destructors of the goroutine's own values, the
/// waker of a task that awaits its end, and the destructor of a result that nobody will ask for. None of
/// them unwinds [Q2], and the values that the last two make go before the cell can be recycled. [Z5]
#[inline(never)]
fn live(goroutine: Ptr, suspender: &Suspender, blocks: Option<&Blocks>) {
    // SAFETY: the goroutine runs, so its runtime is there.
    let shared = unsafe { &*goroutine.shared };
    let body = goroutine.body.with_mut(|body| body);
    // SAFETY: written at the spawn; a goroutine begins once. [D1]
    let panicked = unsafe { (goroutine.vtable().run)(body) };
    if panicked && shared.config.abort_on_panic {
        abort(format_args!("goroutine {} panicked (panic policy)", goroutine.id()));
    }
    // Before anybody learns of the end. [Z3]
    // mutant: drop end of the locals
    goroutine.end_locals();
    if let Some(blocks) = blocks {
        end_thread_locals(suspender, blocks);
    }
    let scope = goroutine.take_scope();
    if goroutine.own.stack.get().is_measured() {
        shared.measure_caller(goroutine);
    }
    shared.pool.note_ending();
    let Completed { unclaimed, ran_waker } = goroutine.complete();
    if unclaimed && panicked {
        shared.counters.count_panic();
    }
    // Its stack is in use until these are dropped, which may take as long as they like.
    // mutant: drop end of what others made: replace unclaimed || ran_waker || goroutine.has_locals() with unclaimed
    if unclaimed || ran_waker || goroutine.has_locals() {
        shared.pool.note_going_on();
        if unclaimed {
            // SAFETY: nobody will ask for the result [G2]; the body has run.
            let drop_it = || unsafe { (goroutine.vtable().drop_output)(body) };
            call_or_abort("the result of a goroutine", drop_it);
        }
        goroutine.end_locals();
        if let Some(blocks) = blocks {
            end_thread_locals(suspender, blocks);
        }
        shared.pool.note_ending();
    }
    let unheard = panicked && unclaimed && scope.is_none();
    if let Some(scope) = scope {
        scope.child_ended(goroutine.shared, panicked && unclaimed);
    }
    simulation::ends(goroutine, panicked, unheard);
}

/// On the goroutine's own thread-locals: from now on they lead to its worker.
fn find_worker_by(suspender: &Suspender) {
    // SAFETY: the place is on the goroutine's stack, and its worker writes it before each resume.
    unsafe { tls::follow(suspender.resumer()) };
}

/// Runs the destructors of the goroutine's thread-locals, and makes them as in a new thread. [C7]
fn end_thread_locals(suspender: &Suspender, blocks: &Blocks) {
    // In the child of a fork the block is the only thread's own, and leads to no worker any more.
    if forked::is_orphan() {
        return;
    }
    // SAFETY: the goroutine runs on its own block, and the body, which had references to thread-locals,
    // has returned.
    unsafe {
        blocks.end();
        blocks.renew();
    }
    find_worker_by(suspender);
}

//! The code at the bottom of a goroutine's stack. A stack serves one goroutine after another.
//!
//! For each goroutine: run the body; destroy its local values and thread-locals; publish the result; drop
//! the result if no thread asks for it; tell the scope; enter the runtime; leave the stack for good.
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

/// The entry function of every fiber.
pub(crate) fn fiber_main(suspender: &Suspender, mut argument: *mut ()) -> ! {
    loop {
        let goroutine = run::named(argument);
        goroutine.own.suspender.set(suspender);
        // SAFETY: `shared` points to the goroutine's runtime, which its worker keeps allocated while the
        // goroutine runs.
        let blocks = unsafe { &*goroutine.shared }.stack_pool.blocks();
        if blocks.is_some() {
            find_worker_by(suspender);
        }
        run::goes_on(goroutine, argument);
        live(goroutine, suspender, blocks);
        let Some(worker) = current_worker() else {
            // There is always a worker, except in the child of a fork.
            forked::end("a goroutine that has called `fork` came to its end")
        };
        argument = RuntimeGuard::enter(worker).leave(goroutine, EXIT);
    }
}

/// Runs one goroutine from its first step to its end. The function is not inlined, so that nothing of the
/// goroutine remains when the stack is reused.
///
/// Foreign code runs in three places after the body: in the destructors of the goroutine-local values, in
/// the waker of a task that awaits the goroutine's end, and in the destructor of a result that no thread
/// will ask for. None of them unwinds [Q2]. Local values that the last two make are destroyed before the
/// cell can be recycled. [Z5]
#[inline(never)]
fn live(goroutine: Ptr, suspender: &Suspender, blocks: Option<&Blocks>) {
    // SAFETY: `shared` points to the goroutine's runtime, which stays allocated while the goroutine runs.
    let shared = unsafe { &*goroutine.shared };
    let body = goroutine.body.with_mut(|body| body);
    // SAFETY: `body` points to the payload of the goroutine. The spawn wrote the closure into it, and a
    // goroutine begins only once, so no code has run the closure. [D1]
    let panicked = unsafe { (goroutine.vtable().run)(body) };
    if panicked && shared.config.abort_on_panic {
        abort(format_args!("goroutine {} panicked (panic policy)", goroutine.id()));
    }
    // The values are destroyed before any other thread learns of the goroutine's end. [Z3]
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
    // The stack remains in use until these destructors have returned, which may take any time.
    // mutant: drop end of what others made: replace unclaimed || ran_waker || goroutine.has_locals() with unclaimed
    if unclaimed || ran_waker || goroutine.has_locals() {
        shared.pool.note_going_on();
        if unclaimed {
            // SAFETY: the body has run, so `body` holds the result. No thread will ask for it [G2], so this
            // is the only use of it.
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

/// Makes the goroutine's own thread-locals lead to its worker from now on.
fn find_worker_by(suspender: &Suspender) {
    // SAFETY: the pointer that `resumer` returns leads to a word on the goroutine's stack. The worker
    // writes its own address there before each resume.
    unsafe { tls::follow(suspender.resumer()) };
}

/// Runs the destructors of the goroutine's thread-locals, and resets them to the state in a new thread.
/// [C7]
fn end_thread_locals(suspender: &Suspender, blocks: &Blocks) {
    // In the child of a fork, the block belongs to the only thread, and leads to no worker any more.
    if forked::is_orphan() {
        return;
    }
    // SAFETY: the goroutine runs on its own block. The body, which had references to thread-locals, has
    // returned.
    unsafe {
        blocks.end();
        blocks.renew();
    }
    find_worker_by(suspender);
}

//! Decides where a goroutine that has become runnable is queued, and which worker is woken for it.
//!
//! | goroutine | caller | goes to | wakes |
//! |---|---|---|---|
//! | new | worker with a processor | its run queue | a searcher, if a processor is idle |
//! | unparked, stealable | worker with a processor | `run_next` | no worker |
//! | displaced from `run_next` | the same worker | its run queue | a searcher, if a processor is idle |
//! | unparked, bound to the caller | its own worker | the bound queue | no worker |
//! | unparked, bound to another worker | any thread | that worker's remote queue | that worker, if it is parked |
//! | stealable | any other thread | the global queue | a searcher, if a processor is idle |
//!
//! No function of this file suspends the caller.
//! Checked by: verification/loom/sched.rs, verification/loom/idle.rs, verification/loom/shutdown.rs,
//! verification/shuttle/.

use super::cell::{Ptr, Ref};
use super::current::{RuntimeGuard, current_worker};
use super::owner_state::Attributes;
use super::runtime::Shared;
use super::stacks::StackKind;
use super::worker::Worker;
use crate::fiber::StackError;
use crate::observe::fault;
use crate::observe::specification::Event;
use crate::platform::SPEC;
use crate::sched::goroutine::body::Task;
use crate::sched::goroutine::state::UnparkAction;
use crate::sched::idle::{WakeAction, WorkerId};
use std::ptr;

/// The reason why a goroutine was not spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpawnRefusal {
    Limit,
    Stopping,
    /// There is no stack for one more goroutine.
    Stack(StackError),
    /// The caller is in the child of a fork, and the runtime belongs to the parent.
    Forked,
}

/// Spawns a goroutine. If the spawn is refused, returns the reason and the closure. `caller` is the calling
/// thread's worker, if the thread is a worker.
///
/// # Safety
/// What `f` borrows and what it returns must stay valid until the goroutine has ended, or its memory must
/// never be reclaimed.
pub(crate) unsafe fn spawn<T: Send, F: FnOnce() -> T + Send>(
    shared: &Shared,
    caller: Option<&Worker>,
    attributes: Attributes,
    stack: StackKind,
    f: F,
) -> Result<Ref, (SpawnRefusal, F)> {
    let caller = caller.filter(|worker| ptr::eq(worker.shared, shared));
    let _acting = shared.idle.spec.acting();
    let inside = caller.map(RuntimeGuard::enter);
    let held = inside.as_ref().and_then(RuntimeGuard::held);
    if inside.is_none() && !shared.is_here() {
        return Err((SpawnRefusal::Forked, f));
    }
    // mutant: spawn though it stops: replace shared.is_stopping() with false
    if shared.is_stopping() {
        return Err((SpawnRefusal::Stopping, f));
    }
    let cell = match held {
        Some(held) => held.take_cell(shared),
        None => shared.pool.take(shared, None),
    };
    let cell = match cell {
        Ok(cell) => cell,
        Err(refusal) => return Err((refusal, f)),
    };
    if stack != StackKind::PLAIN
        && let Err(error) = shared.admit(cell, stack)
    {
        return Err((SpawnRefusal::Stack(error), f));
    }
    let id = held.map_or_else(|| shared.take_ids(1), |held| held.next_id(shared));
    // SAFETY: this thread took `cell` from the pool, so the cell is vacant, and no other thread can reach
    // it until it is queued.
    unsafe {
        cell.body.with_mut(|body| Task::<F, T>::write(body, f));
        cell.init(id, attributes, Task::<F, T>::VTABLE);
    }
    cell.note(Event::Spawned(id));
    match held {
        Some(held) => {
            // mutant: drop count
            held.count_spawned();
            held.push(shared, cell);
        }
        None => {
            // mutant: drop count
            shared.count_spawned();
            // SAFETY: the goroutine is new, so it is in no queue.
            unsafe { shared.inject(cell) };
        }
    }
    // mutant: drop wake after a spawn
    shared.perform_wake(shared.idle.notify());
    Ok(Ref::adopt(cell))
}

/// Gives a goroutine its permit. Never suspends.
pub(crate) fn unpark(goroutine: &Ref) {
    let goroutine = goroutine.ptr();
    let _acting = goroutine.unparking();
    apply(goroutine, goroutine.word.unpark());
}

/// Like [`unpark`], but without a reference. Unparks the goroutine with this id, or does nothing if that
/// goroutine has ended. Never suspends.
///
/// # Safety
/// The caller must be on a worker of that goroutine's runtime. The runtime keeps the cell allocated, even
/// if another goroutine uses it now.
#[inline]
pub(crate) unsafe fn unpark_if(goroutine: Ptr, id: u64) {
    if SPEC && goroutine.id() != id {
        return;
    }
    let _acting = goroutine.unparking();
    apply(goroutine, goroutine.word.unpark_if(id));
}

/// Performs the action that an unpark of the state word returned. In the child of a fork, it does nothing
/// for a goroutine of the parent: that goroutine runs in the parent, and threads that do not exist in the
/// child may have held the runtime's locks.
#[inline]
fn apply(goroutine: Ptr, action: UnparkAction) {
    match action {
        UnparkAction::Nothing => {}
        UnparkAction::Enqueue => ready(goroutine),
        UnparkAction::WakeInPlace => {
            // If the goroutine is not bound, it has already consumed its permit and resumed.
            let Some(home) = goroutine.bound_to() else { return };
            // SAFETY: `shared` points to the runtime of `goroutine`. A cell that is in use keeps its
            // runtime's memory allocated.
            let shared = unsafe { &*goroutine.shared };
            if !shared.is_here() {
                return;
            }
            // mutant: drop wake of who sleeps beneath it
            shared.workers[home as usize].in_place.unpark();
        }
    }
}

fn ready(goroutine: Ptr) {
    // SAFETY: `shared` points to the runtime of `goroutine`. The cell of a parked goroutine is in use, so
    // it keeps its runtime's memory allocated.
    let shared = unsafe { &*goroutine.shared };
    match goroutine.bound_to().filter(|_| !fault("away from home")) {
        Some(home) => ready_bound(shared, goroutine, home),
        None => ready_anywhere(shared, goroutine),
    }
}

#[inline]
fn ready_bound(shared: &Shared, goroutine: Ptr, home: WorkerId) {
    // The bound queue belongs to the thread and not to its processor, so the caller need not enter the
    // runtime.
    if let Some(worker) = current_worker()
        && worker.id == home
        && ptr::eq(worker.shared, shared)
    {
        return worker.push_bound(goroutine);
    }
    if !shared.is_here() {
        return;
    }
    shared.workers[home as usize].send_bound(goroutine);
    // mutant: drop wake of its home
    shared.perform_wake(shared.idle.wake_bound(home));
}

fn ready_anywhere(shared: &Shared, goroutine: Ptr) {
    let inside = RuntimeGuard::enter_runtime(shared);
    if inside.is_none() && !shared.is_here() {
        return;
    }
    let wake = match inside.as_ref().and_then(RuntimeGuard::held) {
        Some(held) => {
            // mutant: the displaced is not announced: replace shared.idle.notify() with WakeAction::Nothing
            if held.push_next(shared, goroutine) {
                shared.idle.notify()
            } else {
                WakeAction::Nothing
            }
        }
        None => {
            // SAFETY: the goroutine was unparked just now, so it is in no queue. [S2]
            unsafe { shared.inject(goroutine) };
            // mutant: nobody is woken for it: replace shared.idle.notify() with WakeAction::Nothing
            shared.idle.notify()
        }
    };
    shared.perform_wake(wake);
}

//! Submit: where a goroutine that has become runnable waits, and who is woken for it.
//!
//! | goroutine | caller | goes to | wakes |
//! |---|---|---|---|
//! | new | worker with a processor | its deque | a searcher, if a processor is idle |
//! | unparked, stealable | worker with a processor | `run_next`; the displaced one to the deque | as above, for the displaced one |
//! | unparked, at home here | its own worker | the ring | nobody |
//! | unparked, at home elsewhere | anyone | that worker's inbox | that worker, if parked |
//! | stealable | anyone else | the injector | a searcher, if a processor is idle |
//!
//! Nothing here suspends the caller.
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

/// Why a goroutine was not spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpawnRefusal {
    Limit,
    Stopping,
    /// There is no stack for one more.
    Stack(StackError),
    /// The caller is in the child of a fork, and the runtime is not.
    Forked,
}

/// Spawns a goroutine; gives the closure back where that is refused. `caller` is the calling thread's
/// worker, if it is one.
///
/// # Safety
/// What `f` borrows and what it returns stays valid until the goroutine has ended, or is never
/// reclaimed.
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
    // SAFETY: the cell is vacant and ours until it is queued.
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
            // SAFETY: it is new, so it is in no queue.
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

/// As [`unpark`], without a reference: for the goroutine of this id, or, if that has ended since, for
/// nobody. Never suspends.
///
/// # Safety
/// The caller is on a worker of that goroutine's runtime: so the cell stays, whosever it is.
#[inline]
pub(crate) unsafe fn unpark_if(goroutine: Ptr, id: u64) {
    if SPEC && goroutine.id() != id {
        return;
    }
    let _acting = goroutine.unparking();
    apply(goroutine, goroutine.word.unpark_if(id));
}

/// Does what an unpark was told to. In the child of a fork, nothing for a goroutine of the parent's: it runs
/// there, and here the locks of its runtime may be held by threads that don't exist.
#[inline]
fn apply(goroutine: Ptr, action: UnparkAction) {
    match action {
        UnparkAction::Nothing => {}
        UnparkAction::Enqueue => ready(goroutine),
        UnparkAction::WakeInPlace => {
            // Without a home it has seen its permit and gone on.
            let Some(home) = goroutine.bound_to() else { return };
            // SAFETY: a cell that is out keeps its runtime's memory.
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
    // SAFETY: a parked goroutine's cell is out, and keeps its runtime's memory.
    let shared = unsafe { &*goroutine.shared };
    match goroutine.bound_to().filter(|_| !fault("away from home")) {
        Some(home) => ready_bound(shared, goroutine, home),
        None => ready_anywhere(shared, goroutine),
    }
}

#[inline]
fn ready_bound(shared: &Shared, goroutine: Ptr, home: WorkerId) {
    // The ring is the thread's, not its processor's: nothing is to be entered for it.
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
            // SAFETY: it was just unparked, so it is in no queue. [S2]
            unsafe { shared.inject(goroutine) };
            // mutant: nobody is woken for it: replace shared.idle.notify() with WakeAction::Nothing
            shared.idle.notify()
        }
    };
    shared.perform_wake(wake);
}

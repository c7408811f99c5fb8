//! Wired goroutines. A goroutine that has changed its kernel thread (its namespaces, its signal mask, ...)
//! is wired: it has that thread for itself, as after Go's `LockOSThread`.
//!
//! - `wire` (the goroutine): the goroutine becomes bound to its worker, and the worker is *alone*.
//! - A worker that is alone runs only goroutines that are bound to it. It gives its processor away when
//!   none of them is runnable, or when other goroutines have waited for a slice.
//! - `unwire` (the goroutine): the goroutine has undone its change.
//! - `reap_wired` (its worker, at the goroutine's end): the worker undoes the change if it can. Otherwise
//!   the kernel thread ends, and another thread takes its place.
//!
//! A thread that is alone starts no other threads of the runtime, because they would inherit the change.
//! The monitor starts them instead. A simulation has one kernel thread and wires no goroutine.
//!
//! [A2] While a goroutine is wired, no other goroutine runs on its kernel thread, except those that are
//! pinned there.
//! [A3] No goroutine runs on a kernel thread that a wired goroutine has changed for good, after that
//! goroutine has ended.
//! Checked by: verification/loom/wired.rs, proptests/kernel/wired.rs.

use super::cell::Ptr;
use super::config::Placement;
use super::current::{current, current_worker};
use super::processor::ProcessorGuard;
use super::worker::Worker;
use crate::platform::kernel_thread;
use crate::platform::kernel_thread::{AlternateStack, Mask};
use crate::platform::{MODELLED, thread_id};
use crate::sched::idle::{Sources, WakeReason};
use std::cell::Cell;

/// A set of flags that say what a goroutine has changed of its kernel thread.
pub type Change = u8;
/// The signal mask. It is restored at the latest when the goroutine ends.
pub const MASK: Change = 1;
/// The alternate stack of signal handlers. It is restored at the latest when the goroutine ends.
pub const STACK: Change = 2;
/// Any other change. Such a change cannot be undone.
pub const FOR_GOOD: Change = 4;

/// Says which goroutines a worker runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The goroutines of its processor, and those that are bound to this worker.
    Usual,
    /// Only goroutines that are bound to this worker, because the worker is alone: see `wired`.
    AtHome,
    /// The goroutines that the seed of a simulation chooses.
    BySeed,
}

/// What wired goroutines have changed of a worker's kernel thread. Only that thread touches it.
#[derive(Default)]
pub(crate) struct Wiring {
    /// The number of goroutines that are wired here.
    goroutines: Cell<usize>,
    /// A goroutine that is no longer wired here has changed the thread for good.
    is_spoiled: Cell<bool>,
    /// The state of the thread at its start. In a simulation `kernel_id` is not set.
    kernel_id: Cell<u32>,
    mask: Cell<Mask>,
    stack: Cell<AlternateStack>,
}

/// Returns the calling goroutine and its worker, if the goroutine may be wired, which means that it has its
/// own thread-locals. Returns `None` in a simulation, and in the child of a `vfork`, which shares its
/// parent's memory.
fn caller<'a>() -> Option<(&'a Worker, Ptr)> {
    let (worker, goroutine) = current()?;
    let config = &worker.shared().config;
    (config.placement == Placement::Isolated
        && (MODELLED || worker.wiring.kernel_id.get() == thread_id()))
    .then_some((worker, goroutine))
}

/// Notes that the calling goroutine has changed its kernel thread. Takes no lock, because a signal handler
/// may call it.
pub fn wire(change: Change) {
    let Some((worker, goroutine)) = caller() else { return };
    let before = goroutine.own.wired.get();
    goroutine.own.wired.set(before | change);
    if before != 0 {
        return;
    }
    if goroutine.own.pins.get() == 0 {
        goroutine.bind_to(Some(worker.id));
        worker.add_bound(1);
    }
    let wiring = &worker.wiring;
    wiring.goroutines.set(wiring.goroutines.get() + 1);
    worker.set_alone(true);
}

/// Notes that the calling goroutine has undone a change of its kernel thread.
fn unwire(worker: &Worker, goroutine: Ptr, change: Change) {
    let left = goroutine.own.wired.get() & !change;
    goroutine.own.wired.set(left);
    if left == 0 {
        worker.end_wiring(false);
        if goroutine.own.pins.get() == 0 {
            goroutine.bind_to(None);
            worker.add_bound(-1);
        }
    }
}

/// Notes that the calling goroutine has set the signal mask of its kernel thread.
pub fn note_mask(now: Mask) {
    let Some((worker, goroutine)) = caller() else { return };
    note(worker, goroutine, MASK, worker.wiring.mask.get() == now);
}

/// Notes that the calling goroutine has set the alternate stack of its kernel thread.
#[allow(dead_code, reason = "unused where nothing is interposed")]
pub(crate) fn note_stack(now: AlternateStack) {
    let Some((worker, goroutine)) = caller() else { return };
    note(worker, goroutine, STACK, worker.wiring.stack.get() == now);
}

fn note(worker: &Worker, goroutine: Ptr, change: Change, is_as_before: bool) {
    let is_noted = goroutine.own.wired.get() & change != 0;
    // mutant: a change that was taken back is kept: replace is_as_before with false
    match (is_noted, is_as_before) {
        (true, true) => unwire(worker, goroutine, change),
        (false, false) => wire(change),
        _ => {}
    }
}

/// Returns whether the calling goroutine has its kernel thread for itself. A thread that starts a child
/// process on its behalf does not have these changes.
pub(crate) fn is_wired() -> bool {
    caller().is_some_and(|(_, goroutine)| goroutine.own.wired.get() != 0)
}

impl Worker {
    fn choice(&self) -> Choice {
        self.choice.get()
    }

    /// Prepares the wiring at the start of the worker's thread.
    pub(crate) fn prepare_wiring(&self) {
        if self.shared().simulation.is_some() {
            self.choice.set(Choice::BySeed);
        } else if !MODELLED && self.shared().config.placement == Placement::Isolated {
            let wiring = &self.wiring;
            wiring.kernel_id.set(thread_id());
            wiring.mask.set(kernel_thread::mask());
            wiring.stack.set(kernel_thread::alternate_stack());
        }
    }

    /// Returns whether a goroutine is wired here, or was wired here and has spoilt the thread.
    pub(crate) fn is_alone(&self) -> bool {
        self.choice() == Choice::AtHome
    }

    fn set_alone(&self, alone: bool) {
        self.choice.set(if alone { Choice::AtHome } else { Choice::Usual });
        self.slot().set_alone(alone);
    }

    fn end_wiring(&self, spoiled: bool) {
        let wiring = &self.wiring;
        wiring.goroutines.set(wiring.goroutines.get() - 1);
        wiring.is_spoiled.set(wiring.is_spoiled.get() || spoiled);
        if wiring.goroutines.get() == 0 {
            self.set_alone(wiring.is_spoiled.get());
        }
    }

    /// Undoes what a wired goroutine has changed, because the goroutine has ended here.
    #[cold]
    pub(crate) fn reap_wired(&self, goroutine: Ptr) {
        let changes = goroutine.own.wired.take();
        if changes & MASK != 0 && !MODELLED {
            kernel_thread::set_mask(self.wiring.mask.get());
        }
        if changes & STACK != 0 {
            kernel_thread::set_alternate_stack(self.wiring.stack.get());
        }
        // mutant: a changed thread goes on: replace changes & FOR_GOOD != 0 with false
        self.end_wiring(changes & FOR_GOOD != 0);
    }

    /// Returns the next goroutine that is bound to this worker, which is alone. If none is runnable, or
    /// if other goroutines have waited for a slice, gives the processor away and waits. Then returns the reason
    /// for which the worker was woken. Also ends the thread if it is spoilt and no bound goroutine is left.
    #[cold]
    pub(crate) fn find_bound(
        &self,
        held: ProcessorGuard<'_>,
        searching: &mut bool,
    ) -> Result<Ptr, WakeReason> {
        let shared = self.shared();
        if std::mem::take(searching) {
            // mutant: drop token given back
            shared.perform_wake(shared.idle.stop_searching(self));
        }
        self.keep_own_time(held);
        self.drain_remote();
        let others_wait = || shared.has_stealable_work() || held.processor().has_next();
        if !(self.slice_is_over() && others_wait())
            && let Some(goroutine) = self.pop_bound()
        {
            self.announce_others(held);
            return Ok(goroutine);
        }
        if self.wiring.is_spoiled.get() && self.bound_count() == 0 {
            return Err(self.resign(held));
        }
        self.give_away(held);
        if self.has_bound() {
            Err(shared.idle.queue(self.id, None))
        } else {
            Err(shared.idle.sleep(self.id, None, false, self))
        }
    }

    /// Wakes a worker for the goroutines in this processor's queues, because this worker will not run them.
    fn announce_others(&self, held: ProcessorGuard<'_>) {
        let shared = self.shared();
        let next = held.processor().has_next();
        if next {
            held.flush_next(shared);
        }
        if held.local(|local| std::mem::take(&mut local.unannounced)) || next {
            shared.perform_wake(shared.idle.notify());
        }
    }

    /// Releases the processor, and moves the goroutines in its queues to where every worker looks.
    pub(crate) fn give_away(&self, held: ProcessorGuard<'_>) {
        let shared = self.shared();
        held.local(|local| local.unannounced = false);
        held.drain(shared);
        if let Some(proc) = self.proc.take() {
            shared.perform_wake(shared.idle.release(proc, || shared.has_stealable_work()));
        }
    }

    /// Ends the kernel thread, because no other goroutine may run on it.
    fn resign(&self, held: ProcessorGuard<'_>) -> WakeReason {
        self.give_away(held);
        // Before the worker slot becomes vacant, because from then on the slot belongs to the next thread.
        self.wiring.is_spoiled.set(false);
        self.set_alone(false);
        self.shared().idle.resign(self.id)
    }
}

/// Returns whether the calling thread may start other threads. A new thread would inherit what a wired
/// goroutine has changed. In a model, threads inherit nothing, and no monitor runs that could start them
/// instead.
pub(crate) fn may_start_threads() -> bool {
    MODELLED || !current_worker().is_some_and(Worker::is_alone)
}

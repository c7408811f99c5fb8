//! Wired: a goroutine that has changed its kernel thread (its namespaces, its signal mask, ...) has that
//! thread for itself, as after Go's `LockOSThread`.
//! wire (the goroutine): its worker becomes its home, and the worker is *alone*.
//! alone (its worker): runs goroutines at home only; gives its processor away whenever none is runnable,
//!     or others have waited for a slice.
//! unwire (the goroutine): it has taken its change back.   bury: its worker takes back what it can, or the
//!     kernel thread ends, and another one takes its place.
//! A thread that is alone starts no other threads of the runtime, since they would inherit what was changed:
//! the monitor does, in its place.
//! A simulation has one kernel thread, and wires nobody.
//! [A2] While a goroutine is wired, no other one runs on its kernel thread, but those that are pinned there.
//! [A3] No goroutine runs on a kernel thread that a wired one has changed for good, once that has ended.
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

/// What a goroutine has changed of its kernel thread: a set of these.
pub type Change = u8;
/// The signal mask. It is taken back at the latest when the goroutine ends.
pub const MASK: Change = 1;
/// The alternate stack of signal handlers. As `MASK`.
pub const STACK: Change = 2;
/// Anything else.
pub const FOR_GOOD: Change = 4;

/// Which goroutines a worker runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Those of its processor, and those that are at home here.
    Usual,
    /// Those that are at home here: see `wired`.
    AtHome,
    /// Whichever the seed of a simulation says.
    BySeed,
}

/// Of a worker: what wired goroutines have made of its kernel thread. Its thread's own.
#[derive(Default)]
pub(crate) struct Wiring {
    /// Goroutines that are wired here.
    goroutines: Cell<usize>,
    /// One that is wired no more has changed it for good.
    is_spoiled: Cell<bool>,
    /// How the thread began. In a simulation it has no number.
    kernel_id: Cell<u32>,
    mask: Cell<Mask>,
    stack: Cell<AlternateStack>,
}

/// The calling goroutine, if it has thread-locals of its own, and so may be wired; and its worker. In a
/// simulation there is none, nor in the child of a `vfork`, which has its parent's memory.
fn caller<'a>() -> Option<(&'a Worker, Ptr)> {
    let (worker, goroutine) = current()?;
    let config = &worker.shared().config;
    (config.placement == Placement::Isolated
        && (MODELLED || worker.wiring.kernel_id.get() == thread_id()))
    .then_some((worker, goroutine))
}

/// The calling goroutine has changed its kernel thread. Takes no lock, since a signal handler may do so.
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

/// The calling goroutine has taken a change back.
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

/// The calling goroutine has set its kernel thread's signal mask.
pub fn note_mask(now: Mask) {
    let Some((worker, goroutine)) = caller() else { return };
    note(worker, goroutine, MASK, worker.wiring.mask.get() == now);
}

/// The calling goroutine has set its kernel thread's alternate stack.
#[allow(dead_code, reason = "not where nothing is interposed")]
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

/// Whether the calling goroutine has its kernel thread for itself, which the thread that starts a child
/// in its place has not.
pub(crate) fn is_wired() -> bool {
    caller().is_some_and(|(_, goroutine)| goroutine.own.wired.get() != 0)
}

impl Worker {
    fn choice(&self) -> Choice {
        self.choice.get()
    }

    /// The thread begins.
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

    /// Whether a goroutine is wired here, or one was that has spoilt the thread.
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

    /// A wired goroutine has ended here.
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

    /// The next goroutine at home, for a worker that is alone; without one, what the worker learns when it
    /// next has a processor.
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

    /// What this processor has in its queues will not be run here.
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

    /// Puts the processor down, and what waits in its queues where every worker looks.
    pub(crate) fn give_away(&self, held: ProcessorGuard<'_>) {
        let shared = self.shared();
        held.local(|local| local.unannounced = false);
        held.drain(shared);
        if let Some(proc) = self.proc.take() {
            shared.perform_wake(shared.idle.release(proc, || shared.has_stealable_work()));
        }
    }

    /// The kernel thread ends, as nobody else may run on it.
    fn resign(&self, held: ProcessorGuard<'_>) -> WakeReason {
        self.give_away(held);
        // Before the seat is vacant: it is the next thread's then.
        self.wiring.is_spoiled.set(false);
        self.set_alone(false);
        self.shared().idle.resign(self.id)
    }
}

/// Whether the calling thread may start others, which inherit what a wired goroutine has changed. In a
/// model they inherit nothing, and there is no monitor to do it.
pub(crate) fn may_start_threads() -> bool {
    MODELLED || !current_worker().is_some_and(Worker::is_alone)
}

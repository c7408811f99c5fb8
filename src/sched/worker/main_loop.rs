//! The life of a worker's kernel thread (`impl Worker`). `work` finds a goroutine, runs it until it leaves
//! its stack, and repeats this. If the worker has no processor or no work, it sleeps.
//! Checked by: verification/loom/sched.rs, verification/shuttle/, proptests/runtime/lifecycle.rs.

use crate::fiber::overflow;
use crate::platform::tls;
use crate::sched::core::wired::Choice;
use crate::sched::core::worker::{Thread, Worker};
use crate::sched::idle::{Sources, WakeReason};
use std::ptr;

impl Worker {
    // ---- the thread ------------------------------------------------------------------------------

    /// Runs the worker's kernel thread until the worker is stopped or reaped.
    pub(crate) fn main(&self) -> WakeReason {
        overflow::ensure_alternate_stack();
        // SAFETY: the pointer leads to this worker. The thread holds a count of the runtime, so the worker
        // stays allocated.
        unsafe { tls::set_worker(ptr::from_ref(self).cast()) };
        let this = Thread::this();
        *self.thread.lock() = Some(this);
        self.prepare_wiring();
        let mut awake = self.shared().idle.wait_for_assignment(self.id);
        loop {
            awake = match awake {
                WakeReason::Run { proc, searching } => {
                    self.proc.set(Some(proc));
                    self.slice_start.set(None);
                    self.work(searching)
                }
                WakeReason::Stop | WakeReason::Reaped => break,
            };
        }
        let mut known = self.thread.lock();
        // The worker slot of a reaped worker may already belong to a new thread.
        if known.is_some_and(|thread| thread.kernel_id == this.kernel_id) {
            *known = None;
        }
        drop(known);
        // SAFETY: `set_worker` accepts a null pointer, which means that the thread has no worker.
        unsafe { tls::set_worker(ptr::null()) };
        awake
    }

    /// Runs goroutines until there is none, or until the processor is gone. Returns the reason for which
    /// the worker was then woken.
    fn work(&self, mut searching: bool) -> WakeReason {
        let shared = self.shared();
        loop {
            // mutant: drop resched_requested
            if shared.idle.resched_requested()
                && let Some(awake) = self.handle_resched(&mut searching)
            {
                return awake;
            }
            let Some(held) = self.held() else { return self.reacquire_processor() };
            let found = match self.choice.get() {
                Choice::Usual => self.find(held),
                Choice::BySeed => self.pick(held),
                Choice::AtHome => match self.find_bound(held, &mut searching) {
                    Ok(goroutine) => Some(goroutine),
                    Err(awake) => return awake,
                },
            };
            let found = match found {
                Some(goroutine) => Some(goroutine),
                None if self.keep_own_time(held) || self.look_at_sockets(held) => continue,
                None => self.search(held, &mut searching),
            };
            let Some(goroutine) = found else { return self.park_worker(searching) };
            if std::mem::take(&mut searching) {
                // mutant: drop token given back
                shared.perform_wake(shared.idle.stop_searching(self));
            }
            self.run(held, goroutine);
        }
    }

    // ---- processors --------------------------------------------------------------------------------

    /// Waits for a processor if one is needed. The processor was retaken while a goroutine ran, or this
    /// function releases it.
    fn reacquire_processor(&self) -> WakeReason {
        // A worker that is alone does not look for shared work again before it sleeps.
        if self.is_alone()
            && let Some(held) = self.held()
        {
            // mutant: drop what others get
            self.give_away(held);
        }
        let held = self.proc.take();
        let idle = &self.shared().idle;
        // mutant: sleep though work is at home: replace self.has_bound() with false
        if self.has_bound() {
            idle.queue(self.id, held)
        } else {
            idle.sleep(self.id, held, false, self)
        }
    }

    /// Handles a resched request: another worker queues for a processor, or the runtime shrinks or stops.
    #[cold]
    fn handle_resched(&self, searching: &mut bool) -> Option<WakeReason> {
        let shared = self.shared();
        let held = self.held()?;
        let retired = held.processor().id >= shared.idle.active();
        if !retired && !shared.is_stopping() && !self.slice_is_over() {
            return None;
        }
        if std::mem::take(searching) {
            // mutant: drop token given back
            shared.perform_wake(shared.idle.stop_searching(self));
        }
        // mutant: nothing is handed over: replace retired || shared.is_stopping() with false
        if retired || shared.is_stopping() {
            held.drain(shared);
        } else {
            // mutant: drop flush of run_next
            held.flush_next(shared);
        }
        // The goroutines in the queues are for other workers while this one waits for a processor. [I1]
        // mutant: drop wake for what is handed over
        shared.perform_wake(shared.idle.notify());
        Some(self.reacquire_processor())
    }
}

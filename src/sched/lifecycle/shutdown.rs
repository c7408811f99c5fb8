//! Shutdown drains a runtime, or stops it and reports which goroutines have not ended.
//! drain: wait until the last goroutine has ended.   stop: every worker releases its processor at its next
//! decision; goroutines that have not begun are dropped, suspended goroutines are leaked, and their joiners learn
//! that there will be no result.
//! [T1] After `stop` no goroutine is resumed.  [T2] Every joiner gets a result or an error.
//! [T3] The memory of a suspended goroutine's stack and of its kernel thread is not freed.  [T6] of `leavers`.
//! [T5] `stop` returns whatever foreign code does meanwhile, if the destructors that it calls or waits for return.
//! `stop` waits for no goroutine in user code and for no hook, and it does not join the thread on which it runs.
//! Checked by: verification/loom/shutdown.rs, verification/loom/join.rs, verification/shuttle/shutdown.rs,
//! proptests/runtime/lifecycle.rs.

use crate::observe::AbortIfUnwinding;
use crate::platform::{Arc, clock, foreign, panicking};
use crate::sched::core::cell::Ptr;
use crate::sched::core::current::current;
use crate::sched::core::runtime::Shared;
use crate::sched::core::wake_handle::WakeHandle;
use crate::sched::suspend::park;
use std::panic::Location;
use std::ptr;
use std::time::Duration;

/// A goroutine that had not ended when its runtime did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Remaining {
    /// The id of the goroutine.
    pub id: u64,
    /// The name of the goroutine, if it has a name.
    pub name: Option<String>,
    /// What the goroutine was doing.
    pub state: RemainingState,
    /// Where the goroutine last suspended, if it ever did.
    pub place: Option<&'static Location<'static>>,
}

/// What a goroutine was doing when its runtime ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemainingState {
    /// The goroutine had not begun. The runtime has dropped its closure.
    NotBegun,
    /// The goroutine was parked.
    Parked,
    /// The goroutine was runnable, and waited to run.
    Runnable,
    /// The goroutine was in user code. Its kernel thread continues to run it until it suspends or ends.
    Running,
}

/// How often `stop` checks whether workers have left, and a draining goroutine whether the others have ended.
const POLL: Duration = Duration::from_millis(1);

impl Shared {
    /// Waits until no goroutine is alive, or, if the caller is a goroutine of this runtime, until no other
    /// goroutine is alive. Returns false if this takes longer than `limit`. Blocks the kernel thread. A goroutine
    /// of this runtime parks instead, so that goroutines bound to the same worker can end.
    pub(crate) fn drain(&self, limit: Duration, place: &'static Location<'static>) -> bool {
        self.start_draining();
        let start = clock::now();
        let is_own = current().is_some_and(|(worker, _)| ptr::eq(worker.shared, self));
        let may_sleep = is_own && park::may_suspend() && !panicking();
        let mut guard = self.drain.lock();
        while self.live() > usize::from(is_own) {
            let spent = Duration::from_nanos(clock::now() - start);
            let Some(left) = limit.checked_sub(spent).filter(|left| !left.is_zero()) else {
                return false;
            };
            guard = if may_sleep {
                drop(guard);
                let until = clock::now() + left.min(POLL).as_nanos() as u64;
                park::sleep_until(place, until);
                self.drain.lock()
            } else {
                self.drained.wait_timeout(guard, left).0
            };
        }
        if !is_own {
            self.idle.spec.drained();
        }
        true
    }

    /// Ends the runtime, and returns the goroutines that have not ended. Must be called only once. Waits for
    /// workers inside the runtime and for destructors, but for no other foreign code. [T1] [T5]
    pub(crate) fn stop(this: &Arc<Shared>) -> Vec<Remaining> {
        // If this function unwound, the cells would be freed while handles still refer to them.
        let bomb = AbortIfUnwinding("stop");
        this.idle.stop(|| this.set_stopping());
        // mutant: drop end of the helpers
        this.helpers.stop();
        this.timers.wake();
        let mut guard = this.drain.lock();
        let left = loop {
            if let Some(left) = this.idle.when_stopped(|| this.remaining()) {
                break left;
            }
            guard = this.drained.wait_timeout(guard, POLL).0;
        };
        drop(guard);
        park::in_place(this, || this.tell_and_drop(&left));
        this.close();
        std::mem::forget(bomb);
        left.into_iter().map(|(_, remaining)| remaining).collect()
    }

    /// Tells the joiners of the goroutines in `left` that there will be no result, drops goroutines that have not
    /// begun, and joins threads.
    /// All of this calls foreign code, which may join any of these goroutines. Therefore each goroutine is marked
    /// as abandoned before the first joiner is woken. [T2] [T5]
    fn tell_and_drop(&self, left: &[(Ptr, Remaining)]) {
        let mut joiners = Vec::new();
        for (goroutine, remaining) in left {
            // mutant: drop word to the joiners
            joiners.extend(self.abandon(*goroutine, remaining.state));
        }
        for joiner in joiners {
            // SAFETY: the caller of `stop` holds a count of the runtime, so it stays allocated until `stop`
            // returns. A joiner that is known only by its id belongs to this runtime.
            // mutant: drop wake of the joiners
            unsafe { joiner.wake() };
        }
        for (goroutine, remaining) in left {
            if remaining.state == RemainingState::NotBegun {
                // mutant: drop end of who has not begun
                drop_unbegun(*goroutine);
            }
        }
        self.join_threads();
    }

    /// Joins the threads that have nothing more to do, and so waits for the destructors of their thread-locals.
    /// [T6] Does not join the calling thread: a thread-local of a worker that was no longer needed may own the
    /// runtime.
    fn join_threads(&self) {
        let threads: Vec<_> = self.threads.lock().iter_mut().map(Option::take).collect();
        let workers = self.workers.len();
        for (id, thread) in threads.into_iter().enumerate() {
            let Some(thread) = thread else { continue };
            // A worker in user code comes back only when that code returns, and a worker with bound goroutines
            // stays.
            let ends = id >= workers
                || (self.idle.is_vacant(id as u32) && self.workers[id].bound_count() == 0);
            if ends && !thread.is_caller() {
                thread.join();
            }
        }
        self.helpers.await_idle();
        self.leavers.join();
    }

    /// Lists the goroutines that have not ended. The caller must know that no worker is inside the runtime.
    fn remaining(&self) -> Vec<(Ptr, Remaining)> {
        let mut left = Vec::new();
        self.pool.each(|goroutine| {
            if goroutine.is_alive() {
                let name = goroutine.name().map(str::to_owned);
                let state = self.state_of(goroutine);
                let place = goroutine.place();
                left.push((goroutine, Remaining { id: goroutine.id(), name, state, place }));
            }
        });
        self.idle.spec.ended(left.iter().map(|(goroutine, _)| goroutine.key()));
        left
    }

    /// Abandons a goroutine and returns its joiner, which the caller must wake. A running goroutine does both
    /// itself when it ends or suspends. [T2]
    fn abandon(&self, goroutine: Ptr, state: RemainingState) -> Option<WakeHandle> {
        match state {
            RemainingState::Running => None,
            _ => goroutine.abandon(),
        }
    }

    fn state_of(&self, goroutine: Ptr) -> RemainingState {
        if goroutine.word.is_parked_in_place() {
            return RemainingState::Parked;
        }
        let runs = |id| self.workers[id as usize].current() == goroutine.raw().as_ptr();
        if (0..self.idle.used_slots()).any(runs) {
            return RemainingState::Running;
        }
        match (goroutine.has_begun(), goroutine.word.is_parked()) {
            (false, _) => RemainingState::NotBegun,
            (true, true) => RemainingState::Parked,
            (true, false) => RemainingState::Runnable,
        }
    }

    /// Returns the caches of the processors to their pools. The remaining memory is freed with the last cell.
    fn close(self: &Arc<Shared>) {
        for processor in self.processors.iter() {
            // SAFETY: no worker has a processor any more, and none will get one. [T1]
            unsafe { processor.held() }.local(|local| {
                self.stack_pool.give(local.fibers.drain(..));
                Shared::give_cells(Arc::as_ptr(self), local.cells.drain(..));
            });
        }
        // Each of the remaining slots contains the stack of a suspended goroutine. [T3]
        for (_, stack_pool) in self.stack_pools() {
            stack_pool.trim(0, usize::MAX);
            drop(stack_pool.release(0, || 0));
        }
        // This count is taken before the pool closes, because after that the last cell, on any thread, drops the
        // count in `give_cells`.
        let for_cells = Arc::clone(self);
        if self.pool.close() > 0 {
            std::mem::forget(for_cells);
        }
    }
}

/// Drops the closure of a goroutine that will not run. Never unwinds, because the other goroutines must be ended,
/// too. [Q2]
fn drop_unbegun(goroutine: Ptr) {
    let body = goroutine.body.with_mut(|body| body);
    // SAFETY: `body` points to the payload of the goroutine. The spawn wrote the closure into it, and no worker has
    // run the closure or will run it. [T1]
    foreign::call(|| unsafe { (goroutine.vtable().drop_closure)(body) });
    goroutine.end_locals();
    if let Some(scope) = goroutine.take_scope() {
        // The scope must not treat the goroutine as completed.
        scope.child_ended(goroutine.shared, true);
    }
    crate::sched::core::cell_pool::drop_reference(goroutine);
}

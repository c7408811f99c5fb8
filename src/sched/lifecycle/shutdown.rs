//! Shutdown: drain, or stop and say who is left.
//! drain: wait until the last goroutine has ended.   stop: every worker gives up its processor at
//! its next decision; goroutines that have not begun are dropped, suspended ones are leaked, and
//! their joiners learn that there will be no result.
//! [T1] After `stop` no goroutine is resumed.  [T2] Every joiner gets a result or an error.
//! [T3] The memory of a suspended goroutine's stack and kernel thread stays.  [T6] of `leavers`.
//! [T5] `stop` returns whatever foreign code does meanwhile, if the destructors that it calls or waits for end:
//! it waits for no goroutine in user code and no hook, and joins no thread that it runs on.
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
    /// Its id.
    pub id: u64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What it did.
    pub state: RemainingState,
    /// Where it last suspended, if it did.
    pub place: Option<&'static Location<'static>>,
}

/// What a goroutine did when its runtime ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemainingState {
    /// It had not begun; its closure was dropped.
    NotBegun,
    /// It was parked.
    Parked,
    /// It could have run on.
    Runnable,
    /// It was in user code, on a kernel thread that goes on until its next suspension.
    Running,
}

/// How often `stop` looks whether workers in user code have come back.
const POLL: Duration = Duration::from_millis(1);

impl Shared {
    /// Waits until no goroutine is alive, or, called by one of its own, until none of the others is; false
    /// if that takes longer than `limit`. Blocks the kernel thread; one of its own goroutines sleeps, so that
    /// those at home beside it may end.
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

    /// Ends the runtime; who is left, is returned. Called once. Waits for workers inside the runtime, and for
    /// destructors; for no other foreign code. [T1] [T5]
    pub(crate) fn stop(this: &Arc<Shared>) -> Vec<Remaining> {
        // An unwinding out of here would free the cells under their handles.
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

    /// Tells the joiners of those who are `left`, drops what has not begun, joins threads. All of this calls foreign
    /// code, which may join any of the goroutines: so each has its answer before the first joiner is woken. [T2]
    /// [T5]
    fn tell_and_drop(&self, left: &[(Ptr, Remaining)]) {
        let mut joiners = Vec::new();
        for (goroutine, remaining) in left {
            // mutant: drop word to the joiners
            joiners.extend(self.abandon(*goroutine, remaining.state));
        }
        for joiner in joiners {
            // SAFETY: the runtime is in place until `stop` returns, and a joiner known by its id is of it.
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

    /// Waits for the threads that have nothing more to do, their thread-locals' destructors included. [T6] Not
    /// for the calling one: a thread-local of a worker that was not needed any more may hold the runtime.
    fn join_threads(&self) {
        let threads: Vec<_> = self.threads.lock().iter_mut().map(Option::take).collect();
        let workers = self.workers.len();
        for (id, thread) in threads.into_iter().enumerate() {
            let Some(thread) = thread else { continue };
            // A worker in user code comes back when it does; one that is somebody's home stays.
            let ends = id >= workers
                || (self.idle.is_vacant(id as u32) && self.workers[id].bound_count() == 0);
            if ends && !thread.is_caller() {
                thread.join();
            }
        }
        self.helpers.await_idle();
        self.leavers.join();
    }

    /// Who has not ended. No worker is inside the runtime.
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

    /// Leaves word for its joiner, which the caller must wake. One in user code will do both itself, when it ends or
    /// suspends. [T2]
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

    /// Gives back what the processors have at hand, and leaves the memory to the cells still out.
    fn close(self: &Arc<Shared>) {
        for processor in self.processors.iter() {
            // SAFETY: no worker has a processor any more, nor will. [T1]
            unsafe { processor.held() }.local(|local| {
                self.stack_pool.give(local.fibers.drain(..));
                Shared::give_cells(Arc::as_ptr(self), local.cells.drain(..));
            });
        }
        // What is left has a suspended goroutine's stack in it. [T3]
        for (_, stack_pool) in self.stack_pools() {
            stack_pool.trim(0, usize::MAX);
            drop(stack_pool.release(0, || 0));
        }
        // Counted before the pool closes: from then on the last cell, on whatever thread, gives this
        // count back in `give_cells`.
        let for_cells = Arc::clone(self);
        if self.pool.close() > 0 {
            std::mem::forget(for_cells);
        }
    }
}

/// Drops the closure of a goroutine that will not run. Never unwinds: the others are to end, too. [Q2]
fn drop_unbegun(goroutine: Ptr) {
    let body = goroutine.body.with_mut(|body| body);
    // SAFETY: written at its spawn, never run, and no worker will. [T1]
    foreign::call(|| unsafe { (goroutine.vtable().drop_closure)(body) });
    goroutine.end_locals();
    if let Some(scope) = goroutine.take_scope() {
        // The scope must not take it for done.
        scope.child_ended(goroutine.shared, true);
    }
    crate::sched::core::cell_pool::drop_reference(goroutine);
}

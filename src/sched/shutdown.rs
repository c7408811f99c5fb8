//! Shutdown: drain, or stop and say who is left.
//! drain: wait until the last goroutine has ended.   stop: every worker gives up its processor at
//! its next decision; goroutines that have not begun are dropped, suspended ones are leaked, and
//! their joiners learn that there will be no result.
//! [T1] After `stop` no goroutine is resumed.  [T2] Every joiner gets a result or an error.
//! [T3] The memory of a suspended goroutine's stack and kernel thread stays.
//! Checked by: verification/loom/shutdown.rs, verification/loom/join.rs, verification/shuttle/shutdown.rs,
//! proptests/runtime/lifecycle.rs.

use super::goroutine::Ptr;
use super::shared::Shared;
use crate::platform::{Arc, clock};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
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
    /// Waits until no goroutine is alive; false if that takes longer than `limit`.
    pub(crate) fn drain(&self, limit: Duration) -> bool {
        self.start_draining();
        let start = clock::now();
        let mut guard = self.drain.lock();
        while self.live() > 0 {
            let spent = Duration::from_nanos(clock::now() - start);
            let Some(left) = limit.checked_sub(spent).filter(|left| !left.is_zero()) else {
                return false;
            };
            guard = self.drained.wait_timeout(guard, left).0;
        }
        self.roster.spec.drained();
        true
    }

    /// Ends the runtime; who is left, is returned. Called once. [T1]
    pub(crate) fn stop(this: &Arc<Shared>) -> Vec<Remaining> {
        this.roster.stop(|| this.set_stopping());
        // mutant: drop end of the helpers
        this.helpers.stop();
        this.timers.wake();
        let mut guard = this.drain.lock();
        let left = loop {
            if let Some(left) = this.roster.when_stopped(|| this.remaining()) {
                break left;
            }
            guard = this.drained.wait_timeout(guard, POLL).0;
        };
        drop(guard);
        this.join_threads();
        // All joiners first: what is dropped below may join any of them.
        for (goroutine, remaining) in &left {
            // mutant: drop word to the joiners
            this.abandon(*goroutine, remaining.state);
        }
        for (goroutine, remaining) in &left {
            if remaining.state == RemainingState::NotBegun {
                // mutant: drop end of who has not begun
                drop_unbegun(*goroutine);
            }
        }
        this.close();
        left.into_iter().map(|(_, remaining)| remaining).collect()
    }

    /// Waits for the threads that have nothing more to do.
    fn join_threads(&self) {
        let threads: Vec<_> = self.threads.lock().iter_mut().map(Option::take).collect();
        let workers = self.workers.len();
        for (id, thread) in threads.into_iter().enumerate() {
            let Some(thread) = thread else { continue };
            // A worker in user code comes back when it does; one that is somebody's home stays.
            let ends = id >= workers
                || (self.roster.is_vacant(id as u32) && self.workers[id].homed() == 0);
            if ends {
                thread.join();
            }
        }
    }

    /// Who has not ended. No worker is inside the runtime.
    fn remaining(&self) -> Vec<(Ptr, Remaining)> {
        let mut left = Vec::new();
        self.pool.each(|goroutine| {
            if goroutine.is_pending() {
                let name = goroutine.name().map(str::to_owned);
                let state = self.state_of(goroutine);
                let place = goroutine.place();
                left.push((goroutine, Remaining { id: goroutine.id(), name, state, place }));
            }
        });
        self.roster.spec.ended(left.iter().map(|(goroutine, _)| goroutine.key()));
        left
    }

    /// Lets its joiner know. One in user code will do so itself, when it ends or suspends. [T2]
    fn abandon(&self, goroutine: Ptr, state: RemainingState) {
        match state {
            RemainingState::NotBegun => goroutine.abandon(),
            RemainingState::Parked | RemainingState::Runnable => {
                self.arena.leak();
                goroutine.abandon();
            }
            RemainingState::Running => {}
        }
    }

    fn state_of(&self, goroutine: Ptr) -> RemainingState {
        if goroutine.word.is_parked_in_place() {
            return RemainingState::Parked;
        }
        let runs = |id| self.workers[id as usize].current() == goroutine.raw().as_ptr();
        if (0..self.roster.used_seats()).any(runs) {
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
                self.arena.give(local.fibers.drain(..));
                Shared::give_cells(Arc::as_ptr(self), local.cells.drain(..));
            });
        }
        // Counted before the pool closes: from then on the last cell, on whatever thread, gives this
        // count back in `give_cells`.
        let for_cells = Arc::clone(self);
        if self.pool.close() > 0 {
            std::mem::forget(for_cells);
        }
    }
}

/// Drops the closure of a goroutine that will not run.
fn drop_unbegun(goroutine: Ptr) {
    // A destructor that panics must not keep the others from ending; the panic hook has spoken.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let body = goroutine.body.with_mut(|body| body);
        // SAFETY: written at its spawn, never run, and no worker will. [T1]
        unsafe { (goroutine.vtable().drop_closure)(body) };
    }));
    let _ = catch_unwind(AssertUnwindSafe(|| goroutine.end_locals()));
    if let Some(group) = goroutine.take_group() {
        // The scope must not take it for done.
        group.leave(true);
    }
    super::pool::drop_reference(goroutine);
}

//! Join handles: who waits for a goroutine, and takes its result.
#![allow(unsafe_code)]

use crate::error::JoinError;
use crate::sched::goroutine::{Joined, Ref};
use crate::sched::suspend;
use crate::sched::task::Outcome;
use crate::sched::waiter::Waiter;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;

/// The right to wait for a goroutine and to take its result.
///
/// Dropping it detaches the goroutine, which goes on; its result is then dropped, and a panic is
/// counted in [`Metrics::unclaimed_panics`](crate::Metrics::unclaimed_panics). Dropping never
/// suspends.
pub struct JoinHandle<T> {
    goroutine: Ref,
    result: PhantomData<T>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(goroutine: Ref) -> Self {
        JoinHandle { goroutine, result: PhantomData }
    }

    /// Waits for the goroutine to end: parks a calling goroutine, blocks a plain thread.
    ///
    /// # Errors
    /// If it panicked, or if its runtime ended first.
    ///
    /// # Panics
    /// If a goroutine joins itself, which could never end.
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        let place = Location::caller();
        self.join_by(suspend::waiter, || suspend::park(place))
    }

    #[track_caller]
    pub(crate) fn join_by(
        self,
        waiter: impl FnOnce() -> Waiter,
        wait: impl Fn(),
    ) -> Result<T, JoinError> {
        // Until the result is taken, a panic here drops the handle as usual.
        let goroutine = self.goroutine.ptr();
        let mut waiter = Some(waiter);
        loop {
            let register = || {
                let waiter = waiter.take().expect("registered once")();
                if waiter.is(goroutine) {
                    panic!("a goroutine can't join itself: send the handle to somebody else");
                }
                waiter
            };
            match goroutine.join(register) {
                Joined::Done => break,
                Joined::Abandoned => return Err(JoinError::abandoned(&self.goroutine)),
                Joined::Waiting => wait(),
            }
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: it is done; there is one join handle, and it won't be dropped. [G2]
        let outcome = unsafe { this.take_outcome() };
        // SAFETY: taken out once; `this` is not used again.
        drop(unsafe { std::ptr::read(&this.goroutine) });
        outcome.map_err(JoinError::panicked)
    }

    /// Whether the goroutine has ended, so that [`join`](Self::join) returns at once.
    pub fn is_finished(&self) -> bool {
        self.goroutine.ptr().is_finished()
    }

    /// The goroutine, to be unparked or asked for its name.
    pub fn goroutine(&self) -> crate::Goroutine {
        crate::Goroutine::of(self.goroutine.clone())
    }
}

impl<T> JoinHandle<T> {
    /// Detaches the goroutine; true if it has panicked, and so nobody will hear of it otherwise.
    pub(crate) fn detach(&self) -> bool {
        let goroutine = self.goroutine.ptr();
        if !goroutine.detach() {
            return false;
        }
        // SAFETY: the result is there, and this was the one who could ask for it. [G2]
        let outcome = unsafe { self.take_outcome() };
        let panicked = outcome.is_err();
        if panicked {
            // SAFETY: a cell that is out keeps its runtime's memory.
            unsafe { &*goroutine.shared }.counters.count_panic();
        }
        panicked
    }

    /// # Safety
    /// The goroutine has left its result, and this is called once in the life of the handle.
    unsafe fn take_outcome(&self) -> Outcome<T> {
        let goroutine = self.goroutine.ptr();
        let body = goroutine.body.with_mut(|body| body);
        // SAFETY: the body has run and left an `Outcome<T>`, which nobody else reads. [G2]
        unsafe {
            let outcome = (goroutine.vtable().output)(body).cast::<Outcome<T>>().read();
            (goroutine.vtable().free)(body);
            outcome
        }
    }

    /// Does what `drop` would, and says what [`detach`](Self::detach) does.
    pub(crate) fn forget(self) -> bool {
        let this = ManuallyDrop::new(self);
        let panicked = this.detach();
        // SAFETY: taken out once; `this` is not used again.
        drop(unsafe { std::ptr::read(&this.goroutine) });
        panicked
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.detach();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goroutine = self.goroutine.ptr();
        f.debug_struct("JoinHandle")
            .field("id", &goroutine.id())
            .field("name", &goroutine.name())
            .field("finished", &self.is_finished())
            .finish()
    }
}

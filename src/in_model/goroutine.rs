//! A goroutine of a program under `check`, `random` or `pct`. It is one model thread, which waits by its parker as a
//! plain thread does. Its end and its join handle meet by the same join word as those of a real goroutine.
//! spawn: enter it in the log, start the thread.   end: leave the result, wake the joiner, leave the
//! log.
//! [G2] The result is read once: by the joiner, or dropped by the side that comes last.
//! Checked by: proptests/model/main.rs.
#![allow(unsafe_code)]

use crate::explore;
use crate::observe::run_log;
use crate::observe::run_log::{Kind, Place};
use crate::platform::cell::UnsafeCell;
use crate::platform::{Arc, MODELLED, Parker, thread, tls};
use crate::sched::core::owner_state::Attributes;
use crate::sched::core::wake_handle::{Unparker, WakeHandle};
use crate::sched::goroutine::body::Outcome;
use crate::sched::goroutine::join_word::{End, JoinWord};
use crate::structures::local_values;
use crate::structures::local_values::LocalValues;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A goroutine, and in the end its result.
pub(crate) struct Cell<T> {
    pub(crate) join: JoinWord<WakeHandle>,
    parker: Arc<Parker>,
    outcome: UnsafeCell<Option<Outcome<T>>>,
}

// SAFETY: the goroutine writes the outcome before it publishes its end. Then either the joiner reads the outcome, or
// the side that comes last drops it. [G2]
unsafe impl<T: Send> Sync for Cell<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Cell<T> {}

/// Whether the calling thread is a goroutine of this kind.
pub(crate) fn is_here() -> bool {
    MODELLED && tls::goroutine() != 0
}

/// Spawns a goroutine of the program that the caller is part of.
///
/// # Safety
/// What `f` borrows and what it returns stays valid until the goroutine has ended.
pub(crate) unsafe fn spawn<T: Send, F: FnOnce() -> T + Send>(
    attributes: Attributes,
    place: Place,
    f: F,
) -> Arc<Cell<T>> {
    run_log::thread("this goroutine");
    let id = run_log::spawned(tls::goroutine(), attributes.name.as_deref(), Some(place));
    let cell = Arc::new(Cell {
        join: JoinWord::vacant(),
        parker: Arc::new(Parker::of(id, attributes.name)),
        outcome: UnsafeCell::new(None),
    });
    // SAFETY: nobody else knows the cell yet.
    unsafe { cell.join.reset() };
    let own = Arc::clone(&cell);
    let (scope, inherited) = (attributes.scope, Inherited(attributes.locals));
    let life = move || {
        tls::set_parker(Arc::clone(&own.parker));
        inherited.arrive();
        let outcome = explore::roomy(|| catch_unwind(AssertUnwindSafe(f)));
        // Before the end is told, as a real goroutine does. What the joiner's waker makes anew, or the
        // destructor of the result, goes with the thread.
        if let Some(locals) = local_values::of_thread() {
            // SAFETY: the body has returned, so nobody refers to a value any more.
            unsafe { locals.end() };
        }
        let panic = outcome.as_ref().err().map(|payload| explore::message(&**payload).to_owned());
        if let Some(message) = &panic {
            run_log::panicked(id, message);
        }
        // SAFETY: nobody reads it before `complete`. [G2]
        own.outcome.with_mut(|place| unsafe { *place = Some(outcome) });
        let End { joiner, unclaimed } = own.join.complete();
        if let Some(joiner) = joiner {
            // SAFETY: it is a thread, or a task: a model's goroutines have no runtime.
            unsafe { joiner.wake() };
        }
        if unclaimed {
            drop(own.take_outcome());
            if scope.is_none() {
                report(id, panic.as_deref());
            }
        }
        drop(own);
        if let Some(scope) = scope {
            scope.child_ended(std::ptr::null(), panic.is_some() && unclaimed);
        }
        explore::ended(id);
    };
    let life: Box<dyn FnOnce() + Send + '_> = Box::new(life);
    // SAFETY: only the lifetime changes; the caller promises what the closure needs.
    let life: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(life) };
    thread::spawn(format!("goroutine {id}"), life).expect("a model starts any thread");
    cell
}

/// Values on their way to the goroutine that inherits them.
struct Inherited(Option<Box<LocalValues>>);

// SAFETY: what is inherited was copied for this, and is Send.
unsafe impl Send for Inherited {}

impl Inherited {
    fn arrive(self) {
        if let (Some(inherited), Some(locals)) = (self.0, local_values::of_thread()) {
            // SAFETY: the thread has just begun, so no value of its own has been reached.
            unsafe { locals.adopt(*inherited) };
        }
    }
}

/// A panic that nobody will ever hear of fails the run.
fn report(id: u32, panic: Option<&str>) {
    if let Some(message) = panic {
        let text = format!("goroutine {id} panicked, and nobody joined it: {message}");
        run_log::fail(Kind::Panic, text);
    }
}

impl<T> Cell<T> {
    /// An unparker of this goroutine.
    pub(crate) fn waiter(&self) -> Unparker {
        Unparker::Thread(Arc::clone(&self.parker))
    }

    pub(crate) fn id(&self) -> u32 {
        self.parker.goroutine()
    }

    /// Whether `wake` wakes this goroutine.
    pub(crate) fn is(&self, wake: &WakeHandle) -> bool {
        wake.is_thread(&self.parker)
    }

    /// Takes the outcome. Called once after the end, by the joiner, or by the side that finds that no handle is left. [G2]
    pub(crate) fn take_outcome(&self) -> Outcome<T> {
        // SAFETY: the joining word has told the caller that the result is there and its own.
        self.outcome.with_mut(|outcome| unsafe { (*outcome).take() }).expect("a result, read once")
    }

    /// The join handle goes without asking: the outcome, if there is one, which is the caller's to drop.
    pub(crate) fn detach(&self, is_scoped: bool) -> Option<Outcome<T>> {
        if !self.join.detach() {
            return None;
        }
        let outcome = self.take_outcome();
        let message = outcome.as_ref().err().map(|payload| explore::message(&**payload));
        if !is_scoped {
            report(self.id(), message);
        }
        Some(outcome)
    }
}

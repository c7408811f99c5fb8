//! The state word says which thread owns a goroutine's stack, and whether the goroutine has a permit.
//! park: `take_permit`, or else suspend; the worker's stack then runs `begin_park`; after the resume, `end_park`.
//! unpark: `unpark`, `unpark_if`; a waker that finds `PARKED` without a permit makes the goroutine runnable.
//!
//! | state | owner of the stack | where the goroutine is |
//! |---|---|---|
//! | `ACTIVE` | the worker that runs it, or none | on a worker, or in exactly one run queue, or ended |
//! | `PARKED` | none | in no queue; only its wakers refer to it |
//! | `PARKED` + `PERMIT` | none, until resumed | in exactly one run queue |
//! | `IN_PLACE` | its worker, which is blocked on that stack | on that worker |
//!
//! `unpark` leaves the permit in the word until the goroutine runs again, so that all unparks until then give the
//! same permit. `unpark_if` is for wakers that wake a wait only once. It delivers the permit at once (`PARKED` →
//! `ACTIVE`), which spares the goroutine a read-modify-write; a permit that is given after that is for the next
//! park. A park with a deadline may also be ended by `EXPIRED`. This makes the goroutine runnable as a permit does,
//! but is not a permit.
//!
//! [S1] A goroutine is moved to `PARKED` only from another stack, after the switch, so that no worker resumes a
//! stack in use. [S2] Of all unparks of one park, exactly one makes the goroutine runnable. [S3] A permit is
//! consumed once and is not lost. [S4] What happened before `unpark` is seen after `park`.
//! [S5] `EXPIRED` consumes no permit, and is cleared when the park that it ended returns.
//! [S6] `unpark_if` gives a permit to the goroutine of that id, or to none. The word contains the id beside the
//! state, so that a waker notices if the cell now belongs to another goroutine.
//! The word is written only by read-modify-writes, from the spawn to the end.
//! Checked by: verification/loom/state.rs, verification/loom/timers.rs, proptests/runtime/state.rs.

use crate::observe::fault;
use crate::platform::MODELLED;
use crate::platform::atomic::{AtomicU64, Ordering};
use std::fmt;

const ACTIVE: u64 = 0;
const PARKED: u64 = 1;
const IN_PLACE: u64 = 2;
const PERMIT: u64 = 4;
const EXPIRED: u64 = 8;
const ASLEEP: u64 = PARKED | IN_PLACE;
/// All bits of the state. The bits above them are the id.
const STATE: u64 = 15;
const ID: u32 = 4;

/// See the module.
pub struct StateWord {
    word: AtomicU64,
    /// A copy of the id, for holders of a reference to the goroutine.
    id: AtomicU64,
}

/// The result of an attempt to park.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginPark {
    /// The goroutine is parked. It may already run on another worker.
    Parked,
    /// A permit or the deadline came first. The goroutine is runnable, and the caller must requeue it.
    Readied,
}

/// What the caller of an unpark must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnparkAction {
    /// Nothing, because the goroutine runs, another waker has made it runnable, or it has ended. An ended goroutine
    /// stays `ACTIVE`, and its permits have no effect.
    Nothing,
    /// Put the goroutine into a run queue. [S2]
    Enqueue,
    /// Wake the worker that this goroutine has blocked.
    WakeInPlace,
}

/// What ended a park with a deadline.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// A permit, which is now consumed. The timer says whether the deadline passed, too.
    Permit,
    /// A permit, which is now consumed; the deadline passed, too.
    Both,
    /// The deadline.
    Expired,
}

impl StateWord {
    /// Makes the word of a cell that has no goroutine.
    pub fn new() -> Self {
        StateWord { word: AtomicU64::new(ACTIVE), id: AtomicU64::new(0) }
    }

    /// Prepares the word for a goroutine that is about to be queued for the first time. The caller must be the only
    /// owner of the cell. Wakers that try the cell's previous id may still touch the word.
    pub fn reset(&self, id: u64) {
        debug_assert!(id <= u64::MAX >> ID, "an id fits above the state bits");
        // Relaxed: the cell has one owner, and the queue that takes it publishes the word.
        self.id.store(id, Ordering::Relaxed);
        let word = id << ID | ACTIVE;
        if MODELLED {
            // In loom, a store might be overtaken by an exchange of `unpark_if` that read the word before it.
            self.word.swap(word, Ordering::Relaxed);
        } else {
            // Relaxed: as above. Such an exchange directly follows the value that it read, so it comes before this
            // store.
            self.word.store(word, Ordering::Relaxed);
        }
    }

    /// Returns the goroutine's id.
    pub fn id(&self) -> u64 {
        // Relaxed: constant while there is a reference.
        self.id.load(Ordering::Relaxed)
    }

    /// Consumes a permit and returns true, if there is a permit. [S3]
    pub fn take_permit(&self) -> bool {
        // Relaxed: this is only a hint that spares the read-modify-write.
        if self.word.load(Ordering::Relaxed) & PERMIT == 0 {
            return false;
        }
        // Acquire: pairs with the Release in `unpark`. [S4]
        // mutant: the permit stays: replace self.word.fetch_and(!PERMIT, Ordering::Acquire) with self.word.load(Ordering::Acquire)
        let before = self.word.fetch_and(!PERMIT, Ordering::Acquire);
        before & PERMIT != 0
    }

    /// Called on the worker's stack, after the switch. [S1]
    pub fn begin_park(&self) -> BeginPark {
        self.settle(PARKED)
    }

    /// Called by a goroutine that will block its worker instead of switching.
    pub fn begin_park_in_place(&self) -> BeginPark {
        self.settle(IN_PLACE)
    }

    fn settle(&self, to: u64) -> BeginPark {
        let id = self.id() << ID;
        // Release: pairs with the Acquire in `unpark`, so that the next owner sees the whole stack. [S1] Relaxed on
        // failure: the permit or expiry that was found is taken by `end_park`, which acquires.
        match self.word.compare_exchange(id | ACTIVE, id | to, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => BeginPark::Parked,
            Err(seen) if seen & STATE == PERMIT && fault("lost permit") => BeginPark::Parked,
            Err(seen) if seen & ASLEEP == 0 => {
                // The end of the park takes the permit, as it does for a goroutine that was made runnable while
                // parked. Relaxed: the queue publishes the goroutine, and no other thread makes it runnable.
                // mutant: the permit is left: replace self.word.fetch_or(to, Ordering::Relaxed) with seen
                self.word.fetch_or(to, Ordering::Relaxed);
                // mutant: a permit is overlooked: replace BeginPark::Readied with BeginPark::Parked
                BeginPark::Readied
            }
            Err(other) => broken("begin_park", "ACTIVE, with or without PERMIT", other),
        }
    }

    /// Called by the goroutine after the resume. Consumes the permit that ended the park, unless the permit was
    /// delivered. [S3]
    #[inline]
    pub fn end_park(&self) {
        if !self.was_delivered() {
            self.take_what_ended_it();
        }
    }

    /// Returns true if the permit that ended the park was delivered. What came before the permit is seen [S4],
    /// because the waker put the goroutine into a queue after the delivery.
    #[inline]
    fn was_delivered(&self) -> bool {
        // Relaxed: for the reason given above, this read is not older than the delivery, and no other thread parks the
        // goroutine.
        // mutant: it is delivered each time: replace self.word.load(Ordering::Relaxed) with 0
        self.word.load(Ordering::Relaxed) & ASLEEP == 0
    }

    fn take_what_ended_it(&self) {
        // Acquire: pairs with the Release in every `unpark` so far. [S4]
        let before = self.word.fetch_and(!STATE, Ordering::Acquire);
        if before & PERMIT == 0 {
            broken("end_park", "PERMIT", before);
        }
    }

    /// Like `end_park`, for a park with a deadline. [S3] [S5]
    pub fn end_timed_park(&self) -> Woken {
        if self.was_delivered() {
            return Woken::Permit;
        }
        // Acquire: pairs with the Release in every `unpark` [S4], and with that in `expire`, after which the
        // timekeeper no longer uses the timer.
        let before = self.word.fetch_and(!STATE, Ordering::Acquire);
        match (before & PERMIT != 0, before & EXPIRED != 0) {
            (true, false) => Woken::Permit,
            (true, true) => Woken::Both,
            (false, true) => Woken::Expired,
            (false, false) => broken("end_timed_park", "PERMIT or EXPIRED", before),
        }
    }

    /// Called by the goroutine after a park in place with a deadline. Returns true if there was a permit. [S3]
    pub fn end_park_in_place(&self) -> bool {
        // Acquire: as in `end_park`.
        self.word.fetch_and(!STATE, Ordering::Acquire) & PERMIT != 0
    }

    /// Called when the deadline of the goroutine's park has come. Makes the goroutine runnable without a permit.
    /// [S2] [S5]
    ///
    /// Must be called between the arming of the timer and the return of the park, or the return of the timer's
    /// cancelling.
    pub fn expire(&self) -> UnparkAction {
        // Acquire: pairs with the Release in `begin_park`. Release: pairs with the Acquire in `end_timed_park`.
        match self.word.fetch_or(EXPIRED, Ordering::AcqRel) & STATE {
            PARKED => UnparkAction::Enqueue,
            _ => UnparkAction::Nothing,
        }
    }

    /// Called by the goroutine if its timer fired after the park had ended. [S5]
    pub fn forget_expiry(&self) {
        // Relaxed: the call of `expire` is over, and the lock of the timers orders it before this.
        // mutant: drop end of the expiry
        self.word.fetch_and(!EXPIRED, Ordering::Relaxed);
    }

    /// Returns true if a goroutine that is parked in place has a permit.
    pub fn has_permit(&self) -> bool {
        // Relaxed: `end_park` acquires.
        self.word.load(Ordering::Relaxed) & PERMIT != 0
    }

    /// Gives a permit. [S2] [S3]
    pub fn unpark(&self) -> UnparkAction {
        // Acquire: pairs with the Release in `begin_park`. Release: pairs with the Acquire in `end_park` and
        // `take_permit`. [S4]
        action_after(self.word.fetch_or(PERMIT, Ordering::AcqRel))
    }

    /// Like `unpark`, for a waker that has no reference to the goroutine, and only knows that the goroutine of this
    /// id was in this cell. [S6] If the goroutine is parked, its permit is delivered.
    pub fn unpark_if(&self, id: u64) -> UnparkAction {
        // The goroutine is most probably parked.
        let mut seen = id << ID | PARKED;
        loop {
            let given = if seen & STATE == PARKED { seen ^ PARKED } else { seen | PERMIT };
            // AcqRel: as in `unpark`, also if there is a permit already. [S4] Relaxed on failure: the loop tries
            // again, or does nothing.
            match self.word.compare_exchange(seen, given, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(before) => return action_after(before),
                // mutant: whoever has the cell: replace found >> ID != id with false
                Err(found) if found >> ID != id => return UnparkAction::Nothing,
                Err(found) => seen = found,
            }
        }
    }

    /// Returns true if the goroutine is parked and no waker has unparked it.
    pub fn is_parked(&self) -> bool {
        // Relaxed: the value is only reported.
        self.word.load(Ordering::Relaxed) & STATE == PARKED
    }

    /// Returns true if the goroutine is parked in place, with its worker blocked.
    pub fn is_parked_in_place(&self) -> bool {
        // Relaxed: the value is only reported.
        self.word.load(Ordering::Relaxed) & STATE == IN_PLACE
    }
}

impl Default for StateWord {
    fn default() -> Self {
        StateWord::new()
    }
}

impl fmt::Debug for StateWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: the value is only reported.
        f.write_str(&decode(self.word.load(Ordering::Relaxed)))
    }
}

/// Returns what the caller of an unpark that found `before` must do.
fn action_after(before: u64) -> UnparkAction {
    match before & STATE {
        ACTIVE if fault("resume before settle") => UnparkAction::Enqueue,
        PARKED => UnparkAction::Enqueue,
        word if word == PARKED | PERMIT && fault("two queues") => UnparkAction::Enqueue,
        IN_PLACE => UnparkAction::WakeInPlace,
        _ => UnparkAction::Nothing,
    }
}

fn decode(word: u64) -> String {
    let state = match word & STATE & !(PERMIT | EXPIRED) {
        ACTIVE => "ACTIVE",
        PARKED => "PARKED",
        IN_PLACE => "IN_PLACE",
        _ => "IMPOSSIBLE",
    };
    let (permit, expired) = (word & PERMIT != 0, word & EXPIRED != 0);
    format!("State {{ {state}, permit: {permit}, expired: {expired}, id: {} }}", word >> ID)
}

#[cold]
fn broken(function: &str, expected: &str, found: u64) -> ! {
    crate::observe::broken(function, expected, &decode(found))
}

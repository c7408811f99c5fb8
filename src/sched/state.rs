//! State word: who owns a goroutine's stack, and whether it has a permit.
//! park: `take_permit`, else suspend; the worker's stack then runs `begin_park`; after the resume,
//! `end_park`.    unpark: `unpark`; who finds `PARKED` without a permit makes it runnable.
//!
//! | state | owner of the stack | where it is |
//! |---|---|---|
//! | `ACTIVE` | the worker that runs it, or nobody | on a worker, or in exactly one run queue, or ended |
//! | `PARKED` | nobody | nowhere but in its wakers' hands |
//! | `PARKED` + `PERMIT` | nobody, until resumed | in exactly one run queue |
//! | `IN_PLACE` | its worker, which sleeps beneath it | on that worker |
//!
//! A park with a deadline may also be ended by `EXPIRED`, which readies as a permit does, and is none.
//!
//! [S1] Only the worker's own stack moves a goroutine to `PARKED`, after the switch: nobody resumes
//! a stack in use. [S2] Of all unparks of one park, exactly one makes it runnable. [S3] A permit is
//! consumed once and is not lost. [S4] What happened before `unpark` is seen after `park`.
//! [S5] `EXPIRED` takes no permit along, and is gone when the park that it ended returns.
//! The word is written by read-modify-writes alone, from the spawn on.
//! Checked by: verification/loom/state.rs, verification/loom/timers.rs, proptests/runtime/state.rs.

use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::fault;
use std::fmt;

const ACTIVE: u32 = 0;
const PARKED: u32 = 1;
const IN_PLACE: u32 = 2;
const PERMIT: u32 = 4;
const EXPIRED: u32 = 8;

/// See the module.
pub struct StateWord(AtomicU32);

/// What became of an attempt to park.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginPark {
    /// It is parked; it may already run elsewhere.
    Parked,
    /// A permit or the deadline came first: it is runnable, and the caller requeues it.
    Readied,
}

/// What an unpark obliges the caller to do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparked {
    /// Nothing: it runs, or somebody else has readied it, or it has ended: then it stays `ACTIVE`,
    /// and its permits go nowhere.
    Nothing,
    /// Put it into a run queue. [S2]
    Enqueue,
    /// Wake the worker that sleeps beneath it.
    WakeInPlace,
}

/// What ended a park with a deadline.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// A permit, which is consumed; the deadline has not been announced.
    Permit,
    /// A permit, which is consumed, and the deadline.
    Both,
    /// The deadline.
    Expired,
}

impl StateWord {
    /// A goroutine that is about to be queued for the first time.
    pub fn new() -> Self {
        StateWord(AtomicU32::new(ACTIVE))
    }

    /// Makes the word of a recycled cell new again; the caller is its only owner.
    pub fn reset(&self) {
        // Relaxed: the cell has one owner; the queue that takes it publishes.
        self.0.store(ACTIVE, Ordering::Relaxed);
    }

    /// Consumes a permit, if there is one. [S3]
    pub fn take_permit(&self) -> bool {
        // Relaxed: only a hint that spares the read-modify-write.
        if self.0.load(Ordering::Relaxed) & PERMIT == 0 {
            return false;
        }
        // Acquire: pairs with the Release in `unpark`. [S4]
        // mutant: the permit stays: replace self.0.fetch_and(!PERMIT, Ordering::Acquire) with self.0.load(Ordering::Acquire)
        let before = self.0.fetch_and(!PERMIT, Ordering::Acquire);
        before & PERMIT != 0
    }

    /// On the worker's stack, after the switch. [S1]
    pub fn begin_park(&self) -> BeginPark {
        self.settle(PARKED)
    }

    /// The goroutine will sleep with its worker beneath it.
    pub fn begin_park_in_place(&self) -> BeginPark {
        self.settle(IN_PLACE)
    }

    fn settle(&self, to: u32) -> BeginPark {
        // Release: pairs with the Acquire in `unpark`: the next owner sees the whole stack. [S1]
        // Relaxed on failure: what readied it is taken back by `end_park`, which acquires.
        match self.0.compare_exchange(ACTIVE, to, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => BeginPark::Parked,
            Err(PERMIT) if fault("lost permit") => BeginPark::Parked,
            // mutant: a permit is overlooked: replace BeginPark::Readied with BeginPark::Parked
            Err(seen) if seen & !(PERMIT | EXPIRED) == ACTIVE => BeginPark::Readied,
            Err(other) => broken("settle", "ACTIVE, with or without PERMIT", other),
        }
    }

    /// In the goroutine, after the resume: consumes the permit that ended the park. [S3]
    pub fn end_park(&self) {
        // Acquire: pairs with the Release in every `unpark` so far. [S4]
        let before = self.0.swap(ACTIVE, Ordering::Acquire);
        if before & PERMIT == 0 {
            broken("end_park", "PERMIT", before);
        }
    }

    /// As `end_park`, of a park with a deadline. [S3] [S5]
    pub fn end_timed_park(&self) -> Woken {
        // Acquire: pairs with the Release in every `unpark` [S4], and in `expire`: the timekeeper
        // is done with the timer.
        let before = self.0.swap(ACTIVE, Ordering::Acquire);
        match (before & PERMIT != 0, before & EXPIRED != 0) {
            (true, false) => Woken::Permit,
            (true, true) => Woken::Both,
            (false, true) => Woken::Expired,
            (false, false) => broken("end_timed_park", "PERMIT or EXPIRED", before),
        }
    }

    /// In the goroutine, after a park in place with a deadline: whether there was a permit. [S3]
    pub fn end_park_in_place(&self) -> bool {
        // Acquire: as in `end_park`.
        self.0.swap(ACTIVE, Ordering::Acquire) & PERMIT != 0
    }

    /// The deadline of its park has come: readies it without a permit. [S2] [S5]
    ///
    /// Called between the arming of its timer and the return of the park, or of the cancelling.
    pub fn expire(&self) -> Unparked {
        // Acquire: pairs with the Release in `settle`. Release: pairs with the Acquire in
        // `end_timed_park`.
        match self.0.fetch_or(EXPIRED, Ordering::AcqRel) {
            PARKED => Unparked::Enqueue,
            _ => Unparked::Nothing,
        }
    }

    /// In the goroutine: its timer fired after the park had ended. [S5]
    pub fn forget_expiry(&self) {
        // Relaxed: who called `expire` is done; the timers' lock says so.
        // mutant: drop end of the expiry
        self.0.fetch_and(!EXPIRED, Ordering::Relaxed);
    }

    /// Whether a park in place has been given its permit.
    pub fn has_permit(&self) -> bool {
        // Relaxed: `end_park` acquires.
        self.0.load(Ordering::Relaxed) & PERMIT != 0
    }

    /// Gives a permit. [S2] [S3]
    pub fn unpark(&self) -> Unparked {
        // Acquire: pairs with the Release in `settle`. Release: pairs with the Acquire in
        // `end_park` and `take_permit`. [S4]
        match self.0.fetch_or(PERMIT, Ordering::AcqRel) {
            ACTIVE if fault("resume before settle") => Unparked::Enqueue,
            PARKED => Unparked::Enqueue,
            word if word == PARKED | PERMIT && fault("two queues") => Unparked::Enqueue,
            IN_PLACE => Unparked::WakeInPlace,
            _ => Unparked::Nothing,
        }
    }

    /// Whether it is parked and nobody has unparked it.
    pub fn is_parked(&self) -> bool {
        // Relaxed: a report.
        self.0.load(Ordering::Relaxed) == PARKED
    }

    /// Whether it sleeps with its worker beneath it.
    pub fn is_parked_in_place(&self) -> bool {
        // Relaxed: a report.
        self.0.load(Ordering::Relaxed) == IN_PLACE
    }
}

impl Default for StateWord {
    fn default() -> Self {
        StateWord::new()
    }
}

impl fmt::Debug for StateWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a report.
        f.write_str(&decode(self.0.load(Ordering::Relaxed)))
    }
}

fn decode(word: u32) -> String {
    let state = match word & !(PERMIT | EXPIRED) {
        ACTIVE => "ACTIVE",
        PARKED => "PARKED",
        IN_PLACE => "IN_PLACE",
        _ => "IMPOSSIBLE",
    };
    let (permit, expired) = (word & PERMIT != 0, word & EXPIRED != 0);
    format!("State {{ {state}, permit: {permit}, expired: {expired} }}")
}

#[cold]
fn broken(function: &str, expected: &str, found: u32) -> ! {
    super::broken(function, expected, &decode(found))
}

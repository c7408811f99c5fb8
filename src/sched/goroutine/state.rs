//! State word: who owns a goroutine's stack, and whether it has a permit.
//! park: `take_permit`, else suspend; the worker's stack then runs `begin_park`; after the resume,
//! `end_park`.    unpark: `unpark`, `unpark_if`; who finds `PARKED` without a permit makes it runnable.
//!
//! | state | owner of the stack | where it is |
//! |---|---|---|
//! | `ACTIVE` | the worker that runs it, or nobody | on a worker, or in exactly one run queue, or ended |
//! | `PARKED` | nobody | nowhere but in its wakers' hands |
//! | `PARKED` + `PERMIT` | nobody, until resumed | in exactly one run queue |
//! | `IN_PLACE` | its worker, which sleeps beneath it | on that worker |
//!
//! `unpark` leaves the permit to be taken when the goroutine goes on, so that all that come until then
//! give one. `unpark_if` is for wakers that come once a wait: it delivers the permit, `PARKED` → `ACTIVE`,
//! which spares the goroutine a read-modify-write; what is given after that is the next park's.
//! A park with a deadline may also be ended by `EXPIRED`, which readies as a permit does, and is none.
//!
//! [S1] A goroutine is moved to `PARKED` from another stack only, after the switch: nobody resumes
//! a stack in use. [S2] Of all unparks of one park, exactly one makes it runnable. [S3] A permit is
//! consumed once and is not lost. [S4] What happened before `unpark` is seen after `park`.
//! [S5] `EXPIRED` takes no permit along, and is gone when the park that it ended returns.
//! [S6] `unpark_if` gives a permit to the goroutine of that id, or to nobody: with the state goes the
//! id, so that a cell which has become another's is told from its own.
//! The word is written by read-modify-writes alone, from the spawn to the end.
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
/// All of these; the id is above.
const STATE: u64 = 15;
const ID: u32 = 4;

/// See the module.
pub struct StateWord {
    word: AtomicU64,
    /// The id again, for those who have the goroutine in their hands.
    id: AtomicU64,
}

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
pub enum UnparkAction {
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
    /// A permit, which is consumed; whether the deadline came, too, the timer says.
    Permit,
    /// A permit, which is consumed, and the deadline.
    Both,
    /// The deadline.
    Expired,
}

impl StateWord {
    /// That of a goroutine without an id.
    pub fn new() -> Self {
        StateWord { word: AtomicU64::new(ACTIVE), id: AtomicU64::new(0) }
    }

    /// A goroutine that is about to be queued for the first time; the caller is its cell's only owner,
    /// but for those who try the id that it had.
    pub fn reset(&self, id: u64) {
        debug_assert!(id <= u64::MAX >> ID, "so many goroutines are not spawned in a lifetime");
        // Relaxed: the cell has one owner; the queue that takes it publishes.
        self.id.store(id, Ordering::Relaxed);
        let word = id << ID | ACTIVE;
        if MODELLED {
            // loom would let a store lose to an exchange of `unpark_if` that finds the word before it.
            self.word.swap(word, Ordering::Relaxed);
        } else {
            // Relaxed: as above. Such an exchange comes directly after what it finds, so before this.
            self.word.store(word, Ordering::Relaxed);
        }
    }

    /// The goroutine's id.
    pub fn id(&self) -> u64 {
        // Relaxed: constant while there is a reference.
        self.id.load(Ordering::Relaxed)
    }

    /// Consumes a permit, if there is one. [S3]
    pub fn take_permit(&self) -> bool {
        // Relaxed: only a hint that spares the read-modify-write.
        if self.word.load(Ordering::Relaxed) & PERMIT == 0 {
            return false;
        }
        // Acquire: pairs with the Release in `unpark`. [S4]
        // mutant: the permit stays: replace self.word.fetch_and(!PERMIT, Ordering::Acquire) with self.word.load(Ordering::Acquire)
        let before = self.word.fetch_and(!PERMIT, Ordering::Acquire);
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

    fn settle(&self, to: u64) -> BeginPark {
        let id = self.id() << ID;
        // Release: pairs with the Acquire in `unpark`: the next owner sees the whole stack. [S1]
        // Relaxed on failure: what readied it is taken back by `end_park`, which acquires.
        match self.word.compare_exchange(id | ACTIVE, id | to, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => BeginPark::Parked,
            Err(seen) if seen & STATE == PERMIT && fault("lost permit") => BeginPark::Parked,
            Err(seen) if seen & ASLEEP == 0 => {
                // As one that was readied while it slept: the end of the park takes the permit. Relaxed:
                // the queue publishes, and nobody else readies it.
                // mutant: the permit is left: replace self.word.fetch_or(to, Ordering::Relaxed) with seen
                self.word.fetch_or(to, Ordering::Relaxed);
                // mutant: a permit is overlooked: replace BeginPark::Readied with BeginPark::Parked
                BeginPark::Readied
            }
            Err(other) => broken("settle", "ACTIVE, with or without PERMIT", other),
        }
    }

    /// In the goroutine, after the resume: consumes the permit that ended the park, unless that was
    /// delivered. [S3]
    #[inline]
    pub fn end_park(&self) {
        if !self.was_delivered() {
            self.take_what_ended_it();
        }
    }

    /// Whether the permit that ended the park was delivered. What came before is seen [S4]: who delivered
    /// it put the goroutine into a queue after that.
    #[inline]
    fn was_delivered(&self) -> bool {
        // Relaxed: as just said, this is not older than the delivery, and nobody else puts it to sleep.
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

    /// As `end_park`, of a park with a deadline. [S3] [S5]
    pub fn end_timed_park(&self) -> Woken {
        if self.was_delivered() {
            return Woken::Permit;
        }
        // Acquire: pairs with the Release in every `unpark` [S4], and in `expire`: the timekeeper
        // is done with the timer.
        let before = self.word.fetch_and(!STATE, Ordering::Acquire);
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
        self.word.fetch_and(!STATE, Ordering::Acquire) & PERMIT != 0
    }

    /// The deadline of its park has come: readies it without a permit. [S2] [S5]
    ///
    /// Called between the arming of its timer and the return of the park, or of the cancelling.
    pub fn expire(&self) -> UnparkAction {
        // Acquire: pairs with the Release in `settle`. Release: pairs with the Acquire in
        // `end_timed_park`.
        match self.word.fetch_or(EXPIRED, Ordering::AcqRel) & STATE {
            PARKED => UnparkAction::Enqueue,
            _ => UnparkAction::Nothing,
        }
    }

    /// In the goroutine: its timer fired after the park had ended. [S5]
    pub fn forget_expiry(&self) {
        // Relaxed: who called `expire` is done; the timers' lock says so.
        // mutant: drop end of the expiry
        self.word.fetch_and(!EXPIRED, Ordering::Relaxed);
    }

    /// Whether a park in place has been given its permit.
    pub fn has_permit(&self) -> bool {
        // Relaxed: `end_park` acquires.
        self.word.load(Ordering::Relaxed) & PERMIT != 0
    }

    /// Gives a permit. [S2] [S3]
    pub fn unpark(&self) -> UnparkAction {
        // Acquire: pairs with the Release in `settle`. Release: pairs with the Acquire in
        // `end_park` and `take_permit`. [S4]
        action_after(self.word.fetch_or(PERMIT, Ordering::AcqRel))
    }

    /// As `unpark`, by one who keeps no reference, but knows that the goroutine of this id has been
    /// here. [S6] To one that is parked the permit is delivered.
    pub fn unpark_if(&self, id: u64) -> UnparkAction {
        // Most probably it is parked.
        let mut seen = id << ID | PARKED;
        loop {
            let given = if seen & STATE == PARKED { seen ^ PARKED } else { seen | PERMIT };
            // AcqRel: as in `unpark`, also where there is a permit already. [S4] Relaxed on failure: the
            // loop looks again, or does nothing.
            match self.word.compare_exchange(seen, given, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(before) => return action_after(before),
                // mutant: whoever has the cell: replace found >> ID != id with false
                Err(found) if found >> ID != id => return UnparkAction::Nothing,
                Err(found) => seen = found,
            }
        }
    }

    /// Whether it is parked and nobody has unparked it.
    pub fn is_parked(&self) -> bool {
        // Relaxed: a report.
        self.word.load(Ordering::Relaxed) & STATE == PARKED
    }

    /// Whether it sleeps with its worker beneath it.
    pub fn is_parked_in_place(&self) -> bool {
        // Relaxed: a report.
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
        // Relaxed: a report.
        f.write_str(&decode(self.word.load(Ordering::Relaxed)))
    }
}

/// What an unpark that found this obliges to.
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

//! Those who have published work, and wake somebody for it. Protocol and invariants: the roster.
//! Checked by: verification/loom/idle.rs, verification/loom/handover.rs, verification/loom/relieve.rs,
//! verification/loom/retake.rs, verification/shuttle/leave.rs.

use super::*;
use crate::platform::atomic::fence;

impl Roster {
    /// To be called after work was put where every worker looks. [I1]
    #[inline]
    pub fn notify(&self) -> Wake {
        // SeqCst: pairs with the fence in `sleep` and in `stop_searching`: either we see the idle
        // processor and the missing searcher, or the other side's recheck sees our work. [I1]
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        let seen = self.lookout.load(Ordering::Relaxed);
        if idle(seen) == 0 || searching(seen) > 0 { Wake::Nothing } else { self.wake_searcher() }
    }

    /// Hands an idle processor and a searching token to a sleeper, or to a new thread. [I1]
    #[cold]
    pub fn wake_searcher(&self) -> Wake {
        let mut lists = self.lists.lock();
        // Relaxed: a searcher that stops after this read rechecks every source.
        if lists.stopping || searching(self.lookout.load(Ordering::Relaxed)) > 0 {
            return Wake::Nothing;
        }
        if lists.idle.is_empty() {
            return Wake::Nothing;
        }
        let Some(wake) = self.pick(&mut lists) else { return Wake::Nothing };
        let proc = self.take_idle(&mut lists).expect("just seen");
        // mutant: wake without a token: replace self.token() with false
        self.grant(wake.seat(), proc, self.token());
        wake
    }

    /// A sleeper, else a vacant seat while the cap allows. Without either nobody is stranded: all
    /// threads are in user code, and each rechecks every source before it sleeps.
    fn pick(&self, lists: &mut Lists) -> Option<Wake> {
        if let Some(at) = self.last_free_sleeper(lists) {
            return Some(Wake::Unpark(lists.sleepers.remove(at)));
        }
        self.take_seat_locked(lists).map(Wake::Start)
    }

    /// Where the sleeper stands that has slept least, of those that run whatever there is. Another one would
    /// only give its processor away again.
    pub(super) fn last_free_sleeper(&self, lists: &Lists) -> Option<usize> {
        lists.sleepers.iter().rposition(|id| !self.seat(*id).is_alone())
    }

    /// A seat for one more thread.
    pub fn take_seat(&self) -> Option<SeatId> {
        self.take_seat_locked(&mut self.lists.lock())
    }

    fn take_seat_locked(&self, lists: &mut Lists) -> Option<SeatId> {
        if lists.threads + lists.helpers >= self.max_threads {
            // A helper's end, or the monitor, tries again.
            // mutant: drop note of a thread that is missing
            lists.starved = true;
            self.spec.see(Doing::Starved(lists.starved));
            return None;
        }
        let seat = lists.vacant.pop()?;
        lists.threads += 1;
        self.spec.see(Doing::Seated(seat));
        // Relaxed: written under the lock; a hint.
        self.used_seats.store(self.used_seats().max(seat + 1), Ordering::Relaxed);
        Some(seat)
    }

    /// To be called after a push to `seat`'s inbox. [I2]
    #[inline]
    pub fn wake_home(&self, id: SeatId) -> Wake {
        // SeqCst: pairs with the fence in `sleep`: either we see PARKED, or the recheck there sees
        // the inbox. [I2]
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        if self.seat(id).state.load(Ordering::Relaxed) != PARKED {
            return Wake::Nothing;
        }
        self.wake_named(id)
    }

    #[cold]
    fn wake_named(&self, id: SeatId) -> Wake {
        let mut lists = self.lists.lock();
        // Relaxed: written under this lock.
        if self.seat(id).state.load(Ordering::Relaxed) != PARKED {
            return Wake::Nothing;
        }
        // mutant: drop departure from the sleepers
        lists.sleepers.retain(|sleeper| *sleeper != id);
        match self.take_idle(&mut lists) {
            Some(proc) => {
                // With a token: it may have seen shared work in its recheck just now, and then
                // runs what is at home first. [I1]
                // mutant: wake home without a token: replace self.token() with false
                self.grant(id, proc, self.token());
                Wake::Unpark(id)
            }
            None => {
                // mutant: drop place in the queue
                self.enqueue(&mut lists, id);
                Wake::Nothing
            }
        }
    }
}

//! RawMutex: a lock without data. It has one word, and a queue of waiters.
//! lock: set LOCKED if it is clear. Otherwise link a node, set QUEUED, and wait. After the wake-up, try again. If
//!     somebody else has locked meanwhile, wait again at the head of the queue.
//! unlock: clear LOCKED. If QUEUED is set, wake the first waiter and set WOKEN. At most one waiter is woken at a time.
//!     Until it runs, other callers may lock first; each such lock is a pass. After `MOST_PASSES` passes, unlock hands
//!     the lock over: LOCKED stays set, and HANDED says that the lock belongs to the woken waiter.
//!
//! | bit | meaning | set by | cleared by |
//! |---|---|---|---|
//! | `LOCKED` | held, or handed over | the one that locks | the one that unlocks |
//! | `QUEUED` | nodes are linked | a waiter, under the queue's lock | unlinking the last node, under that lock |
//! | `WOKEN` | a waiter was woken and has not decided yet | the one that unlocks | the woken waiter |
//! | `HANDED` | the lock belongs to the woken waiter | the one that unlocks | the woken waiter |
//! | from `PASS` up | unlocks since the queue was last served | the one that unlocks | the woken waiter |
//!
//! [M1] There is one holder at a time, and it sees what the previous holder did.
//! [M2] If the lock is free and the queue is not empty, one waiter is WOKEN.
//! [M3] If the queue is not empty, at most `MOST_PASSES` locks in a row pass it. Then its first waiter gets the lock.
//! Checked by: verification/loom/sync_mutex.rs, proptests/sync/mutex.rs.

use super::error::WaitError;
use crate::observe::broken;
use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::{MODELLED, Mutex, const_fn};
use crate::wait::{Claim, List, Node, WaitLimit, trace};
use std::panic::Location;
use std::ptr;

const LOCKED: u32 = 1;
const QUEUED: u32 = 1 << 1;
const WOKEN: u32 = 1 << 2;
const HANDED: u32 = 1 << 3;
const PASS: u32 = 1 << 4;

/// Small in models, because each pass is one more round to explore.
pub const MOST_PASSES: u32 = if MODELLED { 1 } else { 64 };

/// A mutual exclusion lock without data.
pub struct RawMutex {
    word: AtomicU32,
    queue: Mutex<List>,
}

impl RawMutex {
    const_fn! {
        /// Makes an unlocked mutex.
        pub fn new() -> Self {
            RawMutex { word: AtomicU32::new(0), queue: Mutex::new(List::new()) }
        }
    }

    /// Locks. Waits as long as `limit` allows.
    #[inline]
    pub fn lock(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        if trace::is_on() {
            return self.lock_and_tell(limit, place);
        }
        self.lock_untold(limit, place)
    }

    #[cold]
    fn lock_and_tell(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        trace::op("lock", "mutex", self, place);
        self.lock_untold(limit, place).inspect(|()| trace::has("mutex", self, place))
    }

    #[inline]
    fn lock_untold(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        // Acquire: pairs with the Release in `unlock`, so that the previous holder's writes are seen. [M1]
        // Relaxed on failure: no data is read.
        let free = self.word.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed);
        if free.is_ok() { Ok(()) } else { self.lock_slow(limit, place) }
    }

    /// Locks if nobody holds the lock. It may pass waiters. [M3]
    #[inline]
    pub fn try_lock(&self) -> bool {
        // Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        while word & LOCKED == 0 {
            match self.replace(word, word | LOCKED) {
                Ok(()) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    /// Unlocks. Only the holder may call this.
    #[inline]
    pub fn unlock(&self) {
        trace::unlock("mutex", self);
        self.unlock_untold();
    }

    /// Unlocks because the holder waits on a condition variable.
    pub(super) fn unlock_to_wait(&self) {
        trace::lets_go("mutex", self);
        self.unlock_untold();
    }

    #[inline]
    fn unlock_untold(&self) {
        // Release: pairs with the Acquire of the next lock. [M1] Relaxed on failure: it only tells that somebody
        // waits.
        let alone = self.word.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed);
        if alone.is_err() {
            self.unlock_slow();
        }
    }

    /// Returns whether somebody waits, or a waiter has left a bit set. Only models ask this.
    pub fn is_waited_for(&self) -> bool {
        // Relaxed: no data is read.
        self.word.load(Ordering::Relaxed) & !LOCKED != 0
    }

    #[cold]
    fn lock_slow(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        if self.try_lock() {
            return Ok(());
        }
        let mut woken = false;
        loop {
            let wait = limit.begin(place);
            let node = Node::new(&wait, 0, ptr::null_mut());
            if !self.enqueue(&node, woken) {
                return Ok(());
            }
            if let Some(error) = WaitError::of(limit.wait(&wait, place)) {
                self.leave(&node);
                return Err(error);
            }
            woken = true;
            if self.take_as_woken() {
                return Ok(());
            }
        }
    }

    /// Links the node and returns true, or locks and returns false. The node of a woken waiter goes to the head of the
    /// queue, and the waiter then no longer counts as woken. After true, the caller must wait, and must call `leave`
    /// unless the wait was completed.
    fn enqueue(&self, node: &Node, woken: bool) -> bool {
        let mut queue = self.queue.lock();
        // Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (next, locked) = match woken {
                true => as_woken(word).map_or(((word & !WOKEN) | QUEUED, false), |w| (w, true)),
                false if word & LOCKED == 0 => (word | LOCKED, true),
                false => (word | QUEUED, false),
            };
            match self.replace(word, next) {
                Ok(()) if locked => return false,
                Ok(()) => break,
                Err(found) => word = found,
            }
        }
        // SAFETY: the node is unlinked by its waker or by `leave` before its frame goes.
        unsafe { if woken { queue.link_first(node) } else { queue.link(node) } }
        true
    }

    /// Called by the woken waiter. Locks if the lock is free or was handed over.
    fn take_as_woken(&self) -> bool {
        // Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        while let Some(next) = as_woken(word) {
            match self.replace(word, next) {
                Ok(()) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    /// Unlinks a node after its wait was cancelled. Nobody has woken this waiter, so it need not pass on a wake-up.
    /// [M2]
    #[cold]
    fn leave(&self, node: &Node) {
        let mut queue = self.queue.lock();
        queue.unlink(node);
        if !queue.is_empty() {
            return;
        }
        // Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let kept = if word & WOKEN == 0 { LOCKED } else { !QUEUED };
            match self.replace(word, word & kept) {
                Ok(()) => return,
                Err(found) => word = found,
            }
        }
    }

    #[cold]
    fn unlock_slow(&self) {
        // Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & LOCKED == 0 {
                broken("unlock", "LOCKED", &format!("{word:#b}"));
            }
            let next = match word & (QUEUED | WOKEN) {
                0 => 0,
                QUEUED => return self.wake_first(),
                _ => released(word),
            };
            // Release: pairs with the Acquire of the next lock, or of the waiter that the lock is handed to. [M1]
            // Relaxed on failure: the loop tries again.
            match self.word.compare_exchange(word, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }

    /// Called by the holder while no waiter is WOKEN. Wakes the first waiter of the queue, and unlocks. [M2]
    fn wake_first(&self) {
        let mut queue = self.queue.lock();
        let claim = queue.claim();
        let queued = if queue.is_empty() { 0 } else { QUEUED };
        // Relaxed: we hold both locks and no waiter is WOKEN, so nobody else writes the word now.
        let passes = self.word.load(Ordering::Relaxed) & !(PASS - 1);
        let next = match claim {
            Some(_) => released(passes | LOCKED | WOKEN | queued),
            None => 0,
        };
        // Release: as in `unlock_slow`. The swap comes before the wake-up, so the woken waiter finds WOKEN. [M2]
        self.word.swap(next, Ordering::Release);
        let wake = claim.map(Claim::complete);
        drop(queue);
        if let Some(wake) = wake {
            // SAFETY: the handle was obtained above, and this is its only use.
            unsafe { wake.wake() };
        }
    }

    fn replace(&self, word: u32, next: u32) -> Result<(), u32> {
        // Acquire: if this locks, it pairs with the Release of the unlock or the hand-over. [M1]
        // Relaxed on failure: the caller tries again.
        let replaced = self.word.compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed);
        replaced.map(|_| ())
    }
}

impl Default for RawMutex {
    fn default() -> Self {
        RawMutex::new()
    }
}

/// Returns the word after the woken waiter has locked, or `None` if somebody else holds the lock.
fn as_woken(word: u32) -> Option<u32> {
    let free = word & LOCKED == 0 || word & HANDED != 0;
    free.then_some((word & QUEUED) | LOCKED)
}

/// Returns the word after the holder has unlocked while a waiter is WOKEN. The lock is free for the first that comes.
/// After `MOST_PASSES` passes the lock belongs to the woken waiter. [M3]
fn released(word: u32) -> u32 {
    if word / PASS < MOST_PASSES { (word & !LOCKED) + PASS } else { word | HANDED }
}

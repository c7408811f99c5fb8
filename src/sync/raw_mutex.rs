//! RawMutex: one word that is locked and unlocked, and a queue of those who wait for it.
//! lock: set LOCKED if it is clear; else link a node, set QUEUED, wait; when woken, try again, and if
//!     somebody came first, wait once more at the head of the queue.
//! unlock: clear LOCKED. With QUEUED, wake the first, who is then WOKEN: on its way to the lock. At
//!     most one is; while it is, whoever comes along may lock first: a pass. After `MOST_PASSES` of
//!     them the unlocker hands the lock over: LOCKED stays set, and HANDED says whose it is.
//!
//! | bit | meaning | set by | cleared by |
//! |---|---|---|---|
//! | `LOCKED` | held, or handed over | who locks | who unlocks |
//! | `QUEUED` | nodes are linked | who links, under the queue's lock | who unlinks the last, under it |
//! | `WOKEN` | one was woken, and has not decided | who unlocks | the woken one |
//! | `HANDED` | the lock is the woken one's | who unlocks | the woken one |
//! | from `PASS` up | releases since the queue was last served | who unlocks | the woken one |
//!
//! [M1] One holder at a time, and it sees what the last one did.
//! [M2] A free lock and a queue imply that one is WOKEN.
//! [M3] With a queue, at most `MOST_PASSES` in a row lock past it; then its first has the lock.
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

/// Small in models, where each pass is one more round to explore.
pub const MOST_PASSES: u32 = if MODELLED { 1 } else { 64 };

/// A mutual exclusion without data.
pub struct RawMutex {
    word: AtomicU32,
    queue: Mutex<List>,
}

impl RawMutex {
    const_fn! {
        /// Unlocked.
        pub fn new() -> Self {
            RawMutex { word: AtomicU32::new(0), queue: Mutex::new(List::new()) }
        }
    }

    /// Locks, waiting as long as `limit` allows.
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
        // Acquire: pairs with the Release in `unlock`: the last holder's writes are seen. [M1]
        // Relaxed on failure: nothing is read.
        let free = self.word.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed);
        if free.is_ok() { Ok(()) } else { self.lock_slow(limit, place) }
    }

    /// Locks if nobody holds it, past those who wait. [M3]
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

    /// Unlocks. For the holder alone.
    #[inline]
    pub fn unlock(&self) {
        trace::unlock("mutex", self);
        self.unlock_untold();
    }

    /// For a wait on a condition variable, which is what the holder does.
    pub(super) fn unlock_to_wait(&self) {
        trace::lets_go("mutex", self);
        self.unlock_untold();
    }

    #[inline]
    fn unlock_untold(&self) {
        // Release: pairs with the Acquire of whoever locks next. [M1] Relaxed on failure: only that
        // somebody waits is learnt.
        let alone = self.word.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed);
        if alone.is_err() {
            self.unlock_slow();
        }
    }

    /// Whether somebody waits for it, or has left something behind; a model's question.
    pub fn is_waited_for(&self) -> bool {
        // Relaxed: nothing is read.
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

    /// Links the node, or locks after all and answers false. Who was woken goes to the head, and is
    /// on its way no more. To be followed by a wait, then by `leave` unless that was fired.
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
        // SAFETY: unlinked by its waker, or by `leave`, before its frame goes.
        unsafe { if woken { queue.link_first(node) } else { queue.link(node) } }
        true
    }

    /// By the woken one: locks, if the lock is free or was handed over.
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

    /// Unlinks a node whose wait was given up. Nobody has woken it, so it owes nobody a wake-up. [M2]
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
            // Release: pairs with the Acquire of whoever locks next, or takes what it is handed. [M1]
            // Relaxed on failure: the loop looks again.
            match self.word.compare_exchange(word, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }

    /// By the holder, while nobody is woken: wakes the first of the queue, and unlocks. [M2]
    fn wake_first(&self) {
        let mut queue = self.queue.lock();
        let claim = queue.claim();
        let queued = if queue.is_empty() { 0 } else { QUEUED };
        // Relaxed: we hold both locks, and nobody is woken, so nobody else writes the word now.
        let passes = self.word.load(Ordering::Relaxed) & !(PASS - 1);
        let next = match claim {
            Some(_) => released(passes | LOCKED | WOKEN | queued),
            None => 0,
        };
        // Release: as in `unlock_slow`. It comes before the wake-up: who is woken finds WOKEN. [M2]
        self.word.swap(next, Ordering::Release);
        let wake = claim.map(Claim::complete);
        drop(queue);
        if let Some(wake) = wake {
            // SAFETY: just got, here.
            unsafe { wake.wake() };
        }
    }

    fn replace(&self, word: u32, next: u32) -> Result<(), u32> {
        // Acquire: where it locks, it pairs with the Release of who unlocked, or handed over. [M1]
        // Relaxed on failure: the caller looks again.
        let replaced = self.word.compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed);
        replaced.map(|_| ())
    }
}

impl Default for RawMutex {
    fn default() -> Self {
        RawMutex::new()
    }
}

/// The word once the woken one has the lock; `None` if somebody else holds it.
fn as_woken(word: u32) -> Option<u32> {
    let free = word & LOCKED == 0 || word & HANDED != 0;
    free.then_some((word & QUEUED) | LOCKED)
}

/// The word once the holder lets go while one is woken: free for whoever comes first, or, after
/// enough of them have passed, the woken one's. [M3]
fn released(word: u32) -> u32 {
    if word / PASS < MOST_PASSES { (word & !LOCKED) + PASS } else { word | HANDED }
}

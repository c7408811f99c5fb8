//! Timers: the deadlines of parked goroutines, and how the timekeeper waits for the nearest.
//!
//! arm (who is about to park): lock a heap, push, publish its nearest; if that is nearer than before,
//!     fence, read `waits_until`; if that is later by more than the lag, claim it and wake the timekeeper.
//! wait (the timekeeper): publish the nearest of all heaps, and the lag, as `waits_until`, fence, look
//!     again; sleep until then.
//! fire (a worker, its own heap; or the timekeeper, what workers have left over its time): lock a heap, take
//!     out what is due, in order, and expire each under the lock.   cancel (who was unparked first): lock,
//!     remove.
//!
//! Each worker has a heap, of its own number, and arms there alone. Anybody may fire any heap: none is
//! stranded when its worker blocks, hands its processor over, or ends.
//!
//! [W1] A deadline that is armed: the timekeeper is awake, or waits no longer than until it and the longest
//! lag, or its wake-up is in flight.  [W2] A timer fires at most once, and not after its cancelling has returned.
//! [W3] None fires before its deadline; those of one heap fire in order of deadlines, then of arming.
//! Checked by: verification/loom/timers.rs, verification/loom/sleepers.rs, proptests/runtime/timers.rs.

use crate::platform::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use crate::platform::{Mutex, Parker};
use crate::structures::{Heap, NEVER, Ticket};
use crossbeam_utils::CachePadded;
use std::time::Duration;

/// `waits_until` of a timekeeper that will look at every heap before it sleeps.
const AWAKE: u64 = 0;
/// How many timers fire under one hold of a heap's lock.
const BATCH: usize = 32;

/// The most that the timekeeper comes after a deadline, beyond what the kernel adds.
pub const LONGEST_LAG: u64 = 5_000_000;
/// The least: a worker that keeps its time does so within that.
const SHORTEST_LAG: u64 = 100_000;

/// See the module.
pub struct Timers<T> {
    shards: Box<[CachePadded<Shard<T>>]>,
    /// No heap from here on was ever used.
    reach: AtomicUsize,
    /// Until when the timekeeper sleeps. Written by read-modify-writes alone.
    waits_until: CachePadded<AtomicU64>,
    /// How long after a deadline the timekeeper looks whether it was kept. Its own.
    lag: AtomicU64,
    timekeeper: Parker,
}

struct Shard<T> {
    /// The heap's nearest deadline. Written under its lock.
    nearest: AtomicU64,
    heap: Mutex<Heap<T>>,
}

impl<T: Copy + PartialEq> Timers<T> {
    /// `heaps` empty heaps.
    pub fn new(heaps: usize) -> Self {
        let shard = || Shard { nearest: AtomicU64::new(NEVER), heap: Mutex::new(Heap::new()) };
        Timers {
            shards: (0..heaps).map(|_| CachePadded::new(shard())).collect(),
            reach: AtomicUsize::new(0),
            waits_until: CachePadded::new(AtomicU64::new(AWAKE)),
            lag: AtomicU64::new(SHORTEST_LAG),
            timekeeper: Parker::new(),
        }
    }

    /// No heap from here on was ever used.
    pub fn reach(&self) -> usize {
        // Relaxed: as `nearest_of`.
        self.reach.load(Ordering::Relaxed)
    }

    /// Sets a timer: `item` will be expired at about `deadline`. `number` says in which heap; the same
    /// goes to `cancel`. [W1]
    pub fn arm(&self, number: usize, deadline: u64, item: T) -> Ticket {
        let shard = self.shard(number);
        if number >= self.reach() {
            // Relaxed: before the fence in `prompt`, which follows, as the heap is empty.
            // mutant: drop reach
            self.reach.fetch_max(number + 1, Ordering::Relaxed);
        }
        let mut heap = shard.heap.lock();
        let before = heap.nearest();
        let ticket = heap.push(deadline, item);
        shard.publish(before, &heap);
        drop(heap);
        // If another is nearer, who armed that one has seen to it.
        // mutant: drop wake of the timekeeper
        if deadline < before {
            self.prompt(deadline);
        }
        ticket
    }

    /// Removes the timer of `item`; false if it has fired. [W2]
    pub fn cancel(&self, number: usize, ticket: Ticket, item: T) -> bool {
        let shard = self.shard(number);
        let mut heap = shard.heap.lock();
        let before = heap.nearest();
        let was_armed = heap.cancel(ticket, item);
        shard.publish(before, &heap);
        was_armed
    }

    /// Takes out what is due in one heap, a batch at most, and calls `expire` for each, under the
    /// heap's lock; before that `soon`, which may warm a cache. How many these were. [W2] [W3]
    pub fn fire(
        &self,
        number: usize,
        now: u64,
        soon: impl Fn(T),
        mut expire: impl FnMut(T),
    ) -> usize {
        let shard = self.shard(number);
        let mut due = [None; BATCH];
        let mut fired = 0;
        let mut heap = shard.heap.lock();
        let before = heap.nearest();
        while fired < BATCH
            && let Some(item) = heap.pop_due(now)
        {
            soon(item);
            due[fired] = Some(item);
            fired += 1;
        }
        due[..fired].iter().flatten().for_each(|item| expire(*item));
        shard.publish(before, &heap);
        fired
    }

    /// The nearest deadline of one heap, as a hint.
    #[inline]
    pub fn nearest_of(&self, number: usize) -> u64 {
        // Relaxed: a hint; the timekeeper's own look is ordered by its fence.
        self.shard(number).nearest.load(Ordering::Relaxed)
    }

    /// The nearest deadline of all.
    pub fn nearest(&self) -> u64 {
        (0..self.reach()).map(|number| self.nearest_of(number)).min().unwrap_or(NEVER)
    }

    fn shard(&self, number: usize) -> &Shard<T> {
        &self.shards[number]
    }

    // ---- the timekeeper ------------------------------------------------------------------------------

    /// Wakes the timekeeper if it sleeps for longer than until `deadline` and its lag. [W1]
    fn prompt(&self, deadline: u64) {
        // SeqCst: pairs with the fence in `wait`: either we see how long it sleeps, or its second
        // look sees our deadline. [W1]
        fence(Ordering::SeqCst);
        // Relaxed, here and below: ordered by the fence; the parker carries the rest.
        let seen = self.waits_until.load(Ordering::Relaxed);
        // Of several who arm, one wakes it. Who fails was overtaken by another, or by the timekeeper,
        // whose second look then sees our deadline: its fence came after ours.
        let claim = |seen| {
            let to = AWAKE;
            self.waits_until.compare_exchange(seen, to, Ordering::Relaxed, Ordering::Relaxed)
        };
        if self.late(deadline) < seen && claim(seen).is_ok() {
            self.timekeeper.unpark();
        }
    }

    /// When the timekeeper looks after `deadline`.
    fn late(&self, deadline: u64) -> u64 {
        // Relaxed: whichever lag is read, it is one. Saturating: `NEVER` stays so.
        deadline.saturating_add(self.lag.load(Ordering::Relaxed))
    }

    /// Whether some deadline was not kept: then the timekeeper comes early the next time, too.
    pub fn is_late(&self, now: u64) -> bool {
        let late = self.late(self.nearest()) <= now;
        if late {
            // Relaxed: its own; who arms may read an old one, see `late`.
            self.lag.store(SHORTEST_LAG, Ordering::Relaxed);
        }
        late
    }

    /// The timekeeper came, and all was done: it comes later the next time.
    pub fn relax(&self) {
        // Relaxed: as in `is_late`.
        let lag = self.lag.load(Ordering::Relaxed);
        self.lag.store((2 * lag).min(LONGEST_LAG), Ordering::Relaxed);
    }

    /// The timekeeper sleeps until the nearest deadline has come, and its lag after that is over, or a
    /// nearer one is armed, or it is [woken](Self::wake). [W1]
    pub fn wait(&self, now: impl Fn() -> u64) {
        let mut until = self.late(self.nearest());
        loop {
            // Relaxed: ordered by the fence. A swap, since those who arm write it too.
            self.waits_until.swap(until, Ordering::Relaxed);
            // SeqCst: pairs with the fence in `prompt`. [W1]
            fence(Ordering::SeqCst);
            let nearest = self.late(self.nearest());
            // mutant: no second look: replace nearest >= until with true
            if nearest >= until {
                break;
            }
            until = nearest;
        }
        if until == NEVER {
            self.timekeeper.park();
        } else if let Some(left) = until.checked_sub(now()).filter(|left| *left > 0)
            && !self.timekeeper.park_timeout(Duration::from_nanos(left))
            && self.late(self.nearest()) > now()
        {
            self.relax();
        }
        // Relaxed: what is armed from here on, its next `wait` sees, or fences after.
        self.waits_until.swap(AWAKE, Ordering::Relaxed);
    }

    /// Makes the timekeeper look up.
    pub fn wake(&self) {
        self.timekeeper.unpark();
    }
}

impl<T: Copy + PartialEq> Shard<T> {
    fn publish(&self, before: u64, heap: &Heap<T>) {
        let nearest = heap.nearest();
        if nearest != before {
            // Relaxed: what must be seen is ordered by the fence in `prompt`; that a timer has left
            // may be seen late: the timekeeper then wakes for nothing.
            self.nearest.store(nearest, Ordering::Relaxed);
        }
    }
}

//! Timers hold the deadlines of parked goroutines. The timekeeper waits for the nearest deadline.
//!
//! arm (a goroutine that is about to park): lock a heap, push, publish the heap's nearest deadline; if that is
//! nearer than before, fence, read `waits_until`; if the timekeeper sleeps beyond the deadline plus the lag, claim
//! the word and wake the timekeeper.
//! wait (the timekeeper): publish the nearest deadline of all heaps, plus the lag, as `waits_until`; fence; read
//! the nearest deadline again; sleep until then.
//! fire (a worker, for its own heap; or the timekeeper, for timers that workers have missed): lock a heap, take out
//! the due timers in order, and expire each under the lock.
//! cancel (a goroutine that was unparked before its deadline): lock, remove.
//!
//! Each worker has the heap of its own number, and arms only there. Any thread may fire any heap, so no timer is
//! forgotten when its worker blocks, hands its processor over, or ends.
//!
//! [W1] If a deadline is armed, the timekeeper is awake, or it sleeps at most until that deadline plus the longest
//! lag, or its wake-up is in flight.  [W2] A timer fires at most once, and not after the call that cancels it has
//! returned.
//! [W3] No timer fires before its deadline. The timers of one heap fire in the order of their deadlines, and timers
//! of equal deadlines in the order of arming.
//! Checked by: verification/loom/timers.rs, verification/loom/sleepers.rs, proptests/runtime/timers.rs.

use crate::platform::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use crate::platform::{Mutex, Parker};
use crate::structures::{Heap, NEVER, Ticket};
use crossbeam_utils::CachePadded;
use std::time::Duration;

/// The value of `waits_until` while the timekeeper is awake. It will look at every heap before it sleeps.
const AWAKE: u64 = 0;
/// The greatest number of timers that fire while the lock of a heap is held once.
const BATCH: usize = 32;

/// The longest time by which the timekeeper comes after a deadline, in nanoseconds, without the kernel's own delay.
pub const LONGEST_LAG: u64 = 5_000_000;
/// The shortest time by which the timekeeper comes after a deadline. A worker that fires its own timers does so
/// within this time.
const SHORTEST_LAG: u64 = 100_000;

/// See the module.
pub struct Timers<T> {
    shards: Box<[CachePadded<Shard<T>>]>,
    /// Heaps from this number on were never used.
    reach: AtomicUsize,
    /// The time until which the timekeeper sleeps. Written only by read-modify-writes.
    waits_until: CachePadded<AtomicU64>,
    /// How long after a deadline the timekeeper checks that the timer was fired. Written only by the timekeeper.
    lag: AtomicU64,
    timekeeper: Parker,
}

struct Shard<T> {
    /// The nearest deadline in the heap. Written under the heap's lock.
    nearest: AtomicU64,
    heap: Mutex<Heap<T>>,
}

impl<T: Copy + PartialEq> Timers<T> {
    /// Makes `heaps` empty heaps.
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

    /// Returns a number such that heaps from this number on were never used.
    pub fn reach(&self) -> usize {
        // Relaxed: the value is a hint, as in `nearest_of`.
        self.reach.load(Ordering::Relaxed)
    }

    /// Sets a timer in the heap `number`: `item` will be expired at about `deadline`. The same `number` must be
    /// given to `cancel`. [W1]
    pub fn arm(&self, number: usize, deadline: u64, item: T) -> Ticket {
        let shard = self.shard(number);
        if number >= self.reach() {
            // Relaxed: comes before the fence in `prompt`, which is called next because the heap is empty.
            // mutant: drop reach
            self.reach.fetch_max(number + 1, Ordering::Relaxed);
        }
        let mut heap = shard.heap.lock();
        let before = heap.nearest();
        let ticket = heap.push(deadline, item);
        shard.publish(before, &heap);
        drop(heap);
        // If another deadline is nearer, the call that armed it has prompted the timekeeper.
        // mutant: drop wake of the timekeeper
        if deadline < before {
            self.prompt(deadline);
        }
        ticket
    }

    /// Removes the timer of `item`. Returns false if it has already fired. [W2]
    pub fn cancel(&self, number: usize, ticket: Ticket, item: T) -> bool {
        let shard = self.shard(number);
        let mut heap = shard.heap.lock();
        let before = heap.nearest();
        let was_armed = heap.cancel(ticket, item);
        shard.publish(before, &heap);
        was_armed
    }

    /// Takes due timers out of one heap, at most a batch, and calls `expire` for each under the heap's lock. Calls
    /// `soon` for each before that, so that a cache may be warmed. Returns the number of timers. [W2] [W3]
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

    /// Returns the nearest deadline of one heap, as a hint.
    #[inline]
    pub fn nearest_of(&self, number: usize) -> u64 {
        // Relaxed: the value is a hint. The timekeeper's own read is ordered by its fence.
        self.shard(number).nearest.load(Ordering::Relaxed)
    }

    /// Returns the nearest deadline of all heaps.
    pub fn nearest(&self) -> u64 {
        (0..self.reach()).map(|number| self.nearest_of(number)).min().unwrap_or(NEVER)
    }

    fn shard(&self, number: usize) -> &Shard<T> {
        &self.shards[number]
    }

    // ---- the timekeeper ------------------------------------------------------------------------------

    /// Wakes the timekeeper if it sleeps for longer than until `deadline` plus the lag. [W1]
    fn prompt(&self, deadline: u64) {
        // SeqCst: pairs with the fence in `wait`: either this call sees how long the timekeeper sleeps, or the
        // timekeeper's second read sees this deadline. [W1]
        fence(Ordering::SeqCst);
        // Relaxed, here and below: ordered by the fence; the parker orders the rest.
        let seen = self.waits_until.load(Ordering::Relaxed);
        // If several goroutines arm at a time, one of them wakes the timekeeper. If the exchange fails, another
        // such goroutine or the timekeeper itself has changed the word. The timekeeper's second read then sees our
        // deadline, because its fence came after ours.
        let claim = |seen| {
            let to = AWAKE;
            self.waits_until.compare_exchange(seen, to, Ordering::Relaxed, Ordering::Relaxed)
        };
        if self.late(deadline) < seen && claim(seen).is_ok() {
            self.timekeeper.unpark();
        }
    }

    /// Returns the time at which the timekeeper checks that a timer for `deadline` was fired.
    fn late(&self, deadline: u64) -> u64 {
        // Relaxed: any value that the lag ever had will do. The addition saturates, so that `NEVER` stays `NEVER`.
        deadline.saturating_add(self.lag.load(Ordering::Relaxed))
    }

    /// Returns true if some timer was missed. If so, the lag becomes the shortest, so that the timekeeper also
    /// comes early the next time.
    pub fn is_late(&self, now: u64) -> bool {
        let late = self.late(self.nearest()) <= now;
        if late {
            // Relaxed: written only by the timekeeper. A goroutine that arms may read an old value; see `late`.
            self.lag.store(SHORTEST_LAG, Ordering::Relaxed);
        }
        late
    }

    /// Doubles the lag, up to the longest. Called when the timekeeper found no missed timer.
    pub fn relax(&self) {
        // Relaxed: as in `is_late`.
        let lag = self.lag.load(Ordering::Relaxed);
        self.lag.store((2 * lag).min(LONGEST_LAG), Ordering::Relaxed);
    }

    /// Blocks the timekeeper's thread until the lag after the nearest deadline is over, a nearer timer is armed, or
    /// it is [woken](Self::wake). [W1]
    pub fn wait(&self, now: impl Fn() -> u64) {
        let mut until = self.late(self.nearest());
        loop {
            // Relaxed: ordered by the fence. This is a swap because goroutines that arm write the word, too.
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
        // Relaxed: a timer that is armed from here on is seen by the next `wait`, or its fence comes after the
        // fence there.
        self.waits_until.swap(AWAKE, Ordering::Relaxed);
    }

    /// Wakes the timekeeper, so that it looks at every heap.
    pub fn wake(&self) {
        self.timekeeper.unpark();
    }
}

impl<T: Copy + PartialEq> Shard<T> {
    fn publish(&self, before: u64, heap: &Heap<T>) {
        let nearest = heap.nearest();
        if nearest != before {
            // Relaxed: the fence in `prompt` orders what must be seen. If it is seen late that a timer was removed,
            // the timekeeper only wakes for nothing.
            self.nearest.store(nearest, Ordering::Relaxed);
        }
    }
}

//! Channel core: the part of a channel that does not depend on the type of its values. It has the lock, the lists of
//! waiters, and the channel's position in the order in which a select takes locks.
//! Invariants: [V6].
//! Checked by: verification/loom/select.rs.
#![allow(unsafe_code)]

use crate::platform::unmodelled;
use crate::sched::core::clock::seed;
use crate::structures::Rng;
use crate::structures::{BiasedLock, BiasedLockGuard};
use crate::wait::List;

/// The lock of a channel, and its position in the order in which a select takes locks. The biased lock comes first;
/// its own documentation tells which fields share a cache line.
#[repr(C)]
pub struct ChannelCore {
    gate: BiasedLock<ChannelState>,
    pub(crate) id: u64,
    /// State of the generator that decides in which order a select looks at its arms. No lock guards it, because a
    /// lost update only repeats a random number.
    choices: unmodelled::AtomicU64,
}

impl ChannelCore {
    pub(super) fn new() -> Self {
        // This counter is not a part of any model, because it decides only in which order locks are taken.
        static NEXT_ID: unmodelled::AtomicU64 = unmodelled::AtomicU64::new(0);
        let gate = ChannelState {
            closed: false,
            reserved: 0,
            senders: List::new(),
            receivers: List::new(),
        };
        // Relaxed: the numbers only have to be unique.
        let id = NEXT_ID.fetch_add(1, unmodelled::Ordering::Relaxed);
        ChannelCore { id, choices: unmodelled::AtomicU64::new(seed()), gate: BiasedLock::new(gate) }
    }

    /// Blocks the kernel thread until it holds the lock.
    ///
    /// Only channels and selects call this. In their critical sections nothing suspends and no user code runs, and no
    /// critical section begins within another one of the same channel. Each guard is dropped in the function that
    /// locked, or in a function that it calls.
    #[inline]
    pub(super) fn lock(&self) -> BiasedLockGuard<'_, ChannelState> {
        // SAFETY: each caller keeps the rules stated above.
        unsafe { self.gate.lock() }
    }

    /// Returns a random number below `n`.
    pub(crate) fn random(&self, n: usize) -> usize {
        // Relaxed for both accesses: they guard no other data.
        let rng = Rng::new(self.choices.load(unmodelled::Ordering::Relaxed));
        let number = rng.below(n as u32);
        self.choices.store(rng.state(), unmodelled::Ordering::Relaxed);
        number as usize
    }
}

/// The state that does not depend on the type of the values.
pub struct ChannelState {
    pub(super) closed: bool,
    /// Number of places in the buffer that are reserved for selects that were chosen to send.
    pub(super) reserved: usize,
    pub(crate) senders: List,
    pub(crate) receivers: List,
}

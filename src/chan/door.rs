//! Door: what of a channel knows nothing of the type of its values: its lock, who waits at it, and its
//! place in the order in which a select takes locks.
//! Invariants: [V6].
//! Checked by: verification/loom/select.rs.
#![allow(unsafe_code)]

use crate::platform::unmodelled;
use crate::sched::core::clock::seed;
use crate::structures::Rng;
use crate::structures::{BiasedLock, BiasedLockGuard};
use crate::wait::List;

/// The lock of a channel, and its place in the order in which a select takes locks. The latch first: see
/// there for what lies in which cache line.
#[repr(C)]
pub struct ChannelCore {
    gate: BiasedLock<ChannelState>,
    pub(crate) id: u64,
    /// In which order a select looks at its arms. No lock guards it: what is lost is a number.
    choices: unmodelled::AtomicU64,
}

impl ChannelCore {
    pub(super) fn new() -> Self {
        // Not a part of any model: an order in which locks are taken, and nothing else.
        static NEXT_ID: unmodelled::AtomicU64 = unmodelled::AtomicU64::new(0);
        let gate = ChannelState {
            closed: false,
            reserved: 0,
            senders: List::new(),
            receivers: List::new(),
        };
        // Relaxed: unique is enough.
        let id = NEXT_ID.fetch_add(1, unmodelled::Ordering::Relaxed);
        ChannelCore { id, choices: unmodelled::AtomicU64::new(seed()), gate: BiasedLock::new(gate) }
    }

    /// Blocks the kernel thread until it holds the lock.
    ///
    /// For channels and selects alone. In a critical section of theirs nothing suspends and no code of a
    /// user runs, no section begins within another one of the same channel, and each guard is dropped in
    /// the function that has locked, or in one that this calls.
    #[inline]
    pub(super) fn lock(&self) -> BiasedLockGuard<'_, ChannelState> {
        // SAFETY: what is said above, of each caller.
        unsafe { self.gate.lock() }
    }

    /// A number below `n`.
    pub(crate) fn random(&self, n: usize) -> usize {
        // Relaxed, both: nothing is read that it guards.
        let rng = Rng::new(self.choices.load(unmodelled::Ordering::Relaxed));
        let number = rng.below(n as u32);
        self.choices.store(rng.state(), unmodelled::Ordering::Relaxed);
        number as usize
    }
}

/// What knows nothing of the type of the values.
pub struct ChannelState {
    pub(super) closed: bool,
    /// Places in the buffer kept for selects that were chosen to send.
    pub(super) reserved: usize,
    pub(crate) senders: List,
    pub(crate) receivers: List,
}

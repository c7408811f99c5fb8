//! Trim: the memory of stacks that a burst left behind goes back to the kernel, busy or not.
//! Every `LOOK_EVERY` the arena says how many warm stacks nobody has needed since the last look. So many,
//! beyond `KEPT`, lose their memory, in small pieces; then segments that are free are unmapped.
//! The monitor does it. As long as there is something to do, it does not rest.
//! Checked by: proptests/runtime/memory.rs.

use crate::fiber::{StackError, StackPool};
use crate::platform::clock;
use crate::platform::unmodelled::{AtomicU64, Ordering};
use crate::sched::core::cell::Ptr;
use crate::sched::core::runtime::Shared;
use crate::sched::core::stacks::SIZES;
use std::io::Write;
use std::time::Duration;

/// Warm stacks of one size that stay, needed or not: to touch so many again takes some 0.5 ms.
const KEPT: usize = 128;
/// Large stacks that stay have no more bytes than this.
const KEPT_BYTES: usize = 64 << 20;
/// How long a stack must have been of no use.
const LOOK_EVERY: u64 = 250_000_000;
/// Stacks that lose their memory in one step, which takes about a millisecond.
const AT_ONCE: usize = 256;
/// Between two steps.
const PAUSE: Duration = Duration::from_micros(500);

/// One turn for each arena.
#[derive(Default)]
pub(crate) struct Trimmer([Turn; SIZES + 1]);

#[derive(Default)]
struct Turn {
    /// Stacks that are still to lose their memory.
    idle: usize,
    next_look: u64,
}

impl Trimmer {
    /// Does a part of what there is to do. After what time to call it again; `None` if nothing is left to do
    /// until goroutines have run.
    pub(crate) fn step(&mut self, shared: &Shared, nothing_runs: bool) -> Option<Duration> {
        let turns = shared.stack_pools().map(|(number, stack_pool)| {
            self.0[number]
                .step(stack_pool, nothing_runs, || shared.release_stacks(number, stack_pool))
        });
        turns.flatten().min()
    }
}

impl Turn {
    fn step(
        &mut self,
        stack_pool: &StackPool,
        nothing_runs: bool,
        release: impl FnOnce(),
    ) -> Option<Duration> {
        let kept = KEPT.min(KEPT_BYTES / stack_pool.layout().usable());
        let now = clock::now();
        if self.idle == 0 && now >= self.next_look {
            self.idle = stack_pool.idle().saturating_sub(kept);
            self.next_look = now + LOOK_EVERY;
        }
        if self.idle == 0 {
            let may_rest = nothing_runs && stack_pool.warm() <= kept;
            return (!may_rest).then_some(Duration::from_nanos(self.next_look - now));
        }
        let most = self.idle.min(AT_ONCE);
        let done = stack_pool.trim(stack_pool.warm().saturating_sub(self.idle), most);
        self.idle = if done < most { 0 } else { self.idle - done };
        if self.idle == 0 {
            stack_pool.gather(kept);
            release();
        }
        Some(PAUSE)
    }
}

impl Shared {
    /// Unmaps segments of the arena of this number in which nothing is in use. Of an arena that is strained, as
    /// many slots stay open as goroutines count on. [C5]
    fn release_stacks(&self, number: usize, stack_pool: &StackPool) {
        let is_strained = stack_pool.is_strained();
        // Dropped, and with that unmapped, without the pool's lock.
        let _free = match number.checked_sub(1) {
            None => self.pool.with_out(|out| {
                let least = || out.saturating_sub(self.alive_elsewhere());
                stack_pool.release(1, || if is_strained { least() } else { 0 })
            }),
            Some(size) => {
                stack_pool.release(0, || if is_strained { self.alive_on(size) } else { 0 })
            }
        };
    }

    /// Says, not too often, that a goroutine waits for a stack.
    pub(crate) fn report_postponed(&self, goroutine: Ptr, error: &StackError) {
        const SELDOM: u64 = 10_000_000_000;
        static LAST: AtomicU64 = AtomicU64::new(0);
        let now = clock::now().max(1);
        // Relaxed: at worst two threads say it.
        let last = LAST.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) < SELDOM {
            return;
        }
        // Relaxed: as above.
        LAST.store(now, Ordering::Relaxed);
        let _ = writeln!(
            std::io::stderr(),
            "selvedge: goroutine {} waits for a stack until another one ends: {error}",
            goroutine.id()
        );
    }
}

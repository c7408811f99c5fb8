//! Gives the memory of stacks that are no longer needed back to the kernel, whether the runtime is busy or
//! idle. Every `LOOK_EVERY` nanoseconds the stack pool says how many warm stacks were not needed since the
//! last look. All of these beyond `KEPT` lose their memory, in small steps. Then free segments are
//! unmapped. The monitor does this work. It does not sleep for long while there is work of this kind.
//! Checked by: proptests/runtime/memory.rs.

use crate::fiber::{StackError, StackPool};
use crate::platform::clock;
use crate::platform::unmodelled::{AtomicU64, Ordering};
use crate::sched::core::cell::Ptr;
use crate::sched::core::runtime::Shared;
use crate::sched::core::stacks::SIZES;
use std::io::Write;
use std::time::Duration;

/// The number of warm stacks of one size that are always kept. To touch this number of stacks again takes
/// about 0.5 ms.
const KEPT: usize = 128;
/// The kept stacks of one size have no more bytes than this.
const KEPT_BYTES: usize = 64 << 20;
/// The time for which a stack must not have been needed, in nanoseconds.
const LOOK_EVERY: u64 = 250_000_000;
/// The number of stacks that lose their memory in one step. A step takes about a millisecond.
const AT_ONCE: usize = 256;
/// The pause between two steps.
const PAUSE: Duration = Duration::from_micros(500);

/// The state of trimming, with one `Turn` for each stack pool.
#[derive(Default)]
pub(crate) struct Trimmer([Turn; SIZES + 1]);

#[derive(Default)]
struct Turn {
    /// The number of stacks that must still lose their memory.
    idle: usize,
    next_look: u64,
}

impl Trimmer {
    /// Does one step of the work. Returns the time after which the caller must call again. Returns `None`
    /// if there is nothing to do until goroutines have run.
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
    /// Unmaps segments of this stack pool in which no stack is in use. If the pool is strained, as many
    /// slots stay open as goroutines rely on. [C5]
    fn release_stacks(&self, number: usize, stack_pool: &StackPool) {
        let is_strained = stack_pool.is_strained();
        // The segments in `_free` are dropped, and so unmapped, after the pool's lock is released.
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

    /// Reports that a goroutine waits for a stack. At most one message is printed in `SELDOM` nanoseconds.
    pub(crate) fn report_postponed(&self, goroutine: Ptr, error: &StackError) {
        const SELDOM: u64 = 10_000_000_000;
        static LAST: AtomicU64 = AtomicU64::new(0);
        let now = clock::now().max(1);
        // Relaxed: at worst, two threads print the message.
        let last = LAST.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) < SELDOM {
            return;
        }
        // Relaxed: no other memory access depends on the time that is stored here.
        LAST.store(now, Ordering::Relaxed);
        let _ = writeln!(
            std::io::stderr(),
            "selvedge: goroutine {} waits for a stack until another one ends: {error}",
            goroutine.id()
        );
    }
}

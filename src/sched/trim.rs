//! Trim: the memory of stacks that a burst left behind goes back to the kernel, busy or not.
//! Every `LOOK_EVERY` the arena says how many warm stacks nobody has needed since the last look. So many,
//! beyond `KEPT`, lose their memory, in small pieces; then segments that are free are unmapped.
//! The monitor does it. As long as there is something to do, it does not rest.
//! Checked by: proptests/runtime/memory.rs.

use super::goroutine::Ptr;
use super::shared::Shared;
use crate::context::StackError;
use crate::platform::clock;
use crate::platform::unmodelled::{AtomicU64, Ordering};
use std::io::Write;
use std::time::Duration;

/// Warm stacks that stay, needed or not: to touch so many again takes some 0.5 ms.
const KEPT: usize = 128;
/// How long a stack must have been of no use.
const LOOK_EVERY: u64 = 250_000_000;
/// Stacks that lose their memory in one step, which takes about a millisecond.
const AT_ONCE: usize = 256;
/// Between two steps.
const PAUSE: Duration = Duration::from_micros(500);

#[derive(Default)]
pub(crate) struct Trimmer {
    /// Stacks that are still to lose their memory.
    idle: usize,
    next_look: u64,
}

impl Trimmer {
    /// Does a part of what there is to do. After what time to call it again; `None` if nothing is left to do
    /// until goroutines have run.
    pub(crate) fn step(&mut self, shared: &Shared, nothing_runs: bool) -> Option<Duration> {
        let arena = &shared.arena;
        let now = clock::now();
        if self.idle == 0 && now >= self.next_look {
            self.idle = arena.idle().saturating_sub(KEPT);
            self.next_look = now + LOOK_EVERY;
        }
        if self.idle == 0 {
            let may_rest = nothing_runs && arena.warm() <= KEPT;
            return (!may_rest).then_some(Duration::from_nanos(self.next_look - now));
        }
        let most = self.idle.min(AT_ONCE);
        let done = arena.trim(arena.warm().saturating_sub(self.idle), most);
        self.idle = if done < most { 0 } else { self.idle - done };
        if self.idle == 0 {
            arena.gather(KEPT);
            // Dropped, and with that unmapped, without the pool's lock.
            let _free = shared.pool.with_out(|out| {
                let least = if arena.is_strained() { out } else { 0 };
                arena.release(1, least)
            });
        }
        Some(PAUSE)
    }
}

impl Shared {
    /// Says, not too often, that a goroutine waits for a stack.
    pub(super) fn report_postponed(&self, goroutine: Ptr, error: &StackError) {
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

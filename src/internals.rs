//! Internals: the one door through which the project's own checks look into the crate. It exists only with
//! the feature `internals`, and is no part of the API.
//!
//! It names each thing that a test, a bench or a model uses, and nothing else. What can reach undefined
//! behaviour when it is misused is an `unsafe fn` there too, so a check answers each duty as other code does.
//! Checked by: verification/house/door.rs.
#![forbid(unsafe_code)]

use crate::api::builder::Builder;
use crate::api::runtime::Runtime;
use crate::platform::{Arc, Notifier};
use crate::sched::core::wake_handle::WakeHandle;
use crate::sched::poller::{EventHandler, Key, Source};

pub use crate::wait::alarm;

/// The readiness of a socket, and the waits for it.
pub mod cell {
    pub use crate::net::cell::{Cell, Way};
}

/// Stacks, and the switch.
pub mod fiber {
    #[cfg(selvedge_isolated)]
    pub use crate::fiber::write_by_system_call;
    pub use crate::fiber::{Fiber, SlotLayout, StackPool, Suspender};
}

/// Queues, and what else knows no goroutine.
pub mod structures {
    pub use crate::structures::run_queue::run_queue;
    pub use crate::structures::{
        GlobalQueue, Heap, Link, Linked, List, Local, NEVER, RemoteQueue, Rng, Slot, SpawnCounters,
        Steal, Ticket,
    };
}

/// The layer that each checker replaces.
pub mod platform {
    pub use crate::explore::virtual_time;
    pub use crate::platform::{
        Arc, Condvar, Mutex, Notifier, Parker, atomic, cell, fence, thread, thread_id, tour,
    };
    pub use crate::structures::biased_lock;

    /// What a model thread is, and where it runs.
    pub mod tls {
        pub use crate::platform::tls::{set_parker, worker};
    }
}

/// The scheduler's protocols.
pub mod sched {
    pub use crate::sched::goroutine::{join_word, state};
    pub use crate::sched::idle::retake_gate;
    pub use crate::sched::timers;
    pub use crate::sched::{idle, poller};

    /// What a goroutine has changed of its kernel thread.
    pub mod wired {
        pub use crate::sched::core::wired::{FOR_GOOD, note_mask, wire};
    }
}

/// How a lock queues.
pub mod raw_mutex {
    pub use crate::sync::raw_mutex::{MOST_PASSES, RawMutex};
}

/// How everything above the scheduler waits.
pub mod wait {
    pub use crate::wait::{List, Node, Wait, WaitLimit, WakeHandle, limit};

    /// The limit of a wait under `token`.
    pub fn limit_of(token: &crate::cancel::CancelToken) -> WaitLimit<'_> {
        token.limit()
    }
}

impl Builder {
    /// For models, which retake when they choose, and fill small queues soon.
    pub fn modelled(mut self, run_queue_capacity: usize) -> Self {
        self.monitor = false;
        self.run_queue_capacity = run_queue_capacity;
        self
    }

    /// For models, whose kernel is their own: where its sockets' events come from.
    pub fn kernel(mut self, source: Box<dyn Source>, notifier: Arc<dyn Notifier>) -> Self {
        self.kernel = Some((source, notifier));
        self
    }
}

impl Runtime {
    /// For models, which take the monitor's place: takes the processor of every goroutine that is in user
    /// code; returns of how many.
    pub fn retake_all(&self) -> usize {
        self.own().map_or(0, |shared| crate::sched::monitor::retake_all(shared))
    }

    /// For models, where time stands still: fires every timer whose deadline is at `until`, in
    /// nanoseconds, or before; returns how many these were.
    pub fn fire_timers(&self, until: u64) -> usize {
        self.own().map_or(0, |shared| crate::sched::suspend::park_until::fire_timers(shared, until))
    }

    /// For models with a kernel of their own: its goroutines wait for `sink` by what that says of the
    /// key returned.
    pub fn register(&self, handler: Arc<dyn EventHandler<WakeHandle>>) -> Key {
        let sockets = self.own().and_then(|shared| shared.sockets.get());
        sockets.expect("built with a kernel").poller.slots.lock().insert(handler)
    }

    /// For models, which take the monitor's place: as the monitor does when it looks after the sockets.
    pub fn see_to_sockets(&self) {
        self.own().into_iter().for_each(|shared| shared.see_to_sockets());
    }
}

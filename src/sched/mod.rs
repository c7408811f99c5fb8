//! Floor 2: the scheduler. It runs goroutines on workers that hold processors.
//!
//! The contract with everything above is `spawn`, `yield_now`, `park`, `unpark`, and `blocking`.
//! | file | what it decides |
//! |---|---|
//! | `state` | who may resume a goroutine's stack |
//! | `goroutine`, `reference`, `task`, `pool` | what a goroutine is, and where its cell comes from |
//! | `join` | whose its result is, and who is told of its end |
//! | `claim`, `enter` | whether a processor is still its worker's own |
//! | `roster/` | who sleeps, who is woken, who waits for a processor |
//! | `processor`, `find` | which goroutine runs next |
//! | `worker`, `entry`, `settle` | how it runs, and where it goes when it stops |
//! | `suspend`, `waiter`, `group` | how it waits |
//! | `deadline`, `timers` | how it waits for a time, and who sees that it has come |
//! | `run` | the switch to a goroutine, and away from it |
//! | `submit`, `batch`, `home` | where a runnable goroutine waits |
//! | `monitor`, `helpers` | blocked and computing goroutines |
//! | `stacks` | where its stack comes from |
//! | `trim` | when the memory of stacks goes back to the kernel |
//! | `leavers` | threads that ended before the runtime |
//! | `wired`, `interpose/` | goroutines that change their kernel thread, and how that is seen |
//! | `poller/` | who waits for sockets, and who learns that they are ready |
//! | `forked` | what the child of a `fork` is told |
//! | `simulation` | the same on one worker, by a seed and in virtual time |
//! | `config`, `shared`, `shutdown` | the runtime as a whole, its beginning and its end |

pub(crate) mod blocking;
pub(crate) mod core;
pub mod goroutine;
pub mod idle;
#[cfg(all(selvedge_isolated, not(miri)))]
pub(crate) mod interpose;
#[cfg(not(all(selvedge_isolated, not(miri))))]
pub(crate) mod interpose {
    //! Where goroutines have no thread-locals of their own, nothing is interposed.
    pub(crate) fn link() {}
}
pub(crate) mod lifecycle;
pub(crate) mod monitor;
pub mod poller;
pub(crate) mod suspend;
pub mod timers;
pub(crate) mod worker;

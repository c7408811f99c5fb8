//! Wait: how everything above the scheduler waits. One caller registers a [`Node`] on each list that
//! it waits on, parks, and is fired by exactly one waker; with a time limit, or a token that is
//! cancelled, it gives up instead.
//!
//! waiter: link nodes (under each list's lock); `wait`: park until FIRED; unlink the other nodes.
//! waker (under the list's lock): `List::claim`: unlink the first node whose wait it can claim; pass
//!     a value through the node's packet; `Claim::fire`; release the lock; `WakeHandle::wake`.
//! gives up: WAITING → GIVEN_UP; if somebody has claimed it, waits for FIRED after all.
//!
//! | state | who may touch the packets |
//! |---|---|
//! | `WAITING` | nobody |
//! | `CLAIMED` | the waker that claimed it |
//! | `GIVEN_UP`, `FIRED` + arm | the waiter |
//!
//! [X1] A wait is fired at most once, by one waker, through one node. [X2] What the waker wrote to the
//! packet is seen by the waiter. [X3] A node is unlinked before its frame goes.
//! [X4] A waker touches neither wait nor node after FIRED.
//! Checked by: verification/loom/wait.rs.

pub mod alarm;
pub(crate) mod instant;
pub mod limit;
pub mod list;
pub(crate) mod token;
pub mod trace;
#[allow(clippy::module_inception)]
mod wait;

pub use crate::sched::core::wake_handle::WakeHandle;
pub use limit::WaitLimit;
pub use list::{Claim, List, Node};
pub use wait::{Ended, Wait, Wakes};

//! Wait: the one way in which everything above the scheduler waits. A caller registers a [`Node`] on each list that
//! it waits on, and parks. Exactly one waker completes the wait. If the wait has a time limit or a token, the
//! deadline or the cancelling of the token may end the wait instead.
//!
//! waiter: link nodes (under each list's lock); `wait`: park until FIRED; unlink the other nodes.
//! waker (under the list's lock): `List::claim`: unlink the first node whose wait it can claim; pass
//!     a value through the node's message slot; `Claim::complete`; release the lock; `WakeHandle::wake`.
//! cancel: WAITING → GIVEN_UP; if a waker has already claimed the wait, wait for FIRED after all.
//!
//! | state | side that may access the message slots |
//! |---|---|
//! | `WAITING` | none |
//! | `CLAIMED` | the waker that claimed the wait |
//! | `GIVEN_UP`, `FIRED` + arm | the waiter |
//!
//! [X1] A wait is completed at most once, by one waker, through one node. [X2] What the waker wrote to the message
//! slot is seen by the waiter. [X3] A node is unlinked before its frame ends.
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

//! Reports an error to code that continues in the child of a `fork` and uses the parent's runtime there.
//!
//! The child has one thread. In the child, a runtime of the parent has no threads. A goroutine that the
//! child spawns there would never run, and a goroutine that the child joins there would never end. If the
//! forking thread ran a goroutine, the child's thread is a plain thread on that goroutine's stack
//! (`platform::fork`).
//!
//! So the following operations check [`Born`] first, outside the hot paths: a spawn by a thread that is not
//! a worker, a join that would wait, a wake-up from outside, and `shutdown`. A plain thread that would wait
//! without a limit is checked, too: if the parent had a runtime and the child has none, the wait reports an
//! error, because it would never end.
//!
//! Checked by: proptests/environment/fork.rs.
#![forbid(unsafe_code)]

use crate::platform::fork;
use crate::platform::fork::Born;
use crate::platform::tls;
use crate::sched::core::runtime::Shared;

/// The second part of each message. The first part names the function that was called.
pub(crate) const ADVICE: &str = "a runtime does not outlive fork: its kernel threads are the parent's, \
                                 and none of its goroutines runs in the child; build a runtime in the \
                                 child, exec, or fork before the first runtime is built";

impl Shared {
    /// Returns whether the runtime's threads belong to this process.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.born.is_here()
    }

    /// Panics if the caller is in the child of a fork and the runtime is the parent's.
    #[inline]
    #[track_caller]
    pub(crate) fn check_here(&self, what: &str) {
        if !self.is_here() {
            refuse(what);
        }
    }
}

/// Panics if the caller, a plain thread in the child of a fork, would probably wait for ever.
#[inline]
#[track_caller]
pub(crate) fn check_wait(what: &str) {
    if fork::is_bereft() {
        refuse(what);
    }
}

/// Like [`check_wait`], but ends the process. A caller must use this function if it must not unwind because
/// other threads refer to its stack.
#[inline]
pub(crate) fn check_wait_without_fail(what: &str) {
    if fork::is_bereft() {
        end(what);
    }
}

/// Ends the process if this thread of the runtime, which was made in the process `born`, is now in a child.
/// `what` names the code that has called `fork` on this thread and returned.
#[inline]
pub(crate) fn check_thread(born: Born, what: &str) {
    if !born.is_here() {
        end(what);
    }
}

/// Returns whether the caller is a goroutine that has called `fork`, in the child.
pub(crate) fn is_orphan() -> bool {
    tls::is_orphan()
}

#[cold]
#[track_caller]
pub(crate) fn refuse(what: &str) -> ! {
    panic!("{what}: {ADVICE}");
}

/// Like [`refuse`], but ends the process, because no code could catch a panic there.
#[cold]
pub(crate) fn end(what: &str) -> ! {
    eprintln!("selvedge: {what}: {ADVICE}");
    std::process::abort();
}

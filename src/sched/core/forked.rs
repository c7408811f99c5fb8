//! Forked: what code is told that goes on, in the child of a `fork`, as if it were in the parent.
//!
//! The child has one thread. A runtime of the parent's is memory there, and nothing else: a goroutine that
//! is spawned would never run, one that is joined never end. If the thread ran a goroutine, that is a
//! plain thread in the child (`platform::fork`), whose stack is a goroutine's.
//! So whoever asks a runtime for something asks [`Born`] first, off the hot paths: spawns by others
//! than its workers, joins that would wait, wake-ups from outside, `shutdown`. And whoever waits, on a plain
//! thread and without a limit, where there was a runtime and is none, is told so, rather than wait for
//! ever.
//! Checked by: proptests/environment/fork.rs.
#![forbid(unsafe_code)]

use crate::platform::fork;
use crate::platform::fork::Born;
use crate::platform::tls;
use crate::sched::core::runtime::Shared;

/// After the name of what was called.
pub(crate) const ADVICE: &str = "a runtime does not outlive fork: its kernel threads are the parent's, \
                                 and none of its goroutines runs in the child; build a runtime in the \
                                 child, exec, or fork before the first runtime is built";

impl Shared {
    /// Whether its threads are this process's.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.born.is_here()
    }

    /// Panics in the child of a fork.
    #[inline]
    #[track_caller]
    pub(crate) fn check_here(&self, what: &str) {
        if !self.is_here() {
            refuse(what);
        }
    }
}

/// Panics where the caller, a plain thread, would wait for ever, as it seems.
#[inline]
#[track_caller]
pub(crate) fn check_wait(what: &str) {
    if fork::is_bereft() {
        refuse(what);
    }
}

/// As [`check_wait`], where nothing may unwind, since others refer to the caller's stack.
#[inline]
pub(crate) fn check_wait_without_fail(what: &str) {
    if fork::is_bereft() {
        end(what);
    }
}

/// Ends the process where a thread of the runtime, made in the process `born`, finds itself in a child:
/// `what` has called `fork` on it, and returned.
#[inline]
pub(crate) fn check_thread(born: Born, what: &str) {
    if !born.is_here() {
        end(what);
    }
}

/// Whether the caller is a goroutine that has called `fork`, in the child.
pub(crate) fn is_orphan() -> bool {
    tls::is_orphan()
}

#[cold]
#[track_caller]
pub(crate) fn refuse(what: &str) -> ! {
    panic!("{what}: {ADVICE}");
}

/// As [`refuse`], where nobody could catch a panic.
#[cold]
pub(crate) fn end(what: &str) -> ! {
    eprintln!("selvedge: {what}: {ADVICE}");
    std::process::abort();
}

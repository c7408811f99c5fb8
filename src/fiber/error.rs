//! The errors of stacks, and what a user can do about each of them.
#![forbid(unsafe_code)]

use super::slot::MAX_GUARD_SIZE;
use super::{MAX_STACK_SIZE, MIN_STACK_SIZE};
use std::fmt;
use std::io;

/// Why a stack, or a stack pool, could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StackError {
    /// The stack size is out of range.
    Size {
        /// Bytes asked for.
        asked: usize,
    },
    /// The guard size is out of range.
    GuardSize {
        /// Bytes asked for.
        asked: usize,
    },
    /// The number of slots is 0, or larger than the number that a pool with this stack size can have.
    Slots {
        /// The number of slots that was asked for.
        asked: usize,
        /// The number of slots that are possible.
        allowed: usize,
    },
    /// The kernel cannot make guards without mappings of their own, and `vm.max_map_count` allows fewer
    /// stacks than were asked for.
    Guards {
        /// The number of stacks that was asked for.
        asked: usize,
        /// The number of stacks that a process can have.
        allowed: usize,
    },
    /// The kernel refuses guards without mappings of their own, and the process has no mappings left of the
    /// `vm.max_map_count` that it may have.
    Mappings {
        /// The number of stacks that the process has. The process cannot have more stacks.
        stacks: usize,
        /// The value of `vm.max_map_count`.
        limit: usize,
    },
    /// The kernel refused to reserve the address space.
    Reserve {
        /// The bytes of address space that were asked for.
        bytes: usize,
        /// The kernel's reason.
        errno: i32,
    },
    /// The kernel refused a stack's guard.
    Guard {
        /// The kernel's reason.
        errno: i32,
    },
    /// Every slot is in use.
    Exhausted {
        /// The number of slots in the pool.
        slots: usize,
    },
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StackError::Size { asked } => write!(
                f,
                "a stack of {asked} bytes is not possible; ask for {MIN_STACK_SIZE} to \
                 {MAX_STACK_SIZE}"
            ),
            StackError::GuardSize { asked } => write!(
                f,
                "a guard of {asked} bytes is not possible; ask for 1 to {MAX_GUARD_SIZE}, or leave \
                 `Builder::guard_size` out"
            ),
            StackError::Slots { asked, allowed } => {
                write!(f, "{asked} stacks of this size are not possible; ask for 1 to {allowed}")
            }
            StackError::Guards { asked, allowed } => write!(
                f,
                "this kernel makes a guard for no more than {allowed} stacks, not {asked}: it is older \
                 than 6.13, or a sandbox denies madvise(MADV_GUARD_INSTALL), so each guard takes mappings; \
                 ask for fewer goroutines, raise vm.max_map_count, or see \
                 `Builder::allow_unguarded_stacks`"
            ),
            StackError::Mappings { stacks, limit } => write!(
                f,
                "all {stacks} guarded stacks that vm.max_map_count = {limit} leaves room for are in use: \
                 the kernel is older than 6.13, or a sandbox or mlockall is in the way of \
                 MADV_GUARD_INSTALL, so each guard takes mappings; let goroutines finish, raise \
                 vm.max_map_count, or see `Builder::allow_unguarded_stacks`"
            ),
            StackError::Reserve { bytes, errno } => write!(
                f,
                "the kernel refused {bytes} bytes of address space for stacks ({}); {}, or ask for \
                 smaller stacks",
                io::Error::from_raw_os_error(errno),
                remedy(errno)
            ),
            StackError::Guard { errno } => write!(
                f,
                "the kernel refused a stack's guard ({}); {}, or run fewer goroutines at once",
                io::Error::from_raw_os_error(errno),
                remedy(errno)
            ),
            StackError::Exhausted { slots } => write!(
                f,
                "all {slots} stacks are in use; let goroutines finish or ask for more stacks"
            ),
        }
    }
}

/// Returns the likely cause of the kernel's error, and what the user can do about it.
fn remedy(errno: i32) -> &'static str {
    match errno {
        libc::EAGAIN => {
            "memory is locked by mlockall: raise the limit on locked memory (ulimit -l), or lock less"
        }
        libc::EPERM | libc::EACCES | libc::ENOSYS => {
            "a sandbox denies mmap, mprotect or madvise: allow them"
        }
        _ => {
            "raise the limits on address space (ulimit -v, ulimit -d, vm.overcommit_memory) or on \
             mappings (vm.max_map_count)"
        }
    }
}

impl std::error::Error for StackError {}

//! What can go wrong with stacks, and what to do about it.
#![forbid(unsafe_code)]

use super::{MAX_STACK_SIZE, MIN_STACK_SIZE};
use std::fmt;
use std::io;

/// Why there is no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StackError {
    /// The stack size is out of range.
    Size {
        /// Bytes asked for.
        asked: usize,
    },
    /// No slot at all, or more than an arena of this stack size can have.
    Slots {
        /// Slots asked for.
        asked: usize,
        /// Slots that are possible.
        allowed: usize,
    },
    /// The kernel knows no light guards, and `mprotect` guards are limited by `vm.max_map_count`.
    Guards {
        /// Slots asked for.
        asked: usize,
        /// Slots that the process may still have.
        allowed: usize,
    },
    /// The kernel refused to reserve the address space.
    Reserve {
        /// Bytes of address space asked for.
        bytes: usize,
        /// The kernel's reason.
        errno: i32,
    },
    /// The kernel refused a guard page.
    Guard {
        /// The kernel's reason.
        errno: i32,
    },
    /// Every slot is in use.
    Exhausted {
        /// Slots of the arena.
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
            StackError::Slots { asked, allowed } => {
                write!(f, "{asked} stacks of this size are not possible; ask for 1 to {allowed}")
            }
            StackError::Guards { asked, allowed } => write!(
                f,
                "this kernel (before 6.13) has no light guard pages, and vm.max_map_count leaves \
                 room for {allowed} stacks, not {asked}; ask for fewer or raise vm.max_map_count"
            ),
            StackError::Reserve { bytes, errno } => write!(
                f,
                "the kernel refused {bytes} bytes of address space ({}); ask for fewer or smaller \
                 stacks, or raise the limit (ulimit -v, vm.overcommit_memory)",
                io::Error::from_raw_os_error(errno)
            ),
            StackError::Guard { errno } => write!(
                f,
                "the kernel refused a stack's guard page ({}); run fewer goroutines at once, or \
                 raise vm.max_map_count and the memory limit",
                io::Error::from_raw_os_error(errno)
            ),
            StackError::Exhausted { slots } => write!(
                f,
                "all {slots} stacks are in use; let goroutines finish or ask for more stacks"
            ),
        }
    }
}

impl std::error::Error for StackError {}

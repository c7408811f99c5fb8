//! This file replaces `block` on another machine, with another C library, or with another switch.

use super::error::ThreadLocalsError;

/// Calls the function directly, because the caller has the kernel thread's own thread-locals.
#[inline]
pub fn as_kernel_thread<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// A type without values, because there are no blocks.
pub enum Blocks {}

impl Blocks {
    pub fn of_this_process() -> Result<&'static Blocks, ThreadLocalsError> {
        Err(ThreadLocalsError::Unsupported)
    }

    pub fn above(&self, _: usize) -> (usize, usize) {
        match *self {}
    }

    pub fn pointer(&self, _: usize) -> usize {
        match *self {}
    }

    pub fn bytes(&self) -> usize {
        match *self {}
    }

    pub unsafe fn make(&self, _: usize, _: usize) {
        match *self {}
    }

    pub unsafe fn set_out(&self, _: usize, _: *const ()) -> [usize; 2] {
        match *self {}
    }

    pub unsafe fn come_back(&self, _: usize) {
        match *self {}
    }

    pub unsafe fn end(&self) {
        match *self {}
    }

    pub unsafe fn renew(&self) {
        match *self {}
    }

    pub fn catch_up(&self) {
        match *self {}
    }

    pub unsafe fn retire(&self, _: usize) {
        match *self {}
    }
}

//! What the kernel keeps for each of its threads, and returns when asked: the mask of signals, and the
//! alternate stack of their handlers.

use std::ptr;

/// The signals that are blocked: signal 1 is the lowest bit.
pub type Mask = u64;

/// The stack on which signal handlers run that ask for it.
#[derive(Clone, Copy)]
pub struct AlternateStack(libc::stack_t);

impl Default for AlternateStack {
    /// Returns the description of no stack.
    fn default() -> Self {
        AlternateStack(libc::stack_t {
            ss_sp: ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        })
    }
}

impl AlternateStack {
    /// Converts what the kernel says.
    #[allow(dead_code, reason = "not where nothing is interposed")]
    pub fn new(stack: libc::stack_t) -> Self {
        AlternateStack(stack)
    }

    fn facts(&self) -> Option<(usize, usize, libc::c_int)> {
        let libc::stack_t { ss_sp, ss_size, ss_flags } = self.0;
        // Whether a handler runs on it at this moment is no property of the stack.
        let flags = ss_flags & !libc::SS_ONSTACK;
        (flags & libc::SS_DISABLE == 0).then_some((ss_sp.addr(), ss_size, flags))
    }
}

/// Returns whether handlers run at the same place.
impl PartialEq for AlternateStack {
    fn eq(&self, other: &Self) -> bool {
        self.facts() == other.facts()
    }
}

/// Returns the calling kernel thread's mask.
pub fn mask() -> Mask {
    // SAFETY: an empty set.
    let mut set = unsafe { std::mem::zeroed::<libc::sigset_t>() };
    // SAFETY: asks, and a place of this frame.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut set) };
    // SAFETY: for each number a set of this frame.
    let is_in = |signal: &i32| unsafe { libc::sigismember(&set, *signal) } == 1;
    (1..=64).filter(is_in).map(|signal| 1 << (signal - 1)).sum()
}

/// Returns the calling kernel thread's alternate stack.
pub fn alternate_stack() -> AlternateStack {
    let mut stack = AlternateStack::default();
    // SAFETY: asks, and a place of this frame.
    unsafe { libc::sigaltstack(ptr::null(), &mut stack.0) };
    stack
}

/// Sets the calling kernel thread's mask.
pub fn set_mask(mask: Mask) {
    // SAFETY: an empty set.
    let mut set = unsafe { std::mem::zeroed::<libc::sigset_t>() };
    for signal in (1..=64).filter(|signal| mask >> (signal - 1) & 1 != 0) {
        // SAFETY: the set is in this frame. The C library refuses its own signals, which no code blocks.
        unsafe { libc::sigaddset(&mut set, signal) };
    }
    // SAFETY: the set is complete.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set, ptr::null_mut()) };
}

/// Sets the calling kernel thread's alternate stack to one that it had before.
pub fn set_alternate_stack(stack: AlternateStack) {
    let mut stack = stack.0;
    stack.ss_flags &= !libc::SS_ONSTACK;
    // SAFETY: the code that installed it keeps it for as long as the thread lives.
    unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
}

//! What the kernel keeps for each of its threads, and returns when asked: the mask of signals, and the
//! alternate stack of their handlers.

use std::ptr;

/// The signals that are blocked: signal 1 is the lowest bit.
pub type Mask = u64;

/// The stack of those signal handlers that ask for an alternate stack.
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
        // The flag that a handler is running on the stack now is not a property of the stack.
        let flags = ss_flags & !libc::SS_ONSTACK;
        (flags & libc::SS_DISABLE == 0).then_some((ss_sp.addr(), ss_size, flags))
    }
}

/// Returns whether the two stacks are equal.
impl PartialEq for AlternateStack {
    fn eq(&self, other: &Self) -> bool {
        self.facts() == other.facts()
    }
}

/// Returns the calling kernel thread's mask.
pub fn mask() -> Mask {
    // SAFETY: all bytes zero is a valid `sigset_t`, the empty set.
    let mut set = unsafe { std::mem::zeroed::<libc::sigset_t>() };
    // SAFETY: `set` is a valid place for the result. A null pointer for the new mask means that the mask is only
    // read.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut set) };
    // SAFETY: `set` is a valid set in this frame. For a number that is no signal the call returns an error.
    let is_in = |signal: &i32| unsafe { libc::sigismember(&set, *signal) } == 1;
    (1..=64).filter(is_in).map(|signal| 1 << (signal - 1)).sum()
}

/// Returns the calling kernel thread's alternate stack.
pub fn alternate_stack() -> AlternateStack {
    let mut stack = AlternateStack::default();
    // SAFETY: `stack.0` is a valid place for the result. A null pointer for the new stack means that it is only read.
    unsafe { libc::sigaltstack(ptr::null(), &mut stack.0) };
    stack
}

/// Sets the calling kernel thread's mask.
pub fn set_mask(mask: Mask) {
    // SAFETY: all bytes zero is a valid `sigset_t`, the empty set.
    let mut set = unsafe { std::mem::zeroed::<libc::sigset_t>() };
    for signal in (1..=64).filter(|signal| mask >> (signal - 1) & 1 != 0) {
        // SAFETY: `set` is a valid set in this frame. The call refuses the C library's own signals, which no code
        // blocks.
        unsafe { libc::sigaddset(&mut set, signal) };
    }
    // SAFETY: `set` is an initialized set in this frame, and a null pointer means that the old mask is not returned.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set, ptr::null_mut()) };
}

/// Sets the calling kernel thread's alternate stack to one that it had before.
pub fn set_alternate_stack(stack: AlternateStack) {
    let mut stack = stack.0;
    stack.ss_flags &= !libc::SS_ONSTACK;
    // SAFETY: the description is in this frame. The memory is valid, because the code that installed the stack keeps
    // it while the thread lives.
    unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
}

//! The switch on aarch64, AAPCS64.
//!
//! The saved frame has, from the stack pointer upwards: X29, X19, the program counter, padding. The other
//! registers that a call preserves (V8 to V15 included) are declared as clobbered, so that the compiler saves
//! those in use. X29 and X19 cannot be declared so, because the compiler reserves them.

/// Whether `pass` is available.
pub const PASSES: bool = false;

/// This function is not available, because `PASSES` is false here.
///
/// # Safety
/// This function must not be called.
pub unsafe fn pass(_kept: *mut usize, _sp: usize, _argument: *mut (), _pointer: usize) -> *mut () {
    unreachable!("`PASSES` is false")
}

use super::Entry;
use super::chosen::first;
use std::arch::{asm, naked_asm};

/// Lays out the frame from which the first `resume` enters `begin`. Returns its stack pointer.
///
/// # Safety
/// The memory below `link` must be writable, and `link` must be a multiple of 16.
pub unsafe fn prepare(link: usize, entry: Entry) -> usize {
    let frame = std::ptr::with_exposed_provenance_mut::<[usize; 4]>(link - 32);
    let words = [entry as *const () as usize, 0, begin as *const () as usize, 0];
    // SAFETY: `frame` is the 32 bytes below `link`, which the caller guarantees to be writable and aligned.
    unsafe { frame.write(words) };
    link - 32
}

/// The code at which a new stack begins. SP points to the frame that `prepare` has left, X0 is the argument, and
/// X1 is the link.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",   // there is no caller, so an unwinder ends here
        "hint #36",             // `bti j`: a landing pad, in case branches are checked
        "ldr x2, [sp], #32",    // the third argument: `entry`; now SP is the link
        "mov x29, xzr",         // no caller, for code that follows frame pointers
        "mov x30, xzr",
        "bl {first}",
        "brk #1",               // `first` never returns
        ".cfi_endproc",
        first = sym first,
    )
}

/// Saves this stack in `*link` and jumps to the stack at `sp`. Returns the number with which that stack suspends,
/// and its stack pointer.
///
/// # Safety
/// `sp` must be the result of the stack's last suspension, or of `prepare`. `link` must be the link of that
/// stack.
#[inline(always)]
pub unsafe fn resume(
    sp: usize,
    link: usize,
    argument: *mut (),
    _pointers: [usize; 2],
) -> (usize, usize) {
    let (why, suspended);
    // SAFETY: the caller guarantees that `sp` is a suspended stack and `link` its link. Every register that the
    // code on that stack may change is declared as clobbered, or is saved here.
    unsafe {
        asm!(
            "stp x29, x19, [sp, #-32]!", // saved here, because the compiler reserves these registers
            "adr x16, 2f",               // where this side continues
            "str x16, [sp, #16]",
            "mov x16, sp",
            "str x16, [x1]",             // store it in the link
            "ldr x16, [x2, #16]",        // where the fiber continues
            "mov sp, x2",                // the stack of the fiber
            "br x16",
            "2:",                        // `suspend` jumps here; SP is as it was above
            "hint #36",                  // `bti j`: a landing pad
            "ldp x29, x19, [sp], #32",
            inlateout("x0") argument => why,
            inlateout("x2") sp => suspended,
            in("x1") link,
            lateout("x20") _, lateout("x21") _, lateout("x22") _, lateout("x23") _,
            lateout("x24") _, lateout("x25") _, lateout("x26") _, lateout("x27") _,
            lateout("x28") _,
            clobber_abi("C"),
        );
    }
    (why, suspended)
}

/// Saves this stack and jumps back to the resumer. Returns the argument of the next resume.
///
/// # Safety
/// `link` must be the link of the stack that the caller runs on.
#[inline(always)]
pub unsafe fn suspend(link: *mut usize, why: usize) -> *mut () {
    let argument;
    // SAFETY: the caller guarantees that `link` belongs to the stack that it runs on. Every register that the
    // resumer may change is declared as clobbered, or is saved here.
    unsafe {
        asm!(
            "stp x29, x19, [sp, #-32]!", // as in `resume`
            "adr x16, 2f",               // where this side continues
            "str x16, [sp, #16]",
            "mov x2, sp",                // the resumer keeps this
            "ldr x17, [x1]",             // the resumer's stack
            "ldr x16, [x17, #16]",       // where the resumer continues
            "mov sp, x17",
            "br x16",
            "2:",                        // `resume` jumps here; SP is as it was above
            "hint #36",                  // `bti j`: a landing pad
            "ldp x29, x19, [sp], #32",
            inlateout("x0") why => argument,
            in("x1") link,
            lateout("x20") _, lateout("x21") _, lateout("x22") _, lateout("x23") _,
            lateout("x24") _, lateout("x25") _, lateout("x26") _, lateout("x27") _,
            lateout("x28") _,
            clobber_abi("C"),
        );
    }
    argument
}

//! Fault: commits the memory error asked for, in a goroutine that has suspended and gone on, for
//! `.ci/asan`, which must see each kind, or say that it doesn't.
//!
//! `fault heap`      writes past the end of a box
//! `fault freed`     reads a box that was freed before the goroutine suspended
//! `fault array`     reads past the end of an array on the goroutine's own stack
//! `fault recycled`  reads a variable of a goroutine that has ended, whose stack serves another
//! `fault none`      nothing of all that

use selvedge::{Runtime, go, yield_now};
use std::hint::black_box;
use std::ptr;

/// An address that may be sent: what is at it is the fault.
#[derive(Clone, Copy)]
struct Address(*mut u8);

// SAFETY: whoever uses it commits the fault on purpose.
unsafe impl Send for Address {}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let fault: fn() = match what.as_str() {
        "heap" => heap,
        "freed" => freed,
        "array" => array,
        "recycled" => recycled,
        "none" => yield_now,
        _ => {
            eprintln!("usage: fault heap | freed | array | recycled | none");
            std::process::exit(2);
        }
    };
    Runtime::new().expect("the machine grants a runtime").run(fault);
}

fn heap() {
    let mut bytes = black_box(vec![0u8; 64].into_boxed_slice());
    yield_now();
    let end = bytes.as_mut_ptr().wrapping_add(64);
    // SAFETY: none: this is the fault.
    unsafe { ptr::write_volatile(end, 1) };
}

fn freed() {
    let bytes = Box::into_raw(Box::new(7u8));
    // SAFETY: just made of a box.
    drop(unsafe { Box::from_raw(bytes) });
    yield_now();
    // SAFETY: none: this is the fault.
    black_box(unsafe { ptr::read_volatile(bytes) });
}

fn array() {
    let bytes = black_box([0u8; 64]);
    yield_now();
    let end = black_box(&bytes).as_ptr().wrapping_add(64);
    // SAFETY: none: this is the fault.
    black_box(unsafe { ptr::read_volatile(end) });
}

fn recycled() {
    let ended = || {
        let mut byte = black_box(7u8);
        yield_now();
        Address(black_box(&mut byte))
    };
    let address = go(ended).join().expect("no panic");
    // Another takes its stack.
    go(yield_now).join().expect("no panic");
    // SAFETY: none: this is the fault.
    black_box(unsafe { ptr::read_volatile(address.0) });
}

//! Fault: commits the memory error asked for, in a goroutine that has suspended and gone on, for
//! `.ci/asan`, which must see each of them; or does what looks like one, which it must not report.
//!
//! | `fault ...` | |
//! |---|---|
//! | `heap` | writes past the end of a box |
//! | `freed` | reads a box that was freed before the goroutine suspended |
//! | `array` | reads past the end of an array on the goroutine's own stack |
//! | `returned` | reads a variable of a function that has returned, after a suspension |
//! | `recycled` | reads a variable of a goroutine that has ended, whose stack serves another |
//! | `moved` | as `returned`, on another kernel thread than it began on |
//! | `leak` | forgets a box |
//! | `deep` | uses up the goroutine's stack |
//! | `none` | nothing of all that: suspends |
//! | `panics` | nothing: panics with arrays in many frames, and uses the stack again |
//! | `held` | nothing: leaves a goroutine suspended that holds a box |

use selvedge::{BuildError, Runtime, go, park, yield_now};
use std::hint::black_box;
use std::panic::catch_unwind;
use std::ptr;
use std::time::{Duration, Instant};

/// An address that may be sent: what is at it is the fault.
#[derive(Clone, Copy)]
struct Address(*mut u8);

// SAFETY: whoever uses it commits the fault on purpose.
unsafe impl Send for Address {}

const FAULTS: [(&str, fn()); 11] = [
    ("heap", heap),
    ("freed", freed),
    ("array", array),
    ("returned", returned),
    ("recycled", recycled),
    ("moved", moved),
    ("leak", leak),
    ("deep", || _ = black_box(deep(0))),
    ("none", yield_now),
    ("panics", panics),
    ("held", held),
];

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let Some((_, fault)) = FAULTS.into_iter().find(|(name, _)| *name == what) else {
        let names = FAULTS.map(|(name, _)| name).join(" | ");
        eprintln!("usage: fault {names}");
        std::process::exit(2);
    };
    // SAFETY: no goroutine here uses a thread-local.
    let migrating = || unsafe { Runtime::migrating() };
    let runtime = match Runtime::new() {
        _ if what == "moved" => migrating(),
        // With the portable switch there is no other.
        Err(BuildError::ThreadLocals(_)) => migrating(),
        runtime => runtime,
    };
    runtime.expect("the machine grants a runtime").run(fault);
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
    let mut bytes = [0u8; 64];
    let first = address_of(&mut bytes[0]);
    (0..100).for_each(|_| yield_now());
    // SAFETY: none: this is the fault.
    black_box(unsafe { ptr::read_volatile(first.0.wrapping_add(64)) });
}

/// Out of line: where `black_box` is inlined there is assembly, and the sanitizer leaves the variables of
/// such functions where they are.
#[inline(never)]
fn address_of(byte: &mut u8) -> Address {
    Address(black_box(byte))
}

#[inline(never)]
fn address_of_its_own() -> Address {
    let mut byte = 7u8;
    yield_now();
    address_of(&mut byte)
}

fn returned() {
    let address = address_of_its_own();
    yield_now();
    // SAFETY: none: this is the fault.
    black_box(unsafe { ptr::read_volatile(address.0) });
}

fn recycled() {
    let address = go(address_of_its_own).join().expect("no panic");
    // Another takes its stack.
    go(yield_now).join().expect("no panic");
    // SAFETY: none: this is the fault.
    black_box(unsafe { ptr::read_volatile(address.0) });
}

fn moved() {
    let address = address_of_its_own();
    // SAFETY: takes no pointer.
    let thread = || unsafe { libc::gettid() };
    let first = thread();
    while thread() == first {
        // While this worker runs the other goroutine, another worker steals this one.
        drop(go(|| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1) {}
        }));
        yield_now();
    }
    // SAFETY: none: this is the fault.
    black_box(unsafe { ptr::read_volatile(address.0) });
}

fn leak() {
    black_box(Box::leak(Box::new([7u8; 100])));
    yield_now();
}

#[inline(never)]
fn deep(level: u64) -> u64 {
    let mut frame = [level as u8; 256];
    address_of(&mut frame[0]);
    if level == u64::MAX { 0 } else { u64::from(frame[255]) + deep(level + 1) }
}

/// Panics below so many frames, each with an array that the sanitizer marks.
#[inline(never)]
fn panic_below(frames: u32) -> u8 {
    let mut frame = [frames as u8; 100];
    address_of(&mut frame[0]);
    yield_now();
    assert!(frames > 0, "on purpose");
    frame[99] + panic_below(frames - 1)
}

fn panics() {
    std::panic::set_hook(Box::new(|_| {}));
    let uses_its_stack = || {
        // Of std, which marks nothing, and copies on its stack by functions that look at marks.
        let text: Vec<String> =
            (1..200).map(|n| format!("{:e} {n:#?}", 1.0 / f64::from(n))).collect();
        black_box(text);
        let mut frame = [1u8; 2000];
        address_of(&mut frame[0]);
        yield_now();
        black_box(frame.iter().map(|byte| u32::from(*byte)).sum::<u32>());
    };
    for _ in 0..20 {
        go(|| panic_below(30)).join().expect_err("it panics");
        go(uses_its_stack).join().expect("no panic");
        assert!(catch_unwind(|| panic_below(20)).is_err());
        uses_its_stack();
    }
}

fn held() {
    for _ in 0..100 {
        go(|| {
            let mut bytes = vec![7u8; 100];
            address_of(&mut bytes[0]);
            park();
            black_box(bytes);
        });
    }
    yield_now();
}

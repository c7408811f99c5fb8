//! Unit tests of the switch: what survives a switch, and what unwinding and backtraces find on a fiber.
//! Both kinds of switch are tested, by `cargo test --lib fiber`, without and with `--features
//! portable-switch`.

use super::tests::{DONE, PANICKED, PAUSED, arena, go_on, one, serve, start};
use super::{DEFAULT_STACK_SIZE, Fiber, PASSES, SlotLayout, StackPool, Suspender};
use crate::platform::unmodelled::Mutex;
use crate::platform::{Arc, MODELLED};
use std::cell::{Cell, UnsafeCell};
use std::hint::black_box;
use std::ptr;
use std::rc::Rc;

const JUMPS: bool = cfg!(all(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(feature = "portable-switch")
));

/// Suspends behind `frames` real call frames.
#[inline(never)]
fn pause_behind(suspender: &Suspender, frames: u64) -> u64 {
    if frames == 0 {
        // SAFETY: `suspender` belongs to the fiber that runs this code.
        unsafe { suspender.suspend(PAUSED) };
        return 0;
    }
    black_box(pause_behind(suspender, black_box(frames - 1)) + 1)
}

/// Keeps more numbers alive across a suspension than there are registers.
#[inline(never)]
fn numbers_across_a_pause(suspender: &Suspender, seed: u64) -> bool {
    let whole: [u64; 24] = std::array::from_fn(|n| black_box(seed * 1_000 + n as u64));
    let broken: [f64; 24] = std::array::from_fn(|n| black_box((seed * 1_000 + n as u64) as f64));
    let [a, b, c, d, e, f, g, h, ..] = whole;
    let [k, l, m, n, o, p, q, r, ..] = broken;
    // SAFETY: `suspender` belongs to the fiber that runs this code.
    unsafe { suspender.suspend(PAUSED) };
    let sums = (
        a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h,
        k + 2.0 * l + 3.0 * m + 4.0 * n + 5.0 * o + 6.0 * p + 7.0 * q + 8.0 * r,
    );
    sums == (36_000 * seed + 168, (36_000 * seed + 168) as f64)
        && whole.iter().zip(&broken).all(|(whole, broken)| *whole as f64 == *broken)
}

#[test]
fn what_was_in_registers_survives_on_both_sides() {
    let arena = arena(3);
    let mut fibers: Vec<_> = (0..3).map(|_| one(&arena)).collect();
    for (seed, fiber) in (1..).zip(&mut fibers) {
        let why = start(fiber, move |suspender| {
            for round in 0..50 {
                assert!(numbers_across_a_pause(suspender, seed * 100 + round));
            }
        });
        assert_eq!(why, PAUSED);
    }
    let [a, b, c, d, e, f, g, h] = std::array::from_fn(|n| black_box(n as u64));
    let [k, l, m, n] = std::array::from_fn(|n| black_box(n as f64));
    for round in 1..=50 {
        let expected = if round == 50 { DONE } else { PAUSED };
        fibers.iter_mut().for_each(|fiber| assert_eq!(go_on(fiber), expected));
    }
    assert_eq!([a, b, c, d, e, f, g, h], [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!([k, l, m, n], [0.0, 1.0, 2.0, 3.0]);
    arena.give(fibers.into_iter());
}

#[test]
fn stacks_are_aligned_as_calls_want_them() {
    #[repr(align(16))]
    struct Aligned(#[expect(dead_code, reason = "its place counts")] u8);
    let arena = arena(20);
    let mut fibers: Vec<_> = (0..20).map(|_| one(&arena)).collect();
    for fiber in &mut fibers {
        let why = start(fiber, |suspender| {
            for _ in 0..2 {
                let aligned = black_box(Aligned(1));
                assert!((&raw const aligned).addr().is_multiple_of(16));
                // The C library's floating-point code relies on an aligned stack.
                assert_eq!(format!("{:.3}", black_box(1.5)), "1.500");
                pause_behind(suspender, 1);
            }
        });
        assert_eq!(why, PAUSED);
        assert_eq!((go_on(fiber), go_on(fiber)), (PAUSED, DONE));
    }
    arena.give(fibers.into_iter());
}

#[test]
fn fiber_resumes_another() {
    let arena = arena(2);
    let (mut outer, mut inner) = (one(&arena), one(&arena));
    start(&mut inner, |suspender| {
        let _: [u64; 3] = [3, 2, 1].map(|frames| pause_behind(suspender, frames));
    });
    let why = start(&mut outer, move |suspender| {
        assert_eq!(go_on(&mut inner), PAUSED);
        assert_eq!(pause_behind(suspender, 2), 2);
        assert_eq!(go_on(&mut inner), PAUSED);
        assert_eq!(go_on(&mut inner), DONE);
    });
    assert_eq!(why, PAUSED);
    assert_eq!(go_on(&mut outer), DONE);
    arena.give([outer].into_iter());
}

/// Three fibers that pass on in a ring, each time behind a different number of frames.
struct Ring {
    fibers: [UnsafeCell<Fiber>; 3],
    passed: Cell<usize>,
}

#[inline(never)]
fn pass_behind(ring: &Ring, from: usize, frames: u64) -> usize {
    if frames > 0 {
        return black_box(pass_behind(ring, from, black_box(frames - 1)));
    }
    let [from, to] = [from, (from + 1) % 3].map(|which| ring.fibers[which].get());
    ring.passed.set(ring.passed.get() + 1);
    let argument = ptr::without_provenance_mut(ring.passed.get());
    // SAFETY: the caller runs on `from`, and `to` is suspended. The ring keeps both fibers at their addresses.
    // Their frames hold no value that is bound to a thread.
    unsafe { Fiber::pass(from, to, argument, None) }.addr()
}

#[test]
fn fibers_pass_on_and_the_last_goes_back_to_the_resumer_of_the_first() {
    const ROUNDS: usize = 50;
    if !PASSES {
        return;
    }
    let arena = arena(3);
    let fibers = std::array::from_fn(|_| UnsafeCell::new(one(&arena)));
    let ring = Rc::new(Ring { fibers, passed: Cell::new(0) });
    for which in 0..3 {
        let its_ring = Rc::clone(&ring);
        let body = move |suspender: &Suspender| {
            pause_behind(suspender, 1);
            for round in 0..ROUNDS {
                let kept: [usize; 12] = std::array::from_fn(|n| black_box(which * 100 + n));
                let argument = pass_behind(&its_ring, which, (round % 4) as u64);
                // In the last round the test itself resumes the fiber.
                assert!(argument == its_ring.passed.get() || round + 1 == ROUNDS);
                assert!((0..12).all(|n| kept[n] == which * 100 + n));
            }
        };
        // SAFETY: the cell's fiber is at rest, so no other code has a reference to it.
        assert_eq!(start(unsafe { &mut *ring.fibers[which].get() }, body), PAUSED);
    }
    for which in 0..3 {
        // SAFETY: the cell's fiber is suspended, so no other code uses it. The jump returns to this call only on the
        // first fiber, after the other fibers have passed on to it.
        assert_eq!(go_on(unsafe { &mut *ring.fibers[which].get() }), DONE);
    }
    assert_eq!(ring.passed.get(), 3 * ROUNDS);
    let ring = Rc::into_inner(ring).expect("the jobs have ended");
    arena.give(ring.fibers.into_iter().map(UnsafeCell::into_inner));
}

#[test]
fn panic_in_a_fiber_is_caught_there() {
    let arena = arena(1);
    let mut fiber = one(&arena);
    let why = start(&mut fiber, |_| std::panic::resume_unwind(Box::new("caught in the fiber")));
    assert_eq!(why, PANICKED);
    assert_eq!(start(&mut fiber, |_| ()), DONE);
    arena.give([fiber].into_iter());
}

/// Unwinds through `frames` frames that have suspended. Each frame has a value to drop.
#[inline(never)]
fn panic_behind(suspender: &Suspender, frames: usize, dropped: &Arc<Mutex<Vec<usize>>>) {
    struct Note<'a>(usize, &'a Mutex<Vec<usize>>);
    impl Drop for Note<'_> {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }
    let _note = Note(frames, dropped);
    // SAFETY: `suspender` belongs to the fiber that runs this code.
    unsafe { suspender.suspend(PAUSED) };
    if frames == 0 {
        std::panic::resume_unwind(Box::new("caught in the fiber"));
    }
    panic_behind(suspender, black_box(frames - 1), dropped);
}

#[test]
fn panic_unwinds_frames_that_have_suspended() {
    let arena = arena(2);
    let mut fibers: [Fiber; 2] = std::array::from_fn(|_| one(&arena));
    let dropped = Arc::new(Mutex::new(Vec::new()));
    for fiber in &mut fibers {
        let dropped = Arc::clone(&dropped);
        assert_eq!(start(fiber, move |suspender| panic_behind(suspender, 3, &dropped)), PAUSED);
    }
    for _ in 0..3 {
        fibers.iter_mut().for_each(|fiber| assert_eq!(go_on(fiber), PAUSED));
    }
    for fiber in &mut fibers {
        assert_eq!(go_on(fiber), PANICKED);
        assert_eq!(std::mem::take(&mut *dropped.lock().unwrap()), [0, 1, 2, 3]);
    }
    arena.give(fibers.into_iter());
}

#[inline(never)]
fn trace_behind(suspender: &Suspender, frames: u64, found: &Mutex<String>) {
    if frames == 0 {
        // SAFETY: `suspender` belongs to the fiber that runs this code.
        unsafe { suspender.suspend(PAUSED) };
        *found.lock().unwrap() = std::backtrace::Backtrace::force_capture().to_string();
        return;
    }
    trace_behind(suspender, black_box(frames - 1), found);
    black_box(());
}

#[test]
fn backtrace_in_a_fiber_ends_where_its_stack_does() {
    let layout = SlotLayout::new(4 * DEFAULT_STACK_SIZE, 1, 0).unwrap();
    let arena = StackPool::new(layout, 1, serve).unwrap();
    let mut fiber = one(&arena);
    let place = Arc::new(Mutex::new(String::new()));
    let answer = Arc::clone(&place);
    assert_eq!(start(&mut fiber, move |suspender| trace_behind(suspender, 3, &answer)), PAUSED);
    assert_eq!(go_on(&mut fiber), DONE);
    let trace = place.lock().unwrap();
    assert_eq!(trace.matches("trace_behind").count(), 4, "frames are missing in {trace}");
    let below = trace.split("::serve").last().expect("a piece");
    assert_ne!(below, *trace, "no entry in {trace}");
    if JUMPS {
        let last = trace.lines().last().expect("a frame");
        assert!(last.ends_with("::begin"), "no end in {trace}");
    } else {
        // With corosensei, an unwinder continues with the frames of the resumer.
        assert!(below.contains("backtrace_in_a_fiber_ends"), "no resumer in {trace}");
    }
    arena.give([fiber].into_iter());
}

#[test]
fn fibers_of_a_large_arena_in_turn_keep_their_places() {
    let count = if MODELLED { 10 } else { 1_000 };
    let arena = arena(count);
    let mut fibers: Vec<_> = (0..count).map(|_| one(&arena)).collect();
    for (n, fiber) in fibers.iter_mut().enumerate() {
        let frames = n as u64 % 7;
        let why = start(fiber, move |suspender| {
            for _ in 0..20 {
                assert_eq!(pause_behind(suspender, frames), frames);
            }
        });
        assert_eq!(why, PAUSED);
    }
    for round in 1..=20 {
        let expected = if round == 20 { DONE } else { PAUSED };
        fibers.iter_mut().for_each(|fiber| assert_eq!(go_on(fiber), expected));
    }
    arena.give(fibers.into_iter());
}

//! Measures the figures that the comments of this folder, docs/stacks.md and docs/switch.md cite. The
//! commands are
//! `cargo test --release --lib fiber::measure -- --ignored --nocapture --test-threads=1`
//! and the same with `--features portable-switch`.
//! Held constant: one kernel thread, default slots, light guards. Each figure is the least of 5 runs. A round
//! trip is the least of 50 short runs, so that other users of the machine disturb few of them.

use super::tests::{DONE, PAUSED, go_on, one, serve, start};
use super::{Fiber, SlotLayout, StackPool, Suspender};
use std::hint::black_box;
use std::time::Instant;

fn least_nanos(operations: usize, run: impl FnMut()) -> f64 {
    least_of(5, operations, run)
}

fn least_of(runs: usize, operations: usize, mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed().as_nanos() as f64 / operations as f64
    };
    (0..runs).map(once).fold(f64::INFINITY, f64::min)
}

/// Stands for the call frames of user code between a goroutine's body and the switch.
#[inline(never)]
fn behind_frames(suspender: &Suspender, frames: usize) -> usize {
    if black_box(frames) <= 1 {
        // SAFETY: `suspender` belongs to the fiber that runs this code.
        unsafe { suspender.suspend(PAUSED) };
        return 0;
    }
    behind_frames(suspender, frames - 1) + 1
}

/// Does the same at other addresses.
#[inline(never)]
fn behind_others(suspender: &Suspender, frames: usize) -> usize {
    if black_box(frames) <= 1 {
        // SAFETY: `suspender` belongs to the fiber that runs this code.
        unsafe { suspender.suspend(PAUSED) };
        return 2;
    }
    behind_others(suspender, frames - 1) + 3
}

/// The resumer's loop. It resumes in its own frame, where a switch costs least.
#[inline(never)]
fn in_turn(fibers: &mut [Fiber], rounds: usize) {
    for _ in 0..rounds {
        for fiber in &mut *fibers {
            // SAFETY: the fiber runs `pausing`, which expects no argument and may run on any thread.
            assert_eq!(unsafe { fiber.resume(std::ptr::null_mut(), None) }, PAUSED);
        }
    }
}

#[inline(never)]
fn in_turn_by_calls(fibers: &mut [Fiber], rounds: usize) {
    #[inline(never)]
    fn call(fiber: &mut Fiber) -> usize {
        black_box(go_on(fiber))
    }
    for _ in 0..rounds {
        fibers.iter_mut().for_each(|fiber| assert_eq!(call(fiber), PAUSED));
    }
}

fn pausing(fiber: &mut Fiber, frames: usize, elsewhere: bool) {
    let why = start(fiber, move |suspender| match (frames, elsewhere) {
        (0, _) => loop {
            // SAFETY: `suspender` belongs to the fiber that runs this code.
            unsafe { suspender.suspend(PAUSED) };
        },
        (frames, false) => loop {
            black_box(behind_frames(suspender, frames));
        },
        (frames, true) => loop {
            black_box(behind_others(suspender, frames));
        },
    });
    assert_eq!(why, PAUSED);
}

#[test]
#[ignore = "prints figures; see the head of the file for the command"]
fn round_trip() {
    println!(
        "ns a round trip; fibers in turn, behind 0 1 2 3 frames; 1 and 3, every other fiber elsewhere;"
    );
    println!("1 and 3, resumed in a frame of its own");
    for count in [1_usize, 100, 10_000] {
        let arena = StackPool::new(SlotLayout::default(), 10 * count, serve).unwrap();
        let figure = |frames, mixed, how: fn(&mut [Fiber], usize)| {
            let mut fibers: Vec<_> = (0..count).map(|_| one(&arena)).collect();
            for (n, fiber) in fibers.iter_mut().enumerate() {
                pausing(fiber, frames, mixed && n % 2 == 1);
            }
            let rounds = 100_000 / count;
            let nanos = least_of(50, rounds * count, || how(&mut fibers, rounds));
            print!(" {nanos:.1}");
        };
        print!("{count} fibers:");
        (0..4).for_each(|frames| figure(frames, false, in_turn));
        print!("; mixed:");
        [1, 3].iter().for_each(|&frames| figure(frames, true, in_turn));
        print!("; by calls:");
        [1, 3].iter().for_each(|&frames| figure(frames, false, in_turn_by_calls));
        println!();
    }
}

#[test]
#[ignore = "prints figures; see the head of the file for the command"]
fn taking_and_giving() {
    let count = 20_000;
    let arena = StackPool::new(SlotLayout::default(), 10 * count, serve).unwrap();
    let mut fibers = Vec::with_capacity(count);
    let mut all = Vec::with_capacity(10 * count);
    let fresh = least_nanos(count, || {
        fibers.clear();
        for _ in 0..count {
            arena.take(&mut fibers, 1).unwrap();
        }
        all.append(&mut fibers);
    });
    println!("cold fiber on a fresh slot: {fresh:.0} ns");
    arena.give(all.into_iter());
    arena.trim(0, usize::MAX);
    let trimmed = least_nanos(count, || {
        for _ in 0..count {
            arena.take(&mut fibers, 1).unwrap();
        }
        arena.give(fibers.drain(..));
        arena.trim(0, usize::MAX);
    });
    println!("cold fiber on a trimmed slot, and trim: {trimmed:.0} ns");
    arena.take(&mut fibers, 1).unwrap();
    arena.give(fibers.drain(..));
    let alone = least_nanos(1_000_000, || {
        for _ in 0..1_000_000 {
            arena.take(&mut fibers, 1).unwrap();
            arena.give(fibers.drain(..));
        }
    });
    println!("warm fiber taken and given, one at a time: {alone:.1} ns");
    while fibers.len() < 64 {
        arena.take(&mut fibers, 1).unwrap();
    }
    arena.give(fibers.drain(..));
    let batch = least_nanos(64_000_000, || {
        for _ in 0..1_000_000 {
            arena.take(&mut fibers, 64).unwrap();
            arena.give(fibers.drain(..));
        }
    });
    println!("warm fiber taken and given, 64 at a time: {batch:.1} ns");
    let mut fiber = one(&arena);
    let job = least_nanos(1_000_000, || {
        for _ in 0..1_000_000 {
            assert_eq!(start(&mut fiber, |_| ()), DONE);
        }
    });
    println!("job started and finished on a warm fiber: {job:.1} ns");
    arena.give([fiber].into_iter());
}

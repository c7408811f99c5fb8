//! The figures that the comments of this directory cite:
//! `cargo test --release --lib context::measure -- --ignored --nocapture --test-threads=1`
//! Held constant: one kernel thread, 64 KiB slots, light guards; each figure is the least of 5 runs.

use super::tests::{DONE, PAUSED, go_on, one, serve, start};
use super::{Arena, DEFAULT_STACK_SIZE, Fiber, Suspender};
use std::hint::black_box;
use std::time::Instant;

fn least_nanos(operations: usize, mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed().as_nanos() as f64 / operations as f64
    };
    (0..5).map(once).fold(f64::INFINITY, f64::min)
}

/// The call frames that user code has between a goroutine's body and the switch.
#[inline(never)]
fn behind_frames(suspender: &Suspender, frames: usize) -> usize {
    if black_box(frames) <= 1 {
        suspender.suspend(PAUSED);
        return 0;
    }
    behind_frames(suspender, frames - 1) + 1
}

#[inline(never)]
fn pause(suspender: &Suspender, frames: usize) {
    if frames == 0 {
        suspender.suspend(PAUSED);
    } else {
        black_box(behind_frames(suspender, frames));
    }
}

fn in_turn(fibers: &mut [Fiber], rounds: usize) {
    for _ in 0..rounds {
        for fiber in &mut *fibers {
            assert_eq!(go_on(fiber), PAUSED);
        }
    }
}

#[test]
#[ignore = "prints figures; see the head of the file for the command"]
fn round_trip() {
    for count in [1_usize, 10, 100, 1_000, 10_000] {
        for frames in [None, Some(0), Some(1), Some(2)] {
            let arena = Arena::new(DEFAULT_STACK_SIZE, count, serve).unwrap();
            let mut fibers: Vec<_> = (0..count).map(|_| one(&arena)).collect();
            for fiber in &mut fibers {
                start(fiber, move |suspender| match frames {
                    None => loop {
                        suspender.suspend(PAUSED);
                    },
                    Some(frames) => loop {
                        pause(suspender, frames);
                    },
                });
            }
            let rounds = 1_000_000 / count;
            let nanos = least_nanos(rounds * count, || in_turn(&mut fibers, rounds));
            let frames = frames.map_or(0, |frames| frames + 1);
            println!("{count} fibers in turn, {frames} call frames: {nanos:.1} ns a round trip");
        }
    }
}

#[test]
#[ignore = "prints figures; see the head of the file for the command"]
fn taking_and_giving() {
    let count = 20_000;
    let arena = Arena::new(DEFAULT_STACK_SIZE, 10 * count, serve).unwrap();
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

//! The switch alone, without a scheduler.
//! Held constant: one kernel thread, default slots, warm stacks.

use criterion::Criterion;
use selvedge::internals::fiber::{Fiber, SlotLayout, StackPool, Suspender};
use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::Arc;

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("switch");
    group.bench_function("round trip, 1 fiber", |bencher| {
        let (_arena, mut fibers) = fibers(1, bare);
        bencher.iter(|| resume(&mut fibers[0]));
    });
    group.bench_function("round trip, 100 fibers in turn", |bencher| {
        let (_arena, mut fibers) = fibers(100, bare);
        let mut next = 0;
        bencher.iter(|| {
            next = (next + 1) % 100;
            resume(&mut fibers[next])
        });
    });
    group.bench_function("round trip, 1 fiber, behind a call frame", |bencher| {
        let (_arena, mut fibers) = fibers(1, framed);
        bencher.iter(|| resume(&mut fibers[0]));
    });
    group.finish();
}

type Entry = fn(&Suspender, *mut ()) -> !;

fn fibers(count: usize, entry: Entry) -> (Arc<StackPool>, Vec<Fiber>) {
    let arena = StackPool::new(SlotLayout::default(), count, entry).expect("an arena");
    let mut fibers = Vec::new();
    while fibers.len() < count {
        arena.take(&mut fibers, 1).expect("a stack");
    }
    fibers.iter_mut().for_each(|fiber| _ = resume(fiber));
    (arena, fibers)
}

fn resume(fiber: &mut Fiber) -> usize {
    // SAFETY: the entries expect no argument, and hold nothing that is bound to a thread; the arena
    // lives as long as the fibers are used.
    unsafe { fiber.resume(null_mut(), None) }
}

fn bare(suspender: &Suspender, _: *mut ()) -> ! {
    loop {
        // SAFETY: this runs on the suspender's own stack.
        unsafe { suspender.suspend(1) };
    }
}

/// As user code suspends: some frames down.
fn framed(suspender: &Suspender, _: *mut ()) -> ! {
    loop {
        black_box(pause(suspender));
    }
}

#[inline(never)]
fn pause(suspender: &Suspender) -> u64 {
    // SAFETY: this runs on the suspender's own stack.
    unsafe { suspender.suspend(1) };
    black_box(1)
}

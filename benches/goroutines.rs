//! Goroutines as programs use them, in the three placements.
//! Held constant: 64 KiB stacks, closures and results of one word, all spawned from inside; the
//! number of processors is in each name.

use crate::queues::scaled;
use criterion::{Bencher, Criterion};
use selvedge::{Runtime, blocking, current, go, park, yield_now};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub fn all(criterion: &mut Criterion) {
    for placement in ["isolated", "anchored", "migrating"] {
        let mut group = criterion.benchmark_group(placement);
        let mut bench = |name: &str, processors, bench: fn(&Runtime, &mut Bencher<'_>)| {
            let runtime = build(placement, processors);
            group.bench_function(name, |bencher| bench(&runtime, bencher));
        };
        bench("spawn and join, one at a time, 1 processor", 1, spawn_join);
        bench("spawn and join, batches of 100, 1 processor", 1, spawn_batch);
        bench("spawn and join, batches of 100, 2 processors", 2, spawn_batch);
        bench("yield, 100 goroutines, 1 processor", 1, yields);
        bench("yield, 100 goroutines, 2 processors", 2, yields);
        bench("park and unpark round trip, 1 processor", 1, ping_pong);
        bench("park and unpark round trip, 2 processors", 2, ping_pong);
        bench("steal, one producer, work of 500 ns, 2 processors", 2, steal);
        bench("blocking in place, nothing in it, 1 processor", 1, block);
        group.finish();
    }
}

fn build(placement: &str, processors: usize) -> Runtime {
    let builder = Runtime::builder().processors(processors);
    let built = match placement {
        "isolated" => builder.build(),
        // SAFETY: nothing here touches a thread-local.
        "anchored" => unsafe { builder.build_anchored() },
        // SAFETY: no function of this file touches a thread-local.
        _ => unsafe { builder.build_migrating() },
    };
    built.expect("a runtime")
}

/// Ns by goroutine; each is joined before the next is spawned.
fn spawn_join(runtime: &Runtime, bencher: &mut Bencher<'_>) {
    bencher.iter_custom(|iterations| {
        runtime.run(|| {
            let begin = Instant::now();
            for n in 0..iterations {
                black_box(go(move || n).join().ok());
            }
            begin.elapsed()
        })
    });
}

/// Ns by goroutine; a hundred are spawned, then joined.
fn spawn_batch(runtime: &Runtime, bencher: &mut Bencher<'_>) {
    bencher.iter_custom(|iterations| {
        let batches = iterations.div_ceil(100);
        let elapsed = runtime.run(|| {
            let mut handles = Vec::with_capacity(100);
            let begin = Instant::now();
            for _ in 0..batches {
                handles.extend((0..100).map(|n| go(move || n)));
                for handle in handles.drain(..) {
                    black_box(handle.join().ok());
                }
            }
            begin.elapsed()
        });
        scaled(elapsed, iterations, batches * 100)
    });
}

/// Ns of wall time by yield, over all yields of a hundred goroutines.
fn yields(runtime: &Runtime, bencher: &mut Bencher<'_>) {
    bencher.iter_custom(|iterations| {
        let each = iterations.div_ceil(100);
        let elapsed = runtime.run(|| {
            let begin = Instant::now();
            let spawn = |_| go(move || (0..each).for_each(|_| yield_now()));
            let handles: Vec<_> = (0..100).map(spawn).collect();
            handles.into_iter().for_each(|handle| handle.join().expect("it only yields"));
            begin.elapsed()
        });
        scaled(elapsed, iterations, each * 100)
    });
}

/// Ns by round trip: two goroutines, each of which wakes the other and parks.
fn ping_pong(runtime: &Runtime, bencher: &mut Bencher<'_>) {
    bencher.iter_custom(|iterations| {
        runtime.run(|| {
            let turn = Arc::new(AtomicU64::new(0));
            let (theirs, me) = (Arc::clone(&turn), current());
            let other = go(move || {
                for round in 0..iterations {
                    await_turn(&theirs, 2 * round + 1);
                    theirs.store(2 * round + 2, Ordering::Release);
                    me.unpark();
                }
            });
            let them = other.goroutine();
            let begin = Instant::now();
            for round in 0..iterations {
                turn.store(2 * round + 1, Ordering::Release);
                them.unpark();
                await_turn(&turn, 2 * round + 2);
            }
            let elapsed = begin.elapsed();
            other.join().expect("it only parks");
            elapsed
        })
    });
}

fn await_turn(turn: &AtomicU64, number: u64) {
    while turn.load(Ordering::Acquire) != number {
        park();
    }
}

/// Ns of wall time by goroutine: one producer spawns bursts of 200, each computes for some 500 ns.
/// Alone it would take 500 ns and the spawn; what is below that was stolen.
fn steal(runtime: &Runtime, bencher: &mut Bencher<'_>) {
    bencher.iter_custom(|iterations| {
        let bursts = iterations.div_ceil(200);
        let elapsed = runtime.run(|| {
            let mut handles = Vec::with_capacity(200);
            let begin = Instant::now();
            for _ in 0..bursts {
                handles.extend((0..200).map(|n| go(move || work(n))));
                for handle in handles.drain(..) {
                    black_box(handle.join().ok());
                }
            }
            begin.elapsed()
        });
        scaled(elapsed, iterations, bursts * 200)
    });
}

/// A chain of multiplications that takes some 500 ns on a 3.5 GHz core.
fn work(seed: u64) -> u64 {
    (0..420).fold(seed, |x, n| black_box(x.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n))
}

/// Ns by call; no other goroutine is there.
fn block(runtime: &Runtime, bencher: &mut Bencher<'_>) {
    bencher.iter_custom(|iterations| {
        runtime.run(|| {
            let begin = Instant::now();
            for n in 0..iterations {
                black_box(blocking(|| black_box(n)));
            }
            begin.elapsed()
        })
    });
}

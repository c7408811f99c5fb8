//! The stealing deque by itself.
//! Held constant: rings of 256 slots, items of one word; one kernel thread unless said otherwise.

use criterion::{Bencher, Criterion};
use selvedge::internals::structures::run_queue;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

const CAPACITY: usize = 256;

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deque");
    group.bench_function("push and pop", |bencher| {
        let (owner, _stealer) = run_queue::<usize>(CAPACITY);
        bencher.iter(|| {
            owner.push(black_box(1), |_| ());
            owner.pop()
        });
    });
    group.bench_function("push and steal, half at a time", half_at_a_time);
    group.bench_function("push and pop while another thread steals", beside_a_thief);
    group.finish();
}

/// Ns by item: 128 pushed, then halves stolen into another deque, which is emptied by pops.
fn half_at_a_time(bencher: &mut Bencher<'_>) {
    let (owner, stealer) = run_queue::<usize>(CAPACITY);
    let (thief, _) = run_queue::<usize>(CAPACITY);
    bencher.iter_custom(|iterations| {
        let rounds = iterations.div_ceil(128);
        let begin = Instant::now();
        for _ in 0..rounds {
            (0..128).for_each(|item| owner.push(item, |_| ()));
            while let Some(first) = stealer.steal_half(&thief) {
                black_box(first);
                while let Some(item) = thief.pop() {
                    black_box(item);
                }
            }
        }
        scaled(begin.elapsed(), iterations, rounds * 128)
    });
}

/// Ns by push and pop of the owner; the thief takes one at a time as fast as it can.
fn beside_a_thief(bencher: &mut Bencher<'_>) {
    let (owner, stealer) = run_queue::<usize>(CAPACITY);
    let over = AtomicBool::new(false);
    scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                black_box(stealer.steal_one());
            }
        });
        bencher.iter(|| {
            owner.push(black_box(1), |_| ());
            owner.pop()
        });
        over.store(true, Ordering::Relaxed);
    });
}

/// `done` operations took `elapsed`; criterion asked for `asked`.
pub fn scaled(elapsed: Duration, asked: u64, done: u64) -> Duration {
    elapsed.mul_f64(asked as f64 / done as f64)
}

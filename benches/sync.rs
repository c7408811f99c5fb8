//! What locks cost: `cargo bench --bench sync`.
//! Held constant: an anchored runtime, 64 KiB stacks; the number of processors is in each name.
//! Figures are wall time by lock and unlock (or acquire and release), whoever does it.
#![allow(missing_docs)]

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod bench {
    use criterion::{Bencher, Criterion};
    use selvedge::sync::{Condvar, Mutex, RwLock, Semaphore};
    use selvedge::{Runtime, go, scope};
    use std::hint::black_box;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    pub fn all(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("sync, uncontended, 1 processor");
        let runtime = Runtime::builder().processors(1).build().expect("a runtime");
        let mut bench = |name: &str, body: fn(&mut Bencher<'_>)| {
            group.bench_function(name, |bencher| runtime.run(|| body(bencher)));
        };
        bench("mutex", |bencher| {
            let mutex = Mutex::new(0u64);
            bencher.iter(|| *black_box(&mutex).lock().unwrap() += 1);
        });
        bench("rwlock, read", |bencher| {
            let lock = RwLock::new(0u64);
            bencher.iter(|| *black_box(&lock).read().unwrap());
        });
        bench("rwlock, write", |bencher| {
            let lock = RwLock::new(0u64);
            bencher.iter(|| *black_box(&lock).write().unwrap() += 1);
        });
        bench("semaphore", |bencher| {
            let semaphore = Semaphore::new(2);
            bencher.iter(|| drop(black_box(&semaphore).acquire(1)));
        });
        bench("condvar, notify nobody", |bencher| {
            let changed = Condvar::new();
            bencher.iter(|| black_box(&changed).notify_one());
        });
        group.finish();
        let mut group = criterion.benchmark_group("sync, 64 goroutines");
        for processors in [1, 2] {
            let runtime = Runtime::builder().processors(processors).build().expect("a runtime");
            let name = format!("mutex, {processors} processors");
            group.bench_function(name, |bencher| contended(&runtime, bencher));
        }
        for processors in [1, 2] {
            let runtime = Runtime::builder().processors(processors).build().expect("a runtime");
            let name = format!("condvar, round trip of two, {processors} processors");
            group.bench_function(name, |bencher| round_trips(&runtime, bencher));
        }
        group.finish();
    }

    /// Ns by lock: 64 goroutines add to one number.
    fn contended(runtime: &Runtime, bencher: &mut Bencher<'_>) {
        bencher.iter_custom(|iterations| {
            let each = iterations.div_ceil(64);
            let total = Mutex::new(0u64);
            let elapsed = runtime.run(|| {
                let begin = Instant::now();
                scope(|s| {
                    for _ in 0..64 {
                        s.go(|| (0..each).for_each(|_| *total.lock().unwrap() += 1));
                    }
                });
                begin.elapsed()
            });
            assert_eq!(total.into_inner().unwrap(), 64 * each);
            scaled(elapsed, iterations, 64 * each)
        });
    }

    /// Ns by round trip: two take turns, each waits for the other.
    fn round_trips(runtime: &Runtime, bencher: &mut Bencher<'_>) {
        bencher.iter_custom(|iterations| {
            let shared = Arc::new((Mutex::new(0u64), Condvar::new()));
            let turns = move |shared: &(Mutex<u64>, Condvar), me: u64| {
                for _ in 0..iterations {
                    let turn = shared.0.lock().unwrap();
                    let mut turn = shared.1.wait_while(turn, |turn| *turn % 2 != me).unwrap();
                    *turn += 1;
                    drop(turn);
                    shared.1.notify_one();
                }
            };
            runtime.run(|| {
                let theirs = Arc::clone(&shared);
                let begin = Instant::now();
                let other = go(move || turns(&theirs, 1));
                turns(&shared, 0);
                other.join().expect("no panic");
                begin.elapsed()
            })
        });
    }

    fn scaled(elapsed: Duration, wanted: u64, done: u64) -> Duration {
        elapsed.mul_f64(wanted as f64 / done as f64)
    }
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
fn main() {
    use std::time::Duration;
    let mut criterion = criterion::Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    bench::all(&mut criterion);
    criterion.final_summary();
}

/// Models have no use for wall time.
#[cfg(any(feature = "loom", feature = "shuttle"))]
fn main() {}

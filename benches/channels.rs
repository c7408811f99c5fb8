//! What channels cost. `cargo bench --bench channels`
//! Held constant: values of one word; goroutines of one runtime, which stand before the clock starts;
//! the processors that a name gives; each figure is wall time by round trip, or by message.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod channels {
    use criterion::{Bencher, Criterion};
    use selvedge::chan::{Receiver, Sender, bounded};
    use selvedge::{Runtime, go, select};
    use std::time::{Duration, Instant};

    fn on(processors: usize) -> Runtime {
        Runtime::builder().processors(processors).build().expect("a runtime")
    }

    pub fn all(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("channels");
        for processors in [1, 2] {
            let name = format!("unbuffered round trip, {processors} processors");
            group.bench_function(name, |bencher| round_trip(bencher, processors));
            let name = format!("bounded(128), 1 to 1, {processors} processors");
            group.bench_function(name, |bencher| many(bencher, processors, 1));
            let name = format!("bounded(128), 4 to 4, {processors} processors");
            group.bench_function(name, |bencher| many(bencher, processors, 4));
            let name = format!("select over 4 of bounded(128), {processors} processors");
            group.bench_function(name, |bencher| select_of_four(bencher, processors));
        }
        group.bench_function("try_send and try_recv, bounded(1), one thread", |bencher| {
            let (tx, rx) = bounded(1);
            bencher.iter(|| {
                tx.try_send(1_u64).expect("room");
                rx.try_recv().expect("a value")
            });
        });
        group.finish();
    }

    fn round_trip(bencher: &mut Bencher<'_>, processors: usize) {
        let runtime = on(processors);
        bencher.iter_custom(|rounds| {
            runtime.run(|| {
                let (ping, pinged) = bounded::<u64>(0);
                let (pong, ponged) = bounded::<u64>(0);
                let echo = go(move || pinged.iter().for_each(|n| pong.send(n).unwrap()));
                let begin = Instant::now();
                for n in 0..rounds {
                    ping.send(n).unwrap();
                    assert_eq!(ponged.recv(), Ok(n));
                }
                let elapsed = begin.elapsed();
                drop(ping);
                echo.join().unwrap();
                elapsed
            })
        });
    }

    fn send_all(tx: Sender<u64>, count: u64) {
        (0..count).for_each(|n| tx.send(n).unwrap());
    }

    fn many(bencher: &mut Bencher<'_>, processors: usize, each: u64) {
        let runtime = on(processors);
        bencher.iter_custom(|messages| {
            let share = messages.div_ceil(each);
            let elapsed: Duration = runtime.run(|| {
                let (tx, rx) = bounded::<u64>(128);
                let begin = Instant::now();
                let receivers: Vec<_> = (0..each)
                    .map(|_| {
                        let rx = rx.clone();
                        go(move || rx.iter().count() as u64)
                    })
                    .collect();
                for _ in 0..each {
                    let tx = tx.clone();
                    go(move || send_all(tx, share));
                }
                drop((tx, rx));
                let received: u64 = receivers.into_iter().map(|r| r.join().unwrap()).sum();
                assert_eq!(received, share * each);
                begin.elapsed()
            });
            elapsed.mul_f64(messages as f64 / (share * each) as f64)
        });
    }

    fn select_of_four(bencher: &mut Bencher<'_>, processors: usize) {
        let runtime = on(processors);
        bencher.iter_custom(|messages| {
            let share = messages.div_ceil(4);
            let elapsed: Duration = runtime.run(|| {
                let begin = Instant::now();
                let ends: Vec<Receiver<u64>> = (0..4)
                    .map(|_| {
                        let (tx, rx) = bounded(128);
                        go(move || send_all(tx, share));
                        rx
                    })
                    .collect();
                let mut received = 0;
                let mut open = 4;
                let mut ends = ends;
                while open > 0 {
                    let (arm, value) = select! {
                        recv(ends[0]) -> value => (0, value),
                        recv(ends[1]) -> value => (1, value),
                        recv(ends[2]) -> value => (2, value),
                        recv(ends[3]) -> value => (3, value),
                    };
                    match value {
                        Ok(_) => received += 1,
                        Err(_) => {
                            open -= 1;
                            ends[arm] = selvedge::chan::never();
                        }
                    }
                }
                assert_eq!(received, share * 4);
                begin.elapsed()
            });
            elapsed.mul_f64(messages as f64 / (share * 4) as f64)
        });
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
    channels::all(&mut criterion);
    criterion.final_summary();
}

/// Models have no use for wall time.
#[cfg(any(feature = "loom", feature = "shuttle"))]
fn main() {}

//! How late sleepers wake, and what it costs: `cargo bench --bench timers [-- SLEEPERS ...]`.
//!
//! Held constant: an anchored runtime with one processor for each of the machine's; SLEEPERS
//! goroutines (10,000, then 1,000,000, unless told), all asleep before the first deadline; deadlines
//! random, evenly over one second, and over ten. Lateness is what a sleeper's own clock shows when it runs again.
//! CPU time is the whole process's from the first deadline to the last wake-up; who has woken parks, so
//! that no sleeper's end is in it. A core is CPU time by wall time.
#![allow(missing_docs)]

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
fn main() {
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![10_000, 1_000_000] } else { asked };
    for sleepers in sizes {
        for seconds in [1, 10] {
            lateness::measure(sleepers, seconds);
        }
    }
}

/// Models have no use for wall time.
#[cfg(any(feature = "loom", feature = "shuttle"))]
fn main() {}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod lateness {
    use selvedge::time::{self, Instant};
    use selvedge::{JoinHandle, Runtime};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
    use std::time::Duration;

    pub fn measure(sleepers: usize, seconds: u64) {
        let builder = Runtime::builder().max_goroutines(sleepers + 1);
        let runtime = builder.build().expect("a runtime");
        let late: Arc<Vec<AtomicU32>> =
            Arc::new((0..sleepers).map(|_| AtomicU32::new(0)).collect());
        let (asleep, awake) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let over = Arc::new(AtomicBool::new(false));
        let main = selvedge::current();
        // So long that all are asleep by then: 12 µs each, and a while.
        let start = Instant::now();
        let base = start + Duration::from_millis(300) + Duration::from_micros(12) * sleepers as u32;
        let mut random = 0x9E37_79B9_7F4A_7C15u64;
        let handles: Vec<JoinHandle<()>> = (0..sleepers)
            .map(|number| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let deadline = base + Duration::from_nanos(random % (seconds * 1_000_000_000));
                let (late, over, main) = (Arc::clone(&late), Arc::clone(&over), main.clone());
                let (asleep, awake) = (Arc::clone(&asleep), Arc::clone(&awake));
                runtime.go(move || {
                    asleep.fetch_add(1, Ordering::Relaxed);
                    time::sleep_until(deadline);
                    let lateness = Instant::now() - deadline;
                    late[number].store(lateness.as_nanos() as u32, Ordering::Relaxed);
                    if awake.fetch_add(1, Ordering::AcqRel) + 1 == sleepers {
                        main.unpark();
                    }
                    while !over.load(Ordering::Acquire) {
                        selvedge::park();
                    }
                })
            })
            .collect();
        while asleep.load(Ordering::Relaxed) < sleepers {
            time::sleep(Duration::from_millis(1));
        }
        let armed = start.elapsed();
        let in_time = Instant::now() < base;
        time::sleep_until(base);
        let (cpu, wall) = (cpu_time(), Instant::now());
        while awake.load(Ordering::Acquire) < sleepers {
            selvedge::park();
        }
        let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
        over.store(true, Ordering::Release);
        for handle in handles {
            handle.goroutine().unpark();
            handle.join().expect("no panic");
        }
        print(
            &format!("{sleepers} sleepers, deadlines over {seconds} s"),
            &late,
            armed,
            in_time,
            cpu,
            wall,
        );
    }

    fn print(
        what: &str,
        late: &[AtomicU32],
        armed: Duration,
        in_time: bool,
        cpu: Duration,
        wall: Duration,
    ) {
        let mut late: Vec<u32> = late.iter().map(|late| late.load(Ordering::Relaxed)).collect();
        late.sort_unstable();
        let at = |share: f64| f64::from(late[((late.len() - 1) as f64 * share) as usize]) / 1e3;
        println!(
            "{what}, {} processors: late p50 {:.0} µs, \
             p99 {:.0} µs, p99.9 {:.0} µs, at most {:.0} µs; {:.2} cores ({:.0} ns CPU a sleeper); \
             asleep after {armed:.1?}{}",
            std::thread::available_parallelism().map_or(1, usize::from),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            cpu.as_secs_f64() / wall.as_secs_f64(),
            cpu.as_nanos() as f64 / late.len() as f64,
            if in_time { "" } else { " (NOT VALID: too slow to bed)" },
        );
    }

    fn cpu_time() -> Duration {
        // SAFETY: a place for the answer.
        let usage = unsafe {
            let mut usage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &mut usage);
            usage
        };
        let of = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
        };
        of(usage.ru_utime) + of(usage.ru_stime)
    }
}

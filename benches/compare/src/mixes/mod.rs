//! Work where it matters what else goes on: a crowd that is parked, blocking calls beside computing
//! tasks, hogs beside tasks with deadlines. What all peers share is here.

mod goroutines;
mod tasks;

pub use goroutines::run as on_selvedge;
pub use tasks::run as on_tokio;

use crate::{Duration, Instant};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tasks that wait for one event.
pub const CROWD: usize = 1_000_000;
/// Tasks that block their kernel thread, how often each, and for how long.
pub const BLOCKERS: usize = 64;
pub const BLOCKS: usize = 50;
pub const BLOCK: Duration = Duration::from_millis(2);
/// Tasks that compute meanwhile, in portions of some microseconds, with a yield between.
pub const COMPUTERS: usize = 8;
/// One a processor; they spin, with no mark for any scheduler, until a kernel thread stops them.
pub const HOGS: usize = 2;
pub const HOGGED: Duration = Duration::from_secs(1);
/// Tasks beside the hogs, each of which sleeps a millisecond again and again.
pub const WAKERS: usize = 100;
pub const NAP: Duration = Duration::from_millis(1);

/// Bytes of this process that are in memory.
pub fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: f64 =
        statm.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    pages * 4096.0
}

/// A portion of computing.
#[inline(never)]
pub fn portion() {
    black_box((0..black_box(20_000_u64)).fold(1_u64, |sum, n| sum.wrapping_mul(31) ^ n));
}

/// What a portion takes when nobody disturbs.
pub fn of_a_portion() -> Duration {
    let once = |_| {
        let start = Instant::now();
        portion();
        start.elapsed()
    };
    (0..200).map(once).min().expect("some")
}

/// Of so many processors' time, the percentage in which nobody computed.
pub fn lost(portions: usize, processors: usize, took: Duration) -> f64 {
    let computed = of_a_portion().as_secs_f64() * portions as f64;
    100.0 * (1.0 - computed / (processors as f64 * took.as_secs_f64())).max(0.0)
}

/// Spins until it is stopped.
pub fn hog(stopped: &AtomicBool) {
    while !stopped.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

/// Stops the hogs after a while, whatever the schedulers do.
pub fn stop_later(stopped: &'static AtomicBool) {
    std::thread::spawn(|| {
        std::thread::sleep(HOGGED);
        stopped.store(true, Ordering::Relaxed);
    });
}

/// The 99th percentile of some lateness, in milliseconds.
pub fn p99_in_ms(late: Vec<i64>) -> f64 {
    crate::p99(late) / 1e3
}

/// Seconds of processor time that this process has used.
pub fn processor_seconds() -> f64 {
    // SAFETY: a zeroed `timespec` is one, and lives through the call.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time);
        time
    };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

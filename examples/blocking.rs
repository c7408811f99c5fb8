//! What becomes of the others when one goroutine sleeps in the kernel, and there is one processor:
//! the same story on three runtimes, each line with its time and kernel thread.
//!
//! `cargo run --release --example blocking`

use selvedge::{BuildError, Builder, Runtime, Spawn, Stall, blocking, go, yield_now};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const NAP: Duration = Duration::from_millis(120);
/// A turn later than this is worth a line.
const LATE: Duration = Duration::from_millis(5);

fn main() -> Result<(), BuildError> {
    println!("A plain sleep: the newcomer and the neighbour move on to another kernel thread.");
    let clock = Clock::start();
    tell(clock, builder(clock).build()?, sleep_in_kernel);

    println!("\nA sleep in `blocking`: the same, and sooner.");
    let clock = Clock::start();
    tell(clock, builder(clock).build()?, |clock| blocking(|| sleep_in_kernel(clock)));

    println!("\nAnchored, a plain sleep: the newcomer moves on, the neighbour waits.");
    let clock = Clock::start();
    // SAFETY: no code that runs here initializes a thread-local by code that suspends, or lends anything
    // by way of a thread-local across a suspension.
    let runtime = unsafe { builder(clock).build_anchored()? };
    tell(clock, runtime, sleep_in_kernel);
    Ok(())
}

fn builder(clock: Clock) -> Builder {
    Runtime::builder().processors(1).watchdog(move |stall: &Stall| {
        let Stall { name, elapsed, waiting, in_kernel, .. } = stall;
        let name = name.as_deref().unwrap_or("somebody");
        let how = if *in_kernel { "asleep" } else { "computing" };
        clock.note("watchdog", &format!("{name} {how} for {elapsed:.0?}, {waiting} wait"));
    })
}

/// A sleeper, a neighbour that began before on the same kernel thread, and a newcomer that has not
/// begun when the sleeper goes to sleep.
fn tell(clock: Clock, runtime: Runtime, sleep: fn(Clock)) {
    runtime.run(move || {
        let done = Arc::new(AtomicBool::new(false));
        let neighbour = go({
            let done = Arc::clone(&done);
            move || neighbour(clock, &done)
        });
        yield_now();
        let sleeper = Spawn::new().name("sleeper").go(move || sleeper(clock, sleep));
        sleeper.join().unwrap();
        done.store(true, Relaxed);
        neighbour.join().unwrap();
    });
    let metrics = runtime.metrics();
    println!("processors retaken: {}, stalls reported: {}", metrics.retakes, metrics.stalls);
}

fn sleeper(clock: Clock, sleep: fn(Clock)) {
    go(move || clock.note("newcomer", "begins"));
    sleep(clock);
    yield_now();
    clock.note("sleeper", "has a turn again");
}

/// Wants a turn all the time, and tells when it gets one late, or on another kernel thread.
fn neighbour(clock: Clock, done: &AtomicBool) {
    clock.note("neighbour", "begins");
    let mut home = thread();
    while !done.load(Relaxed) {
        let before = Instant::now();
        yield_now();
        let waited = before.elapsed();
        let here = thread();
        if waited > LATE || here != home {
            clock.note("neighbour", &format!("has a turn after {waited:.0?}"));
        }
        home = here;
    }
    clock.note("neighbour", "ends");
}

#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Clock(Instant::now())
    }

    #[inline(never)]
    fn note(self, who: &str, what: &str) {
        let millis = self.0.elapsed().as_secs_f64() * 1e3;
        println!("{millis:6.1} ms  {who:<9}  {what:<36}  on {}", thread());
    }
}

/// The kernel thread that the caller runs on: its name and number.
#[inline(never)]
fn thread() -> String {
    let name = fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
    let link = fs::read_link("/proc/thread-self").unwrap_or_default();
    let number = link.file_name().unwrap_or_default().to_string_lossy();
    format!("{} ({number})", name.trim_end())
}

#[inline(never)]
fn sleep_in_kernel(clock: Clock) {
    clock.note("sleeper", &format!("sleeps {NAP:?} in the kernel"));
    std::thread::sleep(NAP);
    clock.note("sleeper", "wakes");
}

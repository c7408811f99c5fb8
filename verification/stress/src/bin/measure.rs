//! Measure: figures of a whole process that no bench can see.
//!
//! `measure million [MILLIONS]`  so many million goroutines parked at once, then woken and joined
//! `measure flat`                ten million spawned and ended, in batches: memory stays flat
//! `measure cycles [N]`          N runtimes built, used and ended: time of each, and memory
//! `measure idle`                an idle runtime for 10 s: CPU time used
//! `measure hot WHAT [N]`        N times `spawn`, `yield`, `park`, `blocking` or `none`, to be run under
//!                               `strace -c -f` or `perf stat -e raw_syscalls:sys_enter`
//! Each takes `--migrating` and `--processors P` as well.

use selvedge::{Runtime, blocking, current, go, park, yield_now};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "usage: measure million [MILLIONS] | flat | cycles [N] | idle | hot WHAT [N] \
                     [--migrating] [--processors P]";

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let migrating = take_flag(&mut words);
    let processors = take_processors(&mut words);
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok());
    match words.first().map(String::as_str) {
        Some("million") => {
            million(&build(migrating, processors), number(1).unwrap_or(1) * 1_000_000)
        }
        Some("flat") => flat(&build(migrating, processors)),
        Some("cycles") => cycles(migrating, processors, number(1).unwrap_or(10_000)),
        Some("idle") => idle(&build(migrating, processors)),
        Some("hot") => {
            let what = words.get(1).map_or("", String::as_str);
            hot(&build(migrating, processors), what, number(2).unwrap_or(1_000_000));
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("{USAGE}");
    std::process::exit(2);
}

fn take_flag(words: &mut Vec<String>) -> bool {
    let before = words.len();
    words.retain(|word| word != "--migrating");
    words.len() < before
}

fn take_processors(words: &mut Vec<String>) -> Option<usize> {
    let at = words.iter().position(|word| word == "--processors")?;
    let value = words.get(at + 1).and_then(|word| word.parse().ok()).unwrap_or_else(|| usage());
    words.drain(at..at + 2);
    Some(value)
}

fn build(migrating: bool, processors: Option<usize>) -> Runtime {
    let mut builder = Runtime::builder();
    if let Some(processors) = processors {
        builder = builder.processors(processors);
    }
    let built = if migrating {
        // SAFETY: the goroutines of this file touch no thread-local.
        unsafe { builder.build_migrating() }
    } else {
        builder.build()
    };
    built.expect("a runtime")
}

/// KiB, as the kernel counts them.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = text.lines().find(|line| line.starts_with(field)).expect("the field");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count())
}

fn million(runtime: &Runtime, n: u64) {
    let parked = AtomicU64::new(0);
    let parked: &'static AtomicU64 = Box::leak(Box::new(parked));
    let before = status("VmRSS:");
    let begin = Instant::now();
    let handles: Vec<_> = (0..n)
        .map(|i| {
            runtime.go(move || {
                parked.fetch_add(1, Ordering::Relaxed);
                park();
                i
            })
        })
        .collect();
    let spawned = begin.elapsed();
    while parked.load(Ordering::Relaxed) < n {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (all_parked, used) = (begin.elapsed(), cpu());
    let memory = status("VmRSS:");
    println!(
        "{n} goroutines parked: spawned from a plain thread in {spawned:.2?}, parked after \
         {all_parked:.2?} and {used:.2?} of CPU; RSS {:.2} GiB, {} bytes each, page tables {} MiB, {} mappings",
        memory as f64 / f64::from(1 << 20),
        (memory - before) * 1024 / n,
        status("VmPTE:") / 1024,
        mappings(),
    );
    let begin = Instant::now();
    handles.iter().for_each(|handle| handle.goroutine().unpark());
    let woken = begin.elapsed();
    let sum: u64 = handles.into_iter().map(|handle| handle.join().expect("it only parks")).sum();
    let joined = begin.elapsed();
    assert_eq!(sum, n * (n - 1) / 2, "every goroutine gives its number back");
    println!("all unparked in {woken:.2?}, joined after {joined:.2?}; {:?}", runtime.metrics());
    let begin = Instant::now();
    runtime.run(|| ());
    println!("an empty `run` right after that: {:.2?}", begin.elapsed());
    std::thread::sleep(Duration::from_secs(1));
    println!("a second later: RSS {} MiB", status("VmRSS:") / 1024);
}

fn flat(runtime: &Runtime) {
    const BATCH: u64 = 1000;
    let begin = Instant::now();
    for part in 0..10 {
        runtime.run(|| {
            for _ in 0..1_000_000 / BATCH {
                let handles: Vec<_> = (0..BATCH).map(|n| go(move || n)).collect();
                for handle in handles {
                    black_box(handle.join().ok());
                }
            }
        });
        println!(
            "{} million spawned and joined: RSS {} KiB, {:.2?}",
            part + 1,
            status("VmRSS:"),
            begin.elapsed()
        );
    }
}

fn cycles(migrating: bool, processors: Option<usize>, n: u64) {
    for part in 1..=10 {
        let begin = Instant::now();
        for _ in 0..n / 10 {
            let runtime = build(migrating, processors);
            runtime.run(|| go(|| ()).join().expect("it does nothing"));
            runtime.shutdown(Duration::from_secs(10)).expect("all have ended");
        }
        let each = begin.elapsed().as_micros() as u64 * 10 / n;
        println!("{} runtimes: {each} µs each, RSS {} KiB", part * n / 10, status("VmRSS:"));
    }
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    // SAFETY: `now` is a valid place for the answer.
    let now = unsafe {
        let mut now: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now);
        now
    };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn idle(runtime: &Runtime) {
    const LIMIT: Duration = Duration::from_secs(10);
    let waiter = runtime.go(park);
    runtime.run(|| (0..1000).for_each(|_| yield_now()));
    std::thread::sleep(Duration::from_millis(500));
    let before = cpu();
    std::thread::sleep(LIMIT);
    let used = cpu() - before;
    let share = used.as_secs_f64() / LIMIT.as_secs_f64();
    println!("idle for {LIMIT:?}: {used:?} of CPU, {:.4} %", share * 100.0);
    waiter.goroutine().unpark();
    waiter.join().expect("it only parks");
}

fn hot(runtime: &Runtime, what: &str, n: u64) {
    let run: fn(u64) = match what {
        "none" => |_| (),
        "spawn" => spawn_and_join,
        "yield" => yields,
        "park" => ping_pong,
        "blocking" => |n| (0..n).for_each(|n| _ = black_box(blocking(|| black_box(n)))),
        _ => usage(),
    };
    // Once before, so that memory and threads are there.
    runtime.run(|| run(n.min(100_000)));
    let (begin, cpu_before) = (Instant::now(), cpu());
    runtime.run(|| run(n));
    let each = |spent: Duration| spent.as_nanos() as f64 / n as f64;
    let (wall, used) = (each(begin.elapsed()), each(cpu() - cpu_before));
    println!("{what}: {n} times, {wall:.1} ns each, {used:.1} ns of CPU");
}

fn spawn_and_join(n: u64) {
    for _ in 0..n / 100 {
        let handles: Vec<_> = (0..100).map(|n| go(move || n)).collect();
        handles.into_iter().for_each(|handle| _ = black_box(handle.join().ok()));
    }
}

fn yields(n: u64) {
    let spawn = |_| go(move || (0..n / 100).for_each(|_| yield_now()));
    let handles: Vec<_> = (0..100).map(spawn).collect();
    handles.into_iter().for_each(|handle| handle.join().expect("it only yields"));
}

fn ping_pong(n: u64) {
    let turn = Arc::new(AtomicU64::new(0));
    let (theirs, me) = (Arc::clone(&turn), current());
    let other = go(move || {
        for round in 0..n {
            await_turn(&theirs, 2 * round + 1);
            theirs.store(2 * round + 2, Ordering::Release);
            me.unpark();
        }
    });
    let them = other.goroutine();
    for round in 0..n {
        turn.store(2 * round + 1, Ordering::Release);
        them.unpark();
        await_turn(&turn, 2 * round + 2);
    }
    other.join().expect("it only parks");
}

fn await_turn(turn: &AtomicU64, number: u64) {
    while turn.load(Ordering::Acquire) != number {
        park();
    }
}

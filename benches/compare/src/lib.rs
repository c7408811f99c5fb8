//! What the peers share: workloads by name, sizes, and how a figure is taken.
//!
//! Each peer is a program of its own, since an allocator and a runtime are a program's: `peer-NAME
//! WORKLOAD PROCESSORS` does the work once, checks its own answer, and prints one line: the figures.
//! `compare` runs them in turn.

pub mod aims;
pub mod echo;
pub mod goroutines;
pub mod mixes;
pub mod plot;
pub mod quiet;
pub mod table;
pub mod tasks;

pub use std::time::{Duration, Instant};

/// One workload: its name, what a figure means, and on how many processors it is run.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub processors: &'static [usize],
}

/// In the order of the table.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "spawn",
        what: "spawn 1M tasks from inside, join all",
        unit: "ns/task",
        processors: &[1, 2],
    },
    Workload {
        name: "skynet",
        what: "10-ary tree, 1M leaves, sums up a channel",
        unit: "ns/task",
        processors: &[1, 2],
    },
    Workload { name: "yield", what: "yield, 100 tasks", unit: "ns/yield", processors: &[1, 2] },
    Workload {
        name: "pingpong",
        what: "rendezvous ping-pong",
        unit: "ns/round trip",
        processors: &[1, 2],
    },
    Workload {
        name: "bounded1x1",
        what: "bounded(128), 1 sender, 1 receiver",
        unit: "ns/message",
        processors: &[1, 2],
    },
    Workload {
        name: "bounded4x4",
        what: "bounded(128), 4 senders, 4 receivers",
        unit: "ns/message",
        processors: &[1, 2],
    },
    Workload { name: "ring", what: "ring of 503", unit: "ns/hop", processors: &[1, 2] },
    Workload {
        name: "sieve",
        what: "prime sieve, 1000 primes",
        unit: "ns/transfer",
        processors: &[1, 2],
    },
    Workload {
        name: "select4",
        what: "select over 4 channels",
        unit: "ns/message",
        processors: &[1, 2],
    },
    Workload { name: "mutex1", what: "mutex, 1 task", unit: "ns/lock", processors: &[1] },
    Workload { name: "mutex64", what: "mutex, 64 tasks", unit: "ns/lock", processors: &[1, 2] },
    Workload {
        name: "fib",
        what: "fork-join fib(30), spawn per call above 12",
        unit: "ns/spawn",
        processors: &[2],
    },
    Workload {
        name: "sleepers",
        what: "1M sleepers, 0 to 1000 ms: beyond the second",
        unit: "ms",
        processors: &[2],
    },
    Workload {
        name: "sleepers-cpu",
        what: "1M sleepers: processor time",
        unit: "s",
        processors: &[2],
    },
    Workload {
        name: "lateness",
        what: "10k sleepers, 0 to 1000 ms: lateness p99",
        unit: "µs",
        processors: &[2],
    },
    Workload {
        name: "parked",
        what: "1M wait for one event: made and woken",
        unit: "ms",
        processors: &[2],
    },
    Workload {
        name: "parked-bytes",
        what: "1M wait for one event: memory",
        unit: "bytes each",
        processors: &[2],
    },
    Workload {
        name: "blocking",
        what: "64 tasks block 50 times for 2 ms, 8 compute: time",
        unit: "ms",
        processors: &[2],
    },
    Workload {
        name: "blocking-lost",
        what: "the same: processors lost to those who compute",
        unit: "%",
        processors: &[2],
    },
    Workload {
        name: "hogs",
        what: "2 hogs, 100 tasks wake each ms: lateness p99",
        unit: "ms",
        processors: &[2],
    },
    Workload {
        name: "echo",
        what: "echo on loopback, 64 connections",
        unit: "ns/request",
        processors: &[1, 2],
    },
    Workload {
        name: "echo-p50",
        what: "echo, 64 connections: latency p50",
        unit: "µs",
        processors: &[2],
    },
    Workload {
        name: "echo-p99",
        what: "echo, 64 connections: latency p99",
        unit: "µs",
        processors: &[2],
    },
    Workload {
        name: "echo-p99-pipes",
        what: "the same, beside 64 blocked in slow pipes",
        unit: "µs",
        processors: &[2],
    },
];

pub const SPAWNS: usize = 1_000_000;
pub const LEAVES: u64 = 1_000_000;
pub const YIELDERS: usize = 100;
pub const YIELDS: usize = 20_000;
pub const ROUND_TRIPS: usize = 300_000;
pub const MESSAGES: usize = 4_000_000;
pub const CAPACITY: usize = 128;
pub const RING: usize = 503;
pub const HOPS: usize = 2_000_000;
pub const PRIMES: usize = 1_000;
pub const LAST_PRIME: u64 = 7_919;
pub const SELECTED: usize = 1_000_000;
pub const LOCKS: usize = 4_000_000;
pub const LOCKERS: usize = 64;
pub const FIB: u64 = 30;
pub const FIB_SERIAL: u64 = 12;
pub const FIB_OF: u64 = 832_040;
/// Calls of `fib(30)` above `FIB_SERIAL`, each of which spawns one task.
pub const FIB_SPAWNS: u64 = 6_764;
pub const SLEEPERS: usize = 1_000_000;
pub const FEW_SLEEPERS: usize = 10_000;

/// Nanoseconds for each of `count`, of what `f` takes.
pub fn per(count: usize, f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_nanos() as f64 / count as f64
}

pub const FIB_RUNS: u64 = 20;

/// The serial part of fork-join fib.
pub fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// How many transfers the sieve of the first `PRIMES` primes makes.
pub fn sieve_transfers() -> usize {
    let mut primes: Vec<u64> = Vec::new();
    let mut transfers = 0;
    for n in 2..=LAST_PRIME {
        transfers += 1;
        match primes.iter().position(|p| n.is_multiple_of(*p)) {
            Some(at) => transfers += at,
            None => {
                transfers += primes.len();
                primes.push(n);
            }
        }
    }
    assert_eq!(primes.len(), PRIMES);
    transfers
}

/// How long the `index`th of many sleepers sleeps: spread over a second, in no order.
pub fn nap(index: usize) -> Duration {
    let mixed = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    Duration::from_micros(mixed % 1_000_000)
}

/// What `naps` took beyond the second, in milliseconds.
pub fn beyond_a_second(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() - 1.0) * 1e3
}

/// The 99th percentile of lateness, in microseconds; nobody may be early.
pub fn p99(mut late: Vec<i64>) -> f64 {
    late.sort_unstable();
    assert!(late[0] >= 0, "a sleeper woke {} ns early", -late[0]);
    late[late.len() * 99 / 100] as f64 / 1e3
}

/// The life of a peer's program: one workload, one figure.
pub fn peer(run: impl FnOnce(&str, usize) -> Option<f64>) {
    let mut args = std::env::args().skip(1);
    let (Some(workload), Some(processors)) = (args.next(), args.next()) else {
        eprintln!("usage: peer-NAME WORKLOAD PROCESSORS");
        std::process::exit(2);
    };
    let processors = processors.parse().expect("a number of processors");
    match run(&workload, processors) {
        Some(figure) => println!("{figure:.3}"),
        None => println!("-"),
    }
}

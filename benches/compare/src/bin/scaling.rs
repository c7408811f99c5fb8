//! The same work on 1 to 16 processors, and what the scheduler did for it: how often a processor stole,
//! a worker slept and was woken, and what went through the queue that all share.
//!
//! `cargo run --release -p selvedge-compare --bin scaling -- [--write]`
//!
//! `--write` puts the table where docs/scaling.md shows it. Beyond the processors of the machine, kernel
//! threads take turns, as it can happen to anybody's program. Held constant: each run has a runtime of its
//! own, in one process; each figure is that of the median run of three.

use selvedge::Runtime;
use selvedge_compare::table::{machine, put_between};
use selvedge_compare::{goroutines, *};
use std::fmt::Write;
use std::path::Path;
use std::process::exit;

/// What is run, and how many operations it is.
const WORK: [(&str, usize); 8] = [
    ("spawn", SPAWNS),
    ("skynet", LEAVES as usize),
    ("yield", YIELDERS * YIELDS),
    ("pingpong", ROUND_TRIPS),
    ("bounded4x4", MESSAGES),
    ("ring", HOPS),
    ("fib", (FIB_SPAWNS * FIB_RUNS) as usize),
    ("mutex64", LOCKS),
];
const PROCESSORS: [usize; 5] = [1, 2, 4, 8, 16];
const ROUNDS: usize = 3;

/// Of one run: nanoseconds an operation, and counts per thousand of them.
struct Run {
    nanos: f64,
    counts: [f64; 5],
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let write = words == ["--write"];
    if !write && !words.is_empty() {
        eprintln!("usage: scaling [--write]");
        exit(2);
    }
    let mut table = String::from(
        "| workload | placement | processors | ns/operation | steals | sleeps | wake-ups | injected | \
         waits for the injector |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (name, operations) in WORK {
        for placement in ["isolated", "anchored", "migrating"] {
            for processors in PROCESSORS {
                let line = row(name, operations, placement, processors);
                eprint!("{line}");
                table.push_str(&line);
            }
        }
    }
    let _ = writeln!(
        table,
        "\nCounts per thousand operations. The median of {ROUNDS} runs. {}",
        machine()
    );
    print!("{table}");
    if write {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        put_between(&docs.join("scaling.md"), "scaling", &table).expect("a place for it");
    }
}

fn row(name: &str, operations: usize, placement: &str, processors: usize) -> String {
    let mut runs: Vec<Run> =
        (0..ROUNDS).map(|_| run(name, operations, placement, processors)).collect();
    runs.sort_by(|a, b| a.nanos.total_cmp(&b.nanos));
    let Run { nanos, counts } = &runs[ROUNDS / 2];
    let mut line = format!("| {name} | {placement} | {processors} | {nanos:.1} |");
    for count in counts {
        let _ = write!(line, " {count:.2} |");
    }
    line + "\n"
}

fn run(name: &str, operations: usize, placement: &str, processors: usize) -> Run {
    let builder = goroutines::builder(processors);
    let runtime: Runtime = match placement {
        "isolated" => builder.build(),
        // SAFETY: no function of the workloads relies on nesting where it suspends.
        "anchored" => unsafe { builder.build_anchored() },
        // SAFETY: no function of the workloads that suspends touches a thread-local, or keeps anything
        // that is bound to a thread.
        _ => unsafe { builder.build_migrating() },
    }
    .expect("a runtime");
    let nanos = goroutines::run(&runtime, name, processors).expect("a workload");
    let counted = runtime.metrics();
    let counts = [
        counted.steals,
        counted.sleeps,
        counted.wakes,
        counted.injected,
        counted.injector_contention,
    ];
    let per_thousand = |count: u64| count as f64 * 1000.0 / operations as f64;
    Run { nanos, counts: counts.map(per_thousand) }
}

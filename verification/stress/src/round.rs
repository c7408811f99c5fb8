//! A driver's rounds: a few jobs at once on one runtime, then silence, in which the books must
//! balance.

use crate::args::{Args, Placement};
use crate::book::Book;
use crate::jobs::{self, Ctx};
use crate::outside::{Outside, meddle};
use crate::rng::Rng;
use crate::{cycle, process, watchdog};
use selvedge::{Builder, Metrics, Runtime, scope};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Goroutines that a runtime may have,
const WANTED: usize = 40_000;
/// and where there are no guards for so many.
const FEW: usize = 8_000;
/// How long a runtime may take to fall silent.
const SILENCE: Duration = Duration::from_secs(15);

/// How a driver builds its runtimes.
pub fn build(builder: Builder, placement: Placement) -> Runtime {
    let built = match placement {
        Placement::Isolated => builder.build(),
        // SAFETY: no goroutine of this program initializes a thread-local by code that suspends, or lends
        // anything by way of one.
        Placement::Anchored => unsafe { builder.build_anchored() },
        // SAFETY: what the goroutines of this program touch of thread-locals (panics, the outside
        // threads' channel, pipes) is in outlined functions that don't suspend; they keep no guard
        // across a suspension.
        Placement::Migrating => unsafe { builder.build_migrating() },
    };
    built.unwrap_or_else(|error| crate::violation(&format!("no runtime: {error}")))
}

fn name(placement: Placement) -> &'static str {
    match placement {
        Placement::Isolated => "isolated",
        Placement::Anchored => "anchored",
        Placement::Migrating => "migrating",
    }
}

/// As many as a job may need; fewer where the kernel makes few guards.
fn most_goroutines() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| {
        let builder = |most| Runtime::builder().processors(1).max_goroutines(most);
        match builder(WANTED).build() {
            Ok(_) => WANTED,
            Err(error) => {
                println!("stress: {FEW} goroutines a runtime, not {WANTED}: {error}");
                FEW
            }
        }
    })
}

/// The life of a driver thread.
pub fn drive(book: &'static Book, args: &Args, end: Instant) {
    let placement = book.placement;
    let mut rng = Rng::new(args.seed ^ (placement as u64) << 32);
    let outside = [Outside::new(), Outside::new()];
    while Instant::now() < end {
        let plan = Plan::new(&mut rng, args);
        let runtime = build(plan.builder(&mut rng), placement);
        book.runtimes.fetch_add(1, Ordering::Relaxed);
        book.spawned.store(0, Ordering::Relaxed);
        book.unclaimed.store(0, Ordering::Relaxed);
        for _ in 0..plan.rounds {
            round(&runtime, book, &outside, &mut rng, &plan);
            if Instant::now() >= end {
                break;
            }
        }
        let metrics = runtime.metrics();
        book.retakes.fetch_add(metrics.retakes, Ordering::Relaxed);
        book.stalls.fetch_add(metrics.stalls, Ordering::Relaxed);
        if let Err(error) = runtime.shutdown(SILENCE) {
            crate::violation(&format!("a quiet runtime doesn't end: {error}"));
        }
        if plan.jobs.is_empty() {
            cycle::cycle(book, &mut rng);
        }
        process::note_memory();
    }
    book.over.store(true, Ordering::Relaxed);
}

/// What one runtime is like.
struct Plan {
    rounds: u64,
    processors: usize,
    max_threads: usize,
    meddlers: u64,
    jobs: Vec<String>,
}

impl Plan {
    fn new(rng: &mut Rng, args: &Args) -> Plan {
        let processors = args.processors;
        // With few threads, blocked ones hold everybody up now and then.
        let spare = if rng.one_in(4) { 4 } else { 120 };
        Plan {
            rounds: rng.within(1, 12),
            processors,
            max_threads: processors + spare,
            meddlers: rng.below(3),
            jobs: args.jobs.clone(),
        }
    }

    fn builder(&self, rng: &mut Rng) -> Builder {
        Runtime::builder()
            .processors(self.processors)
            .max_processors(self.processors)
            .max_threads(self.max_threads)
            .max_goroutines(most_goroutines())
            .seed(rng.next())
    }
}

fn round(
    runtime: &Runtime,
    book: &'static Book,
    outside: &[Outside; 2],
    rng: &mut Rng,
    plan: &Plan,
) {
    let over = AtomicBool::new(false);
    let many_threads = plan.max_threads > plan.processors + 100;
    let [outside, joiners] = outside.clone();
    let ctx = Ctx { runtime, book, outside, joiners, many_threads };
    let chosen: Vec<_> = (0..rng.within(1, 12)).map(|_| jobs::choose(rng, &plan.jobs)).collect();
    let names: Vec<_> = chosen.iter().map(|job| job.name).collect();
    watchdog::note(name(book.placement), format!("jobs {names:?}, {:?}", runtime.metrics()));
    std::thread::scope(|threads| {
        for _ in 0..plan.meddlers {
            let (rng, over, most) = (rng.fork(), &over, plan.processors);
            threads.spawn(move || meddle(runtime, book, rng, most, over));
        }
        book.spawned.fetch_add(1, Ordering::Relaxed);
        let ctx = &ctx;
        let mut rng = rng.fork();
        runtime.run(move || {
            scope(|s| {
                for job in chosen {
                    let mut rng = rng.fork();
                    ctx.go(s, "job", move |life| (job.run)(ctx, life, &mut rng));
                }
            });
        });
        over.store(true, Ordering::Release);
    });
    if let Err(error) = runtime.set_processors(plan.processors) {
        crate::violation(&format!("set_processors: {error}"));
    }
    let metrics = await_silence(runtime, book, &names);
    watchdog::note(name(book.placement), format!("jobs {names:?} over, {metrics:?}"));
    check(&metrics, book, plan);
    book.rounds.fetch_add(1, Ordering::Relaxed);
}

fn is_silent(metrics: &Metrics, book: &Book) -> bool {
    metrics.spawned == metrics.finished
        && metrics.spawned == book.spawned.load(Ordering::Relaxed)
        && metrics.idle_processors == metrics.processors
        && metrics.queueing_workers == 0
}

fn await_silence(runtime: &Runtime, book: &'static Book, names: &[&str]) -> Metrics {
    let begin = Instant::now();
    loop {
        let metrics = runtime.metrics();
        if is_silent(&metrics, book) {
            return metrics;
        }
        if begin.elapsed() > SILENCE {
            let booked = book.spawned.load(Ordering::Relaxed);
            let alive: Vec<_> = book.alive().take(20).collect();
            crate::violation(&format!(
                "after {names:?} the runtime is not silent: {metrics:?}, {booked} spawned by the \
                 book, alive {alive:?}"
            ));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn check(metrics: &Metrics, book: &Book, plan: &Plan) {
    let unclaimed = book.unclaimed.load(Ordering::Relaxed);
    if metrics.unclaimed_panics != unclaimed {
        crate::violation(&format!("{unclaimed} panics were unclaimed: {metrics:?}"));
    }
    if metrics.threads > plan.max_threads {
        crate::violation(&format!("the cap is {} threads: {metrics:?}", plan.max_threads));
    }
    if metrics.processors != plan.processors {
        crate::violation(&format!("{} processors were asked for: {metrics:?}", plan.processors));
    }
    if metrics.failed_thread_starts > 0 {
        crate::violation(&format!("threads could not be started: {metrics:?}"));
    }
}

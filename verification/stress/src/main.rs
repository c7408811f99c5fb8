//! Stress: everything that goroutines can do, mixed at random from a seed, while the runtime's
//! invariants are checked from outside.
//!
//! A driver thread per placement builds runtimes and runs rounds on them. A round is a handful of
//! jobs at once, while plain threads spawn, unpark, resize and join from outside. After each round
//! the runtime must be quiet: all that was spawned has ended, all processors idle. After each
//! runtime, memory and kernel threads must be back.
//!
//! | checked | where |
//! |---|---|
//! | each goroutine runs once, to its end; no permit is lost; anchored ones stay | `book` |
//! | results, panics, borrowed data, stacks are as left | `jobs` |
//! | spawned = ended, processors idle, thread cap kept, panics counted, memory flat | `round` |
//! | what a runtime that ends leaves behind | `cycle` |
//! | somebody gets on | `watchdog` |
//! | signals disturb nobody | `storm` |

mod args;
mod book;
mod cycle;
mod jobs;
mod outside;
mod process;
mod rng;
mod round;
mod storm;
mod watchdog;

use args::Args;
use book::Book;
use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

static COMMAND: OnceLock<String> = OnceLock::new();

/// An invariant does not hold: says so, and how to see it again, and ends the process.
pub fn violation(what: &str) -> ! {
    let command = COMMAND.get().map_or("", String::as_str);
    let _ = writeln!(std::io::stderr(), "stress: VIOLATION: {what}\nstress: seen with: {command}");
    let _ = writeln!(std::io::stdout(), "stress: 1 failed");
    if std::env::var_os("STRESS_CORE").is_some() {
        std::process::abort();
    }
    // SAFETY: ends the process; nothing of it is used again. No destructor may run, since other
    // threads are at work.
    unsafe { libc::_exit(1) }
}

fn main() {
    let args = Args::parse(std::env::args().skip(1)).unwrap_or_else(|error| {
        eprintln!("stress: {error}\n{}", args::USAGE);
        std::process::exit(2);
    });
    if let Some(job) = args.jobs.iter().find(|job| !jobs::is_known(job)) {
        eprintln!(
            "stress: --job {job}: no such job; there are {:?}\n{}",
            jobs::names(),
            args::USAGE
        );
        std::process::exit(2);
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let _ = COMMAND.set(format!("stress {} ({args:?})", words.join(" ")));
    jobs::silence_expected_panics();
    let books: Vec<_> = args.placements.iter().map(|placement| Book::new(*placement)).collect();
    watchdog::start(books.clone(), args.hold);
    let storm = (args.signals > 0).then(|| storm::start(args.signals, args.seed));
    let end = Instant::now() + Duration::from_secs(args.seconds);
    std::thread::scope(|threads| {
        for book in &books {
            let args = &args;
            threads.spawn(move || round::drive(book, args, end));
        }
        threads.spawn(|| report_until(&books, end));
    });
    if let Some(storm) = storm {
        storm.end();
    }
    process::check_memory();
    let rounds = watchdog::summary(&books);
    println!("stress: {rounds} rounds passed, 0 failed");
}

fn report_until(books: &[&'static Book], end: Instant) {
    let mut next = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
        if Instant::now() >= next {
            watchdog::summary(books);
            next += Duration::from_secs(15);
        }
    }
}

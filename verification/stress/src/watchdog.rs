//! Watchdog: sees that somebody gets on, says what everybody does if not, and ends the process.
#![forbid(unsafe_code)]

use crate::book::{Book, Entry};
use crate::process;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Seconds without a step, or with a permit that wakes nobody.
const PATIENCE: u32 = 20;

/// What the drivers' runtimes counted last.
static METRICS: Mutex<Vec<(&'static str, String)>> = Mutex::new(Vec::new());

/// Tells the watchdog what to print of a runtime.
pub fn note(driver: &'static str, metrics: String) {
    let mut known = METRICS.lock().unwrap();
    known.retain(|(name, _)| *name != driver);
    known.push((driver, metrics));
}

pub fn start(books: Vec<&'static Book>, hold: bool) {
    let watch = move || {
        let mut watches: Vec<_> = books.iter().map(|book| Watch::new(book)).collect();
        loop {
            let before = Instant::now();
            sleep(Duration::from_secs(1));
            if before.elapsed() > Duration::from_secs(3) {
                // The whole machine stood still.
                continue;
            }
            for watch in &mut watches {
                if let Some(what) = watch.look() {
                    say_all(watch.book, &what);
                    if hold {
                        wait_for_debugger();
                    }
                    crate::violation(&what);
                }
            }
        }
    };
    std::thread::Builder::new().name("watchdog".into()).spawn(watch).expect("a thread");
}

fn wait_for_debugger() -> ! {
    loop {
        sleep(Duration::from_secs(1));
    }
}

struct Watch {
    book: &'static Book,
    progress: (u64, u64),
    still: u32,
    /// Who has what it wants and stays parked: its number and steps, and for how many seconds.
    lost: HashMap<(u64, u64), u32>,
}

impl Watch {
    fn new(book: &'static Book) -> Self {
        Watch { book, progress: (0, 0), still: 0, lost: HashMap::new() }
    }

    fn look(&mut self) -> Option<String> {
        if self.book.over.load(Ordering::Relaxed) {
            return None;
        }
        let progress = (self.book.steps(), self.book.rounds.load(Ordering::Relaxed));
        self.still = if progress == self.progress { self.still + 1 } else { 0 };
        self.progress = progress;
        let suspects = self.book.alive().filter(Entry::has_lost_a_permit);
        let lost: HashMap<_, _> = suspects
            .map(|entry| (entry.number, entry.steps))
            .map(|key| (key, self.lost.get(&key).map_or(1, |seconds| seconds + 1)))
            .collect();
        self.lost = lost;
        if let Some(((number, _), _)) = self.lost.iter().find(|(_, seconds)| **seconds > PATIENCE) {
            return Some(format!("goroutine {number} has its permit and stays parked"));
        }
        (self.still > PATIENCE).then(|| format!("nobody has got on for {PATIENCE} s"))
    }
}

fn say_all(book: &Book, what: &str) {
    eprintln!("stress: {what} ({:?}, process {})", book.placement, std::process::id());
    for (driver, metrics) in METRICS.lock().unwrap().iter() {
        eprintln!("stress: {driver}: {metrics}");
    }
    let alive: Vec<_> = book.alive().collect();
    let mut counts = HashMap::<_, u64>::new();
    for entry in &alive {
        *counts.entry((entry.kind, format!("{:?}", entry.phase))).or_default() += 1;
    }
    eprintln!("stress: {} alive: {counts:?}", alive.len());
    let (lost, others): (Vec<&Entry>, Vec<&Entry>) =
        alive.iter().partition(|entry| entry.has_lost_a_permit());
    for entry in lost.into_iter().take(20) {
        eprintln!("stress: HAS ITS PERMIT: {entry:?}");
    }
    for entry in others.into_iter().take(30) {
        eprintln!("stress: {entry:?}");
    }
}

/// Prints one line; answers the number of rounds.
pub fn summary(books: &[&'static Book]) -> u64 {
    let sum = |pick: &dyn Fn(&Book) -> u64| books.iter().map(|book| pick(book)).sum::<u64>();
    let rounds = sum(&|book| book.rounds.load(Ordering::Relaxed));
    println!(
        "stress: {rounds} rounds on {} runtimes, {} goroutines, {} steps, {} moves, {} retakes, \
         {} stalls; {} MiB, {} threads",
        sum(&|book| book.runtimes.load(Ordering::Relaxed)),
        sum(&|book| book.tickets.load(Ordering::Relaxed)),
        sum(&Book::steps),
        sum(&|book| book.moves.load(Ordering::Relaxed)),
        sum(&|book| book.retakes.load(Ordering::Relaxed)),
        sum(&|book| book.stalls.load(Ordering::Relaxed)),
        process::memory(),
        process::threads(),
    );
    rounds
}

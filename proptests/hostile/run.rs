//! Run: programs run in child processes, some in each, so that an abort, a crash or a hang is known by
//! its seed. The parent prints the line that runs that seed again.

use crate::generate::{THEMES, generate};
use crate::program::Fate;
use crate::stage;
use crate::steps::others;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Codes with which a child ends.
pub const FAULT: i32 = 98;
pub const HUNG: i32 = 99;
/// A program has ended the process.
pub const EXITED: i32 = 77;

const SEEDS: &str = "SELVEDGE_HOSTILE_SEEDS";
/// A program that lasts longer hangs. The child itself says so, with what it was doing; else its parent.
const HANGS: Duration = Duration::from_secs(20);
const PARENT_PATIENCE: Duration = Duration::from_secs(30);
/// Programs a child: a runtime that was left behind keeps its threads.
const BATCH: u64 = 25;

/// What the children found.
#[derive(Default)]
struct SpawnCounters {
    ended: AtomicU64,
    /// Of those, where no goroutine was left behind.
    whole: AtomicU64,
    aborted: AtomicU64,
    exited: AtomicU64,
    /// A held thread had its signals blocked: that says nothing.
    cut: AtomicU64,
    failed: AtomicU64,
}

/// In a child: runs the programs it was told to. Returns in the parent.
pub fn child() {
    let Ok(range) = std::env::var(SEEDS) else { return };
    let (first, last) = range.split_once("..").expect("a range of seeds");
    let seeds: Range<u64> = first.parse().expect("a seed")..last.parse().expect("a seed");
    stage::watch(HANGS);
    others::listens();
    // The test harness has begun a line.
    println!();
    let theme = number("SELVEDGE_HOSTILE_THEME");
    for seed in seeds.filter(|seed| theme.is_none_or(|theme| seed % THEMES == theme)) {
        println!("begins {seed}");
        let whole = stage::run(generate(seed));
        println!("ended {seed} {whole}");
        if !whole {
            // What was left behind must not take part in the next program.
            break;
        }
    }
    // Threads of runtimes that were left behind may be anywhere.
    std::process::exit(0);
}

fn start(test: &str, seeds: &Range<u64>) -> Child {
    Command::new(std::env::current_exe().expect("the test program"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(SEEDS, format!("{}..{}", seeds.start, seeds.end))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child")
}

/// How a child went on: the seed that it was at, how it ended, and what it said.
struct Story {
    at: Option<u64>,
    /// The last that ended.
    last: Option<u64>,
    ended: u64,
    whole: u64,
    status: Option<ExitStatus>,
    words: String,
}

fn follow(mut child: Child) -> Story {
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut stderr = child.stderr.take().expect("piped");
    let (say, hear) = std::sync::mpsc::channel();
    let words = std::thread::spawn(move || {
        let mut words = Vec::new();
        let _ = stderr.read_to_end(&mut words);
        String::from_utf8_lossy(&words).into_owned()
    });
    std::thread::spawn(move || {
        stdout.lines().map_while(Result::ok).for_each(|line| drop(say.send(line)));
    });
    let (mut at, mut last, mut ended, mut whole, mut hung) = (None, None, 0, 0, false);
    loop {
        match hear.recv_timeout(PARENT_PATIENCE) {
            Ok(line) => match line.split_once(' ') {
                Some(("begins", seed)) => at = seed.parse().ok(),
                Some(("ended", rest)) => {
                    let (seed, is_whole) = rest.split_once(' ').expect("a seed");
                    (at, last, ended) = (None, seed.parse().ok(), ended + 1);
                    whole += u64::from(is_whole == "true");
                }
                _ => {}
            },
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                hung = true;
                let _ = child.kill();
                break;
            }
        }
    }
    let status = child.wait().expect("its end");
    Story {
        at,
        last,
        ended,
        whole,
        status: (!hung).then_some(status),
        words: words.join().expect("read"),
    }
}

impl SpawnCounters {
    /// Runs these programs, in as many children as that takes.
    fn run(&self, test: &str, seeds: Range<u64>) {
        let mut left = seeds;
        while !left.is_empty() {
            let story = follow(start(test, &left));
            self.ended.fetch_add(story.ended, SeqCst);
            self.whole.fetch_add(story.whole, SeqCst);
            let Some(seed) = story.at else {
                if !story.status.is_some_and(|status| status.success()) {
                    self.fail(left.start, &story);
                }
                let Some(last) = story.last else { return };
                left.start = last + 1;
                continue;
            };
            if !self.is_right(seed, &story) {
                self.fail(seed, &story);
            }
            left.start = seed + 1;
        }
    }

    /// Whether the process may end as it did while this program ran.
    fn is_right(&self, seed: u64, story: &Story) -> bool {
        let Some(status) = story.status else { return false };
        if status.signal() == Some(libc::SIGTRAP) {
            self.cut.fetch_add(1, SeqCst);
            return true;
        }
        match generate(seed).fate {
            Fate::MayExit if status.code() == Some(EXITED) => {
                self.exited.fetch_add(1, SeqCst);
                true
            }
            Fate::MayAbort(words) if status.signal() == Some(libc::SIGABRT) => {
                self.aborted.fetch_add(1, SeqCst);
                words.iter().any(|word| story.words.contains(word))
            }
            _ => false,
        }
    }

    fn fail(&self, seed: u64, story: &Story) {
        let how = match story.status {
            None => format!("HANGS: killed after {PARENT_PATIENCE:?}"),
            Some(status) => status.to_string(),
        };
        let text = format!(
            "seed {seed}: {how}\n{}\nrun it again: SELVEDGE_HOSTILE_SEED={seed} \
             SELVEDGE_HOSTILE_TIMES=100 cargo test --test hostile\n",
            story.words.trim_end()
        );
        eprintln!("{text}");
        self.failed.fetch_add(1, SeqCst);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// In the parent: so many programs, two children at a time.
pub fn all(test: &'static str) {
    let tally = SpawnCounters::default();
    let start = Instant::now();
    if let Some(seed) = number("SELVEDGE_HOSTILE_SEED") {
        eprintln!("{:#?}", generate(seed));
        (0..number("SELVEDGE_HOSTILE_TIMES").unwrap_or(1))
            .for_each(|_| tally.run(test, seed..seed + 1));
    } else {
        let first = number("SELVEDGE_HOSTILE_FIRST").unwrap_or(0);
        let last = first + number("SELVEDGE_HOSTILE_PROGRAMS").unwrap_or(600);
        let next = AtomicU64::new(first);
        let work = || {
            loop {
                let from = next.fetch_add(BATCH, SeqCst);
                if from >= last {
                    return;
                }
                tally.run(test, from..last.min(from + BATCH));
            }
        };
        std::thread::scope(|s| (0..2).for_each(|_| drop(s.spawn(work))));
    }
    let counts = [&tally.ended, &tally.whole, &tally.aborted, &tally.exited, &tally.cut];
    let [ended, whole, aborted, exited, cut] = counts.map(|count| count.load(SeqCst));
    let failures = tally.failed.load(SeqCst);
    eprintln!(
        "hostile: {ended} programs ended ({whole} left no goroutine behind), {aborted} aborted as documented, {exited} exited, {cut} were \
         cut short, {failures} failed, in {:.1} s",
        start.elapsed().as_secs_f32()
    );
    assert!(failures == 0, "{failures} programs failed: see above");
}

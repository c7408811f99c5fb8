//! Storm: signals, so many a second, to the process and to each of its threads, while everything else goes
//! on. Nobody may notice, but for those who listen.

use crate::rng::Rng;
use crate::violation;
use selvedge::signal::{SIGALRM, SIGHUP, SIGURG, SIGUSR1, SIGUSR2, SIGWINCH, Signals};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const KINDS: [i32; 6] = [SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGURG];
/// No signal takes longer to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Signals between two looks at which threads there are.
const LOOK_EVERY: u64 = 1000;

pub struct Storm {
    over: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    received: Arc<[AtomicU64; KINDS.len()]>,
    begin: Instant,
}

/// Begins to send `rate` signals a second.
pub fn start(rate: u64, seed: u64) -> Storm {
    let signals = Signals::new(KINDS)
        .unwrap_or_else(|error| violation(&format!("signals can't be received: {error}")));
    let received: Arc<[AtomicU64; KINDS.len()]> = Arc::default();
    let counts = Arc::clone(&received);
    std::thread::spawn(move || {
        for signal in signals.into_receiver() {
            match KINDS.iter().position(|kind| *kind == signal) {
                Some(kind) => counts[kind].fetch_add(1, Ordering::Relaxed),
                None => violation(&format!("signal {signal} came, which nobody sent")),
            };
        }
    });
    let over = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&over);
    let sender = std::thread::spawn(move || send(rate, Rng::new(seed), &until));
    Storm { over, sender, received, begin: Instant::now() }
}

impl Storm {
    /// Ends it. Each kind must still be received after that.
    pub fn end(self) {
        let seconds = self.begin.elapsed().as_secs().max(1);
        self.over.store(true, Ordering::Relaxed);
        let sent = self.sender.join().unwrap_or_else(|_| violation("the storm's sender panicked"));
        for (kind, received) in KINDS.iter().zip(self.received.iter()) {
            let (before, start) = (received.load(Ordering::Relaxed), Instant::now());
            while received.load(Ordering::Relaxed) == before {
                to_process(*kind);
                if start.elapsed() > PATIENCE {
                    violation(&format!("signal {kind} is received no more"));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let received: u64 = self.received.iter().map(|kind| kind.load(Ordering::Relaxed)).sum();
        println!("stress: {sent} signals sent, {} a second; {received} received", sent / seconds);
    }
}

fn send(rate: u64, mut rng: Rng, over: &AtomicBool) -> u64 {
    let start = Instant::now();
    let mut sent = 0;
    let mut threads = Vec::new();
    while !over.load(Ordering::Relaxed) {
        if sent % LOOK_EVERY == 0 {
            threads = all_threads();
        }
        let kind = KINDS[rng.below(KINDS.len() as u64) as usize];
        match threads.get(rng.below(2 * threads.len().max(1) as u64) as usize) {
            Some(thread) => to_thread(*thread, kind),
            None => to_process(kind),
        }
        sent += 1;
        let due = Duration::from_nanos(sent.saturating_mul(1_000_000_000) / rate);
        let early = due.saturating_sub(start.elapsed());
        if early > Duration::from_millis(1) {
            std::thread::sleep(early);
        }
    }
    sent
}

fn all_threads() -> Vec<libc::pid_t> {
    let entries = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn to_process(signal: i32) {
    // SAFETY: a signal that is handled, to this process.
    if unsafe { libc::kill(libc::getpid(), signal) } != 0 {
        violation(&format!("kill: {}", std::io::Error::last_os_error()));
    }
}

/// It may have ended.
fn to_thread(thread: libc::pid_t, signal: i32) {
    // SAFETY: a signal that is handled, to a thread of this process, if there is one of that number.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
}

//! Calls that block or compute without saying so, and calls that say so: who waits for them, for how
//! long, and what the watchdog says.
//!
//! Bounds on time are checked in up to five attempts, of which one must keep them, and are stretched
//! by what else runs on the machine, up to where they would mean nothing. What is not about time must
//! hold in every attempt.

use crate::common::{ALL, Gate, Placement, alone, eventually, finish, thread_id};
use selvedge::{Runtime, Spawn, Stall};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_millis(300);
const BOUND: Duration = Duration::from_millis(30);
/// The blocker, the ticker, and who starts and watches them.
const OWN_THREADS: usize = 4;
const ATTEMPTS: usize = 5;
/// Goroutines at home beside the ticker.
const NEIGHBOURS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sleep,
    Pipe,
    Mutex,
    Spin,
}

const KINDS: [Kind; 4] = [Kind::Sleep, Kind::Pipe, Kind::Mutex, Kind::Spin];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Blocking,
}

/// What was seen of one blocking call.
#[derive(Debug)]
struct Seen {
    /// The ticker's longest pause from just before the call on.
    gap: Duration,
    ticks_after: u64,
    /// The longest that a goroutine spawned meanwhile waited for its start.
    start: Duration,
    stalls: Vec<Stall>,
    blocker: u64,
    /// All that are at home here share one kernel thread, as one processor suggests.
    together: bool,
    /// What `BOUND` amounts to on this machine now.
    bound: Duration,
}

/// [`BOUND`], times the threads of others that each core has to serve besides ours.
fn bound() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = load.split([' ', '/']).nth(3).and_then(|text| text.parse::<usize>().ok());
    let others = running.unwrap_or(0).saturating_sub(OWN_THREADS);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (BOUND * (1 + others.div_ceil(cores)) as u32).min(LONG * 2 / 3)
}

/// What the blocking call needs, and what its end needs.
struct Scene {
    lock: Arc<Mutex<()>>,
    pipe: (std::io::PipeReader, std::io::PipeWriter),
}

impl Kind {
    fn block(self, lock: &Mutex<()>, reader: &mut std::io::PipeReader) {
        match self {
            Kind::Sleep => std::thread::sleep(LONG),
            Kind::Pipe => reader.read_exact(&mut [0]).unwrap(),
            Kind::Mutex => drop(lock.lock().unwrap()),
            Kind::Spin => {
                let start = Instant::now();
                while start.elapsed() < LONG {
                    std::hint::spin_loop();
                }
            }
        }
    }
}

/// Ticks until told to stop; the longest pause after `armed`, and the ticks since.
struct Ticker {
    stop: AtomicBool,
    armed: AtomicBool,
    gap_nanos: AtomicU64,
    ticks: AtomicU64,
}

impl Ticker {
    fn new() -> Arc<Self> {
        let (stop, armed) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Ticker { stop, armed, gap_nanos: AtomicU64::new(0), ticks: AtomicU64::new(0) })
    }

    fn run(&self) {
        let mut last = Instant::now();
        while !self.stop.load(SeqCst) {
            selvedge::yield_now();
            let now = Instant::now();
            if self.armed.load(SeqCst) {
                self.gap_nanos.fetch_max((now - last).as_nanos() as u64, SeqCst);
            }
            self.ticks.fetch_add(1, SeqCst);
            last = now;
        }
    }
}

fn observe(placement: Placement, kind: Kind, said: Said) -> Seen {
    let stalls = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&stalls);
    let builder = Runtime::builder().processors(1).max_goroutines(1000);
    let builder = builder.watchdog(move |stall| hook.lock().unwrap().push(stall.clone()));
    let runtime = placement.build(builder);
    let (ticker, homes) = (Ticker::new(), Arc::new(Mutex::new(Vec::new())));
    let resident = |_| {
        let (ticker, homes) = (Arc::clone(&ticker), Arc::clone(&homes));
        runtime.go(move || {
            note_home(&homes);
            ticker.run();
        })
    };
    let residents: Vec<_> = (0..=NEIGHBOURS).map(resident).collect();
    eventually("all tick", || homes.lock().unwrap().len() == residents.len());

    let scene = Scene { lock: Arc::default(), pipe: std::io::pipe().unwrap() };
    let held = scene.lock.lock().unwrap();
    let (mut reader, mut writer) = scene.pipe;
    let (lock, seen, h) = (Arc::clone(&scene.lock), Arc::clone(&ticker), Arc::clone(&homes));
    let call = move || {
        note_home(&h);
        seen.armed.store(true, SeqCst);
        match said {
            Said::Nothing => kind.block(&lock, &mut reader),
            Said::Blocking => selvedge::blocking(|| kind.block(&lock, &mut reader)),
        }
    };
    let blocker = runtime.go_with(Spawn::new().name("blocker"), call).unwrap();
    eventually("it is about to block", || ticker.armed.load(SeqCst));
    let before = bound();
    let start = probe(&runtime, &blocker);
    let bound = bound().max(before);
    // Nobody reads it, unless it is the pipe that blocks.
    let _ = writer.write_all(b"!");
    drop(held);
    let id = blocker.goroutine().id().unwrap();
    blocker.join().unwrap();
    let before = ticker.ticks.load(SeqCst);
    eventually("they go on", || ticker.ticks.load(SeqCst) > before + 100);
    let gap = Duration::from_nanos(ticker.gap_nanos.load(SeqCst));
    let ticks_after = ticker.ticks.load(SeqCst) - before;
    ticker.stop.store(true, SeqCst);
    residents.into_iter().for_each(|resident| resident.join().unwrap());
    finish(runtime);
    let homes = std::mem::take(&mut *homes.lock().unwrap());
    let together = homes.iter().all(|home| *home == homes[0]);
    let stalls = std::mem::take(&mut *stalls.lock().unwrap());
    Seen { gap, ticks_after, start, stalls, blocker: id, together, bound }
}

#[inline(never)]
fn note_home(homes: &Mutex<Vec<u32>>) {
    homes.lock().unwrap().push(thread_id());
}

/// Spawns one goroutine after another while the blocker blocks: the longest wait for a start.
fn probe(runtime: &Runtime, blocker: &selvedge::JoinHandle<()>) -> Duration {
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    while start.elapsed() < LONG && !blocker.is_finished() {
        let spawned = Instant::now();
        let begun = runtime.go(move || spawned.elapsed()).join().unwrap();
        longest = longest.max(begun);
        std::thread::sleep(Duration::from_millis(1));
    }
    longest
}

/// One of the attempts must satisfy `right`, which says what is wrong.
fn in_one_attempt(what: &str, attempt: impl Fn() -> Result<(), String>) {
    let mut wrong = Vec::new();
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(()) => return,
            Err(why) => wrong.push(why),
        }
    }
    panic!("{what}: in none of {ATTEMPTS} attempts:\n{}", wrong.join("\n"));
}

fn right(holds: bool, why: &str, seen: &Seen) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{why}: {seen:?}")) }
}

#[test]
fn migrating_goroutines_go_on_while_one_blocks_or_computes() {
    alone(|| {
        for kind in KINDS {
            in_one_attempt(&format!("{kind:?}"), || {
                let seen = observe(Placement::Migrating, kind, Said::Nothing);
                right(seen.gap < seen.bound, "the ticker paused", &seen)?;
                right(seen.start < seen.bound, "a new one waited", &seen)
            });
        }
    });
}

#[test]
fn anchored_new_goroutines_start_and_the_watchdog_names_who_holds_up_the_others() {
    alone(|| {
        for kind in KINDS {
            in_one_attempt(&format!("{kind:?}"), || {
                let seen = observe(Placement::Anchored, kind, Said::Nothing);
                right(seen.together, "not at home on one thread", &seen)?;
                assert!(seen.gap >= LONG / 2, "those at home can't have gone on: {seen:?}");
                assert!(seen.ticks_after > 100, "they go on afterwards: {seen:?}");
                right(seen.start < seen.bound, "a new one waited", &seen)?;
                let named: Vec<_> = seen.stalls.iter().filter(|s| s.id == seen.blocker).collect();
                right(!named.is_empty(), "the watchdog has not named it", &seen)?;
                let last = named[named.len() - 1];
                assert_eq!(last.name.as_deref(), Some("blocker"));
                right(last.waiting == NEIGHBOURS + 1, "who waits", &seen)?;
                right(last.in_kernel == (kind != Kind::Spin), "in the kernel or not", &seen)?;
                right(last.elapsed <= LONG + seen.bound, "for how long", &seen)?;
                let twice = named.windows(2).all(|pair| pair[1].elapsed >= 2 * pair[0].elapsed);
                right(twice, "each report after twice the time", &seen)
            });
        }
    });
}

#[test]
fn nobody_waits_for_a_call_that_says_that_it_blocks() {
    alone(|| {
        for placement in ALL {
            for kind in KINDS {
                in_one_attempt(&format!("{placement:?}, {kind:?}"), || {
                    let seen = observe(placement, kind, Said::Blocking);
                    right(seen.gap < seen.bound, "the ticker paused", &seen)?;
                    right(seen.start < seen.bound, "a new one waited", &seen)?;
                    let named = seen.stalls.iter().any(|stall| stall.id == seen.blocker);
                    right(!named, "the watchdog named it", &seen)
                });
            }
        }
    });
}

#[test]
fn two_that_compute_on_two_processors_do_not_stop_a_hundred_others() {
    alone(|| {
        for placement in ALL {
            let runtime = placement.runtime(2);
            let (stop, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(Gate::default()));
            let spinner = |_| {
                let (stop, begun) = (Arc::clone(&stop), Arc::new(AtomicBool::new(false)));
                let b = Arc::clone(&begun);
                let handle = runtime.go(move || {
                    b.store(true, SeqCst);
                    while !stop.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                });
                (handle, begun)
            };
            let spinners: Vec<_> = (0..2).map(spinner).collect();
            eventually("both spin", || spinners.iter().all(|(_, begun)| begun.load(SeqCst)));
            let other = |n: u64| {
                let gate = Arc::clone(&gate);
                runtime.go(move || {
                    selvedge::yield_now();
                    gate.pass();
                    n
                })
            };
            let others: Vec<_> = (0..100).map(other).collect();
            gate.open();
            let sum: u64 = others.into_iter().map(|other| other.join().unwrap()).sum();
            assert_eq!(sum, 4950, "{placement:?}");
            assert!(spinners.iter().all(|(handle, _)| !handle.is_finished()));
            stop.store(true, SeqCst);
            spinners.into_iter().for_each(|(handle, _)| handle.join().unwrap());
            finish(runtime);
        }
    });
}

#[test]
fn more_blocked_calls_than_processors_are_all_under_way_at_once() {
    alone(|| {
        for placement in ALL {
            let runtime = placement.runtime(2);
            // Nobody passes the barrier before all of them are there.
            let barrier = Arc::new(std::sync::Barrier::new(20));
            let meet = |n: usize| {
                let barrier = Arc::clone(&barrier);
                runtime.go(move || {
                    if n.is_multiple_of(2) {
                        barrier.wait();
                    } else {
                        let _ = selvedge::blocking(|| barrier.wait().is_leader());
                    }
                })
            };
            let handles: Vec<_> = (0..20).map(meet).collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            finish(runtime);
        }
    });
}

/// A goroutine whose call was long goes to a helper with the next one, until one is short again. An isolated
/// goroutine stays on its stack.
#[test]
fn who_has_blocked_for_long_goes_to_a_helper() {
    alone(|| {
        for placement in [Placement::Anchored, Placement::Migrating] {
            let runtime = placement.build(Runtime::builder().processors(1));
            runtime.run(|| {
                let is_helper = || std::thread::current().name() == Some("selvedge-helper");
                let elsewhere = || selvedge::blocking(is_helper);
                assert!(!elsewhere(), "nobody has blocked yet, {placement:?}");
                let blocks = |_| {
                    selvedge::blocking(|| std::thread::sleep(LONG / 10));
                    elsewhere()
                };
                assert!((0..20).any(blocks), "the monitor has taken the processor, {placement:?}");
                // A preempted helper may be slow, but not always.
                assert!((0..1000).any(|_| !elsewhere()), "short calls are in place, {placement:?}");
            });
            finish(runtime);
        }
    });
}

/// At the cap on threads, one whose calls are long does not wait for a helper that waits for it.
#[test]
fn who_has_blocked_for_long_waits_for_no_helper_that_may_wait_for_it() {
    alone(|| {
        // Two workers, one without a processor, and one helper.
        let builder = Runtime::builder().processors(1).max_threads(3);
        let runtime = Placement::Migrating.build(builder);
        let (send, receive) = std::sync::mpsc::channel();
        let blocks_long = || {
            (0..3).for_each(|_| selvedge::blocking(|| std::thread::sleep(LONG / 10)));
        };
        let waiting = Arc::new(AtomicBool::new(false));
        let waits = Arc::clone(&waiting);
        let receiver = runtime.go(move || {
            blocks_long();
            selvedge::blocking(move || {
                waits.store(true, SeqCst);
                receive.recv().unwrap()
            })
        });
        eventually("it has the helper", || waiting.load(SeqCst));
        let sender = runtime.go(move || {
            blocks_long();
            selvedge::blocking(move || send.send(7).unwrap());
        });
        sender.join().unwrap();
        assert_eq!(receiver.join().unwrap(), 7);
        finish(runtime);
    });
}

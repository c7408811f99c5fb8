//! [F1] [F2] How long a runnable goroutine waits, counted in decisions of its processor: no clock.
//!
//! One processor, without the monitor, so that no decision is anybody else's. Each resume counts as
//! one decision, as each decision resumes one goroutine while there is work.

use crate::common::{ALL, Gate, Placement, beside, eventually, finish, thread_id};
use selvedge::{JoinHandle, Runtime};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

/// [F2]: every 61st decision is the injector's.
const INJECTOR_EVERY: u64 = 61;
/// [F2]: `run_next` goes first at most 16 times in a row.
const RUN_NEXT_STREAK: u64 = 16;

/// [F2] in decisions, for one with `ahead` others before it in its queue; rounded up, and one more
/// for a decision at the edge of each stretch.
fn bound(ahead: u64) -> u64 {
    let plain = 2 * (1 + ahead);
    let with_next = (plain * (RUN_NEXT_STREAK + 1)).div_ceil(RUN_NEXT_STREAK) + 1;
    (with_next * (INJECTOR_EVERY + 1)).div_ceil(INJECTOR_EVERY) + 1
}

fn one_processor(placement: Placement) -> Runtime {
    let builder = Runtime::builder().processors(1).max_processors(1).max_threads(1);
    placement.build(builder.seed(7).max_goroutines(3000).modelled(256))
}

/// Counts decisions, and the longest wait of anybody between two of their own.
#[derive(Default)]
struct Court {
    decisions: AtomicU64,
    longest: AtomicU64,
    stop: AtomicBool,
}

impl Court {
    fn decide(&self) -> u64 {
        self.decisions.fetch_add(1, SeqCst) + 1
    }

    /// Yields until told to stop, or `times` times, and notes the longest wait.
    fn attend(&self, times: u64) {
        let mut last = self.decide();
        for _ in 0..times {
            if self.stop.load(SeqCst) {
                break;
            }
            selvedge::yield_now();
            let now = self.decide();
            self.longest.fetch_max(now - last, SeqCst);
            last = now;
        }
    }

    fn spawn(self: &Arc<Self>, runtime: &Runtime, times: u64) -> JoinHandle<()> {
        let court = Arc::clone(self);
        runtime.go(move || court.attend(times))
    }
}

/// Runs `f` in a goroutine that keeps the processor meanwhile, so that all of it is one decision.
fn at_one_decision<T: Send>(runtime: &Runtime, f: impl FnOnce() -> T + Send) -> T {
    let (began, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let keeper = runtime.go(move || {
        began.send(()).unwrap();
        ended.recv().unwrap();
    });
    begun.recv().unwrap();
    let value = f();
    end.send(()).unwrap();
    keeper.join().unwrap();
    value
}

#[test]
fn those_that_yield_run_in_turn() {
    beside(|| {
        for placement in ALL {
            for many in [1, 2, 10, 200] {
                let (runtime, court) = (one_processor(placement), Arc::new(Court::default()));
                let spawn = |_| court.spawn(&runtime, 300);
                let handles: Vec<_> = at_one_decision(&runtime, || (0..many).map(spawn).collect());
                handles.into_iter().for_each(|handle| handle.join().unwrap());
                let longest = court.longest.load(SeqCst);
                assert!(longest <= bound(many), "{longest} decisions, {many} goroutines");
                finish(runtime);
            }
        }
    });
}

/// The ring at home never empties, nor does the deque: each is served.
#[test]
fn those_that_begin_and_those_at_home_do_not_starve_each_other() {
    beside(|| {
        let (runtime, court) = (one_processor(Placement::Anchored), Arc::new(Court::default()));
        const RESIDENTS: u64 = 20;
        let residents: Vec<_> = (0..RESIDENTS).map(|_| court.spawn(&runtime, u64::MAX)).collect();
        let (parent, latest) = (Arc::clone(&court), Arc::new(AtomicU64::new(0)));
        let late = Arc::clone(&latest);
        runtime.run(move || {
            // 30 wait in the deque at any time.
            let mut children = Vec::new();
            for _ in 0..1000 {
                while children.len() < 30 {
                    let (court, late) = (Arc::clone(&parent), Arc::clone(&late));
                    let (at, ahead) = (court.decisions.load(SeqCst), children.len() as u64);
                    children.push(selvedge::go(move || {
                        let waited = court.decide() - at;
                        late.fetch_max(waited.saturating_sub(bound(ahead)), SeqCst);
                    }));
                }
                selvedge::yield_now();
                parent.decide();
                children.retain(|child| !child.is_finished());
            }
            parent.stop.store(true, SeqCst);
            children.into_iter().for_each(|child| child.join().unwrap());
        });
        residents.into_iter().for_each(|resident| resident.join().unwrap());
        assert_eq!(latest.load(SeqCst), 0, "decisions beyond the bound, for one that begins");
        let longest = court.longest.load(SeqCst);
        // At home are the residents and the parent.
        assert!(longest <= bound(RESIDENTS + 1), "{longest} decisions, for one at home");
        finish(runtime);
    });
}

/// Two that unpark each other and park, for ever: each wake-up goes to `run_next`.
fn ping_pong(runtime: &Runtime, court: &Arc<Court>) -> [JoinHandle<()>; 2] {
    let partners: Arc<[Mutex<Option<selvedge::Goroutine>>; 2]> = Arc::default();
    let spawn = |own: usize| {
        let (court, partners) = (Arc::clone(court), Arc::clone(&partners));
        runtime.go(move || {
            while !court.stop.load(SeqCst) {
                if let Some(partner) = &*partners[1 - own].lock().unwrap() {
                    partner.unpark();
                }
                selvedge::park();
                court.decide();
            }
            if let Some(partner) = &*partners[1 - own].lock().unwrap() {
                partner.unpark();
            }
        })
    };
    let pair = [spawn(0), spawn(1)];
    for (place, handle) in partners.iter().zip(&pair) {
        *place.lock().unwrap() = Some(handle.goroutine());
    }
    pair[0].goroutine().unpark();
    pair
}

#[test]
fn two_that_wake_each_other_do_not_starve_the_deque() {
    beside(|| {
        for placement in ALL {
            let (runtime, court) = (one_processor(placement), Arc::new(Court::default()));
            let (pair, others) = at_one_decision(&runtime, || {
                let pair = ping_pong(&runtime, &court);
                let others: Vec<_> = (0..10).map(|_| court.spawn(&runtime, 500)).collect();
                (pair, others)
            });
            others.into_iter().for_each(|other| other.join().unwrap());
            let longest = court.longest.load(SeqCst);
            court.stop.store(true, SeqCst);
            pair.iter().for_each(|one| one.goroutine().unpark());
            pair.into_iter().for_each(|one| one.join().unwrap());
            // For each goroutine ahead, a whole streak of the pair.
            let most = (10 + 1) * (RUN_NEXT_STREAK + 2) * 62 / 61 + 2;
            assert!(longest <= most, "{longest} decisions, more than {most}, {placement:?}");
            finish(runtime);
        }
    });
}

/// And those that wait there come out together.
#[test]
fn the_injector_is_looked_at_every_61st_decision_though_other_queues_never_empty() {
    beside(|| {
        const RESIDENTS: u64 = 10;
        for placement in ALL {
            let (runtime, court) = (one_processor(placement), Arc::new(Court::default()));
            let spawn = |_| court.spawn(&runtime, u64::MAX);
            let residents: Vec<_> =
                at_one_decision(&runtime, || (0..RESIDENTS).map(spawn).collect());
            eventually("they run", || court.decisions.load(SeqCst) > 1000);
            // From outside, so into the injector: the keeper first, then ten more at one decision.
            let waits: Vec<_> = at_one_decision(&runtime, || {
                let at = court.decisions.load(SeqCst);
                let inject = |_| {
                    let court = Arc::clone(&court);
                    runtime.go(move || court.decide() - at)
                };
                (0..10).map(inject).collect()
            });
            for (ahead, wait) in waits.into_iter().enumerate() {
                let ahead = ahead as u64;
                let most = (INJECTOR_EVERY * (ahead + 1) + 1)
                    .min(INJECTOR_EVERY + bound(RESIDENTS + ahead));
                let waited = wait.join().unwrap();
                assert!(waited <= most, "{waited} decisions, {ahead} ahead, {placement:?}");
            }
            court.stop.store(true, SeqCst);
            residents.into_iter().for_each(|resident| resident.join().unwrap());
            finish(runtime);
        }
    });
}

/// Goroutines at home on several threads, and fewer processors than threads: strictly in turn.
#[test]
fn workers_that_queue_for_a_processor_get_it_in_turn() {
    beside(|| {
        const THREADS: usize = 4;
        let builder = Runtime::builder().processors(THREADS).max_processors(THREADS);
        let builder = builder.max_threads(THREADS).max_goroutines(100).modelled(256);
        let runtime = Placement::Anchored.build(builder);
        let (stop, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(Gate::default()));
        let (turns, begun) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let resident = |_| {
            let (stop, gate) = (Arc::clone(&stop), Arc::clone(&gate));
            let (turns, begun) = (Arc::clone(&turns), Arc::clone(&begun));
            runtime.go(move || {
                // Each keeps its thread until all have one.
                begun.fetch_add(1, SeqCst);
                eventually_in_place(|| begun.load(SeqCst) == THREADS);
                gate.pass();
                while !stop.load(SeqCst) {
                    note_turn(&turns);
                    selvedge::yield_now();
                }
            })
        };
        let residents: Vec<_> = (0..THREADS).map(resident).collect();
        eventually("each has a thread", || begun.load(SeqCst) == THREADS);
        runtime.set_processors(1).unwrap();
        gate.open();
        eventually("there were turns", || turns.lock().unwrap().len() > 20 * THREADS);
        stop.store(true, SeqCst);
        residents.into_iter().for_each(|resident| resident.join().unwrap());
        let turns = turns.lock().unwrap();
        // The first turns still belong to the shrinking; from then on, one after the other.
        for window in turns[5 * THREADS..20 * THREADS].windows(THREADS) {
            let mut threads = window.to_vec();
            threads.sort_unstable();
            threads.dedup();
            assert_eq!(threads.len(), THREADS, "[F1] out of turn: {turns:?}");
        }
        finish(runtime);
    });
}

fn eventually_in_place(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

fn note_turn(turns: &Mutex<Vec<u32>>) {
    let (mut turns, here) = (turns.lock().unwrap(), thread_id());
    if turns.last() != Some(&here) {
        turns.push(here);
    }
}

//! The book: what each goroutine of a driver does, kept apart from the runtime that it checks.
//!
//! ticket: claim a slot, before the spawn.   begin: in the goroutine.   Life's drop: its end.
//! Whoever waits writes down how many permits it wants; whoever gives one counts it before `unpark`.
//! So a slot that has what it wants and stays parked shows a lost permit.
//! Steps are plain stores to the goroutine's own cache line: the book adds no fence that could hide
//! a missing one.

use crate::args::Placement;
use selvedge::Goroutine;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

const SLOTS: usize = 1 << 16;

/// What a goroutine does; the watchdog prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    Vacant,
    Born,
    Running,
    Yielding,
    Parked,
    Blocking,
    Asleep,
    Spinning,
    Joining,
    Unwinding,
}

const PHASES: [Phase; 10] = [
    Phase::Vacant,
    Phase::Born,
    Phase::Running,
    Phase::Yielding,
    Phase::Parked,
    Phase::Blocking,
    Phase::Asleep,
    Phase::Spinning,
    Phase::Joining,
    Phase::Unwinding,
];

/// One life at a time.
#[repr(align(64))]
#[derive(Default)]
pub struct Slot {
    phase: AtomicU32,
    kind: AtomicU32,
    number: AtomicU64,
    want: AtomicU64,
    given: AtomicU64,
    steps: AtomicU64,
}

/// A slot as the watchdog sees it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub number: u64,
    pub kind: &'static str,
    pub phase: Phase,
    pub want: u64,
    pub given: u64,
    pub steps: u64,
}

impl Entry {
    pub fn has_lost_a_permit(&self) -> bool {
        self.phase == Phase::Parked && self.given >= self.want
    }
}

pub struct Book {
    pub placement: Placement,
    slots: Box<[Slot]>,
    next: AtomicU64,
    /// Goroutines spawned on the driver's current runtime.
    pub spawned: AtomicU64,
    /// Panics that nobody will ask for, on the driver's current runtime.
    pub unclaimed: AtomicU64,
    pub tickets: AtomicU64,
    pub ended: AtomicU64,
    /// Closures that were dropped without being run.
    pub dropped: AtomicU64,
    pub rounds: AtomicU64,
    pub runtimes: AtomicU64,
    pub retakes: AtomicU64,
    pub stalls: AtomicU64,
    pub moves: AtomicU64,
    /// Kernel threads, and goroutines, left behind on purpose.
    pub leaked: AtomicU64,
    /// Its driver is done.
    pub over: AtomicBool,
}

impl Book {
    pub fn new(placement: Placement) -> &'static Book {
        let zero = AtomicU64::default;
        Box::leak(Box::new(Book {
            placement,
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            next: zero(),
            spawned: zero(),
            unclaimed: zero(),
            tickets: zero(),
            ended: zero(),
            dropped: zero(),
            rounds: zero(),
            runtimes: zero(),
            retakes: zero(),
            stalls: zero(),
            moves: zero(),
            leaked: zero(),
            over: AtomicBool::new(false),
        }))
    }

    /// A place for one more life.
    pub fn ticket(&'static self, kind: &'static str) -> Ticket {
        self.tickets.fetch_add(1, Ordering::Relaxed);
        for _ in 0..4 * SLOTS {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let slot = &self.slots[number as usize % SLOTS];
            let (vacant, born) = (Phase::Vacant as u32, Phase::Born as u32);
            let claimed =
                slot.phase.compare_exchange(vacant, born, Ordering::Acquire, Ordering::Relaxed);
            if claimed.is_ok() {
                slot.number.store(number, Ordering::Relaxed);
                slot.kind.store(kind_index(kind), Ordering::Relaxed);
                slot.want.store(0, Ordering::Relaxed);
                slot.given.store(0, Ordering::Relaxed);
                return Ticket { book: self, slot, begun: false };
            }
        }
        crate::violation("the stress program itself ran out of slots")
    }

    pub fn steps(&self) -> u64 {
        self.slots.iter().map(|slot| slot.steps.load(Ordering::Relaxed)).sum()
    }

    /// Whoever has not ended.
    pub fn alive(&self) -> impl Iterator<Item = Entry> + '_ {
        self.slots.iter().map(Slot::entry).filter(|entry| entry.phase != Phase::Vacant)
    }
}

impl Slot {
    fn entry(&self) -> Entry {
        let read = |word: &AtomicU64| word.load(Ordering::Relaxed);
        Entry {
            number: read(&self.number),
            kind: KINDS[self.kind.load(Ordering::Relaxed) as usize],
            phase: PHASES[self.phase.load(Ordering::Relaxed) as usize],
            want: read(&self.want),
            given: read(&self.given),
            steps: read(&self.steps),
        }
    }
}

/// What lives are there for.
pub const KINDS: [&str; 27] = [
    "driver",
    "job",
    "yields",
    "tree",
    "burst",
    "deep",
    "values",
    "pairs",
    "ring",
    "crowd",
    "strays",
    "outside",
    "sleepers",
    "limits",
    "settings",
    "announced",
    "asleep",
    "pipes",
    "hogs",
    "panics",
    "unclaimed",
    "unwinding",
    "scopes",
    "detached",
    "nested",
    "sections",
    "cycle",
];

fn kind_index(kind: &str) -> u32 {
    let found = KINDS.iter().position(|known| *known == kind);
    found.unwrap_or_else(|| panic!("{kind} is no kind of life")) as u32
}

/// The right to one life; goes into the closure that is spawned.
pub struct Ticket {
    book: &'static Book,
    slot: &'static Slot,
    begun: bool,
}

impl Ticket {
    /// Gives permits to this life, whose handle is known after the spawn. Everyone who gives one
    /// must be waited for by it.
    pub fn early_gate(&self) -> impl FnOnce(Goroutine) -> Gate + Send + 'static {
        let slot = self.slot;
        move |who| Gate { slot, who }
    }

    /// First thing in the goroutine.
    pub fn begin(mut self) -> Life {
        let (born, running) = (Phase::Born as u32, Phase::Running as u32);
        let slot = self.slot;
        let begun =
            slot.phase.compare_exchange(born, running, Ordering::Relaxed, Ordering::Relaxed);
        if begun.is_err() {
            crate::violation(&format!("a goroutine ran twice: {:?}", slot.entry()));
        }
        self.begun = true;
        let steps = slot.steps.load(Ordering::Relaxed);
        Life { book: self.book, slot, thread: kernel_thread(), steps: steps.into() }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.begun {
            self.book.dropped.fetch_add(1, Ordering::Relaxed);
            self.slot.phase.store(Phase::Vacant as u32, Ordering::Release);
        }
    }
}

/// In the goroutine itself.
pub struct Life {
    pub book: &'static Book,
    slot: &'static Slot,
    thread: u64,
    steps: std::cell::Cell<u64>,
}

impl Life {
    /// It gets on. An anchored goroutine must be where it began.
    pub fn step(&self, phase: Phase) {
        self.slot.phase.store(phase as u32, Ordering::Relaxed);
        self.steps.set(self.steps.get() + 1);
        self.slot.steps.store(self.steps.get(), Ordering::Relaxed);
        if kernel_thread() != self.thread && self.book.placement == Placement::Anchored {
            let entry = self.slot.entry();
            crate::violation(&format!(
                "an anchored goroutine changed its kernel thread: {entry:?}"
            ));
        }
    }

    pub fn yields(&self, times: u64) {
        for _ in 0..times {
            self.step(Phase::Yielding);
            selvedge::yield_now();
        }
        self.step(Phase::Running);
    }

    /// Parks until `want` permits have been given in all.
    pub fn wait(&self, want: u64) {
        self.slot.want.store(want, Ordering::Relaxed);
        self.step(Phase::Parked);
        // Acquire: pairs with the Release in `give`.
        while self.slot.given.load(Ordering::Acquire) < want {
            selvedge::park();
            self.step(Phase::Parked);
        }
        self.step(Phase::Running);
    }

    /// As `wait`, by parks that each last for about as long as `limit` says.
    pub fn wait_in_turns(&self, want: u64, mut limit: impl FnMut() -> Duration) {
        self.slot.want.store(want, Ordering::Relaxed);
        self.step(Phase::Parked);
        // Acquire: pairs with the Release in `give`.
        while self.slot.given.load(Ordering::Acquire) < want {
            if !selvedge::park_timeout(limit()) {
                // A limit that has passed already does not suspend.
                selvedge::yield_now();
            }
            self.step(Phase::Parked);
        }
        self.step(Phase::Running);
    }

    /// To be given by others to this life, which calls it.
    pub fn gate(&self) -> Gate {
        Gate { slot: self.slot, who: selvedge::current() }
    }

    /// Burns CPU.
    pub fn spin(&self, micros: u64) {
        self.step(Phase::Spinning);
        let begin = std::time::Instant::now();
        while begin.elapsed().as_micros() < u128::from(micros) {
            std::hint::spin_loop();
        }
        self.step(Phase::Running);
    }

    /// Whether it has moved since it began.
    pub fn note_moved(&self) {
        if kernel_thread() != self.thread {
            self.book.moves.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.step(Phase::Running);
        self.note_moved();
        self.book.ended.fetch_add(1, Ordering::Relaxed);
        self.slot.phase.store(Phase::Vacant as u32, Ordering::Release);
    }
}

/// The right to give permits to a life.
#[derive(Clone)]
pub struct Gate {
    slot: &'static Slot,
    who: Goroutine,
}

impl Gate {
    pub fn give(&self) {
        // Release: pairs with the Acquire in `wait`.
        self.slot.given.fetch_add(1, Ordering::Release);
        self.who.unpark();
    }

    /// A permit that nobody counts: the park that it ends must be in a loop.
    pub fn stray(&self) {
        self.who.unpark();
    }
}

/// Outlined, so that nothing of it is kept across a suspension.
#[inline(never)]
pub fn kernel_thread() -> u64 {
    // SAFETY: takes nothing; answers the calling thread's own handle.
    unsafe { libc::pthread_self() as u64 }
}

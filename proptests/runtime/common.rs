//! What the tests share: placements, turns on the machine, a watchdog, and waiting for a condition.

use selvedge::{Builder, Runtime};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

/// No test takes longer, unless something hangs.
const WATCHDOG: Duration = Duration::from_secs(120);
/// No condition takes longer to come true.
const PATIENCE: Duration = Duration::from_secs(30);

static MACHINE: RwLock<()> = RwLock::new(());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Isolated,
    Anchored,
    Migrating,
}

pub const ALL: [Placement; 3] = [Placement::Isolated, Placement::Anchored, Placement::Migrating];

impl Placement {
    pub fn build(self, builder: Builder) -> Runtime {
        match self {
            Placement::Isolated => builder.build(),
            // SAFETY: no code of these tests relies on nesting where it suspends.
            Placement::Anchored => unsafe { builder.build_anchored() },
            // SAFETY: functions of these tests that suspend touch thread-locals only in outlined
            // functions that don't, and keep no guard bound to a thread across a suspension.
            Placement::Migrating => unsafe { builder.build_migrating() },
        }
        .expect("a runtime")
    }

    pub fn runtime(self, processors: usize) -> Runtime {
        self.build(Runtime::builder().processors(processors).max_goroutines(20_000))
    }

    pub fn is_anchored(self) -> bool {
        self == Placement::Anchored
    }
}

/// Whether the kernel makes light guards. Where it does not, or a sandbox denies them, says by name that
/// the test is skipped: straight to the standard error output, which nobody captures.
pub fn has_light_guards(test: &str) -> bool {
    let light = selvedge::internals::fiber::StackPool::guarded_slots() == usize::MAX;
    if !light {
        let line =
            format!("skipped: {test}: the kernel makes no light guards, or is made to refuse\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    light
}

/// Runs a test beside others; a test that hangs fails.
#[track_caller]
pub fn beside(body: impl FnOnce() + Send + 'static) {
    let _turn = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    watched(body);
}

/// Runs a test that measures time while no other test of this program runs.
#[track_caller]
pub fn alone(body: impl FnOnce() + Send + 'static) {
    let _turn = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    watched(body);
}

#[track_caller]
fn watched(body: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(catch_unwind(AssertUnwindSafe(body)));
    });
    match wait.recv_timeout(WATCHDOG) {
        Ok(Ok(())) => {}
        Ok(Err(payload)) => resume_unwind(payload),
        Err(_) => panic!("the test hangs: no end after {WATCHDOG:?}"),
    }
}

/// As [`beside`], in both placements, each on one, two and four processors.
#[track_caller]
pub fn everywhere(body: impl Fn(Placement, Runtime) + Send + 'static) {
    beside(move || {
        for placement in ALL {
            for processors in [1, 2, 4] {
                body(placement, placement.runtime(processors));
            }
        }
    });
}

/// Waits until `condition` holds: in a goroutine or on a plain thread.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "still not so after {PATIENCE:?}: {what}");
        selvedge::yield_now();
    }
}

/// Waits until every goroutine has ended and is counted, then ends the runtime.
#[track_caller]
pub fn finish(runtime: Runtime) {
    eventually("as many goroutines finished as were spawned", || {
        let metrics = runtime.metrics();
        metrics.spawned == metrics.finished
    });
    runtime.shutdown(PATIENCE).expect("nobody is left");
}

/// The kernel's number of the calling thread: asked from the kernel each time, never cached.
pub fn thread_id() -> u32 {
    selvedge::internals::platform::thread_id()
}

/// What a panic said.
pub fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&'static str>().map(|text| text.to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// What `f`, which must panic, said.
#[track_caller]
pub fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it should have panicked"),
        Err(payload) => message(&*payload),
    }
}

/// Holds others back until it is opened; for goroutines and plain threads.
#[derive(Default)]
pub struct Gate {
    open: std::sync::atomic::AtomicBool,
    waiting: Mutex<Vec<selvedge::Goroutine>>,
}

impl Gate {
    pub fn open(&self) {
        self.open.store(true, std::sync::atomic::Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.iter().for_each(selvedge::Goroutine::unpark);
    }

    pub fn is_open(&self) -> bool {
        self.open.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// One that holds nobody back.
    pub fn opened() -> Self {
        Gate { open: true.into(), ..Gate::default() }
    }

    /// How many have come to the gate, until it is opened.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().unwrap().len()
    }

    /// Whether somebody waits for it.
    pub fn is_waited_for(&self) -> bool {
        self.waiting() > 0
    }

    /// Parks until the gate is open.
    #[track_caller]
    pub fn pass(&self) {
        self.enlist();
        while !self.is_open() {
            selvedge::park();
        }
    }

    #[inline(never)]
    fn enlist(&self) {
        self.waiting.lock().unwrap().push(selvedge::current());
    }
}

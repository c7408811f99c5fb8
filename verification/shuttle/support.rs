//! What the scenarios share: runtimes, a ledger of who ran, homes, a monitor, a gate.
//! Ledgers and flags of this file are no part of the model: touching them is no step of a schedule.

use crate::placement::Anchored;
use selvedge::internals::platform::{Parker, virtual_time};
use selvedge::{Builder, Runtime};
use shuttle::thread;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The capacity of the deques: small, so that they overflow.
const DEQUE: usize = 2;

/// Sizes of a runtime in a model.
pub fn builder(processors: usize, threads: usize) -> Builder {
    Builder::new().processors(processors).max_threads(threads).max_goroutines(16).modelled(DEQUE)
}

/// An anchored runtime.
pub fn anchored(processors: usize, threads: usize) -> Runtime {
    builder(processors, threads).anchored().expect("a model grants what is asked for")
}

/// A migrating runtime.
pub fn migrating(processors: usize, threads: usize) -> Runtime {
    // SAFETY: the goroutines of these models touch no thread-local of the kernel thread, of which
    // there is one; the model threads' own they read through shuttle, afresh each time.
    let built = unsafe { builder(processors, threads).build_migrating() };
    built.expect("a model grants what is asked for")
}

/// How often each goroutine ran to its end.
#[derive(Clone)]
pub struct Ledger(Arc<[AtomicUsize]>);

impl Ledger {
    pub fn new(goroutines: usize) -> Ledger {
        Ledger((0..goroutines).map(|_| AtomicUsize::new(0)).collect())
    }

    pub fn enter(&self, goroutine: usize) {
        self.0[goroutine].fetch_add(1, Ordering::Relaxed);
    }

    pub fn times(&self, goroutine: usize) -> usize {
        self.0[goroutine].load(Ordering::Relaxed)
    }

    #[track_caller]
    pub fn assert_each_ran_once(&self) {
        let times: Vec<_> = (0..self.0.len()).map(|goroutine| self.times(goroutine)).collect();
        assert!(times.iter().all(|n| *n == 1), "each goroutine must run once, and ran {times:?}");
    }
}

/// The kernel thread on which an anchored goroutine began. [A1]
#[derive(Clone, Copy)]
pub struct Home(thread::ThreadId);

impl Home {
    pub fn here() -> Home {
        Home(thread::current().id())
    }

    #[track_caller]
    pub fn assert_still_here(self) {
        assert_eq!(self.0, thread::current().id(), "a goroutine must resume at home");
    }
}

/// A flag that goroutines wait for, set once.
#[derive(Clone, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Computes until it is set, and never calls the runtime meanwhile.
    pub fn spin(&self) {
        while !self.is_set() {
            thread::yield_now();
        }
    }
}

/// Blocks a kernel thread until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<Parker>);

impl Gate {
    pub fn pass(&self) {
        self.0.park();
    }

    pub fn open(&self) {
        self.0.unpark();
    }
}

/// A thread that takes processors away from whoever is in user code, whenever it pleases.
pub struct Monitor {
    over: Flag,
    thread: thread::JoinHandle<usize>,
}

impl Monitor {
    pub fn start(runtime: &Arc<Runtime>) -> Monitor {
        let (runtime, over) = (Arc::clone(runtime), Flag::default());
        let until = over.clone();
        let thread = thread::spawn(move || {
            let mut retaken = 0;
            while !until.is_set() {
                retaken += runtime.retake_all();
                thread::yield_now();
            }
            retaken
        });
        Monitor { over, thread }
    }

    /// Ends it; how many processors it took.
    pub fn stop(self) -> usize {
        self.over.set();
        self.thread.join().expect("no panic")
    }
}

/// Runs `main` as a goroutine while a monitor takes what it can, then ends the runtime, which must
/// have nobody left.
pub fn run_retaken(runtime: Runtime, main: impl FnOnce() + Send + 'static) {
    let runtime = Arc::new(runtime);
    let monitor = Monitor::start(&runtime);
    runtime.run(main);
    monitor.stop();
    end(Arc::into_inner(runtime).expect("the monitor has ended"));
}

/// Any time that isn't yet.
pub const LATER: Duration = Duration::from_nanos(1);

/// Runs `main` as a goroutine while a thread lets time pass, fires every timer and retakes every
/// processor that it can, whenever it pleases; then ends the runtime, which must have nobody left.
pub fn run_in_time(runtime: Runtime, main: impl FnOnce() + Send + 'static) {
    let (runtime, over) = (Arc::new(runtime), Flag::default());
    virtual_time::begin();
    let clock = {
        let (runtime, over) = (Arc::clone(&runtime), over.clone());
        thread::spawn(move || {
            for now in 1.. {
                virtual_time::pass_to(now);
                thread::yield_now();
                // Workers have fired what they saw.
                runtime.fire_timers(u64::MAX - 1);
                runtime.retake_all();
                thread::yield_now();
                if over.is_set() {
                    return;
                }
            }
        })
    };
    runtime.run(main);
    over.set();
    clock.join().expect("no panic");
    virtual_time::end();
    end(Arc::into_inner(runtime).expect("the clock has ended"));
}

/// Waits for every goroutine, and ends the runtime.
#[track_caller]
pub fn end(runtime: Runtime) {
    runtime.shutdown(Duration::MAX).expect("every goroutine ends");
}

/// The payload of the panics that scenarios carry about.
#[derive(Debug, PartialEq, Eq)]
pub struct Carried(pub usize);

/// Panics without a word from the panic hook.
pub fn panic_with(number: usize) -> ! {
    resume_unwind(Box::new(Carried(number)))
}

/// The runtime's own panics that scenarios provoke would fill the screen.
pub fn keep_expected_panics_quiet() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let expected = "a scoped goroutine panicked";
        if !info.payload_as_str().is_some_and(|why| why.starts_with(expected)) {
            loud(info);
        }
    }));
}

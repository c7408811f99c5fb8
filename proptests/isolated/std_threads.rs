//! What `std` keeps for a thread: its handle and number, its permit, the count of panics, the keys of hash
//! maps, whose the lock of standard output is.

use crate::harness::{Expected, Placement, check, expect_panics, progress, same};
use crate::stage::{Stage, Steps};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};
use std::thread;
use std::time::Duration;

const GOROUTINES: usize = 200;
/// Those that start threads or block kernel threads.
const FEW: usize = 40;

pub fn ids(placement: Placement) {
    let stage = Stage::new(placement);
    let seen = Arc::new(Mutex::new(HashSet::from([thread::current().id()])));
    for _ in 0..2 {
        let seen = Arc::clone(&seen);
        stage.each(GOROUTINES, move |_, steps| {
            let own = thread::current().id();
            check!(seen.lock().unwrap().insert(own), "an id that somebody has had: {own:?}");
            for _ in 0..10 {
                steps.suspend();
                same!(thread::current().id(), own, "the id has changed");
            }
        });
    }
    stage.end();
    same!(seen.lock().unwrap().len(), 2 * GOROUTINES + 1, "ids");
}

pub fn park(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(FEW, |_, steps| {
        for _ in 0..4 {
            let (me, told) = (thread::current(), Arc::new(AtomicBool::new(false)));
            steps.move_on();
            let tells = Arc::clone(&told);
            let teller = thread::spawn(move || {
                thread::sleep(Duration::from_millis(2));
                tells.store(true, SeqCst);
                me.unpark();
            });
            while !told.load(SeqCst) {
                thread::park();
            }
            steps.suspend();
            teller.join().unwrap();
        }
    });
    stage.end();
}

/// One goroutine wakes another by what it takes for that one's thread.
pub fn park_for_each_other(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(FEW, |_, steps| {
        let (me, told) = (thread::current(), Arc::new(AtomicBool::new(false)));
        let (tells, mut other) = (Arc::clone(&told), steps.another());
        let teller = selvedge::go(move || {
            // No ferry: the others block the kernel threads on which ferries are at home.
            other.rest();
            tells.store(true, SeqCst);
            me.unpark();
        });
        steps.suspend();
        while !told.load(SeqCst) {
            // Blocks the kernel thread; the other may wait for its turn on the same processor.
            thread::park();
        }
        teller.join().unwrap();
    });
    stage.end();
}

pub fn mpsc(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(FEW, |_, steps| {
        let (sender, receiver) = mpsc::channel();
        let sends = thread::spawn(move || {
            for number in 0..20 {
                sender.send(number).unwrap();
                if number % 7 == 0 {
                    thread::sleep(Duration::from_micros(300));
                }
            }
        });
        for number in 0..20 {
            same!(receiver.recv(), Ok(number), "in turn");
            steps.suspend();
        }
        same!(receiver.recv(), Err(mpsc::RecvError), "the end");
        sends.join().unwrap();
    });
    stage.end();
}

pub fn locks(placement: Placement) {
    static LOCK: Mutex<u64> = Mutex::new(0);
    static BOTH: RwLock<u64> = RwLock::new(1);
    *LOCK.lock().unwrap() = 0;
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |_, steps| {
        let mut guard = loop {
            match LOCK.try_lock() {
                Ok(guard) => break guard,
                Err(_) => steps.suspend(),
            }
        };
        let before = *guard;
        steps.move_on();
        same!(*guard, before, "while it is locked");
        *guard += 1;
        drop(guard);
        let reads = BOTH.read().unwrap();
        steps.suspend();
        same!(*reads, 1, "while it is read");
        drop(reads);
        let (lock, condition) = (Mutex::new(()), Condvar::new());
        let wait = condition.wait_timeout(lock.lock().unwrap(), Duration::from_micros(10));
        check!(wait.unwrap().1.timed_out(), "nobody has notified");
        static ONCE: OnceLock<u64> = OnceLock::new();
        steps.suspend();
        same!(*ONCE.get_or_init(|| 5), 5, "made once");
    });
    stage.end();
    same!(*LOCK.lock().unwrap(), GOROUTINES as u64, "how often it was locked");
}

// ---- panics --------------------------------------------------------------------------------------

/// Suspends while its goroutine unwinds; if the last is set, until it is on another kernel thread.
struct Suspends<'a>(&'a mut Steps, &'a Cell<u32>, bool);

impl Drop for Suspends<'_> {
    fn drop(&mut self) {
        check!(thread::panicking(), "it unwinds");
        for _ in 0..3 {
            match self.2 {
                true => self.0.move_on(),
                false => self.0.rest(),
            }
            check!(thread::panicking(), "it still unwinds");
        }
        self.1.set(self.1.get() + 1);
    }
}

pub fn unwinding(placement: Placement) {
    expect_panics();
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |number, steps| {
        for turn in 0..5 {
            let dropped = Cell::new(0);
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let suspends = Suspends(&mut *steps, &dropped, true);
                suspends.0.suspend();
                panic_any(Expected(number as u64 * 10 + turn));
            }));
            let payload = caught.unwrap_err().downcast::<Expected>();
            let Ok(payload) = payload else { crate::harness::wrong(format_args!("a stranger's")) };
            same!(payload.0, number as u64 * 10 + turn, "the payload");
            same!(dropped.get(), 1, "destructors run");
            check!(!thread::panicking(), "after it was caught");
            steps.suspend();
            check!(!thread::panicking(), "later");
        }
    });
    stage.end();
}

/// A lock is poisoned by a panic of the goroutine that holds it, not by a stranger's.
pub fn poison(placement: Placement) {
    expect_panics();
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |number, steps| {
        let lock = Mutex::new(0);
        if number % 2 == 0 {
            let dropped = Cell::new(0);
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _guard = lock.lock().unwrap();
                let _suspends = Suspends(steps, &dropped, false);
                panic_any(Expected(0));
            }));
            check!(caught.is_err() && lock.is_poisoned(), "its own panic poisons");
        } else {
            for _ in 0..10 {
                let guard = lock.lock().unwrap();
                steps.suspend();
                drop(guard);
                check!(!lock.is_poisoned(), "a stranger's panic does not");
            }
        }
    });
    stage.end();
}

// ---- hash maps, output, backtraces ---------------------------------------------------------------

pub fn hash_map(placement: Placement) {
    let stage = Stage::new(placement);
    let hashes = Arc::new(Mutex::new(HashSet::new()));
    let all = Arc::new(selvedge::sync::Barrier::new(GOROUTINES));
    let seen = Arc::clone(&hashes);
    stage.each(GOROUTINES, move |number, steps| {
        let mut map = HashMap::new();
        for key in 0..50 {
            map.insert(key, key * number);
            if key % 10 == 0 {
                steps.suspend();
            }
        }
        check!((0..50).all(|key| map[&key] == key * number), "what was put there");
        // While all are alive, no two have the same keys.
        all.wait();
        let hash = RandomState::new().hash_one(7);
        check!(seen.lock().unwrap().insert(hash), "hash keys that another goroutine has");
        all.wait();
    });
    stage.end();
}

pub fn output(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |number, steps| {
        for line in 0..10 {
            println!("line {line} of {number}");
            steps.suspend();
        }
    });
    stage.end();
}

/// The lock of standard output is its holder's alone, though others run on the same kernel thread; and the
/// holder may lock it again, wherever it runs.
pub fn output_lock(placement: Placement) {
    let path = std::env::temp_dir().join(format!("selvedge-isolated-{}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    // SAFETY: descriptors of this process.
    check!(unsafe { libc::dup2(file.as_raw_fd(), 1) } == 1, "standard output");
    let stage = Stage::new(placement);
    let handles = stage.spawn(FEW, |number, steps| {
        let mut lock = std::io::stdout().lock();
        writeln!(lock, "{number} begins").unwrap();
        for _ in 0..3 {
            // Others block kernel threads, so that there is no ferry.
            steps.rest();
            println!("{number} goes on");
        }
        writeln!(lock, "{number} ends").unwrap();
    });
    handles.into_iter().for_each(crate::stage::wait);
    stage.end();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    let whole = lines.split(|line| line.ends_with(" ends")).filter(|part| !part.is_empty());
    for part in whole {
        let number = part[0].split(' ').next();
        check!(part.len() == 4, "{part:?} is not one goroutine's");
        check!(part.iter().all(|line| line.split(' ').next() == number), "{part:?}");
    }
}

pub fn backtrace(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(20, |_, steps| {
        steps.suspend();
        let text = std::backtrace::Backtrace::force_capture().to_string();
        check!(text.contains("fiber_main"), "{text}");
        steps.suspend();
    });
    stage.end();
}

// ---- threads that goroutines start ---------------------------------------------------------------

pub fn spawn(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(FEW, |number, steps| {
        thread_local!(static OWN: Cell<usize> = const { Cell::new(5) });
        OWN.set(number);
        steps.suspend();
        let plain = thread::Builder::new().name("plain".to_owned());
        let plain = plain.spawn(move || (OWN.get(), number * 2)).unwrap();
        steps.suspend();
        same!(plain.join().unwrap(), (5, number * 2), "what a plain thread has");
    });
    stage.end();
}

/// `thread::scope` waits by the permit of the thread that called it.
pub fn scope(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(FEW, |_, steps| {
        let mut numbers = [1, 2, 3];
        thread::scope(|scope| {
            for number in &mut numbers {
                scope.spawn(move || {
                    thread::sleep(Duration::from_millis(3));
                    *number *= 10;
                });
            }
            steps.move_on();
        });
        same!(numbers, [10, 20, 30], "after the scope");
        progress();
    });
    stage.end();
}

/// Two that have begun on the same processor, one of which blocks the kernel thread on the other.
pub fn neighbours_mpsc(placement: Placement) {
    let runtime = placement.runtime(1);
    let handles: Vec<_> = (0..FEW).map(|number| runtime.go(move || neighbours(number))).collect();
    handles.into_iter().for_each(crate::stage::wait);
    runtime.shutdown(Duration::from_secs(60)).expect("nobody is left");
}

fn neighbours(number: usize) {
    let (sender, receiver) = mpsc::channel();
    let has_begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&has_begun);
    let neighbour = selvedge::go(move || {
        begins.store(true, SeqCst);
        for item in 0..10 {
            selvedge::yield_now();
            sender.send(item).unwrap();
        }
    });
    while !has_begun.load(SeqCst) {
        selvedge::yield_now();
    }
    let items: Vec<_> = receiver.iter().collect();
    same!(items, (0..10).collect::<Vec<_>>(), "items in {number}");
    same!(receiver.try_recv(), Err(TryRecvError::Disconnected), "the end");
    neighbour.join().unwrap();
    progress();
}

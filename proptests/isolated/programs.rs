//! Programs without `unsafe` that go wrong where goroutines share their kernel thread's thread-locals, or
//! must go on on the kernel thread that they have begun on. They differ from programs of threads by the
//! word `go` alone.

use crate::harness::{Placement, check, progress, same};
use crate::stage::wait;
use selvedge::{Runtime, go, time};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant};

fn end(runtime: Runtime) {
    runtime.shutdown(Duration::from_secs(60)).expect("nobody is left");
}

fn millis(millis: u64) {
    time::sleep(Duration::from_millis(millis));
}

/// How often a first value was made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// The first one waits, as for a file, a socket, a lock.
fn make<T>(value: T) -> T {
    if MADE.fetch_add(1, SeqCst) == 0 {
        millis(50);
    }
    value
}

pub fn first_value(placement: Placement) {
    thread_local!(static CONFIG: String = make("the configuration, on the heap".to_owned()));
    MADE.store(0, SeqCst);
    let runtime = placement.runtime(1);
    runtime.run(|| {
        let first = go(|| {
            let length = CONFIG.with(String::len);
            // Whatever is allocated next.
            let noise: Vec<_> = (0..64).map(|_| "#".repeat(length)).collect();
            millis(100);
            drop(noise);
        });
        let second = go(|| {
            millis(5);
            CONFIG.with(|config| {
                let (text, copy) = (config.as_str(), config.clone());
                millis(80);
                same!(text, copy, "a `&str` that is borrowed all the while");
            });
        });
        wait(first);
        wait(second);
    });
    end(runtime);
}

pub fn two_guards(placement: Placement) {
    thread_local!(static LOG: RefCell<Vec<u64>> = RefCell::new(make(vec![7; 8])));
    MADE.store(0, SeqCst);
    let runtime = placement.runtime(1);
    runtime.run(|| {
        let first = go(|| LOG.with_borrow_mut(|_| millis(100)));
        let second = go(|| {
            millis(5);
            LOG.with_borrow_mut(|log| {
                let at = log.as_ptr();
                millis(80);
                same!(log.as_ptr(), at, "where the borrowed list lies");
                same!(log[0], 7, "what is in it");
            });
        });
        wait(first);
        wait(second);
    });
    end(runtime);
}

/// Lends a value to all that runs on the thread until a call returns, as libraries do.
fn lend<T>(value: &str, f: impl FnOnce() -> T) -> T {
    struct Back(Option<NonNull<str>>);
    impl Drop for Back {
        fn drop(&mut self) {
            LENT.set(self.0);
        }
    }
    let _back = Back(LENT.replace(Some(NonNull::from(value))));
    f()
}
thread_local!(static LENT: Cell<Option<NonNull<str>>> = const { Cell::new(None) });

pub fn lent(placement: Placement) {
    let runtime = placement.runtime(1);
    let handles: Vec<_> = (0..10_u64)
        .map(|number| {
            runtime.go(move || {
                let own = format!("lent by {number}");
                for turn in 0..5 {
                    lend(&own, || {
                        millis(1 + (number * 7 + turn) % 5);
                        let lent = LENT.get().expect("within `lend`");
                        check!(std::ptr::eq(lent.as_ptr(), &raw const *own), "a stranger's");
                        progress();
                    });
                }
                check!(LENT.get().is_none(), "still lent");
            })
        })
        .collect();
    handles.into_iter().for_each(wait);
    end(runtime);
}

pub fn std_mutex(placement: Placement) {
    static LOCK: Mutex<u64> = Mutex::new(0);
    *LOCK.lock().unwrap() = 0;
    let runtime = placement.runtime(2);
    let keep = || {
        let mut guard = LOCK.lock().unwrap();
        millis(1);
        *guard += 1;
        progress();
    };
    let handles: Vec<_> = (0..100).map(|_| runtime.go(keep)).collect();
    handles.into_iter().for_each(wait);
    end(runtime);
    same!(*LOCK.lock().unwrap(), 100, "locked so often");
}

pub fn lazy_lock(placement: Placement) {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    static CONFIG: LazyLock<String> = LazyLock::new(|| {
        let address = ADDRESS.get().expect("the server's");
        let mut stream = selvedge::net::TcpStream::connect(address).expect("a connection");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        text
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    if ADDRESS.set(listener.local_addr().unwrap()).is_err() {
        return;
    }
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        stream.write_all(b"x = 1").unwrap();
    });
    let runtime = placement.runtime(2);
    let read = || {
        same!(CONFIG.len(), 5, "the text");
        progress();
    };
    let handles: Vec<_> = (0..10).map(|_| runtime.go(read)).collect();
    handles.into_iter().for_each(wait);
    end(runtime);
}

// ---- time ----------------------------------------------------------------------------------------

/// Prints how late it was: figures for the log, and loose bounds, since other programs may run as well.
pub fn hogs(placement: Placement) {
    let runtime = placement.runtime(2);
    let start = Instant::now();
    let compute = move || {
        // Once begun, an anchored goroutine stays where it is.
        selvedge::yield_now();
        while start.elapsed() < Duration::from_secs(3) {
            std::hint::spin_loop();
        }
    };
    let late = runtime.go(move || {
        let mut late = Vec::new();
        let mut due = Instant::now();
        while start.elapsed() < Duration::from_millis(3500) {
            due += Duration::from_millis(1);
            time::sleep_until(due);
            late.push(due.elapsed());
            progress();
        }
        late
    });
    let hogs = [runtime.go(compute), runtime.go(compute)];
    let mut late = wait(late);
    hogs.into_iter().for_each(wait);
    end(runtime);
    late.sort_unstable();
    let (p99, most) = (late[late.len() * 99 / 100], late[late.len() - 1]);
    eprintln!("{} times; late by {p99:?} (p99), {most:?} (most)", late.len());
    check!(p99 < Duration::from_millis(100), "the loop is late: {p99:?} (p99)");
    check!(most < Duration::from_millis(1000), "the loop is late: {most:?} (most)");
}

/// On two processors, one of which is idle, a goroutine sleeps in the kernel for 2 s. A watchdog that has
/// begun on the same kernel thread looks every 50 ms.
pub fn watchdog(placement: Placement) {
    let runtime = placement.runtime(2);
    let (beat, sleeps) = (Arc::new(Mutex::new(Instant::now())), Arc::new(AtomicBool::new(false)));
    let noticed = runtime.run(|| {
        let (looks, begins) = (Arc::clone(&beat), Arc::clone(&sleeps));
        let watchdog = move || {
            let mut rounds = 0;
            loop {
                time::sleep(Duration::from_millis(10));
                let silent = looks.lock().unwrap().elapsed();
                rounds += 1;
                if begins.load(SeqCst) && silent > Duration::from_millis(50) {
                    return (silent, rounds);
                }
            }
        };
        let worker = move || {
            for _ in 0..20 {
                *beat.lock().unwrap() = Instant::now();
                millis(5);
            }
            *beat.lock().unwrap() = Instant::now();
            sleeps.store(true, SeqCst);
            std::thread::sleep(Duration::from_secs(2));
        };
        // Several, of which some begin where the sleeper does.
        let watchdogs: Vec<_> = (0..8).map(|_| go(watchdog.clone())).collect();
        let worker = go(worker);
        let noticed: Vec<_> = watchdogs.into_iter().map(wait).collect();
        wait(worker);
        noticed
    });
    end(runtime);
    let worst = noticed.iter().map(|(silent, _)| *silent).max().expect("some");
    eprintln!("the last of {} watchdogs has noticed after {worst:?}", noticed.len());
    check!(worst < Duration::from_millis(500), "noticed after {worst:?}");
}

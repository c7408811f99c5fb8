//! Handlers of signals that use thread-locals: those of the goroutine that was interrupted.

use crate::harness::{Placement, check, same};
use crate::stage::Stage;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const GOROUTINES: usize = 200;

thread_local! {
    static HANDLED: Cell<u64> = const { Cell::new(0) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static LIST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}
static IN_ALL: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: c_int) {
    IN_ALL.fetch_add(1, Relaxed);
    HANDLED.set(HANDLED.get() + 1);
    // SAFETY: this thread's own; the interrupted code finds what it had.
    unsafe { *libc::__errno_location() += 0 };
}

fn handle(signal: c_int) {
    // SAFETY: the handler touches an atomic, thread-locals without destructors, and errno.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = count as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        same!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0, "sigaction");
    }
}

pub fn raised(placement: Placement) {
    handle(libc::SIGUSR1);
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |_, steps| {
        for turn in 0..10 {
            steps.suspend();
            same!(HANDLED.get(), 2 * turn, "handled before");
            // SAFETY: there is a handler.
            same!(unsafe { libc::raise(libc::SIGUSR1) }, 0, "raise");
            same!(HANDLED.get(), 2 * turn + 1, "handled by the time that `raise` returns");
            // SAFETY: as above; this thread is alive.
            let sent = unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR1) };
            same!(sent, 0, "pthread_kill");
            same!(HANDLED.get(), 2 * turn + 2, "handled by the time that `pthread_kill` returns");
        }
    });
    stage.end();
}

fn every(micros: i64) {
    let time = libc::timeval { tv_sec: 0, tv_usec: micros };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: a timer of this process, whose signal has a handler.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
}

pub fn storm(placement: Placement) {
    handle(libc::SIGALRM);
    let stage = Stage::new(placement);
    every(100);
    while IN_ALL.load(Relaxed) < 500 {
        stage.each(GOROUTINES, |number, steps| {
            let mut map = HashMap::new();
            for turn in 0..10 {
                COUNT.with(|count| {
                    same!(count.get(), turn, "before");
                    steps.suspend();
                    count.set(count.get() + 1);
                });
                LIST.with(|list| {
                    let mut list = list.borrow_mut();
                    list.push(number as u64);
                    steps.suspend();
                    check!(list.iter().all(|&item| item == number as u64), "a stranger's");
                });
                map.insert(turn, vec![turn; 20]);
            }
            same!(map.len(), 10, "items");
        });
    }
    every(0);
    stage.end();
}

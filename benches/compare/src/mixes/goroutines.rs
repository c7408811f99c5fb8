//! The mixes on selvedge.

use super::*;
use crate::echo;
use selvedge::{blocking, chan, go, time, yield_now};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Runs one of them in a goroutine.
pub fn run(workload: &str, processors: usize) -> Option<f64> {
    Some(match workload {
        "parked" => parked().0,
        "parked-bytes" => parked().1,
        "blocking" => blocks(processors).0,
        "blocking-lost" => blocks(processors).1,
        "hogs" => hogs(),
        "echo-p99-pipes" => beside_pipes(|| crate::goroutines::echoes("echo-p99")),
        _ => return None,
    })
}

/// Milliseconds to make and to wake them, and bytes for each.
fn parked() -> (f64, f64) {
    let (start, before) = (Instant::now(), resident());
    let (sender, receiver) = chan::bounded::<()>(0);
    let waiting = Arc::new(AtomicUsize::new(0));
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let (receiver, waiting) = (receiver.clone(), Arc::clone(&waiting));
            go(move || {
                waiting.fetch_add(1, Ordering::Relaxed);
                assert!(receiver.recv().is_err());
            })
        })
        .collect();
    while waiting.load(Ordering::Relaxed) < CROWD {
        yield_now();
    }
    let each = (resident() - before) / CROWD as f64;
    drop(sender);
    crowd.into_iter().for_each(|one| one.join().unwrap());
    (start.elapsed().as_secs_f64() * 1e3, each)
}

/// Milliseconds until all have blocked, and what was lost for those who compute.
fn blocks(processors: usize) -> (f64, f64) {
    static ENOUGH: AtomicBool = AtomicBool::new(false);
    let compute = || {
        let mut portions = 0;
        while !ENOUGH.load(Ordering::Relaxed) {
            portion();
            portions += 1;
            yield_now();
        }
        portions
    };
    let start = Instant::now();
    let computers: Vec<_> = (0..COMPUTERS).map(|_| go(compute)).collect();
    let block = || (0..BLOCKS).for_each(|_| blocking(|| std::thread::sleep(BLOCK)));
    let blockers: Vec<_> = (0..BLOCKERS).map(|_| go(block)).collect();
    blockers.into_iter().for_each(|blocker| blocker.join().unwrap());
    let took = start.elapsed();
    ENOUGH.store(true, Ordering::Relaxed);
    let portions: usize = computers.into_iter().map(|one| one.join().unwrap()).sum();
    (took.as_secs_f64() * 1e3, lost(portions, processors, took))
}

fn hogs() -> f64 {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    let wakes = || {
        let mut late = Vec::new();
        while !STOPPED.load(Ordering::Relaxed) {
            let due = Instant::now() + NAP;
            time::sleep(NAP);
            late.push(Instant::now().saturating_duration_since(due).as_nanos() as i64);
        }
        late
    };
    let wakers: Vec<_> = (0..WAKERS).map(|_| go(wakes)).collect();
    yield_now();
    stop_later(&STOPPED);
    let hogs: Vec<_> = (0..HOGS).map(|_| go(|| hog(&STOPPED))).collect();
    let late = wakers.into_iter().flat_map(|waker| waker.join().unwrap()).collect();
    hogs.into_iter().for_each(|hog| hog.join().unwrap());
    p99_in_ms(late)
}

/// What `f` returns, with goroutines beside it that wait for bytes of slow pipes.
fn beside_pipes<T>(f: impl FnOnce() -> T) -> T {
    static ENOUGH: AtomicBool = AtomicBool::new(false);
    let (readers, mut writers): (Vec<_>, Vec<_>) =
        (0..echo::PIPES).map(|_| std::io::pipe().expect("two descriptors")).unzip();
    let drips = std::thread::spawn(move || {
        while !ENOUGH.load(Ordering::Relaxed) {
            writers.iter_mut().for_each(|writer| writer.write_all(&[1]).expect("room"));
            std::thread::sleep(echo::DRIP);
        }
    });
    let reads = readers.into_iter().map(|mut reader| {
        go(move || {
            let mut one = [0];
            while blocking(|| reader.read(&mut one)).expect("a pipe") > 0 {}
        })
    });
    let reads: Vec<_> = reads.collect();
    let result = f();
    ENOUGH.store(true, Ordering::Relaxed);
    drips.join().unwrap();
    reads.into_iter().for_each(|one| one.join().unwrap());
    result
}

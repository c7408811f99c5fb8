//! The mixes on tokio.

use super::*;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::Notify;
use tokio::task::{block_in_place, yield_now};

/// Runs one of them in a task.
pub async fn run(workload: &str, processors: usize) -> Option<f64> {
    Some(match workload {
        "parked" => parked().await.0,
        "parked-bytes" => parked().await.1,
        "blocking" => blocks(processors).await.0,
        "blocking-lost" => blocks(processors).await.1,
        "hogs" => hogs().await,
        _ => return None,
    })
}

async fn parked() -> (f64, f64) {
    let (start, before) = (Instant::now(), resident());
    let event = Arc::new(Notify::new());
    let waiting = Arc::new(AtomicUsize::new(0));
    let one = |event: Arc<Notify>, waiting: Arc<AtomicUsize>| async move {
        let notified = event.notified();
        waiting.fetch_add(1, Ordering::Relaxed);
        notified.await;
    };
    let crowd: Vec<_> =
        (0..CROWD).map(|_| tokio::spawn(one(Arc::clone(&event), Arc::clone(&waiting)))).collect();
    while waiting.load(Ordering::Relaxed) < CROWD {
        yield_now().await;
    }
    let each = (resident() - before) / CROWD as f64;
    event.notify_waiters();
    for one in crowd {
        one.await.unwrap();
    }
    (start.elapsed().as_secs_f64() * 1e3, each)
}

async fn blocks(processors: usize) -> (f64, f64) {
    static ENOUGH: AtomicBool = AtomicBool::new(false);
    let compute = || async {
        let mut portions = 0;
        while !ENOUGH.load(Ordering::Relaxed) {
            portion();
            portions += 1;
            yield_now().await;
        }
        portions
    };
    let block = || async {
        for _ in 0..BLOCKS {
            block_in_place(|| std::thread::sleep(BLOCK));
        }
    };
    let start = Instant::now();
    let computers: Vec<_> = (0..COMPUTERS).map(|_| tokio::spawn(compute())).collect();
    let blockers: Vec<_> = (0..BLOCKERS).map(|_| tokio::spawn(block())).collect();
    for blocker in blockers {
        blocker.await.unwrap();
    }
    let took = start.elapsed();
    ENOUGH.store(true, Ordering::Relaxed);
    let mut portions = 0;
    for computer in computers {
        portions += computer.await.unwrap();
    }
    (took.as_secs_f64() * 1e3, lost(portions, processors, took))
}

async fn hogs() -> f64 {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    let wakes = || async {
        let mut late = Vec::new();
        while !STOPPED.load(Ordering::Relaxed) {
            let due = Instant::now() + NAP;
            tokio::time::sleep(NAP).await;
            late.push(Instant::now().saturating_duration_since(due).as_nanos() as i64);
        }
        late
    };
    let wakers: Vec<_> = (0..WAKERS).map(|_| tokio::spawn(wakes())).collect();
    yield_now().await;
    stop_later(&STOPPED);
    let hogs: Vec<_> = (0..HOGS).map(|_| tokio::spawn(async { hog(&STOPPED) })).collect();
    let mut late = Vec::new();
    for waker in wakers {
        late.extend(waker.await.unwrap());
    }
    for hog in hogs {
        hog.await.unwrap();
    }
    p99_in_ms(late)
}

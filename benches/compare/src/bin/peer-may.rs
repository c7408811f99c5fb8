//! may: stackful coroutines. It ends at some 32,700 of them, so the million workloads are not for it.
use may::net::{TcpListener, TcpStream};
use may::sync::{Mutex, mpsc};
use may::{coroutine, go};
use selvedge_compare::*;
use std::sync::Arc;

fn main() {
    peer(|workload, processors| {
        may::config().set_workers(processors);
        let work = workload.to_owned();
        // SAFETY: the workloads touch no thread-local across a suspension.
        let whole = unsafe { coroutine::spawn(move || one(&work)) };
        whole.join().expect("no panic")
    });
}

fn one(workload: &str) -> Option<f64> {
    Some(match workload {
        "yield" => per(YIELDERS * YIELDS, || {
            let tasks: Vec<_> = (0..YIELDERS)
                .map(|_| go!(|| (0..YIELDS).for_each(|_| coroutine::yield_now())))
                .collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        }),
        "pingpong" => per(ROUND_TRIPS, pingpong),
        "bounded1x1" => per(MESSAGES, unbounded),
        "ring" => per(HOPS, ring),
        "mutex1" => per(LOCKS, || mutex(1)),
        "mutex64" => per(LOCKS, || mutex(LOCKERS)),
        "lateness" => lateness(),
        name if echo::NAMES.contains(&name) => echoes(name),
        _ => return None,
    })
}

/// Its channels have no bound, so this is no rendezvous.
fn pingpong() {
    let (ping, pinged) = mpsc::channel();
    let (pong, ponged) = mpsc::channel();
    let echo = go!(move || pinged.iter().for_each(|n: usize| pong.send(n).unwrap()));
    for n in 0..ROUND_TRIPS {
        ping.send(n).unwrap();
        assert_eq!(ponged.recv(), Ok(n));
    }
    drop(ping);
    echo.join().unwrap();
}

fn unbounded() {
    let (sender, receiver) = mpsc::channel();
    let sends = go!(move || (0..MESSAGES).for_each(|n| sender.send(n).unwrap()));
    assert_eq!(receiver.iter().count(), MESSAGES);
    sends.join().unwrap();
}

fn ring() {
    let (first, mut last) = mpsc::channel::<usize>();
    for _ in 1..RING {
        let (next, behind) = mpsc::channel();
        let ahead = std::mem::replace(&mut last, behind);
        go!(move || ahead.iter().for_each(|n| next.send(n + 1).unwrap()));
    }
    let mut token = 0;
    while token < HOPS {
        first.send(token + 1).unwrap();
        token = last.recv().unwrap();
    }
}

fn mutex(tasks: usize) {
    let count = Arc::new(Mutex::new(0_usize));
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let count = Arc::clone(&count);
            go!(move || (0..LOCKS / tasks).for_each(|_| *count.lock().unwrap() += 1))
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(*count.lock().unwrap(), LOCKS);
}

fn lateness() -> f64 {
    let late: Vec<_> = (0..FEW_SLEEPERS)
        .map(|i| {
            let due = Instant::now() + nap(i);
            go!(move || {
                coroutine::sleep(due.saturating_duration_since(Instant::now()));
                Instant::now().duration_since(due).as_nanos() as i64
            })
        })
        .collect();
    p99(late.into_iter().map(|late| late.join().unwrap()).collect())
}

fn echoes(workload: &str) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = Instant::now();
    let server = go!(move || {
        for stream in listener.incoming().take(echo::CONNECTIONS) {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            go!(move || echo::serve(&mut stream));
        }
    });
    let clients: Vec<_> = (0..echo::CONNECTIONS)
        .map(|_| {
            go!(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                echo::client(&mut stream)
            })
        })
        .collect();
    let latencies = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    server.join().unwrap();
    echo::figure(workload, start.elapsed(), latencies)
}

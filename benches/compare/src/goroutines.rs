//! The work on selvedge, for both placements.

use crate::*;
use selvedge::chan::{self, Receiver, Sender};
use selvedge::net::{TcpListener, TcpStream};
use selvedge::sync::Mutex;
use selvedge::{Builder, Runtime, go, time, yield_now};
use std::sync::Arc;

/// Runs one workload on `runtime`.
pub fn run(runtime: &Runtime, workload: &str, processors: usize) -> Option<f64> {
    runtime.run(|| {
        Some(match workload {
            "spawn" => per(SPAWNS, spawn),
            "skynet" => per(LEAVES as usize, || {
                let (sums, sum) = chan::bounded(0);
                skynet(sums, 0, LEAVES);
                assert_eq!(sum.recv(), Ok(LEAVES * (LEAVES - 1) / 2));
            }),
            "yield" => per(YIELDERS * YIELDS, yields),
            "pingpong" => per(ROUND_TRIPS, pingpong),
            "bounded1x1" => per(MESSAGES, || bounded(1)),
            "bounded4x4" => per(MESSAGES, || bounded(4)),
            "ring" => per(HOPS, ring),
            "sieve" => per(sieve_transfers(), sieve),
            "select4" => per(SELECTED, select4),
            "mutex1" => per(LOCKS, || mutex(1)),
            "mutex64" => per(LOCKS, || mutex(LOCKERS)),
            "fib" => per((FIB_SPAWNS * FIB_RUNS) as usize, || {
                (0..FIB_RUNS).for_each(|_| assert_eq!(forked_fib(FIB), FIB_OF));
            }),
            "sleepers" => {
                let start = Instant::now();
                sleepers();
                beyond_a_second(start)
            }
            "sleepers-cpu" => {
                sleepers();
                mixes::processor_seconds()
            }
            "lateness" => lateness(),
            name if echo::NAMES.contains(&name) => echoes(name),
            name => return mixes::on_selvedge(name, processors),
        })
    })
}

/// A runtime for the work: enough goroutines, and stacks as they are by default.
pub fn builder(processors: usize) -> Builder {
    Builder::new().processors(processors).max_goroutines(2_500_000)
}

fn spawn() {
    let tasks: Vec<_> = (0..SPAWNS).map(|_| go(|| ())).collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

fn skynet(sums: Sender<u64>, first: u64, size: u64) {
    if size == 1 {
        go(move || sums.send(first).unwrap());
        return;
    }
    go(move || {
        let (own, parts) = chan::bounded(10);
        for part in 0..10 {
            skynet(own.clone(), first + part * size / 10, size / 10);
        }
        sums.send(parts.iter().take(10).sum()).unwrap();
    });
}

fn yields() {
    let tasks: Vec<_> =
        (0..YIELDERS).map(|_| go(|| (0..YIELDS).for_each(|_| yield_now()))).collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

fn pingpong() {
    let (ping, pinged) = chan::bounded(0);
    let (pong, ponged) = chan::bounded(0);
    let echo = go(move || pinged.iter().for_each(|n: usize| pong.send(n).unwrap()));
    for n in 0..ROUND_TRIPS {
        ping.send(n).unwrap();
        assert_eq!(ponged.recv(), Ok(n));
    }
    drop(ping);
    echo.join().unwrap();
}

fn bounded(pairs: usize) {
    let (sender, receiver) = chan::bounded::<usize>(CAPACITY);
    let senders: Vec<_> = (0..pairs)
        .map(|_| {
            let sender = sender.clone();
            go(move || (0..MESSAGES / pairs).for_each(|n| sender.send(n).unwrap()))
        })
        .collect();
    drop(sender);
    let receivers: Vec<_> = (0..pairs)
        .map(|_| {
            let receiver = receiver.clone();
            go(move || receiver.iter().count())
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let received: usize = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
    assert_eq!(received, MESSAGES);
}

fn ring() {
    let (first, mut last) = chan::bounded::<usize>(0);
    let mut members = Vec::new();
    for _ in 1..RING {
        let (next, behind) = chan::bounded(0);
        let ahead = std::mem::replace(&mut last, behind);
        members.push(go(move || ahead.iter().for_each(|n| next.send(n + 1).unwrap())));
    }
    let mut token = 0;
    while token < HOPS {
        let next = first.clone();
        // The ring has no buffer: somebody must hold the token while it is sent on.
        let sends = go(move || next.send(token + 1).unwrap());
        token = last.recv().unwrap();
        sends.join().unwrap();
    }
    drop(first);
    members.into_iter().for_each(|member| member.join().unwrap());
}

fn sieve() {
    let (numbers, mut from) = chan::bounded::<u64>(0);
    go(move || (2..).try_for_each(|n| numbers.send(n)));
    for n in 0..PRIMES {
        let prime = from.recv().unwrap();
        if n + 1 == PRIMES {
            assert_eq!(prime, LAST_PRIME);
        }
        let (passed, next) = chan::bounded(0);
        let all: Receiver<u64> = std::mem::replace(&mut from, next);
        go(move || {
            all.iter().filter(|n| !n.is_multiple_of(prime)).try_for_each(|n| passed.send(n))
        });
    }
}

fn select4() {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..4).map(|_| chan::bounded::<usize>(CAPACITY)).unzip();
    // A channel without senders is always ready: these stay.
    let tasks: Vec<_> = senders
        .iter()
        .cloned()
        .map(|sender| go(move || (0..SELECTED / 4).for_each(|n| sender.send(n).unwrap())))
        .collect();
    let [a, b, c, d] = &receivers[..] else { unreachable!() };
    let mut sum = 0;
    for _ in 0..SELECTED {
        sum += selvedge::select! {
            recv(a) -> n => n.unwrap(),
            recv(b) -> n => n.unwrap(),
            recv(c) -> n => n.unwrap(),
            recv(d) -> n => n.unwrap(),
        };
    }
    let each = SELECTED / 4;
    assert_eq!(sum, 4 * (each * (each - 1) / 2));
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

fn mutex(tasks: usize) {
    let count = Arc::new(Mutex::new(0_usize));
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let count = Arc::clone(&count);
            go(move || (0..LOCKS / tasks).for_each(|_| *count.lock().unwrap() += 1))
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(*count.lock().unwrap(), LOCKS);
}

fn forked_fib(n: u64) -> u64 {
    if n <= FIB_SERIAL {
        return fib(n);
    }
    let left = go(move || forked_fib(n - 1));
    let right = forked_fib(n - 2);
    left.join().unwrap() + right
}

fn sleepers() {
    let sleepers: Vec<_> = (0..SLEEPERS).map(|i| go(move || time::sleep(nap(i)))).collect();
    sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
}

fn lateness() -> f64 {
    let late: Vec<_> = (0..FEW_SLEEPERS)
        .map(|i| {
            let due = Instant::now() + nap(i);
            go(move || {
                time::sleep(due.saturating_duration_since(Instant::now()));
                Instant::now().duration_since(due).as_nanos() as i64
            })
        })
        .collect();
    p99(late.into_iter().map(|late| late.join().unwrap()).collect())
}

pub(crate) fn echoes(workload: &str) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = Instant::now();
    let server = go(move || {
        for stream in listener.incoming().take(echo::CONNECTIONS) {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            go(move || echo::serve(&mut stream));
        }
    });
    let clients: Vec<_> = (0..echo::CONNECTIONS)
        .map(|_| {
            go(move || {
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

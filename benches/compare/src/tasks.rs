//! The work on tokio; its channels are kanal's, the fastest known for it, or tokio's own.

use crate::*;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;

/// Runs one workload; `own` uses tokio's channels in place of kanal's, where it has such channels.
pub fn run(workload: &str, processors: usize, own: bool) -> Option<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors)
        .enable_time()
        .enable_io()
        .build()
        .expect("a runtime");
    let work = workload.to_owned();
    runtime
        .block_on(async move { tokio::spawn(one(work, processors, own)).await.expect("no panic") })
}

async fn one(workload: String, processors: usize, own: bool) -> Option<f64> {
    let start = Instant::now();
    let count = match (workload.as_str(), own) {
        ("spawn", _) => spawn().await,
        ("skynet", true) => {
            let (sums, mut sum) = tokio::sync::mpsc::channel(1);
            skynet(sums, 0, LEAVES).await;
            assert_eq!(sum.recv().await, Some(LEAVES * (LEAVES - 1) / 2));
            LEAVES as usize
        }
        ("yield", _) => yields().await,
        ("pingpong", false) => pingpong().await,
        ("bounded1x1", true) => own_bounded().await,
        ("bounded1x1", false) => bounded(1).await,
        ("bounded4x4", false) => bounded(4).await,
        ("ring", false) => ring().await,
        ("sieve", false) => sieve().await,
        ("select4", true) => select4().await,
        ("mutex1", true) => mutex(1).await,
        ("mutex64", true) => mutex(LOCKERS).await,
        ("fib", _) => {
            for _ in 0..FIB_RUNS {
                assert_eq!(forked_fib(FIB).await, FIB_OF);
            }
            (FIB_SPAWNS * FIB_RUNS) as usize
        }
        ("sleepers", _) => return Some(sleepers().await),
        ("sleepers-cpu", _) => {
            sleepers().await;
            return Some(mixes::processor_seconds());
        }
        ("lateness", _) => return Some(lateness().await),
        (name, _) if echo::NAMES.contains(&name) => return Some(echoes(name).await),
        // One of ours is enough, where channels play no part.
        (name, true) => return mixes::on_tokio(name, processors).await,
        _ => return None,
    };
    Some(start.elapsed().as_nanos() as f64 / count as f64)
}

async fn spawn() -> usize {
    let tasks: Vec<_> = (0..SPAWNS).map(|_| tokio::spawn(async {})).collect();
    for task in tasks {
        task.await.unwrap();
    }
    SPAWNS
}

fn skynet(
    sums: tokio::sync::mpsc::Sender<u64>,
    first: u64,
    size: u64,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if size == 1 {
            tokio::spawn(async move { sums.send(first).await.unwrap() });
            return;
        }
        tokio::spawn(async move {
            let (own, mut parts) = tokio::sync::mpsc::channel(10);
            for part in 0..10 {
                skynet(own.clone(), first + part * size / 10, size / 10).await;
            }
            let mut sum = 0;
            for _ in 0..10 {
                sum += parts.recv().await.unwrap();
            }
            sums.send(sum).await.unwrap();
        });
    })
}

async fn yields() -> usize {
    let yielder = || async {
        for _ in 0..YIELDS {
            yield_now().await;
        }
    };
    let tasks: Vec<_> = (0..YIELDERS).map(|_| tokio::spawn(yielder())).collect();
    for task in tasks {
        task.await.unwrap();
    }
    YIELDERS * YIELDS
}

async fn pingpong() -> usize {
    let (ping, pinged) = kanal::bounded_async(0);
    let (pong, ponged) = kanal::bounded_async(0);
    let echo = tokio::spawn(async move {
        while let Ok(n) = pinged.recv().await {
            pong.send(n).await.unwrap();
        }
    });
    for n in 0..ROUND_TRIPS {
        ping.send(n).await.unwrap();
        assert_eq!(ponged.recv().await, Ok(n));
    }
    drop(ping);
    echo.await.unwrap();
    ROUND_TRIPS
}

async fn own_bounded() -> usize {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<usize>(CAPACITY);
    let sends = tokio::spawn(async move {
        for n in 0..MESSAGES {
            sender.send(n).await.unwrap();
        }
    });
    let receives = tokio::spawn(async move {
        let mut count = 0;
        while receiver.recv().await.is_some() {
            count += 1;
        }
        count
    });
    sends.await.unwrap();
    assert_eq!(receives.await.unwrap(), MESSAGES);
    MESSAGES
}

async fn bounded(pairs: usize) -> usize {
    let (sender, receiver) = kanal::bounded_async::<usize>(CAPACITY);
    let mut senders = Vec::new();
    let mut receivers = Vec::new();
    for _ in 0..pairs {
        let sender = sender.clone();
        senders.push(tokio::spawn(async move {
            for n in 0..MESSAGES / pairs {
                sender.send(n).await.unwrap();
            }
        }));
        let receiver = receiver.clone();
        receivers.push(tokio::spawn(async move {
            let mut count = 0;
            while receiver.recv().await.is_ok() {
                count += 1;
            }
            count
        }));
    }
    drop(sender);
    for sender in senders {
        sender.await.unwrap();
    }
    let mut received = 0;
    for receiver in receivers {
        received += receiver.await.unwrap();
    }
    assert_eq!(received, MESSAGES);
    MESSAGES
}

async fn ring() -> usize {
    let (first, mut last) = kanal::bounded_async::<usize>(0);
    for _ in 1..RING {
        let (next, behind) = kanal::bounded_async(0);
        let ahead = std::mem::replace(&mut last, behind);
        tokio::spawn(async move {
            while let Ok(n) = ahead.recv().await {
                next.send(n + 1).await.unwrap();
            }
        });
    }
    let mut token = 0;
    while token < HOPS {
        let next = first.clone();
        let sends = tokio::spawn(async move { next.send(token + 1).await.unwrap() });
        token = last.recv().await.unwrap();
        sends.await.unwrap();
    }
    HOPS
}

async fn sieve() -> usize {
    let (numbers, mut from) = kanal::bounded_async::<u64>(0);
    tokio::spawn(async move {
        for n in 2.. {
            if numbers.send(n).await.is_err() {
                break;
            }
        }
    });
    for n in 0..PRIMES {
        let prime = from.recv().await.unwrap();
        if n + 1 == PRIMES {
            assert_eq!(prime, LAST_PRIME);
        }
        let (passed, next) = kanal::bounded_async(0);
        let all = std::mem::replace(&mut from, next);
        tokio::spawn(async move {
            while let Ok(n) = all.recv().await {
                if !n.is_multiple_of(prime) && passed.send(n).await.is_err() {
                    break;
                }
            }
        });
    }
    sieve_transfers()
}

async fn select4() -> usize {
    let mut receivers = Vec::new();
    for _ in 0..4 {
        let (sender, receiver) = tokio::sync::mpsc::channel::<usize>(CAPACITY);
        receivers.push(receiver);
        tokio::spawn(async move {
            for n in 0..SELECTED / 4 {
                sender.send(n).await.unwrap();
            }
        });
    }
    let [a, b, c, d] = &mut receivers[..] else { unreachable!() };
    let mut sum = 0;
    for _ in 0..SELECTED {
        sum += tokio::select! {
            Some(n) = a.recv() => n,
            Some(n) = b.recv() => n,
            Some(n) = c.recv() => n,
            Some(n) = d.recv() => n,
        };
    }
    let each = SELECTED / 4;
    assert_eq!(sum, 4 * (each * (each - 1) / 2));
    SELECTED
}

async fn mutex(tasks: usize) -> usize {
    let count = Arc::new(tokio::sync::Mutex::new(0_usize));
    let locker = |count: Arc<tokio::sync::Mutex<usize>>| async move {
        for _ in 0..LOCKS / tasks {
            *count.lock().await += 1;
        }
    };
    let lockers: Vec<_> = (0..tasks).map(|_| tokio::spawn(locker(Arc::clone(&count)))).collect();
    for locker in lockers {
        locker.await.unwrap();
    }
    assert_eq!(*count.lock().await, LOCKS);
    LOCKS
}

fn forked_fib(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n <= FIB_SERIAL {
            return fib(n);
        }
        let left = tokio::spawn(forked_fib(n - 1));
        let right = forked_fib(n - 2).await;
        left.await.unwrap() + right
    })
}

async fn sleepers() -> f64 {
    let start = Instant::now();
    let sleepers: Vec<_> =
        (0..SLEEPERS).map(|i| tokio::spawn(tokio::time::sleep(nap(i)))).collect();
    for sleeper in sleepers {
        sleeper.await.unwrap();
    }
    beyond_a_second(start)
}

async fn lateness() -> f64 {
    let sleeper = |due: Instant| async move {
        tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        Instant::now().duration_since(due).as_nanos() as i64
    };
    let sleepers: Vec<_> =
        (0..FEW_SLEEPERS).map(|i| tokio::spawn(sleeper(Instant::now() + nap(i)))).collect();
    let mut late = Vec::new();
    for sleeper in sleepers {
        late.push(sleeper.await.unwrap());
    }
    p99(late)
}

async fn echoes(workload: &str) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let start = Instant::now();
    let server = tokio::spawn(async move {
        for _ in 0..echo::CONNECTIONS {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream));
        }
    });
    let clients: Vec<_> = (0..echo::CONNECTIONS).map(|_| tokio::spawn(client(address))).collect();
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await.unwrap());
    }
    server.await.unwrap();
    echo::figure(workload, start.elapsed(), latencies)
}

async fn client(address: std::net::SocketAddr) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = [0; echo::LENGTH];
    let mut latencies = Vec::with_capacity(echo::REQUESTS);
    for n in 0..echo::REQUESTS {
        let start = Instant::now();
        let request = [n as u8; echo::LENGTH];
        stream.write_all(&request).await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, request);
        latencies.push(start.elapsed());
    }
    latencies
}

async fn serve(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return,
            length => stream.write_all(&buffer[..length]).await.unwrap(),
        }
    }
}

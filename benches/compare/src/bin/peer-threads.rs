//! Kernel threads with crossbeam-channel and parking_lot, and rayon for fork-join.
use crossbeam_channel as chan;
use selvedge_compare::*;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{spawn, yield_now};

fn main() {
    peer(|workload, processors| {
        if processors == 1 {
            confine();
        }
        Some(match workload {
            "spawn" => per(SPAWNS, || {
                pool(processors).scope(|s| (0..SPAWNS).for_each(|_| s.spawn(|_| ())));
            }),
            "fib" => {
                let pool = pool(processors);
                per((FIB_SPAWNS * FIB_RUNS) as usize, || {
                    (0..FIB_RUNS)
                        .for_each(|_| assert_eq!(pool.install(|| forked_fib(FIB)), FIB_OF));
                })
            }
            "yield" => per(YIELDERS * YIELDS, || {
                let yielder = || spawn(|| (0..YIELDS).for_each(|_| yield_now()));
                let threads: Vec<_> = (0..YIELDERS).map(|_| yielder()).collect();
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            }),
            "pingpong" => per(ROUND_TRIPS, pingpong),
            "bounded1x1" => per(MESSAGES, || bounded(1)),
            "bounded4x4" => per(MESSAGES, || bounded(4)),
            "select4" => per(SELECTED, select4),
            "mutex1" => per(LOCKS, || mutex(1)),
            "mutex64" => per(LOCKS, || mutex(LOCKERS)),
            name if echo::NAMES.contains(&name) => echoes(name),
            _ => return None,
        })
    });
}

fn confine() {
    // SAFETY: a zeroed set is an empty one, and `set` lives through the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
    }
}

fn pool(processors: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(processors).build().expect("a pool")
}

fn forked_fib(n: u64) -> u64 {
    if n <= FIB_SERIAL {
        return fib(n);
    }
    let (left, right) = rayon::join(|| forked_fib(n - 1), || forked_fib(n - 2));
    left + right
}

fn pingpong() {
    let (ping, pinged) = chan::bounded(0);
    let (pong, ponged) = chan::bounded(0);
    let echo = spawn(move || pinged.iter().for_each(|n: usize| pong.send(n).unwrap()));
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
            spawn(move || (0..MESSAGES / pairs).for_each(|n| sender.send(n).unwrap()))
        })
        .collect();
    drop(sender);
    let receivers: Vec<_> = (0..pairs)
        .map(|_| {
            let receiver = receiver.clone();
            spawn(move || receiver.iter().count())
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let received: usize = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
    assert_eq!(received, MESSAGES);
}

fn select4() {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..4).map(|_| chan::bounded::<usize>(CAPACITY)).unzip();
    // A channel without senders is always ready: these stay.
    let threads: Vec<_> = senders
        .iter()
        .cloned()
        .map(|sender| spawn(move || (0..SELECTED / 4).for_each(|n| sender.send(n).unwrap())))
        .collect();
    let [a, b, c, d] = &receivers[..] else { unreachable!() };
    let mut sum = 0;
    for _ in 0..SELECTED {
        sum += chan::select! {
            recv(a) -> n => n.unwrap(),
            recv(b) -> n => n.unwrap(),
            recv(c) -> n => n.unwrap(),
            recv(d) -> n => n.unwrap(),
        };
    }
    let each = SELECTED / 4;
    assert_eq!(sum, 4 * (each * (each - 1) / 2));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn mutex(tasks: usize) {
    let count = Arc::new(parking_lot::Mutex::new(0_usize));
    let threads: Vec<_> = (0..tasks)
        .map(|_| {
            let count = Arc::clone(&count);
            spawn(move || (0..LOCKS / tasks).for_each(|_| *count.lock() += 1))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*count.lock(), LOCKS);
}

fn echoes(workload: &str) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = Instant::now();
    let server = spawn(move || {
        for stream in listener.incoming().take(echo::CONNECTIONS) {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            spawn(move || echo::serve(&mut stream));
        }
    });
    let clients: Vec<_> = (0..echo::CONNECTIONS)
        .map(|_| {
            spawn(move || {
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

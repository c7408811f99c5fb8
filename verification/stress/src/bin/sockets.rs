//! Many connections on loopback; what they cost, and that nothing is left of them.
//!
//! ```text
//! cargo run --release -p selvedge-stress --bin sockets -- idle 10000
//! cargo run --release -p selvedge-stress --bin sockets -- storm 200000 1
//! cargo run --release -p selvedge-stress --bin sockets -- storm 200000 1000
//! ```
//!
//! `idle`: so many connections that wait for a request, one goroutine each; their clients are another
//! process's. `storm`: so many short connections, that many at a time. `--migrating` as a last word.

use selvedge::net::{TcpListener, TcpStream};
use selvedge::{CancelToken, Runtime, go};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const STACK_PAGE_KIB: usize = 4;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<usize>().unwrap_or_else(|_| usage());
    match *words {
        ["clients", address, count] => clients(address, number(count)),
        ["idle", count, ref rest @ ..] => idle(&runtime(rest), number(count)),
        ["storm", count, at_once, ref rest @ ..] => {
            storm(&runtime(rest), number(count), number(at_once));
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: sockets idle COUNT | storm COUNT AT-ONCE  [--migrating]");
    exit(2)
}

fn runtime(rest: &[&str]) -> Runtime {
    let builder = Runtime::builder().max_goroutines(100_000);
    match rest {
        [] => builder.build().expect("a runtime"),
        // SAFETY: nothing here that suspends touches a thread-local, or keeps what is bound to a thread.
        ["--migrating"] => unsafe { builder.build_migrating() }.expect("a runtime"),
        _ => usage(),
    }
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > Duration::from_secs(60) {
            println!("sockets: 1 failed: {what}, after a minute");
            exit(1);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The other process: connects, and waits until it is told to end.
fn clients(address: &str, count: usize) {
    let connect = |_| std::net::TcpStream::connect(address).expect("a connection");
    let streams: Vec<_> = (0..count).map(connect).collect();
    let _ = std::io::stdin().read(&mut [0]);
    drop(streams);
}

fn idle(runtime: &Runtime, count: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address").to_string();
    let (files, before) = (open_files(), resident_kib());
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut other = Command::new(std::env::current_exe().expect("this program"))
        .args(["clients", &address, &count.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .expect("another process");
    let counts = Arc::clone(&waiting);
    runtime.run(move || {
        for stream in listener.incoming().take(count) {
            let (mut stream, waiting) = (stream.expect("a connection"), Arc::clone(&counts));
            drop(go(move || {
                waiting.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0]);
                waiting.fetch_sub(1, Ordering::Relaxed);
            }));
        }
    });
    eventually("all wait", || waiting.load(Ordering::Relaxed) == count);
    let grown = resident_kib().saturating_sub(before);
    let stacks = count * STACK_PAGE_KIB;
    println!(
        "{count} idle connections: {grown} KiB more resident, of which {stacks} KiB are a page of stack \
         each: {} KiB beyond",
        grown.saturating_sub(stacks)
    );
    drop(other.stdin.take());
    other.wait().expect("its end");
    eventually("every goroutine has ended", || waiting.load(Ordering::Relaxed) == 0);
    // The runtime's own three stay, and the listener is gone.
    eventually("every socket is closed", || open_files() <= files + 3);
    println!("sockets: 1 passed, 0 failed");
}

fn storm(runtime: &Runtime, count: usize, at_once: usize) {
    runtime.run(|| round(at_once, at_once));
    let (files, before) = (open_files(), resident_kib());
    let start = Instant::now();
    runtime.run(|| round(count, at_once));
    let took = start.elapsed();
    eventually("every socket is closed", || open_files() <= files);
    println!(
        "{count} connections, {at_once} at a time, in {:.1} s: {:.1} µs each; resident {before} KiB before, \
         {} KiB after",
        took.as_secs_f64(),
        took.as_micros() as f64 / count as f64,
        resident_kib()
    );
    println!("sockets: 1 passed, 0 failed");
}

fn round(count: usize, at_once: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let token = CancelToken::new();
    let own = token.clone();
    let server = go(move || {
        while let Ok((mut stream, _)) = listener.accept_cancel(&own) {
            drop(go(move || stream.write_all(b"hello").expect("a client that listens")));
        }
    });
    let share = count / at_once;
    let visitors: Vec<_> =
        (0..at_once).map(|_| go(move || (0..share).for_each(|_| visit(address)))).collect();
    visitors.into_iter().for_each(|visitor| visitor.join().expect("no panic"));
    token.cancel();
    server.join().expect("no panic");
}

fn visit(address: SocketAddr) {
    let mut greeting = String::new();
    let stream = TcpStream::connect(address);
    stream.expect("a connection").read_to_string(&mut greeting).expect("a greeting");
    assert_eq!(greeting, "hello");
}

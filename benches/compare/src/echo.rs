//! Echo: clients and servers in one process, on loopback, each connection a request at a time. What is
//! alike for all peers; those that read and write by blocking share the code, too.

use crate::{Duration, Instant};
use std::io::{Read, Write};

pub const CONNECTIONS: usize = 64;
pub const REQUESTS: usize = 2_000;
pub const LENGTH: usize = 64;
pub const NAMES: [&str; 3] = ["echo", "echo-p50", "echo-p99"];
/// Beside the echo, so many are blocked in reads of pipes, each of which has a byte now and then.
pub const PIPES: usize = 64;
pub const DRIP: Duration = Duration::from_millis(10);

/// A client's life: what each request took.
pub fn client(stream: &mut (impl Read + Write)) -> Vec<Duration> {
    let mut answer = [0; LENGTH];
    let one = |n: usize| {
        let start = Instant::now();
        let request = [n as u8; LENGTH];
        stream.write_all(&request).unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, request);
        start.elapsed()
    };
    (0..REQUESTS).map(one).collect()
}

/// A server's life, until its client is gone.
pub fn serve(stream: &mut (impl Read + Write)) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return,
            length => stream.write_all(&buffer[..length]).unwrap(),
        }
    }
}

/// The figure that was asked for: time for each request of all, or a percentile of one's latency.
pub fn figure(workload: &str, took: Duration, mut latencies: Vec<Duration>) -> f64 {
    assert_eq!(latencies.len(), CONNECTIONS * REQUESTS);
    latencies.sort_unstable();
    let percentile = |n: usize| latencies[latencies.len() * n / 100].as_nanos() as f64 / 1e3;
    match workload {
        "echo" => took.as_nanos() as f64 / latencies.len() as f64,
        "echo-p50" => percentile(50),
        _ => percentile(99),
    }
}

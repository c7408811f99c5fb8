//! The example servers beside others, under the load of a foreign client; prints a table for each.
//!
//! `cargo run --release -p selvedge-compare --bin web -- [--rounds N] [--seconds N]`
//!
//! http beside hyper and Go's `net/http`, under `wrk -t2 -c64`; redis beside `redis-server`, under
//! `redis-benchmark -P 1` and `-P 16`. All share the machine with the client. Needs `wrk`,
//! `redis-benchmark` and `redis-server` on the PATH; Go takes part where there is one. Build first:
//! `cargo build --release --examples && cargo build --release -p selvedge-compare`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, exit};
use std::time::{Duration, Instant};

const PROCESSORS: &str = "2";

/// A server that runs until it is dropped.
struct Server {
    name: &'static str,
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// One that says on its first line where it listens.
    fn start(name: &'static str, command: &mut Command) -> Server {
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap_or_else(|error| {
                fail(&format!(
                    "{name}: {error}; what must be built first: benches/compare/src/bin/web.rs"
                ))
            });
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Server { name, process, address }
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap_or_default()
    }
}

fn fail(why: &str) -> ! {
    eprintln!("web: {why}");
    exit(1)
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| fail(&format!("{command:?}: {error}")));
    if !output.status.success() {
        fail(&format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The word after `label`, on the line that begins with it.
fn after<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().map(str::trim).find(|line| line.starts_with(label));
    let rest = line.unwrap_or_else(|| fail(&format!("no {label:?} in:\n{text}")));
    rest[label.len()..].split_whitespace().next().unwrap_or("?")
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let (mut rounds, mut seconds) = (3, String::from("5"));
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_else(|| fail(&format!("{arg} wants a value")));
        match arg.as_str() {
            "--rounds" => rounds = value.parse().unwrap_or_else(|_| fail("--rounds: a number")),
            "--seconds" => seconds = value,
            _ => fail(&format!("unknown option {arg}")),
        }
    }
    let own = std::env::current_exe().expect("this program has a path");
    let folder = own.parent().expect("a file lies in a folder").to_owned();
    http(&folder, rounds, &seconds);
    redis(&folder, rounds);
}

fn http(folder: &Path, rounds: usize, seconds: &str) {
    let any = "127.0.0.1:0";
    let example = folder.join("examples/http");
    let mut servers = vec![
        Server::start(
            "examples/http",
            Command::new(example).args([any, ".", "--processors", PROCESSORS]),
        ),
        Server::start("hyper", Command::new(folder.join("server-hyper")).args([any, PROCESSORS])),
    ];
    let go: PathBuf = folder.join("peer-go");
    if go.exists() {
        servers
            .push(Server::start("Go net/http", Command::new(go).args(["http", PROCESSORS, any])));
    }
    let mut figures = vec![(Vec::new(), Vec::new()); servers.len()];
    for _ in 0..rounds {
        for (server, (rates, tails)) in servers.iter().zip(&mut figures) {
            let url = format!("http://{}/json", server.address);
            let text =
                output(Command::new("wrk").args(["-t2", "-c64", "--latency", "-d", seconds, &url]));
            if text.contains("Non-2xx") || text.contains("Socket errors") {
                fail(&format!("{}: {text}", server.name));
            }
            rates.push(after(&text, "Requests/sec:").parse().expect("a rate"));
            tails.push(millis(after(&text, "99%")));
        }
    }
    println!("| `wrk -t2 -c64` | requests/s | p99 ms |\n|---|---:|---:|");
    for (server, (rates, tails)) in servers.iter().zip(figures) {
        println!("| {} | {:.0} | {:.2} |", server.name, median(rates), median(tails));
    }
}

/// As wrk writes times: `950.00us`, `1.20ms`, `1.01s`.
fn millis(text: &str) -> f64 {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..split].parse().unwrap_or_else(|_| fail(&format!("no time: {text}")));
    number
        * if text.ends_with("us") {
            1e-3
        } else if text.ends_with("ms") {
            1.0
        } else {
            1e3
        }
}

fn redis(folder: &Path, rounds: usize) {
    let ours = Server::start(
        "examples/redis",
        Command::new(folder.join("examples/redis")).args([
            "127.0.0.1:0",
            "--processors",
            PROCESSORS,
        ]),
    );
    // It does not say where it listens on its first line; the port is a free one, just now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let port = port.expect("it is bound").port().to_string();
    let mut theirs = Server::start(
        "redis-server",
        Command::new("redis-server").args(["--port", &port, "--save", "", "--appendonly", "no"]),
    );
    theirs.address = format!("127.0.0.1:{port}");
    let patience = Instant::now();
    while std::net::TcpStream::connect(&theirs.address).is_err() {
        if patience.elapsed() > Duration::from_secs(10) {
            fail("redis-server does not listen");
        }
        std::thread::yield_now();
    }
    println!(
        "\n| `redis-benchmark -c 50` | SET/s, -P 1 | GET/s, -P 1 | SET/s, -P 16 | GET/s, -P 16 |"
    );
    println!("|---|---:|---:|---:|---:|");
    let servers = [ours, theirs];
    let mut figures = vec![vec![Vec::new(); 4]; servers.len()];
    for _ in 0..rounds {
        for (server, figures) in servers.iter().zip(&mut figures) {
            for (i, (depth, requests)) in [("1", "200000"), ("16", "1000000")].iter().enumerate() {
                let text = output(Command::new("redis-benchmark").args([
                    "-p",
                    server.port(),
                    "-c",
                    "50",
                    "-n",
                    requests,
                    "-P",
                    depth,
                    "-t",
                    "set,get",
                    "--csv",
                ]));
                for (j, name) in ["\"SET\",", "\"GET\","].iter().enumerate() {
                    let rate = after(&text, name).split(',').next().unwrap_or_default();
                    figures[2 * i + j].push(rate.trim_matches('"').parse().expect("a rate"));
                }
            }
        }
    }
    for (server, figures) in servers.iter().zip(figures) {
        print!("| {} |", server.name);
        figures.into_iter().for_each(|one| print!(" {:.0} |", median(one)));
        println!();
    }
}

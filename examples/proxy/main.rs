//! A TCP proxy with half-close: each side may end what it says, and still hear the other out.
//!
//! `cargo run --release --example proxy -- 127.0.0.1:8000 127.0.0.1:8080`

#[path = "../serve/mod.rs"]
mod serve;

use selvedge::net::TcpStream;
use selvedge::{CancelToken, scope};
use serve::Shutdown;
use std::io::{self, Write as _};
use std::net::{Shutdown::Write, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// On the heap: a goroutine's stack has but 64 KiB.
const ROOM: usize = 32 * 1024;

fn main() -> ExitCode {
    serve::main("proxy", &["ADDRESS", "TARGET"], |options| {
        let target = options.words[1].as_str();
        // Told now, not to the first client.
        let targets = resolve(target)?;
        let shutdown = Shutdown::default();
        serve::serve("proxy", &options, &shutdown, |client| {
            match connect(&targets, options.timeout) {
                Ok(server) => both_ways(&client, &server, &shutdown.end),
                Err(error) => eprintln!("proxy: {target}: {error}"),
            }
        })
    })
}

fn resolve(target: &str) -> io::Result<Vec<SocketAddr>> {
    let bad = |error: io::Error| io::Error::new(error.kind(), format!("TARGET {target}: {error}"));
    let resolved = std::net::ToSocketAddrs::to_socket_addrs(target).map_err(bad)?;
    Ok(resolved.collect())
}

fn connect(targets: &[SocketAddr], timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for target in targets {
        match TcpStream::connect_timeout(target, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Returns when both ways have ended, or one has failed, or `end` is cancelled.
fn both_ways(client: &TcpStream, server: &TcpStream, end: &CancelToken) {
    for stream in [client, server] {
        let _ = stream.set_nodelay(true);
    }
    // One way that fails ends the other.
    let end = end.child();
    scope(|s| {
        s.go(|| one_way(client, server, &end));
        one_way(server, client, &end);
    });
}

fn one_way(from: &TcpStream, to: &TcpStream, end: &CancelToken) {
    let mut buffer = vec![0; ROOM];
    let outcome: io::Result<()> = (|| {
        loop {
            match from.read_cancel(&mut buffer, end)? {
                // It says no more; it may listen still.
                0 => return to.shutdown(Write),
                length => to.until(end).write_all(&buffer[..length])?,
            }
        }
    })();
    if outcome.is_err() {
        end.cancel();
    }
}

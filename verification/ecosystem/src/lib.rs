//! Libraries that are written for blocking streams, unchanged, over selvedge's sockets: very many
//! connections at once on two processors. `cargo test -p selvedge-ecosystem`.
//!
//! | file | what runs |
//! |---|---|
//! | `websocket` | `tungstenite`, client and server |
//! | `tls` | `rustls`, client and server, by `Stream`'s `Read` and `Write` |
//! | `threads` | libraries that keep things in thread-locals, in goroutines that have their own |
//! | `http` | the client `ureq`, plain and by `rustls`; the server is that of `examples/http` |
//!
//! A blocking HTTP server that takes a foreign stream was not found, so the server is our own, on
//! `httparse`.
#![cfg(test)]

// The server under test, whose modules name each other by `crate`.
#[path = "../../../examples/http/connection.rs"]
mod connection;
mod http;
#[path = "../../../examples/http/request.rs"]
mod request;
#[allow(dead_code)]
#[path = "../../../examples/http/response.rs"]
mod response;
#[allow(dead_code)]
#[path = "../../../examples/serve/mod.rs"]
mod serve;
mod threads;
mod tls;
mod websocket;

use selvedge::net::{TcpListener, TcpStream};
use selvedge::sync::Barrier;
use selvedge::{CancelToken, Runtime, scope};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

/// No test takes longer, unless something hangs.
const WATCHDOG: Duration = Duration::from_secs(120);
/// What all connections together may have of kernel threads: processors, monitor, test, some helpers.
const MOST_THREADS: usize = 40;

/// What a client says and hears, once connected, while all others are connected too.
type Client = fn(usize, TcpStream);

/// `clients` connections at a time on two processors, each with a goroutine at either end.
fn at_once(clients: usize, serve: fn(TcpStream), client: Client) {
    on_two_processors(move || {
        with_server(serve, |address| {
            let all = Barrier::new(clients);
            scope(|s| {
                for number in 0..clients {
                    let all = &all;
                    s.go(move || {
                        let stream = TcpStream::connect(address).expect("a connection");
                        all.wait();
                        client(number, stream);
                        let threads = threads();
                        assert!(threads < MOST_THREADS, "{clients} clients: {threads} threads");
                    });
                }
            });
        });
    });
}

/// Calls `body`, in a goroutine, while there is a server whose connections `serve` has.
fn with_server(serve: impl Fn(TcpStream) + Sync, body: impl FnOnce(SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let done = CancelToken::new();
    scope(|s| {
        s.go(|| {
            scope(|connections| {
                while let Ok((stream, _)) = listener.accept_cancel(&done) {
                    let serve = &serve;
                    connections.go(move || serve(stream));
                }
            });
        });
        let _done = done.cancel_on_drop();
        body(address);
    });
}

fn on_two_processors(body: impl FnOnce() + Send + 'static) {
    watched(move || {
        let runtime = Runtime::builder().processors(2).build().expect("a runtime");
        runtime.run(body);
        runtime.shutdown(Duration::from_secs(30)).expect("nobody is left");
    });
}

/// A test that hangs fails.
fn watched(body: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let test = std::thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match wait.recv_timeout(WATCHDOG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs: no end after {WATCHDOG:?}"),
        _ => test.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload)),
    }
}

/// Kernel threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

//! Chat rooms by websocket: `tungstenite`, a library for blocking streams, used as it is.
//!
//! `cargo run --release --example chat -- 127.0.0.1:8090`, then in a browser's console:
//! `ws = new WebSocket("ws://127.0.0.1:8090/loom?name=ada"); ws.onmessage = m => console.log(m.data)`,
//! and `ws.send("hello")`.
//!
//! Each client has two goroutines, one that reads and one that writes; one more, the hub, knows who is
//! in which room. They talk by channels.

mod client;
mod hub;
#[path = "../serve/mod.rs"]
mod serve;

use selvedge::{chan, go};
use serve::Shutdown;
use std::process::ExitCode;

/// How many events may wait for the hub.
const EVENTS: usize = 256;

fn main() -> ExitCode {
    serve::main("chat", &["ADDRESS"], |options| {
        let shutdown = Shutdown::default();
        let (events, inbox) = chan::bounded(EVENTS);
        let stop = shutdown.stop.clone();
        let hub = go(move || hub::run(&inbox, &stop));
        let served = serve::serve("chat", &options, &shutdown, |stream| {
            // An error is the client's business.
            let _ = client::serve(&stream, &events, &shutdown, options.timeout);
        });
        drop(events);
        hub.join().expect("the hub doesn't panic");
        served
    })
}

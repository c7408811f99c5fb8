//! A server that speaks Redis's protocol (RESP2), for some of its commands, kept in memory.
//!
//! `cargo run --release --example redis -- 127.0.0.1:6380`, then `redis-cli -p 6380` and
//! `redis-benchmark -p 6380 -t ping,set,get,incr -P 16`
//!
//! Each connection is a goroutine. Commands that have arrived together are answered together.

mod commands;
mod resp;
#[path = "../serve/mod.rs"]
mod serve;
mod store;

use commands::{Next, execute};
use resp::{Command, Wrong};
use selvedge::net::TcpStream;
use selvedge::{go, time};
use serve::Shutdown;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::Store;

const ROOM: usize = 16 * 1024;
/// How much a client that says nothing costs, beside its stack.
const IDLE_ROOM: usize = 4 * 1024;
/// How much may be answered before it is written.
const MOST_OUTPUT: usize = 256 * 1024;

fn main() -> ExitCode {
    serve::main("redis", &["ADDRESS"], |options| {
        let store = Arc::new(Store::default());
        let (swept, timeout) = (Arc::downgrade(&store), options.timeout);
        // Keys whose time has passed are nobody's, whether somebody asks for them or not.
        go(move || {
            while let Some(store) = swept.upgrade() {
                store.sweep();
                drop(store);
                time::sleep(Duration::from_millis(500));
            }
        });
        let shutdown = Shutdown::default();
        serve::serve("redis", &options, &shutdown, |stream| {
            // An error is the client's business.
            let _ = connection(&stream, &store, &shutdown, timeout);
        })
    })
}

fn connection(
    stream: &TcpStream,
    store: &Store,
    shutdown: &Shutdown,
    timeout: Duration,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(timeout))?;
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut command = Command::default();
    loop {
        let mut taken = 0;
        loop {
            match command.parse(&input[taken..]) {
                Ok(Some(used)) => {
                    let next = execute(store, &command.arguments(&input[taken..]), &mut output);
                    taken += used;
                    if let Next::Quit = next {
                        return write(stream, shutdown, &output);
                    }
                }
                Ok(None) => break,
                Err(Wrong(why)) => {
                    resp::error(&mut output, "ERR Protocol error: ", why);
                    return write(stream, shutdown, &output);
                }
            }
            if output.len() > MOST_OUTPUT {
                write(stream, shutdown, &output)?;
                output.clear();
            }
        }
        input.drain(..taken);
        write(stream, shutdown, &output)?;
        output.clear();
        output.shrink_to(ROOM);
        // Between two commands nothing is in flight, and a client may think for as long as it likes.
        let idle = input.is_empty();
        if idle {
            input.shrink_to(IDLE_ROOM);
        }
        stream.set_read_timeout((!idle).then_some(timeout))?;
        let token = if idle { &shutdown.stop } else { &shutdown.end };
        let length = input.len();
        input.resize(length + if idle { IDLE_ROOM } else { ROOM }, 0);
        match stream.read_cancel(&mut input[length..], token)? {
            0 => return Ok(()),
            read => input.truncate(length + read),
        }
    }
}

fn write(stream: &TcpStream, shutdown: &Shutdown, output: &[u8]) -> io::Result<()> {
    if output.is_empty() { Ok(()) } else { stream.until(&shutdown.end).write_all(output) }
}

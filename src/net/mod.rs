//! Sockets as in [`std::net`], for goroutines. An operation that would block parks the goroutine instead.
//!
//! Names, arguments and errors are `std`'s, so that blocking code works unchanged once it imports these types.
//! Code that is written for [`Read`](std::io::Read) and [`Write`](std::io::Write) can then serve many
//! connections at a time.
//!
//! ```
//! use selvedge::net::{TcpListener, TcpStream};
//! use std::io::{Read, Write};
//! use std::net::Shutdown;
//!
//! selvedge::Runtime::new()?.run(|| {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let address = listener.local_addr()?;
//!     let server = selvedge::go(move || {
//!         let (stream, _) = listener.accept()?;
//!         std::io::copy(&mut &stream, &mut &stream)
//!     });
//!     let mut client = TcpStream::connect(address)?;
//!     client.write_all(b"there and back")?;
//!     client.shutdown(Shutdown::Write)?;
//!     let mut answer = String::new();
//!     client.read_to_string(&mut answer)?;
//!     assert_eq!(answer, "there and back");
//!     assert_eq!(server.join().unwrap()?, 14);
//!     std::io::Result::Ok(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Time-outs and cancellation.** `set_read_timeout` and `set_write_timeout` work like `std`'s: an operation that
//! times out returns `WouldBlock`, as on Unix. Each operation that waits also has a variant that takes a
//! [`CancelToken`](crate::CancelToken): `accept_cancel`, `connect_cancel`, `read_cancel`, `write_cancel`,
//! `recv_cancel`. A token may have a deadline. Code that knows only `Read` and `Write` can use a view
//! that [`until`](TcpStream::until) returns.
//!
//! **Where sockets work.** Sockets work on plain threads too, which they block. Under a checker, and in a
//! simulation, making a socket panics, because a model can't explore what the kernel does.
//!
//! docs/poller.md explains how sockets wait.

mod addr;
pub(crate) mod cell;
mod common;
pub(crate) mod io;
mod listener;
mod plain;
mod system;
mod tcp_stream;
mod udp;
pub mod unix;
mod until;

pub use addr::{Addresses, ToSocketAddrs};
pub use listener::{Incoming, TcpListener};
pub use std::net::{Shutdown, SocketAddr};
pub use tcp_stream::TcpStream;
pub use udp::UdpSocket;
pub use until::Until;

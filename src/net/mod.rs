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
//! **Time-outs and cancellation.** `set_read_timeout` and its kin are `std`'s, and end with `WouldBlock`,
//! as `std`'s do on Unix. Besides, each operation that waits has a variant that takes a
//! [`CancelToken`](crate::CancelToken): `accept_cancel`, `connect_cancel`, `read_cancel`, `write_cancel`,
//! `recv_cancel`. A token may have a deadline. For code that knows only `Read` and `Write` there is
//! [`until`](TcpStream::until).
//!
//! **Where.** Sockets work on plain threads too, where they block. Under a checker, and in a
//! simulation, they panic, because a model can't explore what the kernel does.
//!
//! How it works: docs/poller.md.

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

//! Plain threads, goroutines of several runtimes, conversions, names.

use crate::common::{ALL, Placement, beside, finish};
use crate::support::{in_goroutines, kind, listener, pair};
use selvedge::net::{TcpListener, TcpStream, ToSocketAddrs};
use selvedge::{CancelToken, Cancelled, go};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

fn echo(stream: &TcpStream) {
    for round in 0..50_u8 {
        let mut answer = [0];
        (&*stream).write_all(&[round]).unwrap();
        (&*stream).read_exact(&mut answer).unwrap();
        assert_eq!(answer, [round]);
    }
}

fn serve(stream: TcpStream) -> u64 {
    std::io::copy(&mut &stream, &mut &stream).unwrap()
}

#[test]
fn plain_threads_use_sockets_without_a_runtime() {
    beside(|| {
        let (client, server) = pair();
        let thread = std::thread::spawn(move || serve(server));
        echo(&client);
        drop(client);
        assert_eq!(thread.join().unwrap(), 50);
    });
}

#[test]
fn plain_threads_wait_no_longer_than_they_are_told_to() {
    beside(|| {
        let (client, _server) = pair();
        client.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        assert_eq!(kind((&client).read(&mut [0])), ErrorKind::WouldBlock);
        client.set_read_timeout(None).unwrap();
        let token = CancelToken::with_timeout(Duration::from_millis(2));
        assert_eq!(kind(client.read_cancel(&mut [0], &token)), ErrorKind::TimedOut);
        let token = CancelToken::new();
        let own = token.clone();
        let thread = std::thread::spawn(move || client.read_cancel(&mut [0], &own));
        token.cancel();
        let error = thread.join().unwrap().unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()), "{error}");
    });
}

#[test]
fn a_goroutine_and_a_plain_thread_talk() {
    beside(|| {
        for placement in ALL {
            let runtime = placement.runtime(2);
            let (client, server) = pair();
            let serves = runtime.go(move || serve(server));
            echo(&client);
            drop(client);
            assert_eq!(serves.join().unwrap(), 50);
            finish(runtime);
        }
    });
}

#[test]
fn goroutines_of_two_runtimes_share_a_stream() {
    beside(|| {
        let (one, other) = (Placement::Anchored.runtime(2), Placement::Migrating.runtime(2));
        let (client, server) = pair();
        let client = Arc::new(client);
        let serves = one.go(move || serve(server));
        let own = Arc::clone(&client);
        // The first that waits for it has it registered.
        one.go(move || echo(&own)).join().unwrap();
        let own = Arc::clone(&client);
        other.go(move || echo(&own)).join().unwrap();
        echo(&client);
        drop(client);
        assert_eq!(serves.join().unwrap(), 150);
        finish(one);
        finish(other);
    });
}

#[test]
fn a_stream_goes_on_in_another_runtime_when_its_own_has_ended() {
    beside(|| {
        let (client, server) = pair();
        let (client, server) = (Arc::new(client), Arc::new(server));
        for placement in ALL {
            let runtime = placement.runtime(1);
            let (own, answers) = (Arc::clone(&client), Arc::clone(&server));
            runtime.run(move || {
                let reads = go(move || (&*answers).read_exact(&mut [0; 3]).unwrap());
                selvedge::yield_now();
                (&*own).write_all(b"abc").unwrap();
                reads.join().unwrap();
            });
            finish(runtime);
        }
    });
}

#[test]
fn sockets_go_to_std_and_come_back_as_they_were() {
    in_goroutines(|_| {
        let (client, mut server) = pair();
        let limit = Some(Duration::from_millis(250));
        client.set_read_timeout(limit).unwrap();
        let theirs = std::net::TcpStream::from(client);
        // The kernel rounds it.
        let rounded = theirs.read_timeout().unwrap();
        assert!(rounded >= limit && rounded < Some(Duration::from_millis(270)), "{rounded:?}");
        server.write_all(b"ab").unwrap();
        // It blocks, so it has what it waits for.
        (&theirs).read_exact(&mut [0; 2]).unwrap();
        let again = TcpStream::from(theirs);
        assert_eq!(again.read_timeout().unwrap(), rounded);
        let number = again.as_raw_fd();
        let raw = again.into_raw_fd();
        assert_eq!(raw, number);
        // SAFETY: just given up above.
        let again = unsafe { TcpStream::from_raw_fd(raw) };
        let mut last = TcpStream::from(OwnedFd::from(again));
        let reads = go(move || last.read(&mut [0; 8]).unwrap());
        selvedge::yield_now();
        server.write_all(b"end").unwrap();
        assert_eq!(reads.join().unwrap(), 3);
    });
}

#[test]
fn what_is_an_address_for_std_is_one_here() {
    in_goroutines(|_| {
        let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let all = |what: &dyn Fn() -> std::io::Result<Vec<SocketAddr>>| what().unwrap();
        fn of(what: impl ToSocketAddrs) -> std::io::Result<Vec<SocketAddr>> {
            what.resolve().map(Iterator::collect)
        }
        assert_eq!(all(&|| of(address)), [address]);
        assert_eq!(all(&|| of("127.0.0.1:80")), [address]);
        assert_eq!(all(&|| of(String::from("127.0.0.1:80"))), [address]);
        assert_eq!(all(&|| of(("127.0.0.1", 80))), [address]);
        assert_eq!(all(&|| of((Ipv4Addr::LOCALHOST, 80))), [address]);
        assert_eq!(all(&|| of(&[address, address][..])), [address, address]);
        assert!(all(&|| of("localhost:80")).iter().all(|found| found.ip().is_loopback()));
        assert_eq!(kind(of("no port")), ErrorKind::InvalidInput);
    });
}

#[test]
fn the_first_address_that_will_have_it_is_taken() {
    in_goroutines(|_| {
        let (listener, address) = listener();
        let (closed, refusing) = self::listener();
        drop(closed);
        let stream = TcpStream::connect(&[refusing, address][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert_eq!(kind(TcpStream::connect(&[][..])), ErrorKind::InvalidInput);
        assert_eq!(kind(TcpListener::bind(address)), ErrorKind::AddrInUse);
        drop(listener);
    });
}

//! Datagrams, and sockets within the machine.

use crate::support::{in_goroutines, kind};
use selvedge::net::UdpSocket;
use selvedge::net::unix::{UnixDatagram, UnixListener, UnixStream};
use selvedge::{CancelToken, go};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A path of its own, whose file goes with it.
struct Path(PathBuf);

impl Path {
    fn new() -> Path {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("selvedge-{}-{number}.socket", std::process::id());
        Path(std::env::temp_dir().join(name))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn datagrams_arrive_and_say_from_whom() {
    in_goroutines(|_| {
        let [one, other] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let (from, to) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let receives = go(move || {
            let mut buffer = [0; 8];
            let first = other.recv_from(&mut buffer).unwrap();
            other.connect(first.1).unwrap();
            other.send(b"pong").unwrap();
            first
        });
        one.send_to(b"ping", to).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(one.peek_from(&mut buffer).unwrap(), (4, to));
        assert_eq!(one.recv_from(&mut buffer).unwrap(), (4, to));
        assert_eq!(&buffer[..4], b"pong");
        assert_eq!(receives.join().unwrap(), (4, from));
        one.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        assert_eq!(kind(one.recv_from(&mut buffer)), ErrorKind::WouldBlock);
        let token = CancelToken::with_timeout(Duration::from_millis(2));
        one.set_read_timeout(None).unwrap();
        assert_eq!(kind(one.recv_from_cancel(&mut buffer, &token)), ErrorKind::TimedOut);
    });
}

#[test]
fn streams_within_the_machine_echo() {
    in_goroutines(|_| {
        let path = Path::new();
        let listener = UnixListener::bind(&path.0).unwrap();
        let server = go(move || {
            let (stream, _) = listener.accept().unwrap();
            std::io::copy(&mut &stream, &mut &stream).unwrap()
        });
        let mut client = UnixStream::connect(&path.0).unwrap();
        client.write_all(b"within").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!((answer.as_str(), server.join().unwrap()), ("within", 6));
    });
}

#[test]
fn connecting_waits_for_room_with_a_listener_within_the_machine() {
    in_goroutines(|_| {
        let path = Path::new();
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.bind(&socket2::SockAddr::unix(&path.0).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let listener = UnixListener::from(OwnedFd::from(socket));
        let first = UnixStream::connect(&path.0).unwrap();
        let token = CancelToken::with_timeout(Duration::from_millis(5));
        assert_eq!(kind(UnixStream::connect_cancel(&path.0, &token)), ErrorKind::TimedOut);
        let name = path.0.clone();
        let waits = go(move || UnixStream::connect(name).unwrap());
        selvedge::yield_now();
        let accepted = [listener.accept().unwrap(), listener.accept().unwrap()];
        drop((waits.join().unwrap(), first, accepted));
    });
}

#[test]
fn datagrams_within_the_machine_wait_for_room() {
    in_goroutines(|_| {
        let path = Path::new();
        let receiver = UnixDatagram::bind(&path.0).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let name = path.0.clone();
        // More than the receiver's queue has room for.
        let sends = go(move || {
            for n in 0..100_u8 {
                assert_eq!(sender.send_to(&[n], &name).unwrap(), 1);
            }
            let connected = UnixDatagram::unbound().unwrap();
            connected.connect(&name).unwrap();
            for n in 100..200_u8 {
                assert_eq!(connected.send(&[n]).unwrap(), 1);
            }
        });
        for n in 0..200_u8 {
            let mut buffer = [0; 2];
            assert_eq!((receiver.recv(&mut buffer).unwrap(), buffer[0]), (1, n));
        }
        sends.join().unwrap();
        let (one, other) = UnixDatagram::pair().unwrap();
        one.send(b"pair").unwrap();
        assert_eq!(other.recv(&mut [0; 8]).unwrap(), 4);
        let token = CancelToken::with_timeout(Duration::from_millis(2));
        assert_eq!(kind(other.recv_cancel(&mut [0; 8], &token)), ErrorKind::TimedOut);
    });
}

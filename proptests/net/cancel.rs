//! Time-outs, deadlines and tokens, in each operation that waits.

use crate::common::alone;
use crate::support::{in_goroutines, kind, listener, pair};
use selvedge::net::TcpStream;
use selvedge::{CancelToken, Cancelled, go};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn is_cancelled<T>(result: io::Result<T>) -> bool {
    let error = result.err().expect("it should have been cancelled");
    error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
}

/// Runs `wait` under a token that is cancelled when it waits; or, where it has not begun, before.
fn cancelled_in<T: Send + 'static>(
    wait: impl FnOnce(&CancelToken) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let token = CancelToken::new();
    let own = token.clone();
    let waits = go(move || wait(&own));
    selvedge::yield_now();
    token.cancel();
    waits.join().unwrap()
}

/// An address where connecting takes for ever: a listener whose queue is full.
fn full() -> (impl Sized, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut filling = Vec::new();
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            Ok(stream) => filling.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                return ((socket, filling), address);
            }
        }
    }
}

#[test]
fn a_token_ends_accept() {
    in_goroutines(|_| {
        let (listener, address) = listener();
        let (listener, result) = {
            let shared = std::sync::Arc::new(listener);
            let own = std::sync::Arc::clone(&shared);
            (shared, cancelled_in(move |token| own.accept_cancel(token)))
        };
        assert!(is_cancelled(result));
        // It goes on.
        let client = go(move || TcpStream::connect(address).unwrap());
        drop(listener.accept().unwrap());
        client.join().unwrap();
    });
}

#[test]
fn a_token_ends_reads_and_writes_and_what_comes_later_is_there() {
    in_goroutines(|_| {
        let (client, mut server) = pair();
        let client = std::sync::Arc::new(client);
        let own = std::sync::Arc::clone(&client);
        assert!(is_cancelled(cancelled_in(move |token| own.read_cancel(&mut [0; 8], token))));
        server.write_all(b"later").unwrap();
        let mut buffer = [0; 5];
        (&*client).read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"later");
        let own = std::sync::Arc::clone(&client);
        let writes = cancelled_in(move |token| {
            loop {
                own.write_cancel(&[0; 65536], token)?;
            }
        });
        assert!(is_cancelled::<()>(writes));
    });
}

#[test]
fn a_token_or_a_time_out_ends_connect() {
    in_goroutines(|_| {
        let (_full, address) = full();
        assert!(is_cancelled(cancelled_in(move |token| TcpStream::connect_cancel(address, token))));
        let limit = Duration::from_millis(20);
        assert_eq!(kind(TcpStream::connect_timeout(&address, limit)), ErrorKind::TimedOut);
        let token = CancelToken::with_timeout(limit);
        assert_eq!(kind(TcpStream::connect_cancel(address, &token)), ErrorKind::TimedOut);
    });
}

#[test]
fn a_cancelled_token_comes_before_what_is_there() {
    in_goroutines(|_| {
        let (client, mut server) = pair();
        server.write_all(b"there").unwrap();
        let token = CancelToken::new();
        token.cancel();
        assert!(is_cancelled(client.read_cancel(&mut [0; 8], &token)));
        assert!(is_cancelled(client.until(&token).write(b"x")));
        assert_eq!((&client).read(&mut [0; 8]).unwrap(), 5);
    });
}

#[test]
fn a_view_under_a_token_serves_code_that_knows_read_and_write() {
    in_goroutines(|_| {
        let (client, server) = pair();
        let token = CancelToken::new();
        let mut owned = server.into_until(&token);
        let copies = go(move || {
            let mut all = Vec::new();
            let error = owned.read_to_end(&mut all).unwrap_err();
            (all, error)
        });
        (&client).write_all(b"half").unwrap();
        selvedge::time::sleep(Duration::from_millis(2));
        token.cancel();
        let (all, error) = copies.join().unwrap();
        assert!(b"half".starts_with(&all[..]));
        assert!(is_cancelled::<()>(Err(error)));
    });
}

#[test]
fn a_read_time_out_is_kept_within_a_few_milliseconds() {
    alone(|| {
        for placement in crate::common::ALL {
            placement.runtime(2).run(|| {
                let (client, _server) = pair();
                for limit in [1, 5, 20].map(Duration::from_millis) {
                    client.set_read_timeout(Some(limit)).unwrap();
                    assert_eq!(client.read_timeout().unwrap(), Some(limit));
                    let start = Instant::now();
                    assert_eq!(kind((&client).read(&mut [0; 8])), ErrorKind::WouldBlock);
                    let took = start.elapsed();
                    assert!(took >= limit, "{took:?} of {limit:?}");
                    // Others may have the machine.
                    assert!(took < limit + Duration::from_millis(500), "{took:?} of {limit:?}");
                }
            });
        }
    });
}

#[test]
fn a_time_out_holds_for_duplicates_and_ends_when_it_is_taken_back() {
    in_goroutines(|_| {
        let (client, mut server) = pair();
        let duplicate = client.try_clone().unwrap();
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(kind((&duplicate).read(&mut [0; 8])), ErrorKind::WouldBlock);
        duplicate.set_read_timeout(None).unwrap();
        let reads = go(move || (&client).read(&mut [0; 8]).unwrap());
        selvedge::time::sleep(Duration::from_millis(3));
        server.write_all(b"now").unwrap();
        assert_eq!(reads.join().unwrap(), 3);
        assert_eq!(kind(duplicate.set_read_timeout(Some(Duration::ZERO))), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_write_time_out_ends_a_write_that_nobody_reads() {
    in_goroutines(|_| {
        let (client, _server) = pair();
        client.set_write_timeout(Some(Duration::from_millis(5))).unwrap();
        let error = loop {
            if let Err(error) = (&client).write(&[0; 65536]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

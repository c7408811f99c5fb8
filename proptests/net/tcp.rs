//! Streams and listeners.

use crate::common::eventually;
use crate::support::{in_goroutines, kind, listener, pair};
use selvedge::net::{Shutdown, TcpStream};
use selvedge::{CancelToken, go};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn what_is_sent_arrives_in_order_and_whole() {
    in_goroutines(|_| {
        let (mut client, mut server) = pair();
        // Far more than the kernel holds, so that both sides wait.
        let sent: Vec<u8> =
            (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let expected = sent.clone();
        let writer = go(move || client.write_all(&sent));
        let mut received = Vec::new();
        server.read_to_end(&mut received).unwrap();
        writer.join().unwrap().unwrap();
        assert!(received == expected);
    });
}

#[test]
fn a_hundred_connections_echo_at_a_time() {
    in_goroutines(|_| {
        let (listener, address) = listener();
        let server = go(move || {
            let serve = |stream: TcpStream| std::io::copy(&mut &stream, &mut &stream).unwrap();
            let each: Vec<_> = listener
                .incoming()
                .take(100)
                .map(|stream| {
                    let stream = stream.unwrap();
                    go(move || serve(stream))
                })
                .collect();
            each.into_iter().map(|one| one.join().unwrap()).sum::<u64>()
        });
        let clients: Vec<_> = (0..100_u8)
            .map(|n| {
                go(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    for round in 0..20_u8 {
                        let mut answer = [0; 2];
                        stream.write_all(&[n, round]).unwrap();
                        stream.read_exact(&mut answer).unwrap();
                        assert_eq!(answer, [n, round]);
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(server.join().unwrap(), 100 * 20 * 2);
    });
}

#[test]
fn one_goroutine_reads_while_another_writes_the_same_stream() {
    in_goroutines(|_| {
        let (client, server) = pair();
        let (client, server) = (Arc::new(client), Arc::new(server));
        let echo = go(move || std::io::copy(&mut &*server, &mut &*server));
        let reader = Arc::clone(&client);
        let reads = go(move || {
            let mut all = Vec::new();
            (&*reader).read_to_end(&mut all).unwrap();
            all.len()
        });
        for _ in 0..200 {
            (&*client).write_all(&[7; 5000]).unwrap();
        }
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(reads.join().unwrap(), 1_000_000);
        assert_eq!(echo.join().unwrap().unwrap(), 1_000_000);
    });
}

#[test]
fn a_half_that_is_shut_down_reads_as_the_end_and_the_other_goes_on() {
    in_goroutines(|_| {
        let (mut client, mut server) = pair();
        let waits = go(move || {
            let mut all = Vec::new();
            server.read_to_end(&mut all).unwrap();
            server.write_all(b"still here").unwrap();
            all
        });
        client.write_all(b"the end").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "still here");
        assert_eq!(waits.join().unwrap(), b"the end");
        assert_eq!(kind(client.write(b"more")), ErrorKind::BrokenPipe);
    });
}

#[test]
fn shutting_down_one_duplicate_wakes_who_reads_from_another() {
    in_goroutines(|_| {
        let (client, _server) = pair();
        let duplicate = client.try_clone().unwrap();
        let reads = go(move || (&client).read(&mut [0; 8]).unwrap());
        selvedge::yield_now();
        duplicate.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reads.join().unwrap(), 0);
    });
}

#[test]
fn a_duplicate_that_is_dropped_leaves_the_other_waiting_and_well() {
    in_goroutines(|_| {
        let (client, mut server) = pair();
        let duplicate = client.try_clone().unwrap();
        let reads = go(move || {
            let mut buffer = [0; 8];
            let length = (&client).read(&mut buffer).unwrap();
            buffer[..length].to_vec()
        });
        // It waits too, so both are registered.
        let token = CancelToken::with_timeout(Duration::from_millis(1));
        assert_eq!(kind(duplicate.read_cancel(&mut [0], &token)), ErrorKind::TimedOut);
        drop(duplicate);
        server.write_all(b"well").unwrap();
        assert_eq!(reads.join().unwrap(), b"well");
    });
}

#[test]
fn a_reset_ends_reads_and_writes_that_wait() {
    in_goroutines(|_| {
        let (client, server) = pair();
        let server = Arc::new(server);
        let other = Arc::clone(&server);
        let reads = go(move || kind((&*other).read(&mut [0; 8])));
        let writes = go(move || {
            loop {
                if let Err(error) = (&*server).write(&[0; 65536]) {
                    return error.kind();
                }
            }
        });
        selvedge::yield_now();
        // With bytes unread, and no lingering, the end of a socket is a reset.
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        let reset = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(reset.contains(&writes.join().unwrap()));
        // Of two who wait, one is told of the error, and the other of the end.
        let _ = reads.join();
    });
}

#[test]
fn a_connection_that_is_refused_says_so() {
    in_goroutines(|_| {
        let (listener, address) = listener();
        drop(listener);
        assert_eq!(kind(TcpStream::connect(address)), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn several_accept_from_one_listener() {
    in_goroutines(|_| {
        let (listener, address) = listener();
        let listener = Arc::new(listener);
        let accepts: Vec<_> = (0..4)
            .map(|_| {
                let listener = Arc::clone(&listener);
                go(move || (0..10).for_each(|_| drop(listener.accept().unwrap())))
            })
            .collect();
        let clients: Vec<_> = (0..40)
            .map(|_| go(move || TcpStream::connect(address).unwrap().read(&mut [0]).unwrap()))
            .collect();
        accepts.into_iter().for_each(|one| one.join().unwrap());
        clients.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), 0));
    });
}

#[test]
fn options_peeks_and_vectors_are_those_of_std() {
    in_goroutines(|_| {
        let (client, server) = pair();
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        client.set_ttl(42).unwrap();
        assert_eq!(client.ttl().unwrap(), 42);
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
        assert!(client.take_error().unwrap().is_none());
        let waits = go(move || {
            let mut peeked = [0; 2];
            assert_eq!(server.peek(&mut peeked).unwrap(), 2);
            assert_eq!(&peeked, b"ab");
            eventually("all has arrived", || server.peek(&mut [0; 8]).unwrap() == 6);
            let (mut one, mut other) = ([0; 4], [0; 4]);
            let parts = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
            assert_eq!((&server).read_vectored(parts).unwrap(), 6);
            assert_eq!((&one, &other[..2]), (b"abcd", &b"ef"[..]));
        });
        let parts = [IoSlice::new(b"abc"), IoSlice::new(b"def")];
        assert_eq!((&client).write_vectored(&parts).unwrap(), 6);
        waits.join().unwrap();
    });
}

#[test]
fn an_end_or_urgent_bytes_behind_a_short_read_are_seen() {
    in_goroutines(|_| {
        for round in 0..20 {
            let (client, mut server) = pair();
            let reads = go(move || {
                let mut all = Vec::new();
                let mut buffer = [0; 64];
                while all.len() < 6 {
                    let length = server.read(&mut buffer).unwrap();
                    all.extend_from_slice(&buffer[..length]);
                }
                // The client waits for this before it goes on: nothing else will come.
                server.write_all(b"!").unwrap();
                assert_eq!(server.read(&mut buffer).unwrap(), if round % 2 == 0 { 0 } else { 3 });
                all
            });
            selvedge::yield_now();
            (&client).write_all(b"abc").unwrap();
            // A read ends before the urgent byte, though there is more behind it.
            socket2::SockRef::from(&client).send_out_of_band(b"x").unwrap();
            (&client).write_all(b"def").unwrap();
            (&client).read_exact(&mut [0]).unwrap();
            if round % 2 == 0 {
                client.shutdown(Shutdown::Write).unwrap();
            } else {
                // Bytes and the end at once: the short read that gives the bytes has seen neither.
                (&client).write_all(b"end").unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
            assert_eq!(reads.join().unwrap(), b"abcdef");
        }
        for _ in 0..20 {
            let (client, mut server) = pair();
            let reads = go(move || {
                let mut all = Vec::new();
                server.read_to_end(&mut all).unwrap();
                all
            });
            selvedge::yield_now();
            (&client).write_all(b"all").unwrap();
            drop(client);
            assert_eq!(reads.join().unwrap(), b"all");
        }
    });
}

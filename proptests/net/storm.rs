//! Many short connections, and an end in the midst of them; and whatever else keeps workers busy.

use crate::common::{ALL, alone, eventually, finish};
use crate::support::{listener, pair};
use selvedge::net::{TcpListener, TcpStream};
use selvedge::{CancelToken, Runtime, blocking, go, scope, try_go};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// Serves until the token is cancelled: each connection a greeting.
fn serve(listener: &TcpListener, token: &CancelToken) -> usize {
    let mut served = 0;
    while let Ok((mut stream, _)) = listener.accept_cancel(token) {
        served += 1;
        // A client that has gone is none of our concern; nor is one that comes when all ends.
        drop(try_go(move || drop(stream.write_all(b"hello"))));
    }
    served
}

fn visit(address: SocketAddr) {
    let mut greeting = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "hello");
}

#[test]
fn a_storm_of_short_connections_leaves_nothing_behind() {
    alone(|| {
        for placement in ALL {
            let runtime: Runtime = placement.runtime(2);
            runtime.run(visit_once);
            let before = open_files();
            runtime.run(|| {
                let (listener, address) = listener();
                let token = CancelToken::new();
                let own = token.clone();
                let server = go(move || serve(&listener, &own));
                (0..500).for_each(|_| visit(address));
                scope(|s| {
                    (0..100).for_each(|_| drop(s.go(|| (0..5).for_each(|_| visit(address)))))
                });
                token.cancel();
                assert_eq!(server.join().unwrap(), 1000);
            });
            eventually("every socket is closed", || open_files() <= before);
            finish(runtime);
        }
    });
}

fn visit_once() {
    let (listener, address) = listener();
    let client = go(move || visit(address));
    listener.accept().unwrap().0.write_all(b"hello").unwrap();
    client.join().unwrap();
}

#[test]
fn a_shutdown_amid_a_storm_says_who_is_left() {
    alone(|| {
        for placement in ALL {
            let runtime: Runtime = placement.runtime(2);
            let (listener, address) = listener();
            let visits = Arc::new(AtomicUsize::new(0));
            let server = runtime.go(move || serve(&listener, &CancelToken::new()));
            for _ in 0..20 {
                let visits = Arc::clone(&visits);
                drop(runtime.go(move || {
                    loop {
                        visit(address);
                        visits.fetch_add(1, Ordering::SeqCst);
                    }
                }));
            }
            eventually("they visit", || visits.load(Ordering::SeqCst) > 100);
            let error = runtime.shutdown(Duration::from_millis(10)).unwrap_err();
            // The server, those of the twenty that have not seen the end, and whom it had begun to serve.
            assert!(error.remaining().len() > 10, "{error}");
            assert!(server.join().is_err());
        }
    });
}

#[test]
fn sockets_are_attended_to_while_goroutines_block_their_kernel_threads() {
    alone(|| {
        for placement in ALL {
            for announced in [true, false] {
                let runtime: Runtime = placement.runtime(2);
                let (release, wait) = mpsc::channel::<()>();
                let wait = Arc::new(std::sync::Mutex::new(wait));
                let begun = Arc::new(AtomicUsize::new(0));
                let blocked: Vec<_> = (0..8)
                    .map(|_| {
                        let (wait, begun) = (Arc::clone(&wait), Arc::clone(&begun));
                        runtime.go(move || {
                            let block = || {
                                begun.fetch_add(1, Ordering::SeqCst);
                                let _ = wait.lock().unwrap().recv();
                            };
                            if announced { blocking(block) } else { block() }
                        })
                    })
                    .collect();
                // Each has a kernel thread to itself: none will begin where those below are at home.
                eventually("all are blocked", || begun.load(Ordering::SeqCst) == 8);
                let echoes = runtime.go(|| {
                    let (mut client, server) = pair();
                    let serves = go(move || std::io::copy(&mut &server, &mut &server).unwrap());
                    for n in 0..50_u8 {
                        client.write_all(&[n]).unwrap();
                        client.read_exact(&mut [0]).unwrap();
                    }
                    drop(client);
                    serves.join().unwrap()
                });
                assert_eq!(echoes.join().unwrap(), 50);
                drop(release);
                blocked.into_iter().for_each(|one| one.join().unwrap());
                finish(runtime);
            }
        }
    });
}

#[test]
fn sockets_are_attended_to_while_goroutines_compute() {
    alone(|| {
        for placement in ALL {
            let runtime: Runtime = placement.runtime(2);
            let stop = Arc::new(AtomicUsize::new(0));
            let own = Arc::clone(&stop);
            let computes = runtime.go(move || {
                while own.load(Ordering::Relaxed) == 0 {
                    std::hint::spin_loop();
                }
            });
            let echoes = runtime.go(|| {
                let (mut client, server) = pair();
                let serves = go(move || std::io::copy(&mut &server, &mut &server).unwrap());
                for n in 0..50_u8 {
                    client.write_all(&[n]).unwrap();
                    client.read_exact(&mut [0]).unwrap();
                }
                drop(client);
                serves.join().unwrap()
            });
            assert_eq!(echoes.join().unwrap(), 50);
            stop.store(1, Ordering::Relaxed);
            computes.join().unwrap();
            finish(runtime);
        }
    });
}

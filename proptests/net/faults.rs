//! Too many open files, `no_suspend`, simulations, and goroutines that are left waiting.

use crate::common::{ALL, beside, panic_of};
use crate::support::{listener, pair};
use selvedge::net::{TcpListener, TcpStream};
use selvedge::{Runtime, Spawn, go};
use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

const CHILD: &str = "SELVEDGE_CHILD";

/// Runs `body` in a child process, and checks that it succeeds there.
fn in_child(test: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some_and(|name| name == test) {
        return body();
    }
    let child = Command::new(std::env::current_exe().expect("the test program"))
        .args([&format!("faults::{test}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .output()
        .expect("a child");
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
}

fn limit_files(most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: a limit of this process's own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

fn cpu_time() -> Duration {
    // SAFETY: all zeros are a time.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the time is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn with_too_many_open_files_accept_says_so_and_loses_nothing() {
    beside(|| {
        in_child("with_too_many_open_files_accept_says_so_and_loses_nothing", || {
            limit_files(64);
            for placement in ALL {
                placement.runtime(2).run(too_many_files);
            }
        });
    });
}

fn too_many_files() {
    let (listener, address) = listener();
    // Warm: the poller has its own descriptors.
    let warm = go(move || TcpStream::connect(address).unwrap());
    drop((listener.accept().unwrap(), warm.join().unwrap()));
    let clients: Vec<_> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    let accepts = go(move || {
        let (mut served, mut refused) = (0, 0);
        while served < 8 {
            match listener.accept() {
                Ok((mut stream, _)) => {
                    stream.write_all(b"x").unwrap();
                    served += 1;
                }
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                    refused += 1;
                    selvedge::time::sleep(Duration::from_millis(5));
                }
            }
        }
        refused
    });
    let (start, before) = (Instant::now(), cpu_time());
    selvedge::time::sleep(Duration::from_millis(100));
    let spent = cpu_time() - before;
    assert!(spent < start.elapsed() / 2, "it spins: {spent:?}");
    drop(hoard);
    for mut client in clients {
        client.read_exact(&mut [0]).unwrap();
    }
    assert!(accepts.join().unwrap() > 0);
}

#[test]
fn waiting_inside_no_suspend_is_a_panic_and_what_is_ready_is_not() {
    beside(|| {
        for placement in ALL {
            placement.runtime(1).run(|| {
                let (client, mut server) = pair();
                let said = panic_of(|| selvedge::no_suspend(|| (&client).read(&mut [0])));
                assert!(said.contains("no_suspend"), "{said}");
                server.write_all(b"a").unwrap();
                selvedge::no_suspend(|| (&client).read(&mut [0])).unwrap();
            });
        }
    });
}

#[test]
fn a_simulation_has_no_sockets_and_says_so() {
    let ran = selvedge::model::try_simulate(1, || TcpListener::bind("127.0.0.1:0").is_ok());
    let said = ran.expect_err("it should have failed").to_string();
    assert!(said.contains("selvedge::net in a model"), "{said}");
}

#[test]
fn who_is_left_waiting_for_a_socket_is_named() {
    beside(|| {
        for placement in ALL {
            let runtime: Runtime = placement.runtime(2);
            let (client, server) = pair();
            let reads = move || drop((&client).read(&mut [0]));
            let waits = runtime.go_with(Spawn::new().name("reader"), reads).unwrap();
            drop(waits);
            let error = runtime.shutdown(Duration::from_millis(20)).unwrap_err();
            let left = &error.remaining()[0];
            assert_eq!(left.name.as_deref(), Some("reader"));
            if let Some(place) = left.place {
                assert!(place.file().ends_with("faults.rs"), "{place}");
            }
            drop(server);
        }
    });
}

#[test]
fn sockets_that_are_dropped_while_unwinding_are_well() {
    struct Farewell(TcpStream);
    impl Drop for Farewell {
        fn drop(&mut self) {
            // Waits beneath the panic, in place.
            let _ = self.0.read(&mut [0]);
            let _ = self.0.write_all(b"bye");
        }
    }
    beside(|| {
        for placement in ALL {
            let runtime = placement.runtime(2);
            let (client, mut server) = pair();
            let dies = runtime.go(move || {
                let _farewell = Farewell(client);
                panic!("on purpose");
            });
            server.write_all(b"?").unwrap();
            let mut said = String::new();
            server.read_to_string(&mut said).unwrap();
            assert_eq!(said, "bye");
            assert!(dies.join().is_err());
        }
    });
}

//! Descriptors of the runtime's that somebody closes, as daemonizing libraries do.

use crate::twin;
use selvedge::net::{TcpListener, TcpStream};
use selvedge::signal::{SIGUSR1, Signals};
use selvedge::{Runtime, time};
use std::io::Read;
use std::time::Duration;

fn close_all() {
    // SAFETY: closes what is not the caller's: that is what is tested.
    assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) }, 0);
}

#[test]
fn without_the_poller_s_descriptors_the_end_says_what_was_taken() {
    const TEST: &str = "descriptors::without_the_poller_s_descriptors_the_end_says_what_was_taken";
    let ended = twin::process(TEST, || {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        runtime.run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            assert!((&stream).read(&mut [0]).is_err(), "it has waited, so there is a poller");
            // Their numbers are about to be nobody's.
            std::mem::forget((listener, stream));
        });
        close_all();
        // Somebody sleeps at the sockets, or is about to.
        runtime.run(|| time::sleep(Duration::from_millis(20)));
        runtime.run(|| time::sleep(Duration::from_millis(20)));
    });
    ended.refused(&["the environment took away the ", "close none but your own file descriptors"]);
}

#[test]
fn without_the_pipe_of_signals_the_end_says_what_was_taken() {
    const TEST: &str = "descriptors::without_the_pipe_of_signals_the_end_says_what_was_taken";
    let ended = twin::process(TEST, || {
        let signals = Signals::new([SIGUSR1]).unwrap();
        close_all();
        let _ = signals.recv();
    });
    ended.refused(&["the environment took away the pipe by which signals arrive"]);
}

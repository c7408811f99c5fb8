//! Forks: a child that uses its parent's runtime is told so at once; one that builds its own is served.

use crate::common::{eventually, message, panic_of};
use crate::twin;
use selvedge::net::{TcpListener, TcpStream};
use selvedge::process::Command;
use selvedge::signal::{SIGTERM, SIGUSR1, Signals};
use selvedge::{JoinHandle, Runtime, Spawn, SpawnErrorKind, chan, go, time};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

const SAID: &str = "a runtime does not outlive fork";

/// How a child ended: its exit code, or the number of the signal that ended it, negative.
type End = i32;

/// Forks, and has the child run `child` and exit by what that returns; 101 if it panics. In the parent,
/// returns the child's id.
fn fork(child: impl FnOnce() -> i32) -> libc::pid_t {
    // SAFETY: what the child calls is what these tests are about.
    let id = unsafe { libc::fork() };
    assert!(id >= 0);
    if id == 0 {
        // SAFETY: takes no pointer. A child that hangs is ended.
        unsafe { libc::alarm(20) };
        let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or_else(|payload| {
            eprintln!("the child panicked: {}", message(&*payload));
            101
        });
        // SAFETY: ends the child, without the parent's destructors.
        unsafe { libc::_exit(code) };
    }
    id
}

fn await_end(id: libc::pid_t) -> End {
    let mut status = 0;
    // SAFETY: a place for the answer.
    assert_eq!(unsafe { libc::waitpid(id, &mut status, 0) }, id);
    if libc::WIFSIGNALED(status) { -libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

fn forked(child: impl FnOnce() -> i32) -> End {
    await_end(fork(child))
}

/// Everything global has been used: the alarm, the dispatcher of signals, the starter of children.
fn use_everything(runtime: &Runtime) {
    selvedge::block_on(time::sleep_async(Duration::from_micros(1)));
    let signals = Signals::new([SIGUSR1]).unwrap();
    // SAFETY: raises a signal that is handled.
    assert_eq!(unsafe { libc::raise(SIGUSR1) }, 0);
    assert_eq!(signals.recv(), Ok(SIGUSR1));
    runtime.run(|| {
        assert!(Command::new("true").status().unwrap().success());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let echo = go(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
        });
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        echo.join().unwrap();
        time::sleep(Duration::from_micros(1));
        assert_eq!(selvedge::blocking(|| 5), 5);
    });
}

#[test]
fn a_child_that_uses_the_runtime_is_told() {
    let ended = twin::process("fork::a_child_that_uses_the_runtime_is_told", || {
        let runtime = Runtime::builder().processors(2).build().unwrap();
        let done = runtime.go(|| 7);
        eventually("it is done", || done.is_finished());
        let (stop, stopped) = chan::bounded::<()>(1);
        let waits = runtime.go(move || stopped.recv().is_err());
        let end = forked(|| {
            let told = |what: &str, text: String| {
                assert!(text.starts_with(what) && text.contains(SAID), "{what}: {text:?}");
            };
            assert_eq!(done.join().unwrap(), 7, "what is there already can be had");
            told("run: ", panic_of(|| runtime.run(|| ())));
            told("go: ", panic_of(|| runtime.go(|| ())));
            let error = runtime.go_with(Spawn::new(), || 5).unwrap_err();
            assert_eq!((error.kind(), error.into_closure()()), (SpawnErrorKind::Forked, 5));
            told("metrics: ", panic_of(|| runtime.metrics()));
            assert!(format!("{runtime:?}").contains("forked"));
            told("set_processors: ", panic_of(|| runtime.set_processors(1)));
            assert!(!waits.is_finished());
            // For nobody who is here.
            waits.goroutine().unpark();
            told("join: ", panic_of(|| waits.join_timeout(Duration::ZERO)));
            // Whoever waits without a limit waits for the parent's goroutines, as it seems.
            told("park: ", panic_of(selvedge::park));
            let (_never, silent) = chan::bounded::<()>(1);
            told("a wait without a limit: ", panic_of(|| silent.recv()));
            assert!(silent.recv_timeout(Duration::from_millis(1)).is_err());
            told("shutdown: ", panic_of(|| runtime.shutdown(Duration::ZERO)));
            43
        });
        assert_eq!(end, 43);
        drop(stop);
    });
    ended.well();
}

#[test]
fn dropping_the_runtime_in_a_child_is_no_matter() {
    let ended = twin::process("fork::dropping_the_runtime_in_a_child_is_no_matter", || {
        let runtime = Runtime::builder().processors(2).build().unwrap();
        let sleeper = runtime.go(|| time::sleep(Duration::MAX));
        let end = forked(|| {
            drop(sleeper);
            drop(runtime);
            44
        });
        assert_eq!(end, 44);
    });
    ended.well();
}

/// Memory that a child of a fork shares.
fn shared_count() -> &'static AtomicU32 {
    let (rights, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, wherever the kernel likes.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, rights, flags, -1, 0) };
    assert_ne!(place, libc::MAP_FAILED);
    // SAFETY: zeroed memory that is never unmapped.
    unsafe { &*place.cast::<AtomicU32>() }
}

#[test]
fn a_goroutine_that_forks_is_none_in_the_child_and_its_neighbours_stay_in_the_parent() {
    const TEST: &str =
        "fork::a_goroutine_that_forks_is_none_in_the_child_and_its_neighbours_stay_in_the_parent";
    let ended = twin::process(TEST, || {
        let strangers = shared_count();
        let runtime = Runtime::builder().processors(1).build().unwrap();
        let parent = std::process::id();
        let end = runtime.run(|| {
            let neighbour = go(move || {
                strangers.fetch_add(u32::from(std::process::id() != parent), SeqCst);
            });
            let end = forked(|| {
                assert_eq!(selvedge::try_go(|| ()).unwrap_err().kind(), SpawnErrorKind::Forked);
                assert!(panic_of(|| go(|| ())).contains(SAID));
                assert!(panic_of(|| neighbour.join()).contains(SAID));
                assert!(panic_of(selvedge::park).contains(SAID));
                assert_eq!(selvedge::current().id(), None);
                selvedge::yield_now();
                // It may go on by itself, as a plain thread.
                time::sleep(Duration::from_millis(1));
                assert_eq!(selvedge::blocking(|| 3), 3);
                45
            });
            go(|| ()).join().unwrap();
            end
        });
        assert_eq!((end, strangers.load(SeqCst)), (45, 0));
    });
    ended.well();
}

#[test]
fn a_goroutine_that_comes_to_its_end_in_the_child_ends_the_child_with_a_word() {
    const TEST: &str =
        "fork::a_goroutine_that_comes_to_its_end_in_the_child_ends_the_child_with_a_word";
    let ended = twin::process(TEST, || {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        let parent = std::process::id();
        // SAFETY: the child does no more than to return.
        let id = runtime.run(|| unsafe { libc::fork() });
        assert_eq!(std::process::id(), parent, "the child does not come back here");
        assert_eq!(await_end(id), -libc::SIGABRT);
    });
    ended.well();
    assert!(ended.stderr.contains("came to its end"), "{}", ended.all());
    assert!(ended.stderr.contains(SAID), "{}", ended.all());
}

#[test]
fn a_scope_in_which_the_child_was_forked_ends_it_with_a_word() {
    const TEST: &str = "fork::a_scope_in_which_the_child_was_forked_ends_it_with_a_word";
    let ended = twin::process(TEST, || {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        let id = runtime.run(|| {
            selvedge::scope(|scope| {
                scope.go(|| ());
                // SAFETY: the child does no more than to return.
                unsafe { libc::fork() }
            })
        });
        assert_eq!(await_end(id), -libc::SIGABRT);
    });
    ended.well();
    assert!(ended.stderr.contains("the end of a scope"), "{}", ended.all());
}

#[test]
fn a_fork_in_blocking_goes_on_in_place_and_says_so_on_a_helper() {
    const TEST: &str = "fork::a_fork_in_blocking_goes_on_in_place_and_says_so_on_a_helper";
    let ended = twin::process(TEST, || {
        // SAFETY: nothing here relies on nesting where it suspends. Isolated goroutines need no helper.
        let runtime = unsafe { Runtime::builder().processors(1).build_anchored() }.unwrap();
        let parent = std::process::id();
        // SAFETY, here and below: the child does no more than is said here.
        let in_place = runtime.run(|| {
            // SAFETY: as above.
            let id = selvedge::blocking(|| unsafe { libc::fork() });
            if std::process::id() != parent {
                // SAFETY: ends the child.
                unsafe { libc::_exit(46) };
            }
            await_end(id)
        });
        assert_eq!(in_place, 46);
        let on_helper = runtime.run(|| {
            let (begun, begins) = chan::bounded(1);
            let neighbour = go(move || {
                begun.send(()).unwrap();
                selvedge::park();
            });
            begins.recv().unwrap();
            // SAFETY: as above.
            let id = selvedge::blocking(|| unsafe { libc::fork() });
            assert_eq!(std::process::id(), parent, "the child does not come back here");
            neighbour.goroutine().unpark();
            neighbour.join().unwrap();
            await_end(id)
        });
        assert_eq!(on_helper, -libc::SIGABRT);
    });
    ended.well();
    assert!(ended.stderr.contains("a closure in `blocking`"), "{}", ended.all());
}

#[test]
fn a_child_builds_a_runtime_of_its_own() {
    let ended = twin::process("fork::a_child_builds_a_runtime_of_its_own", || {
        let runtime = Runtime::builder().processors(2).build().unwrap();
        use_everything(&runtime);
        let own = || {
            let runtime = Runtime::builder().processors(2).build().unwrap();
            use_everything(&runtime);
            let (forth, there) = chan::bounded(1);
            let sender = runtime.go(move || forth.send(9).unwrap());
            assert_eq!(there.recv(), Ok(9), "a wait without a limit has somebody to wait for");
            sender.join().unwrap();
            runtime.shutdown(Duration::from_secs(10)).unwrap();
            47
        };
        assert_eq!(forked(own), 47);
        // From a goroutine, whose stack is a small one; and by a child of a child.
        assert_eq!(runtime.run(|| forked(own)), 47);
        assert_eq!(forked(|| forked(own)), 47);
        use_everything(&runtime);
    });
    ended.well();
}

/// The two have the kernel's poller in common.
#[test]
fn what_a_child_drops_stays_registered_in_the_parent() {
    let ended = twin::process("fork::what_a_child_drops_stays_registered_in_the_parent", || {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        runtime.run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut other, _) = listener.accept().unwrap();
            // It is registered once somebody has waited.
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            assert!((&stream).read(&mut [0]).is_err());
            stream.set_read_timeout(None).unwrap();
            let own = std::cell::Cell::new(Some(stream));
            let end = forked(|| {
                drop(own.take());
                48
            });
            assert_eq!(end, 48);
            let mut stream = own.take().unwrap();
            let reader: JoinHandle<u8> = go(move || {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                byte[0]
            });
            // It waits.
            time::sleep(Duration::from_millis(1));
            other.write_all(b"y").unwrap();
            assert_eq!(reader.join().unwrap(), b'y');
        });
    });
    ended.well();
}

#[test]
fn a_signal_has_its_default_effect_in_a_child_that_does_not_listen() {
    const TEST: &str = "fork::a_signal_has_its_default_effect_in_a_child_that_does_not_listen";
    let ended = twin::process(TEST, || {
        let signals = Signals::new([SIGTERM]).unwrap();
        let raise = || {
            // SAFETY: raises a signal.
            assert_eq!(unsafe { libc::raise(SIGTERM) }, 0);
        };
        let deaf = forked(|| {
            raise();
            49
        });
        assert_eq!(deaf, -SIGTERM);
        let listening = forked(|| {
            let own = Signals::new([SIGTERM]).unwrap();
            raise();
            assert_eq!(own.recv_timeout(Duration::from_secs(10)), Ok(SIGTERM));
            50
        });
        assert_eq!(listening, 50);
        raise();
        assert_eq!(signals.recv(), Ok(SIGTERM));
    });
    ended.well();
}

//! Foreign code that needs a process of its own: it ends the process, from wherever we call it; or it is the panic
//! hook of the process. Each test runs itself again in a child.

use crate::common::{Gate, Placement, beside, eventually, panic_of};
use selvedge::chan::bounded;
use selvedge::sync::{Barrier, Semaphore};
use selvedge::{
    Builder, Runtime, block_on, blocking, go, goroutine_local, no_suspend, select, time,
};
use std::cell::RefCell;
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::process::{Command, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

const CHILD: &str = "SELVEDGE_CHILD";
const CODE: i32 = 43;
const AGES: Duration = Duration::from_secs(60);

/// This test in a child process, which does `part`: how it ended. `None`: this is the child.
fn child(test: &str, part: usize) -> Option<Option<i32>> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let mut child = Command::new(std::env::current_exe().expect("the test program"))
        .args([&format!("exits::{test}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, part.to_string())
        .spawn()
        .expect("a child");
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return Some(status.code());
        }
        if start.elapsed() > AGES {
            child.kill().expect("it is there");
            panic!("part {part} hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn part() -> usize {
    std::env::var(CHILD).expect("this is the child").parse().expect("a number")
}

struct Exits;

impl Drop for Exits {
    fn drop(&mut self) {
        exit(CODE);
    }
}

impl Wake for Exits {
    fn wake(self: Arc<Self>) {
        exit(CODE);
    }
}

goroutine_local! { static EXITS: Exits = Exits; }
thread_local! { static AT_END: RefCell<Option<Exits>> = const { RefCell::new(None) }; }

fn poll_pending(future: Pin<&mut impl Future>) {
    let waker = Waker::from(Arc::new(Exits));
    let pending = future.poll(&mut Context::from_waker(&waker)).is_pending();
    // Its last copy is the future's.
    assert!(pending);
}

fn stuck() -> (Runtime, Arc<AtomicBool>) {
    let builder = Runtime::builder().processors(1).max_processors(1).max_threads(1);
    let runtime = Placement::Anchored.build(builder.max_goroutines(100));
    let end = Arc::new(AtomicBool::new(false));
    let (begun, e) = (Arc::new(AtomicBool::new(false)), Arc::clone(&end));
    let b = Arc::clone(&begun);
    drop(runtime.go(move || {
        b.store(true, SeqCst);
        while !e.load(SeqCst) {
            std::hint::spin_loop();
        }
    }));
    eventually("it keeps the only thread", || begun.load(SeqCst));
    (runtime, end)
}

/// The places from which it exits.
const PARTS: [fn(); 11] = [
    || drop(runtime().go(|| exit(CODE)).join()),
    || drop(runtime().go(|| EXITS.with(|_| ())).join()),
    || {
        // A result that nobody asks for.
        runtime().run(|| {
            drop(go(|| Exits));
            loop {
                selvedge::yield_now();
            }
        });
    },
    || {
        // The waker of a task that awaits a goroutine.
        let runtime = runtime();
        let gate = Arc::new(Gate::default());
        let waits = Arc::clone(&gate);
        let mut awaited = runtime.go(move || waits.pass()).into_future();
        poll_pending(Pin::new(&mut awaited));
        gate.open();
        loop {
            std::thread::park();
        }
    },
    || {
        // On the alarm's thread.
        let mut sleeps = pin!(time::sleep_async(Duration::from_millis(1)));
        poll_pending(sleeps.as_mut());
        block_on(time::sleep_async(AGES));
    },
    || {
        let (tx, rx) = bounded(1);
        let mut receives = pin!(rx.recv_async());
        poll_pending(receives.as_mut());
        runtime().run(move || tx.send(1).unwrap());
    },
    || {
        // A closure that never begins.
        let (runtime, _end) = stuck();
        let exits = Exits;
        drop(runtime.go(move || drop(exits)));
        drop(runtime);
    },
    || runtime().run(|| blocking(|| exit(CODE))),
    || {
        // The hook of the watchdog. With one worker, whoever has begun has its home there.
        let builder = Runtime::builder().processors(1).max_threads(1).watchdog(|_| exit(CODE));
        Placement::Anchored.build(builder).run(|| {
            let begun = Arc::new(AtomicBool::new(false));
            let b = Arc::clone(&begun);
            drop(go(move || {
                loop {
                    b.store(true, SeqCst);
                    selvedge::yield_now();
                }
            }));
            eventually("it has its home", || begun.load(SeqCst));
            loop {
                std::hint::spin_loop();
            }
        });
    },
    || {
        // A thread-local of a worker, while that is waited for.
        let runtime = runtime();
        runtime.go(|| AT_END.set(Some(Exits))).join().unwrap();
        drop(runtime);
    },
    || {
        // What is left in a channel.
        let (tx, rx) = bounded(1);
        assert!(tx.send(Exits).is_ok());
        runtime().run(|| drop(rx));
    },
];

fn runtime() -> Runtime {
    Builder::new().processors(2).max_goroutines(100).build().unwrap()
}

#[test]
fn foreign_code_may_exit_from_wherever_it_is_called() {
    const NAME: &str = "foreign_code_may_exit_from_wherever_it_is_called";
    beside(|| {
        for part in 0..PARTS.len() {
            match child(NAME, part) {
                Some(code) => assert_eq!(code, Some(CODE), "part {part}"),
                None => return PARTS[self::part()](),
            }
        }
    });
}

/// Each panics because the caller may not wait, or has asked for too much; and the hook uses the very thing.
#[test]
fn a_panic_hook_may_use_what_the_panic_is_about() {
    const NAME: &str = "a_panic_hook_may_use_what_the_panic_is_about";
    beside(|| {
        match child(NAME, 0) {
            Some(code) => return assert_eq!(code, Some(0)),
            None => std::panic::set_hook(Box::new(|_| HOOK.with_borrow(|hook| hook()))),
        }
        let calls = Arc::new(AtomicUsize::new(0));
        let hook = |act: Box<dyn Fn()>| {
            let calls = Arc::clone(&calls);
            HOOK.set(Box::new(move || {
                act();
                calls.fetch_add(1, SeqCst);
            }));
        };
        runtime().run(|| refused(hook));
        assert_eq!(calls.load(SeqCst), 6);
        drop(std::panic::take_hook());
    });
}

type Hook = Box<dyn Fn()>;

thread_local! { static HOOK: RefCell<Hook> = RefCell::new(Box::new(|| ())); }

fn refused(hook: impl Fn(Hook)) {
    let (tx, rx) = bounded::<u32>(1);
    let gives = |value| {
        let tx = tx.clone();
        Box::new(move || tx.try_send(value).unwrap())
    };
    let takes = |value| {
        let rx = rx.clone();
        Box::new(move || assert_eq!(rx.try_recv(), Ok(value)))
    };
    hook(gives(1));
    panic_of(|| no_suspend(|| rx.recv()));
    hook(takes(1));
    panic_of(|| no_suspend(|| tx.send(2)));
    hook(gives(3));
    panic_of(|| no_suspend(|| select! { recv(rx) -> _ => () }));
    hook(takes(3));
    panic_of(|| no_suspend(|| select! { send(tx, 4) -> _ => () }));
    let barrier = Arc::new(Barrier::new(2));
    let own = Arc::clone(&barrier);
    hook(Box::new(move || {
        // On another thread, since this one may not wait.
        let waits = || assert!(own.wait_timeout(Duration::from_millis(1)).is_err());
        std::thread::scope(|s| drop(s.spawn(waits)));
    }));
    panic_of(|| no_suspend(|| barrier.wait()));
    let semaphore = Arc::new(Semaphore::new(1));
    let own = Arc::clone(&semaphore);
    hook(Box::new(move || own.add_permits(1)));
    panic_of(|| semaphore.add_permits(usize::MAX));
}

//! System calls that are refused while a runtime runs, as by a sandbox that a program enters once it has
//! begun.

use crate::filter::{self, Rule};
use crate::twin;
use selvedge::{Runtime, chan, go, time};
use std::time::{Duration, Instant};

fn refuse(names: &[&str]) {
    let rules: Vec<_> = names.iter().map(|name| Rule::of(name).expect("a known call")).collect();
    filter::refuse(&rules).expect("the kernel takes a filter");
}

/// What asks for the asymmetric fence: channels that have come to be one worker's own and are taken from
/// it; processors that are taken from goroutines that sleep in the kernel; a drain.
fn use_fences(runtime: &Runtime, owned: &[chan::Sender<u32>], others: &[chan::Receiver<u32>]) {
    runtime.run(|| {
        let sleeper = go(|| std::thread::sleep(Duration::from_millis(5)));
        let hog = go(|| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(30) {}
        });
        let count = || go(|| (0..100).for_each(|_| selvedge::yield_now()));
        let counts: Vec<_> = (0..20).map(|_| count()).collect();
        counts.into_iter().for_each(|count| count.join().unwrap());
        sleeper.join().unwrap();
        hog.join().unwrap();
        time::sleep(Duration::from_micros(100));
    });
    // By threads that are no workers: whoever owns a channel loses it.
    for (sender, receiver) in owned.iter().zip(others) {
        let (sender, own) = (sender.clone(), receiver.clone());
        let thread = std::thread::spawn(move || (0..1000).for_each(|n| sender.send(n).unwrap()));
        (0..1000).for_each(|n| assert_eq!(own.recv(), Ok(n)));
        thread.join().unwrap();
    }
}

/// Channels that their worker has locked so often that they are its own.
fn owned(runtime: &Runtime) -> (Vec<chan::Sender<u32>>, Vec<chan::Receiver<u32>>) {
    let pairs: (Vec<_>, Vec<_>) = (0..8).map(|_| chan::bounded::<u32>(1)).unzip();
    let (senders, receivers) = pairs.clone();
    runtime.run(|| {
        for (sender, receiver) in senders.iter().zip(&receivers) {
            for n in 0..2000 {
                sender.send(n).unwrap();
                assert_eq!(receiver.recv(), Ok(n));
            }
        }
    });
    pairs
}

#[test]
fn without_membarrier_from_now_on_everything_goes_on() {
    let ended = twin::process("sandbox::without_membarrier_from_now_on_everything_goes_on", || {
        let runtime = Runtime::builder().processors(2).build().unwrap();
        let (senders, receivers) = owned(&runtime);
        let (first, later) = senders.split_at(4);
        use_fences(&runtime, first, &receivers);
        refuse(&["membarrier"]);
        for _ in 0..3 {
            use_fences(&runtime, later, &receivers[4..]);
            use_fences(&runtime, first, &receivers);
        }
        runtime.shutdown(Duration::from_secs(10)).unwrap();
        let late = Runtime::builder().processors(2).build().unwrap();
        let (senders, receivers) = owned(&late);
        use_fences(&late, &senders, &receivers);
        late.shutdown(Duration::from_secs(10)).unwrap();
    });
    ended.well();
}

#[test]
fn without_membarrier_and_what_stands_in_for_it_the_end_says_what_was_taken() {
    const TEST: &str =
        "sandbox::without_membarrier_and_what_stands_in_for_it_the_end_says_what_was_taken";
    for stand_in in ["sched_setaffinity", "sched_getaffinity"] {
        let ended = twin::process(TEST, || {
            let runtime = Runtime::builder().processors(2).build().unwrap();
            refuse(&["membarrier", stand_in]);
            use_fences(&runtime, &[], &[]);
            runtime.shutdown(Duration::from_secs(10)).unwrap();
        });
        ended.refused(&[
            "the environment took away membarrier(2)",
            "have the sandbox allow membarrier, or sched_setaffinity",
        ]);
    }
}

#[test]
fn without_ppoll_from_now_on_short_sleeps_beside_sockets_still_end() {
    const TEST: &str = "sandbox::without_ppoll_from_now_on_short_sleeps_beside_sockets_still_end";
    let ended = twin::process(TEST, || {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        runtime.run(|| {
            let listener = selvedge::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let accept = go(move || listener.accept().map(drop));
            selvedge::yield_now();
            refuse(&["ppoll"]);
            (0..20).for_each(|_| time::sleep(Duration::from_micros(300)));
            drop(accept);
        });
    });
    ended.well();
}

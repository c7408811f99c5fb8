//! Channels and locks in checked programs.

use crate::common::{explore, fails, passes};
use selvedge::chan::{bounded, unbounded};
use selvedge::model::{Check, Failure};
use selvedge::{Spawn, go, yield_now};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_value_passes_a_rendezvous() {
    let report = passes(|| {
        let (tx, rx) = bounded(0);
        let child = go(move || tx.send(7).unwrap());
        assert_eq!(rx.recv(), Ok(7));
        child.join().unwrap();
    });
    assert!(report.executions > 10, "{report}");
}

#[test]
fn a_history_speaks_of_channels() {
    let failure = fails(|| {
        let (tx, rx) = unbounded();
        let child = Spawn::new().name("worker").go(move || {
            let first: u8 = rx.recv().unwrap();
            rx.recv().map(|second| first + second)
        });
        tx.send(1).unwrap();
        let _ = child.join();
        drop(tx);
    });
    assert!(matches!(failure, Failure::Deadlock(_)), "{failure}");
    let history = failure.story().history();
    let find = |part: &str| history.iter().any(|line| line.contains(part));
    assert!(find("goroutine 1 \"main\": send on channel 1 at proptests/model/channels.rs:"));
    assert!(find("goroutine 2 \"worker\": recv on channel 1 at "), "{history:?}");
    assert!(failure.story().alive()[1].contains("waits: recv on channel 1 at "), "{failure}");
}

#[test]
fn a_lost_value_is_a_failure_where_that_is_asked_for() {
    let program = || {
        let (tx, rx) = bounded(1);
        tx.send("important").unwrap();
        drop(rx);
    };
    assert!(explore(Check::new(), program).is_ok());
    let failure = explore(Check::new().forbid_lost_values(), program).unwrap_err();
    assert!(matches!(failure, Failure::LostValue(_)), "{failure}");
    let again = Check::new().try_replay(failure.story().replay(), program).unwrap_err();
    assert!(matches!(again, Failure::LostValue(_)), "{again}");
    assert!(again.to_string().contains("channel 1 was dropped with 1 message unreceived"));
}

#[test]
fn a_time_out_races_with_a_send_and_no_value_is_lost() {
    let outcomes = Arc::new(std::sync::Mutex::new(HashSet::new()));
    let seen = Arc::clone(&outcomes);
    passes(move || {
        let (tx, rx) = bounded(0);
        let child = go(move || {
            // Late, so that random orders meet the time-out as well.
            (0..if cfg!(feature = "loom") { 0 } else { 9 }).for_each(|_| yield_now());
            tx.send(7).is_ok()
        });
        let received = rx.recv_timeout(Duration::from_secs(3600)).is_ok();
        drop(rx);
        assert_eq!(child.join().unwrap(), received, "sent is received");
        seen.lock().unwrap().insert(received);
    });
    assert_eq!(outcomes.lock().unwrap().len(), 2, "both ways");
}

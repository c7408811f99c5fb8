//! What the types allow: to be sent, shared, and used on both sides of a `catch_unwind`, as those of `std` may.

use selvedge::chan::{Receiver, Sender, bounded};
use selvedge::time::{Instant, Ticker, Timer};
use selvedge::{Goroutine, JoinError, JoinHandle, Runtime};
use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe, catch_unwind};
use std::time::Duration;

/// What is neither Sync nor safe across a panic.
type Odd = Cell<&'static mut u8>;

#[test]
fn errors_of_joins_go_where_boxed_errors_go() {
    fn passed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Runtime::new()?
            .run(|| selvedge::go(|| std::panic::resume_unwind(Box::new("five"))).join())?;
        Ok(())
    }
    assert_eq!(passed().unwrap_err().to_string(), "the goroutine panicked: five");
}

#[test]
fn handles_are_sent_and_shared_whatever_the_result_is() {
    fn both<T: Send + Sync>() {}
    both::<JoinHandle<Cell<u8>>>();
    both::<JoinError>();
    both::<Goroutine>();
    both::<Runtime>();
}

#[test]
fn ends_and_handles_may_cross_a_catch_unwind() {
    fn both<T: UnwindSafe + RefUnwindSafe>() {}
    both::<Sender<Odd>>();
    both::<Receiver<Odd>>();
    both::<JoinHandle<Odd>>();
    both::<Goroutine>();
    both::<Timer>();
    both::<Ticker>();
    both::<Runtime>();
    let (tx, rx) = bounded(1);
    assert!(catch_unwind(|| tx.send(1)).unwrap().is_ok());
    assert_eq!(catch_unwind(|| rx.recv()).unwrap(), Ok(1));
}

#[test]
fn instants_reach_back_before_the_process_began() {
    let (now, hour) = (Instant::now(), Duration::from_secs(3600));
    let before = now - hour;
    assert_eq!(now - before, hour);
    assert_eq!(before - now, Duration::ZERO);
    assert_eq!(before.checked_duration_since(now), None);
    assert!(before.elapsed() >= hour && before < now);
    assert_eq!(before + hour, now);
    assert!(format!("{before:?}").starts_with("Instant(-"), "{before:?}");
    // What is over is over, however long ago.
    assert!(selvedge::chan::never::<u8>().recv_deadline(before).unwrap_err().is_timeout());
    assert_eq!(Instant::FAR_FUTURE.checked_add(Duration::from_nanos(1)), None);
}

#[test]
fn instants_go_to_those_of_std_and_back() {
    let slack = Duration::from_secs(5);
    let here = Instant::now();
    for there in [here, here + Duration::from_secs(60), here - Duration::from_millis(1)] {
        let back = Instant::from(std::time::Instant::from(there));
        assert!(back - there < slack && there - back < slack, "{there:?} and {back:?}");
    }
    assert!(std::time::Instant::from(Instant::FAR_FUTURE) > std::time::Instant::now() + slack);
}

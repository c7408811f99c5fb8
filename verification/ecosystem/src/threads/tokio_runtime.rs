//! `tokio`: goroutines inside its context, waiting for its futures, and with a runtime of their own.

use super::{FEW, each, many_alive, pause};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};

/// One for all tests: its threads outlive each of them.
fn handle() -> Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let make =
        || Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("tokio");
    RUNTIME.get_or_init(make).handle().clone()
}

#[test]
fn goroutines_are_in_a_context_each() {
    each(FEW, |number| {
        let handle = handle();
        assert!(Handle::try_current().is_err(), "a stranger's context");
        let entered = handle.enter();
        pause(number);
        let task = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            number
        });
        pause(number + 1);
        assert_eq!(selvedge::block_on(task).expect("it ends"), number);
        // Needs the context.
        selvedge::block_on(tokio::time::sleep(Duration::from_millis(1)));
        pause(number + 2);
        drop(entered);
        assert!(Handle::try_current().is_err(), "the context is left");
    });
}

#[test]
fn goroutines_block_on_futures() {
    each(FEW, |number| {
        let start = Instant::now();
        let found = handle().block_on(async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            // Suspends the goroutine within the future.
            pause(number);
            tokio::time::sleep(Duration::from_millis(2)).await;
            number
        });
        assert_eq!(found, number);
        assert!(start.elapsed() >= Duration::from_millis(4));
    });
}

#[test]
fn goroutines_have_runtimes_of_their_own() {
    each(FEW, |number| {
        let own = Builder::new_current_thread().enable_time().build().expect("tokio");
        let found = own.block_on(async move {
            let task = tokio::spawn(async move {
                pause(number);
                number
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
            task.await.expect("it ends")
        });
        assert_eq!(found, number);
        pause(number);
    });
}

#[test]
fn very_many_have_entered() {
    many_alive(|number| {
        let _entered = handle().enter();
        assert!(Handle::try_current().is_ok());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tokio::spawn(async move { sender.send(number) });
        assert_eq!(selvedge::block_on(receiver), Ok(number));
    });
}

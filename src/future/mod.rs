//! Futures: a caller waits for a future by parking.
//! block_on: poll the future. While it was not woken, park. Then poll again.
//! waker: set `woken`, and unpark the caller.
//! `woken` belongs to one call of `block_on`. A permit alone is not enough, because any other wait within a poll (a
//! lock, a channel, another `block_on`) may use up the permit, and the wake-up must not be lost then.
//! [Z1] A wake-up that is given after a poll has begun is followed by another poll, which sees what the waker did.
//! Checked by: verification/loom/future.rs, proptests/runtime/futures.rs.
#![forbid(unsafe_code)]

use crate::platform::Arc;
use crate::platform::atomic::{AtomicBool, Ordering};
use crate::sched::core::wake_handle::Unparker;
use crate::sched::suspend::park;
use crate::wait::trace;
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

/// Runs `future` on the caller, and returns its output. Parks a goroutine or blocks a plain thread while the future is
/// not ready.
///
/// The future may borrow, need not be `Send`, and is dropped before this returns. Any thread may wake it. This
/// function is not a complete executor: it has no reactor and no spawner, so a future that uses a socket of tokio
/// still needs a tokio runtime. Calls may be nested, and a poll may call functions that block.
///
/// Costs an allocation. While the future is not ready, the goroutine waits as in [`park`](fn@crate::park), and uses up
/// a permit that it is given meanwhile.
///
/// # Panics
/// Panics if the future panics. Also panics inside [`no_suspend`](crate::no_suspend) if it has to wait.
///
/// ```
/// selvedge::Runtime::new()?.run(|| {
///     let parts = [1, 2, 3].map(|n| selvedge::go(move || n * n));
///     let sum = selvedge::block_on(async {
///         let mut sum = 0;
///         for part in parts {
///             sum += part.await.unwrap();
///         }
///         sum
///     });
///     assert_eq!(sum, 14);
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[track_caller]
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let place = Location::caller();
    let mut future = pin!(future.into_future());
    let call = Arc::new(Call { woken: AtomicBool::new(false), caller: park::waiter() });
    let waker = Waker::from(Arc::clone(&call));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        trace::plain("block on a future", place);
        // Acquire: pairs with the Release in `wake_by_ref`, so that the next poll sees what the waker did. [Z1]
        // mutant: a permit is a wake-up: replace call.woken.swap(false, Ordering::Acquire) with true
        while !call.woken.swap(false, Ordering::Acquire) {
            park::park(place);
        }
    }
}

/// The state of one call of `block_on`.
struct Call {
    woken: AtomicBool,
    caller: Unparker,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the Acquire in `block_on`. The swap writes even if `woken` was set already, so that the
        // caller that clears it sees what each of the wakers did. [Z1]
        if !self.woken.swap(true, Ordering::Release) {
            self.caller.unpark();
        }
    }
}

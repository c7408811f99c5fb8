//! Wakers whose `clone`, `wake`, `wake_by_ref` and destructor are the program's.

use crate::acts::perform;
use crate::ledger::{Canary, Kind, Ledger};
use crate::program::WakerSpec;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// What clones of one waker share. Each clone has a canary of its own beside it.
struct Data {
    canary: Canary,
    spec: Arc<WakerSpec>,
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, discard);

pub fn waker(ledger: &Arc<Ledger>, spec: &WakerSpec) -> Waker {
    raw(ledger, Arc::new(spec.clone()))
}

fn raw(ledger: &Arc<Ledger>, spec: Arc<WakerSpec>) -> Waker {
    let data = Box::new(Data { canary: ledger.canary(Kind::Waker, None), spec });
    // SAFETY: the table's functions take the data to be such a box, and may be called on any thread.
    unsafe { Waker::new(Box::into_raw(data).cast(), &TABLE) }
}

/// # Safety
/// `data` belongs to a waker that is in use.
unsafe fn borrowed<'a>(data: *const ()) -> &'a Data {
    // SAFETY: the caller's promise.
    let data = unsafe { &*data.cast::<Data>() };
    data.canary.check();
    data
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the contract of wakers.
    let data = unsafe { borrowed(data) };
    perform(&data.spec.clone);
    let copy = std::mem::ManuallyDrop::new(raw(data.canary.ledger(), Arc::clone(&data.spec)));
    RawWaker::new(copy.data(), &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the contract of wakers: it is consumed here, also where it panics.
    let data = unsafe { Box::from_raw(data.cast_mut().cast::<Data>()) };
    data.canary.check();
    perform(&data.spec.wake);
    perform(&data.spec.drop);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the contract of wakers.
    let data = unsafe { borrowed(data) };
    perform(&data.spec.wake);
}

unsafe fn discard(data: *const ()) {
    // SAFETY: the contract of wakers.
    let data = unsafe { Box::from_raw(data.cast_mut().cast::<Data>()) };
    data.canary.check();
    perform(&data.spec.drop);
}

/// Polls once, by a waker that goes at once, unless the future has cloned it.
pub fn poll_once<F: Future + ?Sized>(
    future: Pin<&mut F>,
    ledger: &Arc<Ledger>,
    spec: &WakerSpec,
) -> Poll<F::Output> {
    let waker = waker(ledger, spec);
    let polled = future.poll(&mut Context::from_waker(&waker));
    // Here, and not when the function returns: the compiler leaks what is returned if a destructor panics then.
    drop(waker);
    polled
}

//! Where a run's ledger is found. In a model all goroutines take turns on one kernel thread and share its
//! thread-locals: the ledger is one of these. In a simulation each goroutine has thread-locals of its own:
//! there the ledger is found by the one worker that runs them all.

use super::Ledger;
use crate::platform::{MODELLED, tls};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

thread_local! {
    static LEDGER: RefCell<Option<Ledger>> = const { RefCell::new(None) };
}

/// By the addresses of workers, which differ between the simulations of a process.
static BY_WORKER: Mutex<BTreeMap<usize, Arc<Mutex<Ledger>>>> = Mutex::new(BTreeMap::new());

fn by_worker<R>(f: impl FnOnce(&mut BTreeMap<usize, Arc<Mutex<Ledger>>>) -> R) -> R {
    f(&mut BY_WORKER.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Calls `f` with the caller's ledger. `None` if there is none, or if the caller is within such a call.
#[inline(never)]
pub(super) fn with<R>(f: impl FnOnce(&mut Ledger) -> R) -> Option<R> {
    if MODELLED {
        return LEDGER.with(|ledger| ledger.try_borrow_mut().ok()?.as_mut().map(f));
    }
    let ledger = by_worker(|all| all.get(&tls::worker().addr()).map(Arc::clone))?;
    let mut ledger = ledger.try_lock().ok()?;
    Some(f(&mut ledger))
}

/// The caller's ledger from now on. True if there was none.
pub(super) fn put(ledger: Ledger) -> bool {
    if MODELLED {
        return LEDGER.replace(Some(ledger)).is_none();
    }
    let ledger = Arc::new(Mutex::new(ledger));
    by_worker(|all| all.insert(tls::worker().addr(), ledger)).is_none()
}

/// The caller has none from now on.
pub(super) fn take() -> Option<Ledger> {
    if MODELLED {
        return LEDGER.take();
    }
    let ledger = by_worker(|all| all.remove(&tls::worker().addr()))?;
    Some(Arc::into_inner(ledger)?.into_inner().unwrap_or_else(PoisonError::into_inner))
}

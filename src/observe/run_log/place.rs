//! Finds the log of a run. In a model all goroutines take turns on one kernel thread and share its thread-locals, and
//! the log is one of these. In a simulation each goroutine has thread-locals of its own, so the log is found by the
//! one worker that runs them all.

use super::RunLog;
use crate::platform::{MODELLED, tls};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

thread_local! {
    static RUN_LOG: RefCell<Option<RunLog>> = const { RefCell::new(None) };
}

/// The logs by the addresses of workers, which differ between the simulations of a process.
static BY_WORKER: Mutex<BTreeMap<usize, Arc<Mutex<RunLog>>>> = Mutex::new(BTreeMap::new());

fn by_worker<R>(f: impl FnOnce(&mut BTreeMap<usize, Arc<Mutex<RunLog>>>) -> R) -> R {
    f(&mut BY_WORKER.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Calls `f` with the caller's log. Returns `None` if there is no log, or if the caller is within such a call
/// already.
#[inline(never)]
pub(super) fn with<R>(f: impl FnOnce(&mut RunLog) -> R) -> Option<R> {
    if MODELLED {
        return RUN_LOG.with(|log| log.try_borrow_mut().ok()?.as_mut().map(f));
    }
    let log = by_worker(|all| all.get(&tls::worker().addr()).map(Arc::clone))?;
    let mut log = log.try_lock().ok()?;
    Some(f(&mut log))
}

/// Sets the caller's log from now on. Returns true if there was none.
pub(super) fn put(log: RunLog) -> bool {
    if MODELLED {
        return RUN_LOG.replace(Some(log)).is_none();
    }
    let log = Arc::new(Mutex::new(log));
    by_worker(|all| all.insert(tls::worker().addr(), log)).is_none()
}

/// Removes the caller's log.
pub(super) fn take() -> Option<RunLog> {
    if MODELLED {
        return RUN_LOG.take();
    }
    let log = by_worker(|all| all.remove(&tls::worker().addr()))?;
    Some(Arc::into_inner(log)?.into_inner().unwrap_or_else(PoisonError::into_inner))
}

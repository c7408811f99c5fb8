//! Fork: how the child of a `fork` is told from its parent. Of the parent's threads the child has one,
//! the one that called `fork`; what the others were about to do is never done there.
//! prepare: have the kernel's C library call `in_child` in each child.   in_child: count the
//!     generation; the thread is nobody's worker any more.
//! What was made before says so by its [`Born`]; what exists once a process is an [`OfProcess`].
//! Only children made by the C library's `fork` are seen: not those of the bare system calls, nor of
//! `vfork`, which run in the parent's memory until they exec.
//! Checked by: proptests/environment/fork.rs.

use super::unmodelled::{AtomicPtr, AtomicU32, Ordering};
use super::{MODELLED, OnceLock, tls};
use std::ptr;

/// How many forks lie between the first process and this one, since `prepare` was called.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Called before the first thread of a runtime, or of the process's own, is started.
pub fn prepare() {
    static DONE: OnceLock<()> = OnceLock::new();
    // No model has processes.
    if MODELLED || cfg!(miri) {
        return;
    }
    DONE.get_or_init(|| {
        // SAFETY: the handler allocates nothing and takes no lock. Where there is no memory for it,
        // children of a fork hang, as they would have.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// Runs in the child, on its one thread, before `fork` returns there.
unsafe extern "C" fn in_child() {
    // Relaxed: there is no other thread.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    tls::orphan();
}

fn generation() -> u32 {
    // Relaxed: it changes only where there is no other thread.
    GENERATION.load(Ordering::Relaxed)
}

/// In which process something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Born(u32);

impl Born {
    /// In this one.
    #[inline]
    pub fn here() -> Born {
        Born(generation())
    }

    /// Whether it was made in this process, and not in one of which this one is a fork.
    #[inline]
    pub fn is_here(self) -> bool {
        self.0 == generation()
    }

    /// As a number, for an atomic; never 0.
    pub fn number(self) -> u32 {
        self.0.wrapping_add(1).max(1)
    }
}

/// The process that built a runtime last, of this one and those of which it is a fork.
static BUILT: AtomicU32 = AtomicU32::new(0);

/// A runtime is built here.
pub fn note_runtime() {
    // Relaxed: a diagnosis.
    BUILT.store(Born::here().number(), Ordering::Relaxed);
}

/// Whether this process is the child of one that had a runtime, and has built none itself: what waits
/// here without a limit, most probably waits for goroutines that don't exist here.
pub fn is_bereft() -> bool {
    // Relaxed: a diagnosis.
    let built = BUILT.load(Ordering::Relaxed);
    built != 0 && built != Born::here().number()
}

/// A value that exists once a process, made when it is first asked for. The child of a fork makes its
/// own: in its copy of the parent's, locks may be held by threads that don't exist. That is leaked.
pub struct OfProcess<T: 'static>(AtomicPtr<(Born, T)>);

impl<T: Send + Sync + 'static> OfProcess<T> {
    /// To be made.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        OfProcess(AtomicPtr::new(ptr::null_mut()))
    }

    /// This process's, if it was made.
    #[inline]
    pub fn get(&self) -> Option<&'static T> {
        self.look().1
    }

    /// This process's. Where several threads make it at a time, all get the same.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &'static T {
        match self.look() {
            (_, Some(value)) => value,
            (before, None) => self.put(before, make()),
        }
    }

    fn look(&self) -> (*mut (Born, T), Option<&'static T>) {
        // Acquire: pairs with the Release in `put`.
        let found = self.0.load(Ordering::Acquire);
        // SAFETY: null, or what `put` has leaked.
        let value = unsafe { found.as_ref() }.filter(|(born, _)| born.is_here());
        (found, value.map(|(_, value)| value))
    }

    #[cold]
    fn put(&self, before: *mut (Born, T), value: T) -> &'static T {
        let own = Box::into_raw(Box::new((Born::here(), value)));
        // Release: publishes the value. Acquire: as in `look`, of the one that came first.
        match self.0.compare_exchange(before, own, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: just leaked.
            Ok(_) => &unsafe { &*own }.1,
            Err(first) => {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(own) });
                // SAFETY: leaked by the thread that came first, in this process.
                &unsafe { &*first }.1
            }
        }
    }
}

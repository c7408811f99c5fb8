//! Fork: how the child of a `fork` is told from its parent. The child has only one of the parent's threads, the
//! thread that called `fork`; what the others were about to do is never done in the child.
//! prepare: have the C library call `in_child` in each child.   in_child: count the generation; the thread is
//! no worker any more.
//! A value that was made before the fork says so by its [`Born`]. A value that exists once per process is an
//! [`OfProcess`].
//! Only children made by the C library's `fork` are seen. Children of the bare system calls are not seen, nor
//! are children of `vfork`, which run in the parent's memory until they exec.
//! Checked by: proptests/environment/fork.rs.

use super::unmodelled::{AtomicPtr, AtomicU32, Ordering};
use super::{MODELLED, OnceLock, tls};
use std::ptr;

/// How many forks are between the first process and this one, since `prepare` was called.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Must be called before the first thread of a runtime, or of the process's own, is started.
pub fn prepare() {
    static DONE: OnceLock<()> = OnceLock::new();
    // Models have no processes.
    if MODELLED || cfg!(miri) {
        return;
    }
    DONE.get_or_init(|| {
        // SAFETY: the handler allocates nothing and takes no lock. If there is no memory to register it,
        // children of a fork hang, as they would without it.
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

/// Says in which process something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Born(u32);

impl Born {
    /// Returns the mark of this process.
    #[inline]
    pub fn here() -> Born {
        Born(generation())
    }

    /// Returns whether it was made in this process, and not in a process of which this one is a fork.
    #[inline]
    pub fn is_here(self) -> bool {
        self.0 == generation()
    }

    /// Returns it as a number, for an atomic; never 0.
    pub fn number(self) -> u32 {
        self.0.wrapping_add(1).max(1)
    }
}

/// The process that built a runtime last, among this process and those of which it is a fork.
static BUILT: AtomicU32 = AtomicU32::new(0);

/// Tells that a runtime is built here.
pub fn note_runtime() {
    // Relaxed: the value serves a diagnosis.
    BUILT.store(Born::here().number(), Ordering::Relaxed);
}

/// Returns whether this process is the child of a process that had a runtime, and has built none itself. A wait
/// without a limit here most probably waits for goroutines that don't exist in this process.
pub fn is_bereft() -> bool {
    // Relaxed: the value serves a diagnosis.
    let built = BUILT.load(Ordering::Relaxed);
    built != 0 && built != Born::here().number()
}

/// A value that exists once per process, made when it is first asked for. The child of a fork makes its own,
/// because locks in its copy of the parent's value may be held by threads that don't exist. That copy is
/// leaked.
pub struct OfProcess<T: 'static>(AtomicPtr<(Born, T)>);

impl<T: Send + Sync + 'static> OfProcess<T> {
    /// Returns a value that is yet to be made.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        OfProcess(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns this process's value, if it was made.
    #[inline]
    pub fn get(&self) -> Option<&'static T> {
        self.look().1
    }

    /// Returns this process's value. If several threads make it at a time, all get the same value.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &'static T {
        match self.look() {
            (_, Some(value)) => value,
            (before, None) => self.put(before, make()),
        }
    }

    fn look(&self) -> (*mut (Born, T), Option<&'static T>) {
        // Acquire: pairs with the Release in `put`.
        let found = self.0.load(Ordering::Acquire);
        // SAFETY: the pointer is null, or what `put` has leaked.
        let value = unsafe { found.as_ref() }.filter(|(born, _)| born.is_here());
        (found, value.map(|(_, value)| value))
    }

    #[cold]
    fn put(&self, before: *mut (Born, T), value: T) -> &'static T {
        let own = Box::into_raw(Box::new((Born::here(), value)));
        // Release: publishes the value. Acquire: as in `look`, for the value that came first.
        match self.0.compare_exchange(before, own, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: the value was just leaked.
            Ok(_) => &unsafe { &*own }.1,
            Err(first) => {
                // SAFETY: no other thread has seen it.
                drop(unsafe { Box::from_raw(own) });
                // SAFETY: the thread that came first, in this process, leaked it.
                &unsafe { &*first }.1
            }
        }
    }
}

//! Fork: tells the child of a `fork` from its parent. The child has only one of the parent's threads, the thread that
//! called `fork`. What the other threads were about to do is never done in the child.
//! prepare: have the C library call `in_child` in each child.   in_child: count the generation; record that the
//! thread is no worker any more.
//! A value that was made before the fork says so by its [`Born`]. A value that exists once per process is an
//! [`OfProcess`].
//! Only children made by the C library's `fork` are seen. Children of the bare system calls are not seen, nor
//! are children of `vfork`, which run in the parent's memory until they exec.
//! Checked by: proptests/environment/fork.rs.

use super::unmodelled::{AtomicPtr, AtomicU32, Ordering};
use super::{MODELLED, OnceLock, tls};
use std::ptr;

/// The number of forks between the first process and this process, counted since `prepare` was called.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Registers `in_child`. Must be called before the process starts its first thread, of a runtime or of its own.
pub fn prepare() {
    static DONE: OnceLock<()> = OnceLock::new();
    // Models have no processes.
    if MODELLED || cfg!(miri) {
        return;
    }
    DONE.get_or_init(|| {
        // SAFETY: `in_child` may run in the child of a fork, because it allocates nothing and takes no lock. If there
        // is no memory to register it, children of a fork hang, as they would without it.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// Runs in the child, on its only thread, before `fork` returns in the child.
unsafe extern "C" fn in_child() {
    // Relaxed: the child has no other thread.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    tls::orphan();
}

fn generation() -> u32 {
    // Relaxed: the generation changes only while the process has one thread.
    GENERATION.load(Ordering::Relaxed)
}

/// The mark of the process in which a value was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Born(u32);

impl Born {
    /// Returns the mark of this process.
    #[inline]
    pub fn here() -> Born {
        Born(generation())
    }

    /// Returns true if the value with this mark was made in this process, not in a process from which this process
    /// was forked.
    #[inline]
    pub fn is_here(self) -> bool {
        self.0 == generation()
    }

    /// Returns the mark as a number for an atomic. The number is never 0.
    pub fn number(self) -> u32 {
        self.0.wrapping_add(1).max(1)
    }
}

/// The process that built a runtime last, among this process and the processes from which it was forked.
static BUILT: AtomicU32 = AtomicU32::new(0);

/// Records that this process builds a runtime.
pub fn note_runtime() {
    // Relaxed: only a diagnosis uses the value.
    BUILT.store(Born::here().number(), Ordering::Relaxed);
}

/// Returns whether this process is the child of a process that had a runtime, and has built none itself. A wait
/// without a limit in such a process most probably waits for goroutines of the parent, which do not run here.
pub fn is_bereft() -> bool {
    // Relaxed: only a diagnosis uses the value.
    let built = BUILT.load(Ordering::Relaxed);
    built != 0 && built != Born::here().number()
}

/// A value of which each process has one, made when it is first asked for. The child of a fork makes its own value
/// and leaks its copy of the parent's value. Locks in that copy may be held by threads that do not run in the child.
pub struct OfProcess<T: 'static>(AtomicPtr<(Born, T)>);

impl<T: Send + Sync + 'static> OfProcess<T> {
    /// Returns an `OfProcess` whose value is not made yet.
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
        // SAFETY: the pointer is null, or it came from a box in `put`, which is never freed once it is stored here.
        let value = unsafe { found.as_ref() }.filter(|(born, _)| born.is_here());
        (found, value.map(|(_, value)| value))
    }

    #[cold]
    fn put(&self, before: *mut (Born, T), value: T) -> &'static T {
        let own = Box::into_raw(Box::new((Born::here(), value)));
        // Release: publishes the value. Acquire: pairs with the Release of the thread that stored its value first.
        match self.0.compare_exchange(before, own, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: `own` came from a box above. Now that it is stored, it is never freed.
            Ok(_) => &unsafe { &*own }.1,
            Err(first) => {
                // SAFETY: `own` came from a box above, and the exchange failed, so no other thread has seen the
                // pointer.
                drop(unsafe { Box::from_raw(own) });
                // SAFETY: `first` came from a box in `put` of another thread of this process. It is stored, so it is
                // never freed.
                &unsafe { &*first }.1
            }
        }
    }
}

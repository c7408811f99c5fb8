//! The backend that ships: `std`'s atomics, locks and threads.
//! Checked by: proptests/isolated/, proptests/environment/fork.rs.

use std::time::Duration;

/// Whether a checker runs this build.
pub const MODELLED: bool = false;

/// Defines a constructor that is `const` where the backend's own constructors are, so that the value can be a
/// `static`.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
pub(crate) use const_fn;

/// A thread's own statics.
pub(crate) use std::thread_local;

/// Expands to the first of two groups of items, because this is the backend that ships.
macro_rules! shipping_or_model {
    ({ $($shipping:item)* } { $($model:item)* }) => { $($shipping)* };
}
pub(crate) use shipping_or_model;

pub mod atomic {
    //! `std`'s atomics.
    pub use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

pub mod cell {
    //! A cell whose accesses a checker can see.

    /// `std`'s `UnsafeCell` with access by closure, so that loom can check each access for races.
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        pub const fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// Returns the value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Calls a closure with a pointer for shared access.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Calls a closure with a pointer for exclusive access.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

/// `std`'s mutex without poisoning, because the runtime's critical sections run no user code.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

/// The guard of a [`Mutex`].
pub type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Self {
        Mutex(std::sync::Mutex::new(value))
    }

    /// Blocks the kernel thread until it has the lock.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Works like [`lock`](Self::lock), and counts how often another thread held it.
    #[inline]
    pub fn lock_counting(&self, taken: &crate::platform::Counter) -> MutexGuard<'_, T> {
        self.0.try_lock().unwrap_or_else(|_| {
            taken.more(1);
            self.lock()
        })
    }
}

/// `std`'s condition variable.
#[derive(Debug, Default)]
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    /// A condition variable with no waiter.
    pub const fn new() -> Self {
        Condvar(std::sync::Condvar::new())
    }

    /// Waits until notified. May return without a notification.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for at most `limit`. Returns true if the time ran out.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        let (guard, result) =
            self.0.wait_timeout(guard, limit).unwrap_or_else(|poisoned| poisoned.into_inner());
        (guard, result.timed_out())
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes every waiter.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

pub mod thread {
    //! Kernel threads.
    use std::io;
    use std::os::unix::thread::JoinHandleExt;

    /// A started kernel thread.
    #[derive(Debug)]
    pub struct JoinHandle(std::thread::JoinHandle<()>);

    impl JoinHandle {
        /// Blocks until the thread has ended and its thread-locals are destroyed. Returns true if the thread did not
        /// panic. Does not wait if the thread calls this on its own handle.
        pub fn join(self) -> bool {
            // SAFETY: `pthread_equal` takes no pointer. Both threads are valid, because one is the caller and the
            // other was not joined yet.
            let is_own =
                unsafe { libc::pthread_equal(libc::pthread_self(), self.0.as_pthread_t()) };
            is_own != 0 || self.0.join().is_ok()
        }

        /// Works like [`join`](Self::join) if that would not wait, and otherwise returns the handle.
        pub fn try_join(self) -> Result<(), Self> {
            // SAFETY: the handle is that of a thread that was neither joined nor detached, so its `pthread_t` is
            // valid.
            match unsafe { libc::pthread_tryjoin_np(self.0.as_pthread_t(), std::ptr::null_mut()) } {
                0 => {
                    // The thread is joined now, so dropping the handle must not detach it.
                    let _ = self.0.into_pthread_t();
                    Ok(())
                }
                _ => Err(self),
            }
        }

        /// Returns whether the handle is that of the calling thread. This works also while the thread destroys its
        /// thread-locals, when `std::thread::current` may panic.
        pub fn is_caller(&self) -> bool {
            use std::os::unix::thread::JoinHandleExt;
            // SAFETY: `pthread_self` takes no argument and always succeeds.
            self.0.as_pthread_t() == unsafe { libc::pthread_self() }
        }
    }

    /// Starts a kernel thread.
    pub fn spawn(name: String, f: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
        std::thread::Builder::new().name(name).spawn(f).map(JoinHandle)
    }

    /// Works like [`spawn`], with at least `bytes` of stack for what `f` calls.
    pub fn spawn_on(
        bytes: usize,
        name: String,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle> {
        let stack = bytes + crate::platform::memory::taken_of_stacks();
        std::thread::Builder::new().name(name).stack_size(stack).spawn(f).map(JoinHandle)
    }

    /// Lets the other threads of a rescan loop move on.
    pub fn yield_now() {
        std::thread::yield_now();
    }
}

/// A value that only modelled builds hold. In this build there is no such value, so code that uses it is removed by
/// the compiler.
#[derive(Debug)]
pub struct ModelOnly<T>(std::convert::Infallible, std::marker::PhantomData<T>);

impl<T> ModelOnly<T> {
    /// Returns `None`, because this is not a modelled build.
    pub fn new(_: T) -> Option<Self> {
        None
    }

    /// Returns the value of a modelled build. It is never called in this build.
    pub fn get(&self) -> &T {
        match self.0 {}
    }
}

/// Runs one iteration of a busy wait.
#[inline]
pub fn spin_hint() {
    std::hint::spin_loop();
}

pub mod clock {
    //! Monotonic time.
    use std::sync::OnceLock;
    use std::time::Instant;

    /// Returns nanoseconds since the first call in this process.
    pub fn now() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// Returns a seed that differs from one call to the next, and between processes. It makes no system call,
/// because a sandbox may refuse random bytes, and `std`'s hasher panics then.
pub fn seed() -> u64 {
    crate::platform::seeds::next()
}

pub mod tls {
    //! The one thread-local word of the runtime, and the parker of a plain thread.
    use crate::platform::unmodelled::{AtomicPtr, Ordering};
    use crate::platform::{Arc, Parker};
    use std::cell::Cell;
    use std::ptr;

    thread_local! {
        /// Points to the variable that says which worker runs on this thread. On a worker's thread that is
        /// `OWN_WORKER`. In the thread-local block of a goroutine it is a variable above the stack, which changes
        /// when the goroutine moves.
        static WORKER: Cell<*const AtomicPtr<()>> = const { Cell::new(ptr::null()) };
        static OWN_WORKER: AtomicPtr<()> = const { AtomicPtr::new(ptr::null_mut()) };
        static ORPHAN: Cell<bool> = const { Cell::new(false) };
        static PARKER: Arc<Parker> = Arc::new(Parker::new());
    }

    /// Executes nothing, but the optimizer cannot see this. A function that reads a thread-local calls it, because
    /// LLVM would otherwise prove that the function has no effects, and hoist or merge the calls.
    #[inline(always)]
    pub fn opaque() {
        #[cfg(not(miri))]
        // SAFETY: the `asm!` block is empty, so it executes nothing.
        unsafe {
            std::arch::asm!("", options(nostack, preserves_flags));
        }
    }

    /// Returns the worker of the kernel thread that runs *now*. A goroutine may be on another kernel thread after
    /// each suspension, but LLVM assumes that a thread-local's address is constant within a function. So the read is
    /// in a function of its own, behind `opaque`.
    #[inline(never)]
    pub fn worker() -> *const () {
        opaque();
        let place = WORKER.with(Cell::get);
        // SAFETY: `place` is null, or the caller of `set_worker` or `follow` guarantees that it is valid.
        let Some(place) = (unsafe { place.as_ref() }) else { return ptr::null() };
        // Relaxed: the kernel thread that reads the variable wrote it.
        place.load(Ordering::Relaxed)
    }

    /// Sets the pointer that `worker` returns for the calling thread.
    ///
    /// # Safety
    /// `word` must be null, or the memory that it points to must stay valid until the thread sets another pointer or
    /// ends.
    #[inline(never)]
    pub unsafe fn set_worker(word: *const ()) {
        opaque();
        OWN_WORKER.with(|own| {
            // Relaxed: only this thread reads the variable.
            own.store(word.cast_mut(), Ordering::Relaxed);
            WORKER.with(|w| w.set(if word.is_null() { ptr::null() } else { own }));
        });
    }

    /// Makes `worker` return the value at `place` from now on, for a goroutine's own thread-locals.
    ///
    /// # Safety
    /// `place` must stay valid until these thread-locals are renewed, or `follow` is called again. While a worker
    /// runs the goroutine, the value at `place` must be that worker.
    #[inline(never)]
    pub unsafe fn follow(place: *const AtomicPtr<()>) {
        opaque();
        WORKER.with(|w| w.set(place));
    }

    /// Records that this is the only thread of the child of a `fork`. In the child the thread is no worker, and the
    /// code that it runs is no goroutine. Allocates nothing.
    #[inline(never)]
    pub fn orphan() {
        opaque();
        if !WORKER.with(|w| w.replace(std::ptr::null())).is_null() {
            ORPHAN.with(|orphan| orphan.set(true));
        }
    }

    /// Returns whether the calling thread runs a goroutine of the process from which this process was forked.
    #[inline(never)]
    pub fn is_orphan() -> bool {
        opaque();
        ORPHAN.with(Cell::get)
    }

    /// Does nothing. Only in a model may a thread stand for a goroutine.
    pub fn set_parker(_: Arc<Parker>) {}

    /// Returns 0, because in this build no thread stands for a goroutine.
    pub fn goroutine() -> u32 {
        0
    }

    /// Returns the calling thread's own parker, or `None` while its thread-locals are destroyed.
    #[inline(never)]
    pub fn parker() -> Option<Arc<Parker>> {
        opaque();
        PARKER.try_with(Arc::clone).ok()
    }
}

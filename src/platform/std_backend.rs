//! The backend that ships: `std`'s atomics, locks and threads.

use std::time::Duration;

/// Whether a checker runs this build.
pub const MODELLED: bool = false;

/// A constructor that is `const` where the backend's own are: only then can it stand in a `static`.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
pub(crate) use const_fn;

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

        /// The value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Shared access.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Exclusive access.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

/// `std`'s mutex without poisoning: the runtime's critical sections run no user code.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

/// The guard of a [`Mutex`].
pub type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Self {
        Mutex(std::sync::Mutex::new(value))
    }

    /// Blocks the kernel thread until the lock is had.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// As [`lock`](Self::lock); counts how often somebody else had it.
    #[inline]
    pub fn lock_counting(&self, taken: &super::Count) -> MutexGuard<'_, T> {
        self.0.try_lock().unwrap_or_else(|_| {
            taken.more(1);
            self.lock()
        })
    }
}

pub use super::latch::{Latch, LatchGuard};

/// `std`'s condition variable.
#[derive(Debug, Default)]
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    /// A condition variable with no waiter.
    pub const fn new() -> Self {
        Condvar(std::sync::Condvar::new())
    }

    /// Waits; may wake spuriously.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for at most `limit`; true means that the time ran out.
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

    /// A started kernel thread.
    #[derive(Debug)]
    pub struct JoinHandle(std::thread::JoinHandle<()>);

    impl JoinHandle {
        /// Blocks until the thread has ended; true means that it did not panic.
        pub fn join(self) -> bool {
            self.0.join().is_ok()
        }
    }

    /// Starts a kernel thread.
    pub fn spawn(name: String, f: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
        std::thread::Builder::new().name(name).spawn(f).map(JoinHandle)
    }

    /// Lets the other threads of a rescan loop move on.
    pub fn yield_now() {
        std::thread::yield_now();
    }
}

/// What exists in modelled builds alone: here there is none, and code about it is folded away.
#[derive(Debug)]
pub struct Only<T>(std::convert::Infallible, std::marker::PhantomData<T>);

impl<T> Only<T> {
    /// There is none.
    pub fn new(_: T) -> Option<Self> {
        None
    }

    /// Never called.
    pub fn get(&self) -> &T {
        match self.0 {}
    }

    /// Never called.
    pub fn into_inner(self) -> T {
        match self.0 {}
    }
}

/// One turn of a busy wait.
#[inline]
pub fn spin_hint() {
    std::hint::spin_loop();
}

pub mod clock {
    //! Monotonic time.
    use std::sync::OnceLock;
    use std::time::Instant;

    /// Nanoseconds since the process first asked.
    pub fn now() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// A seed that differs between processes.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

pub mod tls {
    //! The one thread-local word of the runtime, and the parker of a plain thread.
    use super::super::locals::Locals;
    use super::super::{Arc, Parker};
    use std::cell::Cell;
    use std::rc::Rc;

    thread_local! {
        static WORKER: Cell<*const ()> = const { Cell::new(std::ptr::null()) };
        static PARKER: Arc<Parker> = Arc::new(Parker::new());
        static LOCALS: Rc<Locals> = Rc::new(Locals::new());
    }

    /// Something the optimizer can't look into: without it an outlined read is still hoisted, since
    /// LLVM proves it free of effects.
    #[inline(always)]
    fn opaque() {
        #[cfg(not(miri))]
        // SAFETY: no instruction.
        unsafe {
            std::arch::asm!("", options(nostack, preserves_flags));
        }
    }

    /// The word of the thread that runs *now*. A goroutine may be on another kernel thread after
    /// each suspension, and LLVM takes a thread-local's address for constant within a function,
    /// so the read is outlined and opaque.
    #[inline(never)]
    pub fn worker() -> *const () {
        opaque();
        WORKER.with(Cell::get)
    }

    /// Sets the calling thread's word.
    ///
    /// # Safety
    /// Null, or what it leads to stays valid until the thread sets another, or ends.
    #[inline(never)]
    pub unsafe fn set_worker(word: *const ()) {
        opaque();
        WORKER.with(|w| w.set(word));
    }

    /// For models, in which a thread may stand for a goroutine.
    pub fn set_parker(_: Arc<Parker>) {}

    /// As `set_parker`: none here does.
    pub fn goroutine() -> u32 {
        0
    }

    /// The calling thread's own parker; `None` while its thread-locals are torn down.
    #[inline(never)]
    pub fn parker() -> Option<Arc<Parker>> {
        opaque();
        PARKER.try_with(Arc::clone).ok()
    }

    /// The calling thread's own values; `None` while its thread-locals are torn down.
    #[inline(never)]
    pub fn locals() -> Option<Rc<Locals>> {
        opaque();
        LOCALS.try_with(Rc::clone).ok()
    }
}

//! The shuttle backend: sampled schedules of many threads, sequentially consistent.
//! Limits: fences are no-ops; deterministic seeds; time-outs expire in users' programs alone.

use std::time::Duration;

/// Whether a checker runs this build.
pub const MODELLED: bool = true;

/// Defines a constructor that is `const` in the backend that ships, but not here. A model has no statics, because a
/// static would outlive an execution.
macro_rules! const_fn {
    ($($function:tt)*) => { $($function)* };
}
pub(crate) use const_fn;

/// A thread's own statics.
pub(crate) use shuttle::thread_local;

/// Expands to the second of two groups of items, because this is the backend of a model.
macro_rules! shipping_or_model {
    ({ $($shipping:item)* } { $($model:item)* }) => { $($model)* };
}
pub(crate) use shipping_or_model;

pub mod atomic {
    //! shuttle's atomics.
    pub use shuttle::sync::atomic::{
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

/// shuttle's mutex.
#[derive(Debug)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

/// The guard of a [`Mutex`].
pub type MutexGuard<'a, T> = shuttle::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub fn new(value: T) -> Self {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    /// Blocks the model thread until it has the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Works like [`lock`](Self::lock), because nothing is counted in a model.
    pub fn lock_counting(&self, _: &crate::platform::Counter) -> MutexGuard<'_, T> {
        self.lock()
    }
}

/// shuttle's condition variable.
#[derive(Debug)]
pub struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    /// A condition variable with no waiter.
    pub fn new() -> Self {
        Condvar(shuttle::sync::Condvar::new())
    }

    /// Waits until notified.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits until notified, because time does not pass in a model. Returns at once if the limit is zero.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        if limit.is_zero() {
            return (guard, true);
        }
        (self.wait(guard), false)
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

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

pub mod thread {
    //! Model threads.
    use std::io;

    /// A started model thread.
    #[derive(Debug)]
    pub struct JoinHandle(shuttle::thread::JoinHandle<()>);

    impl JoinHandle {
        /// Blocks until the thread has ended. Returns true if it did not panic.
        pub fn join(self) -> bool {
            self.0.join().is_ok()
        }

        /// Returns whether the handle is that of the calling thread.
        pub fn is_caller(&self) -> bool {
            self.0.thread().id() == shuttle::thread::current().id()
        }

        /// Returns the handle: a model cannot tell whether [`join`](Self::join) would wait.
        pub fn try_join(self) -> Result<(), Self> {
            Err(self)
        }
    }

    /// Starts a model thread.
    pub fn spawn(name: String, f: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
        shuttle::thread::Builder::new().name(name).spawn(f).map(JoinHandle)
    }

    /// Works like [`spawn`], because the checker decides the size of a model thread's stack.
    pub fn spawn_on(
        _: usize,
        name: String,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle> {
        spawn(name, f)
    }

    /// Lets the other threads of a rescan loop move on.
    pub fn yield_now() {
        shuttle::thread::yield_now();
    }
}

/// A value that only modelled builds hold.
#[derive(Debug)]
pub struct ModelOnly<T>(T);

impl<T> ModelOnly<T> {
    /// Returns `value`, because this is a modelled build.
    pub fn new(value: T) -> Option<Self> {
        Some(ModelOnly(value))
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// Runs one turn of a busy wait.
pub fn spin_hint() {
    shuttle::hint::spin_loop();
}

pub mod clock {
    //! The time of a model. It stands still, except in a user's program, where it is a part of the model.

    /// Returns zero, or the virtual time of a user's program.
    pub fn now() -> u64 {
        crate::platform::hooks::hooks().map_or(0, |hooks| (hooks.now)())
    }
}

/// Returns the same seed each time, because models are deterministic.
pub fn seed() -> u64 {
    0x9E37_79B9_7F4A_7C15
}

pub mod tls {
    //! Thread-locals of the model thread (all model threads share one kernel thread).
    use crate::platform::{Arc, Parker};
    use std::cell::{Cell, RefCell};

    shuttle::thread_local! {
        static WORKER: Cell<*const ()> = Cell::new(std::ptr::null());
        static PARKER: RefCell<Option<Arc<Parker>>> = RefCell::new(None);
    }

    /// Does nothing, because the thread-locals of a model are looked up at each access.
    pub fn opaque() {}

    /// Returns the pointer that `set_worker` stored for the model thread that runs now.
    #[inline(never)]
    pub fn worker() -> *const () {
        WORKER.with(Cell::get)
    }

    /// Sets the pointer that `worker` returns for the calling model thread.
    ///
    /// # Safety
    /// `word` must be null, or the memory that it points to must stay valid until the thread sets another pointer or
    /// ends.
    #[inline(never)]
    pub unsafe fn set_worker(word: *const ()) {
        WORKER.with(|w| w.set(word));
    }

    /// Does nothing, because in a model no goroutine has thread-locals of its own.
    ///
    /// # Safety
    /// The caller need not guarantee anything.
    pub unsafe fn follow(_: *const crate::platform::unmodelled::AtomicPtr<()>) {}
    /// Does nothing, because no model forks.
    pub fn orphan() {}

    /// Returns false, because no model forks.
    pub fn is_orphan() -> bool {
        false
    }

    /// Returns the calling model thread's own parker.
    #[inline(never)]
    pub fn parker() -> Option<Arc<Parker>> {
        let known = PARKER.with(|parker| parker.borrow().clone());
        Some(known.unwrap_or_else(|| {
            let parker = Arc::new(Parker::new());
            set_parker(Arc::clone(&parker));
            parker
        }))
    }

    /// Makes the calling model thread a goroutine of a checked program.
    pub fn set_parker(parker: Arc<Parker>) {
        PARKER.with(|own| own.replace(Some(parker)));
    }

    /// Returns the id of the goroutine that the calling model thread stands for, or 0 if it stands for none.
    pub fn goroutine() -> u32 {
        PARKER.with(|parker| parker.borrow().as_ref().map_or(0, |parker| parker.goroutine()))
    }
}

//! Goroutine-local values: the keys, and the macro that makes them. `structures::local_values` stores the values and
//! keeps [Z2] and [Z3].
//!
//! with: find the value in the goroutine's cell, or on a plain thread in a thread-local. Make the value if there is
//!     none, and call the closure with a reference. The reference stays valid across suspensions and migration,
//!     because the value belongs to the goroutine, lies in its own box, and is dropped only when the body has
//!     returned, which cannot happen while the closure runs.
//! Checked by: proptests/runtime/local.rs, verification/loom/local.rs.
#![allow(unsafe_code)]

use crate::sched::core::current::current_goroutine;
use crate::structures::local_values;
use crate::structures::local_values::{Inherit, LocalValues, Unreachable};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ptr::NonNull;

/// The key of a value that each goroutine has for itself. Made by [`goroutine_local!`](crate::goroutine_local).
///
/// It works like [`std::thread::LocalKey`]. On a plain thread the value belongs to the thread, and in a model to the
/// model thread. Within [`blocking`](fn@crate::blocking) the value cannot be reached, because the closure may run on
/// another kernel thread. Take what you need before that call.
///
/// # Destruction
/// The values of a goroutine are dropped on that goroutine when its body has returned or panicked, and before its
/// joiner learns of the end. The value that was made last is dropped first. The destructors may suspend, use other
/// values, and make values that were not there yet. A value that was dropped is not made again. A destructor that
/// panics aborts the process. A goroutine that never ends, or that its runtime abandons, keeps its values.
/// Two things come after that: a result that nobody asks for is dropped, and the waker of a task that awaits the
/// goroutine is called. If either of them uses a key, the value is made again, and dropped when that code has
/// returned.
pub struct LocalKey<T: 'static> {
    make: fn() -> T,
    inherit: Option<Inherit>,
}

/// The error that says why a goroutine-local value cannot be reached: it was dropped because its goroutine ends, its
/// first value is being computed, or the caller is within [`blocking`](fn@crate::blocking).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError(Unreachable);

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Unreachable::Gone => {
                "the goroutine-local value was destroyed because its goroutine ends: don't use it in \
                 the destructors of others"
            }
            Unreachable::Making => {
                "the first value of a goroutine-local asks for itself: compute it without that"
            }
            Unreachable::Elsewhere => {
                "goroutine-local values can't be reached within `blocking`: read them before it"
            }
        })
    }
}

impl std::error::Error for AccessError {}

/// Calls `f` with the caller's own values.
fn own<R>(f: impl FnOnce(&LocalValues) -> Result<R, Unreachable>) -> Result<R, Unreachable> {
    match current_goroutine() {
        Some(goroutine) if goroutine.own.sections.get() > 0 => Err(Unreachable::Elsewhere),
        Some(goroutine) => f(goroutine.locals()),
        None => f(&*local_values::of_thread().ok_or(Unreachable::Gone)?),
    }
}

/// Returns the values that a goroutine inherits if the caller spawns it now. Calls `clone`, which may panic.
pub(crate) fn inherited() -> Option<Box<LocalValues>> {
    match current_goroutine() {
        Some(goroutine) if goroutine.own.locals.get().is_null() => None,
        _ => own(|locals| Ok(locals.inherited())).ok().flatten(),
    }
}

/// Calls `f` with the values that a goroutine would have if the caller spawned it now, and then drops these values.
pub(crate) fn as_another<R>(f: impl FnOnce() -> R) -> Result<R, AccessError> {
    let first = inherited().map_or_else(LocalValues::new, |inherited| *inherited);
    own(|locals| Ok(locals.lend(first, f))).map_err(AccessError)
}

impl<T: 'static> LocalKey<T> {
    /// Used by the macro.
    #[doc(hidden)]
    pub const fn new(make: fn() -> T) -> Self {
        LocalKey { make, inherit: None }
    }

    /// Used by the macro.
    #[doc(hidden)]
    pub const fn inherited(make: fn() -> T) -> Self
    where
        T: Clone + Send,
    {
        LocalKey { make, inherit: Some(copy::<T>) }
    }

    /// Calls `f` with the value. If there is no value, makes it first. `f` may suspend.
    ///
    /// The first use in a goroutine allocates.
    ///
    /// # Panics
    /// Panics if the value cannot be reached; see [`AccessError`].
    ///
    /// ```
    /// selvedge::goroutine_local! {
    ///     static NAME: String = String::from("unnamed");
    /// }
    ///
    /// selvedge::Runtime::new()?.run(|| {
    ///     let length = selvedge::go(|| NAME.with(|name| name.len()));
    ///     assert_eq!(length.join().unwrap(), 7);
    /// });
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.reach(self.make) {
            Ok(value) => f(value),
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls `f` with the value like [`with`](Self::with), but returns an error instead of panicking.
    ///
    /// # Errors
    /// Returns an error if the value cannot be reached.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        self.reach(self.make).map(f)
    }

    /// Returns a reference to the value. The caller chooses the lifetime, and must not use the reference after it has
    /// returned: both callers only pass it to `f`.
    fn reach<'a>(&'static self, make: impl FnOnce() -> T) -> Result<&'a T, AccessError> {
        let key = NonNull::from(self).cast();
        let found = own(|locals| locals.reach(key, self.inherit, || Box::new(make())));
        let value = found.map_err(AccessError)?;
        // SAFETY: the value is dropped only when the body of the caller's goroutine, or the caller's thread, has
        // ended. Until then it stays in its place. [Z2] [Z3]
        let value: &'a dyn Any = unsafe { value.as_ref() };
        Ok(value.downcast_ref().expect("a value of its key's type"))
    }

    /// If there is no value, makes `first` the value, and calls `f` with it and `None`. Otherwise calls `f` with the
    /// value and `Some(first)`.
    #[track_caller]
    fn with_first<R>(&'static self, first: T, f: impl FnOnce(&T, Option<T>) -> R) -> R {
        let mut first = Some(first);
        match self.reach(|| first.take().expect("called once")) {
            Ok(value) => f(value, first),
            Err(error) => panic!("{error}"),
        }
    }
}

fn copy<T: Clone + Send + 'static>(value: &dyn Any) -> Box<dyn Any + Send> {
    Box::new(value.downcast_ref::<T>().expect("a value of its key's type").clone())
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value. If there is no value yet, the initial value is not computed.
    ///
    /// # Panics
    /// Panics under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with_first(Cell::new(value), |cell, unused| {
            if let Some(unused) = unused {
                cell.set(unused.into_inner());
            }
        });
    }

    /// Returns a copy of the value.
    ///
    /// # Panics
    /// Panics under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value, and leaves the default of its type.
    ///
    /// # Panics
    /// Panics under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets the value, and returns the previous one.
    ///
    /// # Panics
    /// Panics under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with a shared borrow.
    ///
    /// # Panics
    /// Panics if the value is mutably borrowed, and under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with a mutable borrow.
    ///
    /// # Panics
    /// Panics if the value is borrowed, and under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value. If there is no value yet, the initial value is not computed.
    ///
    /// # Panics
    /// Panics if the value is borrowed, and under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with_first(RefCell::new(value), |cell, unused| {
            if let Some(unused) = unused {
                drop(cell.replace(unused.into_inner()));
            }
        });
    }

    /// Takes the value, and leaves the default of its type.
    ///
    /// # Panics
    /// Panics if the value is borrowed, and under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Sets the value, and returns the previous one.
    ///
    /// # Panics
    /// Panics if the value is borrowed, and under the same conditions as [`with`](Self::with).
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKey { .. }")
    }
}

/// Declares values that each goroutine has for itself. A value is made at its first use in a goroutine; see
/// [`LocalKey`].
///
/// With `inherit`, a goroutine starts with a clone of the value that its spawner (a goroutine or a plain thread) has
/// at that time, if the spawner has one. The type of such a value must be `Clone + Send`. Its `clone` runs in the
/// spawner, so a panic of `clone` unwinds there.
///
/// ```
/// use std::cell::{Cell, RefCell};
///
/// selvedge::goroutine_local! {
///     static COUNT: Cell<u32> = Cell::new(0);
///     inherit static REQUEST: RefCell<String> = RefCell::new(String::from("none"));
/// }
///
/// selvedge::Runtime::new()?.run(|| {
///     COUNT.set(7);
///     REQUEST.set("GET /".to_owned());
///     let child = selvedge::go(|| (COUNT.get(), REQUEST.take()));
///     assert_eq!(child.join().unwrap(), (0, "GET /".to_owned()));
///     assert_eq!(COUNT.get(), 7);
///     REQUEST.with_borrow(|request| assert_eq!(request, "GET /"));
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[macro_export]
macro_rules! goroutine_local {
    () => {};
    ($(#[$attribute:meta])* inherit static $name:ident : $type:ty = $first:expr $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        static $name: $crate::LocalKey<$type> = $crate::LocalKey::inherited(|| $first);
        $($crate::goroutine_local! { $($rest)* })?
    };
    ($(#[$attribute:meta])* $visible:vis static $name:ident : $type:ty = $first:expr $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visible static $name: $crate::LocalKey<$type> = $crate::LocalKey::new(|| $first);
        $($crate::goroutine_local! { $($rest)* })?
    };
    ($(#[$attribute:meta])* $visible:vis inherit static $name:ident : $type:ty = $first:expr $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visible static $name: $crate::LocalKey<$type> = $crate::LocalKey::inherited(|| $first);
        $($crate::goroutine_local! { $($rest)* })?
    };
}

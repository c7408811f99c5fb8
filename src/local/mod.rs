//! Goroutine-local values: the keys, and the macro that makes them. Where the values are kept:
//! `platform::locals`, by [Z2] and [Z3].
//!
//! with: find the value in the goroutine's cell, or on a plain thread in its thread-local; make it if
//! there is none; call the closure with a reference. The reference stays good across suspensions and
//! migration: the value belongs to the goroutine, lies in a box of its own, and goes when the body has
//! returned, which it can't while the closure runs.
//! Checked by: proptests/runtime/local.rs, verification/loom/local.rs.
#![allow(unsafe_code)]

use crate::sched::core::current::current_goroutine;
use crate::structures::local_values;
use crate::structures::local_values::{Inherit, LocalValues, Unreachable};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ptr::NonNull;

/// Names a value that each goroutine has for itself; made by
/// [`goroutine_local!`](crate::goroutine_local).
///
/// It works as [`std::thread::LocalKey`] does. On a plain thread the value is the thread's; in a model,
/// the model thread's. Within [`blocking`](fn@crate::blocking) it can't be reached, since the closure
/// may run on another kernel thread: take what is needed before.
///
/// # Destruction
/// A goroutine's values are dropped on it when its body has returned or panicked, the last made first,
/// before whoever joins it learns of the end; those destructors may suspend, reach other values, and
/// make values that were not there yet. A value that is gone is not made again. A destructor that panics
/// aborts the process. A goroutine that never ends, or is left behind by its runtime, keeps its values.
/// A result that nobody asks for is dropped after them, and the waker of a task that awaits the goroutine is
/// called after them; if one of these uses a key, the value is made anew, and dropped when it has returned.
pub struct LocalKey<T: 'static> {
    make: fn() -> T,
    inherit: Option<Inherit>,
}

/// A goroutine-local value can't be reached: it was destroyed, as its goroutine ends; or its first value
/// is being computed; or the caller is within [`blocking`](fn@crate::blocking).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError(Unreachable);

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Unreachable::Gone => {
                "the goroutine-local value was destroyed, since its goroutine ends: don't use it in \
                 the destructors of others"
            }
            Unreachable::Making => {
                "the first value of a goroutine-local asks for itself: compute it without"
            }
            Unreachable::Elsewhere => {
                "goroutine-local values can't be reached within `blocking`: take what is needed before"
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

/// What a goroutine that is spawned now inherits of the caller. Calls `clone`, which may panic.
pub(crate) fn inherited() -> Option<Box<LocalValues>> {
    match current_goroutine() {
        Some(goroutine) if goroutine.own.locals.get().is_null() => None,
        _ => own(|locals| Ok(locals.inherited())).ok().flatten(),
    }
}

/// Calls `f` with values as a goroutine has them that the caller spawns now, and destroys them then.
pub(crate) fn as_another<R>(f: impl FnOnce() -> R) -> Result<R, AccessError> {
    let first = inherited().map_or_else(LocalValues::new, |inherited| *inherited);
    own(|locals| Ok(locals.lend(first, f))).map_err(AccessError)
}

impl<T: 'static> LocalKey<T> {
    /// For the macro.
    #[doc(hidden)]
    pub const fn new(make: fn() -> T) -> Self {
        LocalKey { make, inherit: None }
    }

    /// For the macro.
    #[doc(hidden)]
    pub const fn inherited(make: fn() -> T) -> Self
    where
        T: Clone + Send,
    {
        LocalKey { make, inherit: Some(copy::<T>) }
    }

    /// Calls `f` with the value, which is made first if there is none. `f` may suspend.
    ///
    /// The first use in a goroutine allocates.
    ///
    /// # Panics
    /// If the value can't be reached: see [`AccessError`].
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.reach(self.make) {
            Ok(value) => f(value),
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`with`](Self::with), with an error in place of the panic.
    ///
    /// # Errors
    /// If the value can't be reached.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        self.reach(self.make).map(f)
    }

    /// The lifetime is that of whoever calls `f` with it: the two above.
    fn reach<'a>(&'static self, make: impl FnOnce() -> T) -> Result<&'a T, AccessError> {
        let key = NonNull::from(self).cast();
        let found = own(|locals| locals.reach(key, self.inherit, || Box::new(make())));
        let value = found.map_err(AccessError)?;
        // SAFETY: it goes when the body of the caller's goroutine, or its thread, has ended; until then
        // it stays in its place. [Z2] [Z3]
        let value: &'a dyn Any = unsafe { value.as_ref() };
        Ok(value.downcast_ref().expect("a value of its key's type"))
    }

    /// The value, `first` if there is none; and `first` back if there was.
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
    /// Sets the value. If there is none yet, the initial one is not computed.
    ///
    /// # Panics
    /// As [`with`](Self::with); so do those below.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with_first(Cell::new(value), |cell, unused| {
            if let Some(unused) = unused {
                cell.set(unused.into_inner());
            }
        });
    }

    /// A copy of the value.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// The value; its default stays.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets the value, and returns what was there.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with a shared borrow.
    ///
    /// # Panics
    /// If it is mutably borrowed; and as [`with`](Self::with). Those below: if it is borrowed.
    #[track_caller]
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with a mutable borrow.
    #[track_caller]
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value. If there is none yet, the initial one is not computed.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with_first(RefCell::new(value), |cell, unused| {
            if let Some(unused) = unused {
                drop(cell.replace(unused.into_inner()));
            }
        });
    }

    /// The value; its default stays.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Sets the value, and returns what was there.
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

/// Declares values that each goroutine has for itself, made at their first use there: see
/// [`LocalKey`].
///
/// With `inherit`, a goroutine begins with a clone of the value that its spawner (a goroutine, or a
/// plain thread) has at that time, if it has one. Such a type is `Clone + Send`, and its `clone` runs in
/// the spawner, where a panic of it goes.
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

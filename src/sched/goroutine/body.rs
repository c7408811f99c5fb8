//! Task: a goroutine's closure, and then its result, in the same place.
//! write: inline where it fits, else boxed.  run: take the closure out, call it, leave the result.
//! The types are erased: a cell keeps a `Payload` and the `Vtable` that knows what lies in it.
//! Checked by: proptests/runtime/lifecycle.rs, and unit tests here.

use std::any::Any;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic carries.
pub(crate) type PanicPayload = Box<dyn Any + Send + 'static>;
/// How a goroutine's body ends.
pub(crate) type Outcome<T> = Result<T, PanicPayload>;

const INLINE: usize = 40;

/// Room for a small closure or result.
#[repr(C, align(8))]
pub(crate) struct Payload(MaybeUninit<[u8; INLINE]>);

impl Payload {
    pub(crate) fn new() -> Self {
        Payload(MaybeUninit::uninit())
    }
}

/// What can be done with a payload, its types forgotten.
///
/// Order: written, then `run`, then `output` and `free`; or written, then `drop_closure`.
pub(crate) struct Vtable {
    /// Calls the closure and leaves its outcome. True if it panicked.
    pub(crate) run: unsafe fn(*mut Payload) -> bool,
    /// Drops a closure that will not run, and frees its place.
    pub(crate) drop_closure: unsafe fn(*mut Payload),
    /// Where the outcome lies, to be read once: an `Outcome<T>`.
    pub(crate) output: unsafe fn(*mut Payload) -> *mut (),
    /// Frees the place once the outcome was read.
    pub(crate) free: unsafe fn(*mut Payload),
    /// Drops the outcome and frees the place.
    pub(crate) drop_output: unsafe fn(*mut Payload),
}

/// The vtable of a cell that never had a body.
pub(crate) static NOTHING: Vtable = Vtable {
    run: |_| false,
    drop_closure: |_| {},
    output: |_| std::ptr::null_mut(),
    free: |_| {},
    drop_output: |_| {},
};

/// A closure, and in its place its outcome: both at the same address, which is that of the stage.
#[repr(C)]
union Stage<F, T> {
    closure: ManuallyDrop<F>,
    outcome: ManuallyDrop<Outcome<T>>,
}

/// The body of a goroutine that runs an `F` to get a `T`.
pub(crate) struct Task<F, T>(PhantomData<(F, T)>);

impl<T, F: FnOnce() -> T> Task<F, T> {
    const FITS: bool =
        size_of::<Stage<F, T>>() <= INLINE && align_of::<Stage<F, T>>() <= align_of::<Payload>();

    pub(crate) const VTABLE: &'static Vtable = &Vtable {
        run: Self::run,
        drop_closure: Self::drop_closure,
        output: Self::output,
        free: Self::free,
        drop_output: Self::drop_output,
    };

    /// Puts `closure` into an empty payload.
    ///
    /// # Safety
    /// `payload` is valid and holds nothing.
    pub(crate) unsafe fn write(payload: *mut Payload, closure: F) {
        let stage = Stage { closure: ManuallyDrop::new(closure) };
        if Self::FITS {
            // SAFETY: FITS says that size and alignment are enough; the payload is the caller's.
            unsafe { payload.cast::<Stage<F, T>>().write(stage) };
        } else {
            // SAFETY: a pointer fits; the payload is the caller's.
            unsafe { payload.cast::<*mut Stage<F, T>>().write(Box::into_raw(Box::new(stage))) };
        }
    }

    /// Takes back a closure that was written and not run.
    ///
    /// # Safety
    /// `payload` was written by `write` of this very type, and nothing was called since.
    pub(crate) unsafe fn take_back(payload: *mut Payload) -> F {
        // SAFETY: the caller's promise; the closure is read once, and its place then freed.
        unsafe {
            let closure = ManuallyDrop::take(&mut (*Self::stage(payload)).closure);
            Self::free(payload);
            closure
        }
    }

    unsafe fn stage(payload: *mut Payload) -> *mut Stage<F, T> {
        if Self::FITS {
            payload.cast()
        } else {
            // SAFETY: `write` left the box's pointer there.
            unsafe { payload.cast::<*mut Stage<F, T>>().read() }
        }
    }

    unsafe fn run(payload: *mut Payload) -> bool {
        // SAFETY: written and not yet run, by the vtable's order; the closure is taken once, and
        // the outcome is written where it lay.
        unsafe {
            let stage = Self::stage(payload);
            let closure = ManuallyDrop::take(&mut (*stage).closure);
            let outcome = catch_unwind(AssertUnwindSafe(closure));
            let panicked = outcome.is_err();
            stage.write(Stage { outcome: ManuallyDrop::new(outcome) });
            panicked
        }
    }

    unsafe fn drop_closure(payload: *mut Payload) {
        // SAFETY: the same order.
        drop(unsafe { Self::take_back(payload) });
    }

    unsafe fn output(payload: *mut Payload) -> *mut () {
        // SAFETY: `write` was called.
        let stage = unsafe { Self::stage(payload) };
        // SAFETY: the stage is in its place; nothing is read.
        unsafe { (&raw mut (*stage).outcome).cast() }
    }

    unsafe fn free(payload: *mut Payload) {
        if !Self::FITS {
            // SAFETY: the box of `write`; what lay in it was moved out, and unions drop nothing.
            drop(unsafe { Box::from_raw(Self::stage(payload)) });
        }
    }

    unsafe fn drop_output(payload: *mut Payload) {
        // SAFETY: the body has run and its outcome was not read.
        unsafe {
            let outcome = ManuallyDrop::take(&mut (*Self::stage(payload)).outcome);
            Self::free(payload);
            drop(outcome);
        }
    }
}

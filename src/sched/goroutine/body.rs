//! A task is a goroutine's closure, and later its result, in the same memory.
//! write: store the closure inline if it fits, otherwise in a box.  run: take the closure out, call it, store the
//! result.
//! The types are erased: a cell has a `Payload`, and the `Vtable` for the types that are stored in it.
//! Checked by: proptests/runtime/lifecycle.rs, and unit tests here.

use std::any::Any;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The value that a panic carries.
pub(crate) type PanicPayload = Box<dyn Any + Send + 'static>;
/// The result of a goroutine's body: a value or a panic.
pub(crate) type Outcome<T> = Result<T, PanicPayload>;

const INLINE: usize = 40;

/// Memory for a small closure or result.
#[repr(C, align(8))]
pub(crate) struct Payload(MaybeUninit<[u8; INLINE]>);

impl Payload {
    pub(crate) fn new() -> Self {
        Payload(MaybeUninit::uninit())
    }
}

/// The operations on a payload, without its types.
///
/// Order of the calls: write, then `run`, then `output` and `free` (or `drop_output`); or write, then
/// `drop_closure`.
pub(crate) struct Vtable {
    /// Calls the closure and stores its outcome. Returns true if the closure panicked.
    pub(crate) run: unsafe fn(*mut Payload) -> bool,
    /// Drops a closure that will not run, and frees its memory.
    pub(crate) drop_closure: unsafe fn(*mut Payload),
    /// Returns the address of the outcome, an `Outcome<T>`, which the caller may read once.
    pub(crate) output: unsafe fn(*mut Payload) -> *mut (),
    /// Frees the memory after the outcome was read.
    pub(crate) free: unsafe fn(*mut Payload),
    /// Drops the outcome and frees the memory.
    pub(crate) drop_output: unsafe fn(*mut Payload),
}

/// The vtable of a cell that has never had a body.
pub(crate) static NOTHING: Vtable = Vtable {
    run: |_| false,
    drop_closure: |_| {},
    output: |_| std::ptr::null_mut(),
    free: |_| {},
    drop_output: |_| {},
};

/// A closure, or its outcome in the same memory. Both have the address of the union.
#[repr(C)]
union Stage<F, T> {
    closure: ManuallyDrop<F>,
    outcome: ManuallyDrop<Outcome<T>>,
}

/// The body of a goroutine that runs an `F` to produce a `T`.
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

    /// Stores `closure` in an empty payload.
    ///
    /// # Safety
    /// `payload` must be valid and must hold nothing.
    pub(crate) unsafe fn write(payload: *mut Payload, closure: F) {
        let stage = Stage { closure: ManuallyDrop::new(closure) };
        if Self::FITS {
            // SAFETY: the caller guarantees that `payload` is valid and empty. `FITS` says that its size and
            // alignment suffice.
            unsafe { payload.cast::<Stage<F, T>>().write(stage) };
        } else {
            // SAFETY: the caller guarantees that `payload` is valid and empty. A pointer fits into it.
            unsafe { payload.cast::<*mut Stage<F, T>>().write(Box::into_raw(Box::new(stage))) };
        }
    }

    /// Takes back a closure that was stored and not run.
    ///
    /// # Safety
    /// `payload` must have been written by `write` of this type, and no other function called on it since.
    pub(crate) unsafe fn take_back(payload: *mut Payload) -> F {
        // SAFETY: the caller guarantees that `write` has stored a closure in `payload`, and that no other function
        // has used it since. The closure is read once, and its memory is then freed.
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
            // SAFETY: the closure does not fit, so `write` has stored the pointer of its box in `payload`.
            unsafe { payload.cast::<*mut Stage<F, T>>().read() }
        }
    }

    unsafe fn run(payload: *mut Payload) -> bool {
        // SAFETY: by the order of the vtable's calls the closure is stored and was not run. It is taken once, and
        // the outcome is written to the same memory.
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
        // SAFETY: by the order of the vtable's calls the closure is stored and was not run.
        drop(unsafe { Self::take_back(payload) });
    }

    unsafe fn output(payload: *mut Payload) -> *mut () {
        // SAFETY: `write` was called before.
        let stage = unsafe { Self::stage(payload) };
        // SAFETY: the stage is valid; only an address is taken, and nothing is read.
        unsafe { (&raw mut (*stage).outcome).cast() }
    }

    unsafe fn free(payload: *mut Payload) {
        if !Self::FITS {
            // SAFETY: `write` made this box. Its content was moved out, and a union drops nothing.
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

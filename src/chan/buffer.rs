//! Buffer: the values of a channel that nobody has received yet: a ring that grows and shrinks. Values are
//! moved in from where they lie and out to where they shall lie, so that a large one takes no room on the
//! stack in between.
//! push: one memcpy; full, it doubles.   pop: one memcpy; every so many, a look whether it is an eighth full:
//! then it is cut to twice of what it holds. Both O(1), amortized. So an unbounded channel that was drained
//! gives its memory back.
//! Behind the channel's lock.
//! Checked by: src/chan/buffer_tests.rs, proptests/runtime/channels.rs.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// The least room that is allocated once there is a value.
const LEAST: usize = 4;
/// A buffer of fewer bytes is not cut.
const SMALL: usize = 64 << 10;

pub(super) struct Buffer<T> {
    start: NonNull<T>,
    /// How many values fit.
    room: usize,
    /// Where the first value is. Below `room`, or 0.
    head: usize,
    len: usize,
    /// When `head` comes here, it wraps around, or it is time to see whether the buffer should be cut.
    turn: usize,
    /// It is never cut below this room.
    kept: usize,
    _values: PhantomData<T>,
}

// SAFETY: it owns its values.
unsafe impl<T: Send> Send for Buffer<T> {}

impl<T> Buffer<T> {
    /// So many values are few.
    const FEW: usize = match size_of::<T>() {
        0 => usize::MAX,
        size if size > SMALL / LEAST => LEAST,
        size => SMALL / size,
    };

    /// An empty buffer that has room for `kept` values, and always will have.
    ///
    /// # Panics
    /// If that is more than an address space.
    pub(super) fn new(kept: usize) -> Self {
        let start = NonNull::dangling();
        let room = if size_of::<T>() == 0 { usize::MAX } else { 0 };
        let mut buffer =
            Buffer { start, room, head: 0, len: 0, turn: room, kept, _values: PhantomData };
        if kept > buffer.room {
            buffer.resize(kept);
        }
        buffer
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many values fit before it grows.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Moves a value in behind the others.
    ///
    /// # Safety
    /// `value` points to a value, which is the buffer's from here on.
    #[inline]
    pub(super) unsafe fn push_back(&mut self, value: *const T) {
        if self.len == self.room {
            self.grow();
        }
        // SAFETY: a free place; the value is ours, and elsewhere.
        unsafe { ptr::copy_nonoverlapping(value, self.place(self.len), 1) };
        self.len += 1;
    }

    /// Moves a value in before the others.
    ///
    /// # Safety
    /// As [`push_back`](Self::push_back).
    pub(super) unsafe fn push_front(&mut self, value: *const T) {
        if self.len == self.room {
            self.grow();
        }
        self.head = if self.head == 0 { self.room - 1 } else { self.head - 1 };
        // SAFETY: as in `push_back`.
        unsafe { ptr::copy_nonoverlapping(value, self.place(0), 1) };
        self.len += 1;
        self.set_turn();
    }

    /// Moves the first value out to `into`; false if there is none.
    ///
    /// # Safety
    /// `into` is a place for a value, which is the caller's if the answer is true.
    #[inline]
    pub(super) unsafe fn pop_front(&mut self, into: *mut T) -> bool {
        if self.len == 0 {
            return false;
        }
        // SAFETY: the first value; it is counted no more.
        unsafe { ptr::copy_nonoverlapping(self.place(0), into, 1) };
        self.head += 1;
        self.len -= 1;
        if self.head == self.turn {
            self.turn();
        }
        true
    }

    /// The place of the value that has so many before it.
    #[inline]
    fn place(&self, at: usize) -> *mut T {
        // Where values have no size, the room is all numbers, and any sum will do.
        let mut index = self.head.wrapping_add(at);
        if at > 0 && index >= self.room {
            index -= self.room;
        }
        // SAFETY: below `room`.
        unsafe { self.start.as_ptr().add(index) }
    }

    /// Every so many values that leave.
    #[cold]
    fn turn(&mut self) {
        if self.head == self.room {
            self.head = 0;
        }
        let least = Self::FEW.max(self.kept);
        if self.room > least && self.len <= self.room / 8 {
            self.resize(least.max(2 * self.len));
        } else {
            self.set_turn();
        }
    }

    fn set_turn(&mut self) {
        let may_be_cut = self.room > Self::FEW.max(self.kept);
        let step = self.room / 8;
        self.turn = if may_be_cut { self.room.min(self.head + step) } else { self.room };
    }

    #[cold]
    fn grow(&mut self) {
        let (old, wrapped) = (self.room, self.head);
        if old == 0 {
            return self.resize(LEAST.max(self.kept));
        }
        let doubled = old.checked_mul(2).expect("a buffer is smaller than the address space");
        let (before, after) = (layout::<T>(old), layout::<T>(doubled));
        // SAFETY: allocated with the layout of the old room.
        let start = unsafe { realloc(self.start.as_ptr().cast(), before, after.size()) };
        let Some(start) = NonNull::new(start.cast()) else { handle_alloc_error(after) };
        self.start = start;
        self.room = doubled;
        self.set_turn();
        // It was full: what had wrapped around follows what had not.
        // SAFETY: both lie within the new room, and don't overlap, since that is twice the old one.
        unsafe { ptr::copy_nonoverlapping(start.as_ptr(), start.as_ptr().add(old), wrapped) };
    }

    /// Moves everything to a new allocation, in which it fits.
    #[cold]
    fn resize(&mut self, room: usize) {
        let layout = layout::<T>(room);
        // SAFETY: of a size that is not zero, since neither a value's nor `room` is.
        let Some(start) = NonNull::<T>::new(unsafe { alloc(layout) }.cast()) else {
            handle_alloc_error(layout)
        };
        let first = self.len.min(self.room - self.head);
        let second = self.len - first;
        // SAFETY: the values lie in two pieces, and the new allocation has room for both.
        unsafe {
            ptr::copy_nonoverlapping(self.place(0), start.as_ptr(), first);
            ptr::copy_nonoverlapping(self.start.as_ptr(), start.as_ptr().add(first), second);
        }
        self.free();
        self.start = start;
        self.head = 0;
        self.room = room;
        self.set_turn();
    }

    fn free(&mut self) {
        if size_of::<T>() > 0 && self.room > 0 {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.start.as_ptr().cast(), layout::<T>(self.room)) };
        }
    }
}

/// # Panics
/// If that is more than an address space.
fn layout<T>(room: usize) -> Layout {
    Layout::array::<T>(room).expect("a buffer is smaller than the address space")
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        /// Frees the memory though a destructor panics.
        struct Memory<'a, T>(&'a mut Buffer<T>);
        impl<T> Drop for Memory<'_, T> {
            fn drop(&mut self) {
                self.0.free();
            }
        }
        /// Dropped though a destructor of the other piece panics.
        struct Piece<T>(*mut [T]);
        impl<T> Drop for Piece<T> {
            fn drop(&mut self) {
                // SAFETY: its values are dropped here alone.
                unsafe { ptr::drop_in_place(self.0) };
            }
        }
        let memory = Memory(self);
        let buffer = &*memory.0;
        let first = buffer.len.min(buffer.room - buffer.head);
        let second = buffer.len - first;
        let _second = Piece(ptr::slice_from_raw_parts_mut(buffer.start.as_ptr(), second));
        let _first = Piece(ptr::slice_from_raw_parts_mut(buffer.place(0), first));
    }
}

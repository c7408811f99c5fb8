//! Buffer: a ring that holds the values that were sent but not received, and that grows and shrinks. Values are moved
//! in and out by pointer, so that a large value takes no room on the stack in between.
//! push: costs one memcpy. A full buffer doubles its capacity.
//! pop: costs one memcpy. From time to time it checks whether at most an eighth of the buffer is used, and then
//!     shrinks the buffer to twice its content.
//! Both cost O(1), amortized. An unbounded channel that was drained returns its memory.
//! The buffer is guarded by the channel's lock.
//! Checked by: src/chan/buffer_tests.rs, proptests/runtime/channels.rs.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// The smallest capacity that is allocated for a first value.
const LEAST: usize = 4;
/// A buffer of at most this many bytes is not shrunk.
const SMALL: usize = 64 << 10;

pub(super) struct Buffer<T> {
    start: NonNull<T>,
    /// The number of values that fit.
    room: usize,
    /// The index of the first value. It is below `room`, or 0.
    head: usize,
    len: usize,
    /// When `head` reaches this index, it wraps around, or the buffer checks whether to shrink.
    turn: usize,
    /// The capacity is never shrunk below this number of values.
    kept: usize,
    _values: PhantomData<T>,
}

// SAFETY: the buffer owns its values.
unsafe impl<T: Send> Send for Buffer<T> {}

impl<T> Buffer<T> {
    /// A buffer with a capacity of at most this number of values is not shrunk.
    const FEW: usize = match size_of::<T>() {
        0 => usize::MAX,
        size if size > SMALL / LEAST => LEAST,
        size => SMALL / size,
    };

    /// Makes an empty buffer that always has room for `kept` values.
    ///
    /// # Panics
    /// Panics if that many values do not fit into the address space.
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

    /// Returns the number of values that fit before the buffer grows.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Moves a value in behind the others.
    ///
    /// # Safety
    /// `value` must point to a value. The buffer owns that value after the call.
    #[inline]
    pub(super) unsafe fn push_back(&mut self, value: *const T) {
        if self.len == self.room {
            self.grow();
        }
        // SAFETY: the place is free. The value is ours, and lies outside of the buffer.
        unsafe { ptr::copy_nonoverlapping(value, self.place(self.len), 1) };
        self.len += 1;
    }

    /// Moves a value in before the others.
    ///
    /// # Safety
    /// The caller must meet the same conditions as for [`push_back`](Self::push_back).
    pub(super) unsafe fn push_front(&mut self, value: *const T) {
        if self.len == self.room {
            self.grow();
        }
        self.head = if self.head == 0 { self.room - 1 } else { self.head - 1 };
        // SAFETY: as in `push_back`, the place is free and the value is ours.
        unsafe { ptr::copy_nonoverlapping(value, self.place(0), 1) };
        self.len += 1;
        self.set_turn();
    }

    /// Moves the first value out to `into`. Returns false if there is none.
    ///
    /// # Safety
    /// `into` must be a place for a value. The caller owns the value there if the result is true.
    #[inline]
    pub(super) unsafe fn pop_front(&mut self, into: *mut T) -> bool {
        if self.len == 0 {
            return false;
        }
        // SAFETY: this is the first value, and the buffer no longer counts it after the next lines.
        unsafe { ptr::copy_nonoverlapping(self.place(0), into, 1) };
        self.head += 1;
        self.len -= 1;
        if self.head == self.turn {
            self.turn();
        }
        true
    }

    /// Returns the place of the value that has `at` values before it.
    #[inline]
    fn place(&self, at: usize) -> *mut T {
        // For values without a size, `room` is the largest number, and any index is right.
        let mut index = self.head.wrapping_add(at);
        if at > 0 && index >= self.room {
            index -= self.room;
        }
        // SAFETY: the index is below `room`.
        unsafe { self.start.as_ptr().add(index) }
    }

    /// Called when `head` reaches `turn`: wraps around, or shrinks the buffer if it is nearly empty.
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
        // SAFETY: the memory was allocated with the layout of the old capacity.
        let start = unsafe { realloc(self.start.as_ptr().cast(), before, after.size()) };
        let Some(start) = NonNull::new(start.cast()) else { handle_alloc_error(after) };
        self.start = start;
        self.room = doubled;
        self.set_turn();
        // The buffer was full. The part that had wrapped around now follows the other part.
        // SAFETY: both parts lie within the new memory. They do not overlap, because the new memory is twice the old
        // one.
        unsafe { ptr::copy_nonoverlapping(start.as_ptr(), start.as_ptr().add(old), wrapped) };
    }

    /// Moves everything to a new allocation, which must have room for it.
    #[cold]
    fn resize(&mut self, room: usize) {
        let layout = layout::<T>(room);
        // SAFETY: the size is not zero, because neither the size of a value nor `room` is zero.
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
            // SAFETY: the memory was allocated with this layout.
            unsafe { dealloc(self.start.as_ptr().cast(), layout::<T>(self.room)) };
        }
    }
}

/// # Panics
/// Panics if that many values do not fit into the address space.
fn layout<T>(room: usize) -> Layout {
    Layout::array::<T>(room).expect("a buffer is smaller than the address space")
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        /// Frees the memory even if a destructor panics.
        struct Memory<'a, T>(&'a mut Buffer<T>);
        impl<T> Drop for Memory<'_, T> {
            fn drop(&mut self) {
                self.0.free();
            }
        }
        /// Drops its values even if a destructor of the other piece panics.
        struct Piece<T>(*mut [T]);
        impl<T> Drop for Piece<T> {
            fn drop(&mut self) {
                // SAFETY: these values are dropped only here.
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

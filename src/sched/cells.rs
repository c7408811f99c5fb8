//! Cells: the memory that a pool's cells lie in. It is given back with the pool alone.
//! grow: the first thousands come in chunks of their own; then by regions of 2 MiB, for which the kernel
//! is asked for huge pages: a page fault for six thousand cells, not for each dozen.
//! A cell stays where it was made until the pool is dropped. [G1]
//! Checked by: the test below, proptests/runtime/lifecycle.rs.

use crate::platform::{MODELLED, prefer_huge_pages};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

/// A huge page.
const REGION: usize = 2 << 20;
/// So many cells are worth a region.
const LARGE: usize = 4096;

/// See the module.
pub(super) struct Cells<T> {
    chunks: Vec<Box<[T]>>,
    regions: Vec<Region<T>>,
    len: usize,
}

/// `REGION` bytes, at an address that is a multiple of that; the first `made` of its places are cells.
struct Region<T> {
    first: NonNull<T>,
    made: usize,
}

// SAFETY: a region owns its cells.
unsafe impl<T: Send> Send for Region<T> {}

impl<T> Cells<T> {
    pub(super) fn new() -> Self {
        Cells { chunks: Vec::new(), regions: Vec::new(), len: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes `n` more, and hands them to `take`. [G1]
    pub(super) fn grow(
        &mut self,
        n: usize,
        make: impl Fn() -> T,
        mut take: impl FnMut(NonNull<T>),
    ) {
        self.len += n;
        if MODELLED || self.len <= LARGE {
            let chunk: Box<[T]> = (0..n).map(|_| make()).collect();
            chunk.iter().for_each(|cell| take(NonNull::from(cell)));
            self.chunks.push(chunk);
            return;
        }
        for _ in 0..n {
            if self.regions.last().is_none_or(Region::is_full) {
                self.regions.push(Region::new());
            }
            let region = self.regions.last_mut().expect("there is one");
            take(region.push(make()));
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = NonNull<T>> {
        let chunks = self.chunks.iter().flat_map(|chunk| chunk.iter().map(NonNull::from));
        chunks.chain(self.regions.iter().flat_map(Region::iter))
    }
}

impl<T> Region<T> {
    const LAYOUT: Layout = match Layout::from_size_align(REGION, REGION) {
        Ok(layout) => layout,
        Err(_) => panic!("a power of two"),
    };
    const ROOM: usize = REGION / size_of::<T>();

    fn new() -> Self {
        // SAFETY: not of size 0.
        let memory = unsafe { alloc(Self::LAYOUT) };
        let Some(first) = NonNull::new(memory.cast()) else { handle_alloc_error(Self::LAYOUT) };
        prefer_huge_pages(memory, REGION);
        Region { first, made: 0 }
    }

    fn is_full(&self) -> bool {
        self.made == Self::ROOM
    }

    fn push(&mut self, value: T) -> NonNull<T> {
        assert!(!self.is_full());
        // SAFETY: there is room, so the place lies in the region, and nothing is there yet.
        let cell = unsafe { self.first.add(self.made) };
        // SAFETY: as above.
        unsafe { cell.write(value) };
        self.made += 1;
        cell
    }

    fn iter(&self) -> impl Iterator<Item = NonNull<T>> + use<T> {
        let first = self.first;
        // SAFETY: the first `made` places lie in the region.
        (0..self.made).map(move |index| unsafe { first.add(index) })
    }
}

impl<T> Drop for Region<T> {
    fn drop(&mut self) {
        let cells = ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.made);
        // SAFETY: these places are cells, dropped here once; the memory is this region's own.
        unsafe {
            ptr::drop_in_place(cells);
            dealloc(self.first.as_ptr().cast(), Self::LAYOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cells, LARGE};
    use std::cell::Cell;
    use std::collections::HashSet;

    #[repr(align(64))]
    struct Counted<'a>(usize, &'a Cell<usize>);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
        }
    }

    #[test]
    fn cells_stay_and_are_dropped_once() {
        let (made, dropped) = (Cell::new(0), Cell::new(0));
        let mut cells = Cells::new();
        let mut places = Vec::new();
        // The last region is not full.
        while cells.len() < 20 * LARGE {
            let make = || Counted(made.replace(made.get() + 1), &dropped);
            cells.grow(65, make, |cell| places.push(cell));
        }
        assert_eq!((places.len(), made.get()), (cells.len(), cells.len()));
        // SAFETY: `cells` is there, and nobody writes.
        assert!(places.iter().enumerate().all(|(n, cell)| unsafe { cell.as_ref() }.0 == n));
        assert_eq!(cells.iter().collect::<HashSet<_>>(), places.into_iter().collect());
        drop(cells);
        assert_eq!(dropped.get(), made.get());
    }
}

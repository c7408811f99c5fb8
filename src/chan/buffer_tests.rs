//! Unit tests of the buffer. It must act like `VecDeque`, except for where it moves values and how much memory it
//! keeps.

use super::buffer::Buffer;
use std::cell::Cell;
use std::collections::VecDeque;
use std::mem::{self, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn push<T>(buffer: &mut Buffer<T>, value: T) {
    // SAFETY: the value is forgotten on the next line.
    unsafe { buffer.push_back(&raw const value) };
    mem::forget(value);
}

fn push_front<T>(buffer: &mut Buffer<T>, value: T) {
    // SAFETY: the value is forgotten on the next line.
    unsafe { buffer.push_front(&raw const value) };
    mem::forget(value);
}

fn pop<T>(buffer: &mut Buffer<T>) -> Option<T> {
    let mut into = MaybeUninit::uninit();
    // SAFETY: `into` is a place for a value, and it is read only if a value was moved there.
    unsafe { buffer.pop_front(into.as_mut_ptr()).then(|| into.assume_init()) }
}

/// Returns the next number of a pseudorandom sequence.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn any_sequence_does_as_in_a_deque() {
    for (seed, kept) in (0..60_u64).map(|seed| (seed, [0, 1, 3, 100][seed as usize % 4])) {
        let mut state = seed;
        let mut buffer = Buffer::new(kept);
        let mut oracle = VecDeque::new();
        // The buffer fills in one phase and drains in the next one.
        for step in 0..3000_u64 {
            let tide = if (step / 500) % 2 == 0 { 70 } else { 30 };
            match draw(&mut state) % 100 {
                n if n < 3 => {
                    push_front(&mut buffer, Box::new(step));
                    oracle.push_front(step);
                }
                n if n < tide => {
                    push(&mut buffer, Box::new(step));
                    oracle.push_back(step);
                }
                _ => assert_eq!(pop(&mut buffer).map(|value| *value), oracle.pop_front()),
            }
            assert_eq!(buffer.len(), oracle.len());
        }
        // The values that are left are dropped with the buffer, which the leak checkers verify.
        drop(buffer);
    }
}

/// Does the same as `any_sequence_does_as_in_a_deque`, with values so large that the buffer shrinks again and again.
#[test]
fn a_buffer_that_is_cut_again_and_again_loses_nothing() {
    let mut buffer: Buffer<[u64; 512]> = Buffer::new(0);
    let mut oracle = VecDeque::new();
    let mut state = 7;
    let mut rooms = Vec::new();
    for step in 0..40_000_u64 {
        let tide = if (step / 1000) % 3 == 0 { 80 } else { 20 };
        match draw(&mut state) % 100 {
            n if n < 2 => {
                push_front(&mut buffer, [step; 512]);
                oracle.push_front(step);
            }
            n if n < tide => {
                push(&mut buffer, [step; 512]);
                oracle.push_back(step);
            }
            _ => {
                let popped = pop(&mut buffer);
                assert!(popped.is_none_or(|value| value.iter().all(|&word| word == value[0])));
                assert_eq!(popped.map(|value| value[0]), oracle.pop_front());
            }
        }
        rooms.push(buffer.room());
    }
    assert!(rooms.windows(2).filter(|pair| pair[1] < pair[0]).count() >= 5, "it was never cut");
}

#[test]
fn a_drained_buffer_gives_its_memory_back() {
    let mut buffer = Buffer::new(0);
    for round in 0..3 {
        (0..1_000_000_u64).for_each(|n| push(&mut buffer, n));
        assert!(buffer.room() >= 1_000_000);
        (0..1_000_000).for_each(|n| assert_eq!(pop(&mut buffer), Some(n)));
        // 8192 values of 8 bytes are 64 KiB.
        assert!(buffer.room() <= 8192, "round {round}: {} places are left", buffer.room());
    }
}

#[test]
fn what_was_asked_for_is_kept() {
    let mut buffer = Buffer::new(100_000);
    assert_eq!(buffer.room(), 100_000);
    for _ in 0..5 {
        (0..100_000_u64).for_each(|n| push(&mut buffer, n));
        assert_eq!(buffer.room(), 100_000);
        (0..100_000).for_each(|n| assert_eq!(pop(&mut buffer), Some(n)));
        assert_eq!(buffer.room(), 100_000);
    }
    // Values that are given back may exceed the capacity.
    (0..150_000_u64).for_each(|n| push_front(&mut buffer, n));
    (0..150_000_u64).rev().for_each(|n| assert_eq!(pop(&mut buffer), Some(n)));
    assert_eq!(buffer.room(), 100_000);
}

#[test]
fn values_without_a_size_take_no_memory() {
    let mut buffer = Buffer::new(7);
    for _ in 0..1000 {
        push(&mut buffer, ());
        push_front(&mut buffer, ());
        push(&mut buffer, ());
        assert_eq!(pop(&mut buffer), Some(()));
    }
    assert_eq!(buffer.len(), 2000);
    assert_eq!(buffer.room(), usize::MAX);
    while pop(&mut buffer).is_some() {}
    assert_eq!(buffer.len(), 0);
}

#[test]
fn each_value_is_dropped_once_though_one_panics() {
    struct Counted<'a>(&'a Cell<u32>, bool);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            assert!(!self.1, "dropped");
        }
    }
    for bad in [0, 5, 9] {
        let dropped = Cell::new(0);
        let mut buffer = Buffer::new(8);
        (0..6).for_each(|_| push(&mut buffer, Counted(&dropped, false)));
        (0..4).for_each(|_| drop(pop(&mut buffer)));
        // The values now lie in two pieces.
        (0..10 - buffer.len()).for_each(|n| push(&mut buffer, Counted(&dropped, n + 2 == bad)));
        dropped.set(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| drop(buffer)));
        assert_eq!((dropped.get(), outcome.is_err()), (10, bad >= 2));
    }
}

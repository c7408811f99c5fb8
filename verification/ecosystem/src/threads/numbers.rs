//! `rand`: each thread has a generator of its own.

use super::{FEW, each, many_alive, pause};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

#[test]
fn no_two_goroutines_draw_the_same() {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let drawn = Arc::clone(&seen);
    each(FEW, move |number| {
        for turn in 0..20 {
            let numbers: [u64; 4] = rand::random();
            pause(number + turn);
            let more: u64 = rand::random();
            let mut drawn = drawn.lock().unwrap();
            assert!(numbers.into_iter().chain([more]).all(|one| drawn.insert(one)), "drawn before");
        }
    });
    assert_eq!(seen.lock().unwrap().len(), FEW * 100);
}

#[test]
fn very_many_draw() {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    many_alive(move |_| {
        let number: u64 = rand::random();
        assert!(seen.lock().unwrap().insert(number), "drawn before");
    });
}

//! `rayon`: work that goroutines give to its pool and wait for, and a pool that calls back.

use super::{FEW, each, many_alive, pause};
use rayon::prelude::*;

#[test]
fn goroutines_wait_for_the_pool() {
    each(FEW, |number| {
        let sum: usize = (0..1000_usize).into_par_iter().map(|item| item * number).sum();
        assert_eq!(sum, 499_500 * number);
        pause(number);
        let (one, other) = rayon::join(|| number + 1, || number + 2);
        assert_eq!((one, other), (number + 1, number + 2));
        assert_eq!(rayon::current_thread_index(), None, "a goroutine is no thread of the pool");
    });
}

#[test]
fn the_pool_sends_to_goroutines() {
    each(FEW, |number| {
        let (sender, receiver) = selvedge::chan::bounded(1);
        rayon::scope(|scope| {
            for item in 0..10 {
                let sender = sender.clone();
                scope.spawn(move |_| {
                    // On a plain thread, which may block.
                    let _ = sender.try_send(item);
                });
            }
        });
        pause(number);
        assert!((0..10).contains(&receiver.recv().expect("one at least")));
    });
}

#[test]
fn very_many_use_the_pool() {
    many_alive(|number| assert_eq!(rayon::join(|| number, || 1), (number, 1)));
}

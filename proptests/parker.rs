//! The parker with real threads: a number that nothing but permits protects goes to and fro. [K1] [K2]
//! [K3] Under Miri, or with a sanitizer, a permit that orders too little is a data race.

use crate::scaled;
use selvedge::internals::platform::cell::UnsafeCell;
use selvedge::internals::platform::{Arc, Parker};
use std::thread;
use std::time::Duration;

/// A number, and a permit for whoever may touch it next.
struct Table {
    number: UnsafeCell<usize>,
    permits: [Parker; 2],
}

// SAFETY: the permits pass the number from one thread to the other, which is what is tested.
unsafe impl Sync for Table {}
// SAFETY: as above.
unsafe impl Send for Table {}

impl Table {
    fn play(&self, own: usize, times: usize) {
        for _ in 0..times {
            self.permits[own].park();
            // SAFETY: the other thread waits for the permit that is given below. [K3]
            self.number.with_mut(|number| unsafe { *number += 1 });
            self.permits[1 - own].unpark();
        }
    }
}

#[test]
fn permits_pass_a_number_to_and_fro() {
    let times = scaled(20_000);
    let number = UnsafeCell::new(0);
    let table = Arc::new(Table { number, permits: [Parker::new(), Parker::new()] });
    let theirs = Arc::clone(&table);
    table.permits[0].unpark();
    let other = thread::spawn(move || theirs.play(1, times));
    table.play(0, times);
    other.join().expect("no panic");
    // SAFETY: the other thread has ended.
    assert_eq!(table.number.with(|number| unsafe { *number }), 2 * times);
}

#[test]
fn permits_do_not_add_up_and_wait() {
    let parker = Parker::new();
    parker.unpark();
    parker.unpark();
    parker.park();
    assert!(!parker.park_timeout(Duration::from_millis(1)), "K2: two permits are one");
    parker.unpark();
    assert!(parker.park_timeout(Duration::MAX), "K1: it has waited");
}

//! A program whose thread-local variables take more than 1 MiB: each block holds them all, so the slots
//! grow by as much. It is a test program of its own, since all goroutines of a program pay for it.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![cfg(not(feature = "portable-switch"))]

use selvedge::{Runtime, scope, yield_now};
use std::cell::{Cell, RefCell};

const LARGE: usize = 1 << 20;

thread_local! {
    static ZEROS: RefCell<[u8; LARGE]> = const { RefCell::new([0; LARGE]) };
    static ONES: Cell<[u64; 512]> = const { Cell::new([1; 512]) };
}

#[test]
fn goroutines_have_large_thread_locals_of_their_own() {
    let runtime = Runtime::builder().processors(2).max_goroutines(1000).build().expect("a runtime");
    // Twice, so that the second ones find blocks that were used.
    for _ in 0..2 {
        runtime.run(|| {
            scope(|s| {
                for number in 0..50_u8 {
                    s.go(move || large(number + 1));
                }
            });
        });
    }
}

fn large(number: u8) {
    ZEROS.with_borrow_mut(|zeros| {
        for at in (0..LARGE).step_by(4096) {
            assert_eq!(zeros[at], 0, "at {at}");
            zeros[at] = number;
        }
        yield_now();
        assert!((0..LARGE).step_by(4096).all(|at| zeros[at] == number), "a stranger's");
    });
    assert_eq!(ONES.get(), [1; 512]);
    ONES.set([u64::from(number); 512]);
    yield_now();
    assert_eq!(ONES.get(), [u64::from(number); 512]);
}

//! `scoped-tls`: a reference that is lent to all that runs on the thread until a call returns.

use super::{FEW, each, many_alive, pause};

scoped_tls::scoped_thread_local!(static TEXT: String);

fn lend(number: usize) {
    let own = format!("lent by {number}");
    assert!(!TEXT.is_set());
    TEXT.set(&own, || {
        pause(number);
        TEXT.with(|text| assert_eq!(*text, own));
        let inner = format!("lent within {number}");
        TEXT.set(&inner, || {
            pause(number + 1);
            TEXT.with(|text| assert_eq!(*text, inner));
        });
        pause(number + 2);
        TEXT.with(|text| assert_eq!(*text, own));
    });
    assert!(!TEXT.is_set());
}

#[test]
fn what_is_lent_is_ones_own() {
    each(FEW, |number| (0..20).for_each(|turn| lend(number + turn)));
}

#[test]
fn very_many_lend() {
    many_alive(lend);
}

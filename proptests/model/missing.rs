//! The build that ships has no checker, and says what to do.

use selvedge::model::{self, Check};

#[track_caller]
fn says<T>(expected: &str, call: impl FnOnce() -> T + std::panic::UnwindSafe) {
    let panic = std::panic::catch_unwind(call).err().expect("it must not pass");
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).expect("a text");
    assert!(text.contains(expected), "{text}");
}

#[test]
fn each_exploration_names_the_feature_that_it_needs() {
    let loom = "cargo test --features selvedge/loom";
    let shuttle = "cargo test --features selvedge/shuttle";
    says(loom, || model::check(|| ()));
    says(loom, || Check::new().try_check(|| ()));
    says(shuttle, || model::random(1, 1, || ()));
    says(shuttle, || model::pct(1, 3, 1, || ()));
    says(loom, || model::replay("loom:preemptions=2:execution=0:steps=100", || ()));
    says("paste the line", || model::replay("nonsense", || ()));
    says("begin with 3", || model::pct(1, 0, 1, || ()));
}

//! Tests which parent a child will wake. Only the scope state shows which parent this is. [G7]
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use crate::Runtime;
use crate::sched::core::current::current_worker;
use crate::sched::core::scope_state::ScopeState;

#[test]
fn a_child_of_another_runtime_counts_the_parent() {
    // SAFETY: no goroutine of this test touches a thread-local, so the rules of `build_migrating` hold.
    let runtime = || unsafe { Runtime::builder().build_migrating() }.unwrap();
    let (own, other) = (runtime(), runtime());
    own.run(|| {
        let group = ScopeState::new();
        let here = current_worker().expect("a goroutine").shared.addr();
        let there = other.run(|| current_worker().expect("a goroutine").shared.addr());
        let is_counted = |runtime| {
            let wake = group.parent_for(runtime);
            let (_, id) = wake.goroutine().expect("the parent is a goroutine");
            id.is_none()
        };
        assert!(!is_counted(here), "by its id: its runtime stays in place");
        assert!(is_counted(there), "[G7]");
    });
}

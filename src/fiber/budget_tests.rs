//! Tests of the budget of mappings. Each test uses the whole budget, so each test runs in a child process.

use super::overflow_tests::{Death, in_child};
use super::tests::{DONE, arena_with, one, serve, start};
use super::{Fiber, Guards, MAX_SLOTS, SlotLayout, StackError, StackPool, StackPoolPlan};
use crate::platform::MODELLED;

#[track_caller]
fn assert_done(death: &Death) {
    assert_eq!((death.code, death.signal), (Some(0), None), "{}", death.stderr);
}

/// Takes fibers until the pool returns an error.
fn all_of(arena: &StackPool, into: &mut Vec<Fiber>) -> StackError {
    loop {
        if let Err(error) = arena.take(into, 1) {
            return error;
        }
    }
}

fn limit() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").expect("procfs");
    text.trim().parse().expect("a number")
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").expect("procfs").lines().count()
}

/// Returns true if the limit is small enough. With a limit of millions, the test would take too long.
fn is_default() -> bool {
    // In a model, pools stay cached, and their slots stay counted in the budget.
    !MODELLED && limit() <= 70_000
}

#[test]
fn guards_by_mprotect_use_the_mappings_and_leave_some() {
    let death =
        in_child("budget_tests", "guards_by_mprotect_use_the_mappings_and_leave_some", || {
            if !is_default() {
                return;
            }
            let arena = arena_with(MAX_SLOTS, Guards::Protected);
            let mut fibers = Vec::new();
            let error = all_of(&arena, &mut fibers);
            let StackError::Mappings { stacks, .. } = error else { panic!("{error}") };
            assert_eq!(stacks, fibers.len());
            assert!(stacks >= 30_000, "{stacks}");
            assert!(error.to_string().contains("raise vm.max_map_count"), "{error}");
            assert!(
                (1000..4000).contains(&(limit() - mappings())),
                "{} are left",
                limit() - mappings()
            );
            // If this pool uses fewer mappings, another pool gets the rest.
            let kept = fibers.split_off(20_000);
            arena.give(fibers.into_iter());
            arena.trim(0, usize::MAX);
            drop(arena.release(0, || 0));
            let other = arena_with(MAX_SLOTS, Guards::Protected);
            let mut others = Vec::new();
            assert!(matches!(all_of(&other, &mut others), StackError::Mappings { .. }));
            assert!((18_000..=20_000).contains(&others.len()), "{}", others.len());
            assert!(mappings() < limit() - 1000);
            other.give(others.into_iter());
            arena.give(kept.into_iter());
            drop((arena, other));
            let third = arena_with(MAX_SLOTS, Guards::Protected);
            let mut all = Vec::new();
            all_of(&third, &mut all);
            assert_eq!(all.len(), stacks, "the budget came back");
        });
    assert_done(&death);
}

#[test]
fn stacks_without_guards_go_beyond_the_budget() {
    let death = in_child("budget_tests", "stacks_without_guards_go_beyond_the_budget", || {
        if !is_default() {
            return;
        }
        let plan = StackPoolPlan {
            layout: SlotLayout::default(),
            slots: 50_000,
            guards: Guards::Protected,
            may_lack_guards: true,
            painted: false,
        };
        let arena = StackPool::of(plan, serve).unwrap();
        let mut fibers = Vec::new();
        assert_eq!(all_of(&arena, &mut fibers), StackError::Exhausted { slots: 50_000 });
        assert_eq!(fibers.len(), 50_000);
        for index in [49_999, 40_000, 33_000] {
            assert_eq!(start(&mut fibers[index], |_| ()), DONE);
        }
        assert!(mappings() < limit() - 1000);
        arena.give(fibers.into_iter());
        let fiber = one(&arena);
        arena.give([fiber].into_iter());
    });
    assert_done(&death);
}

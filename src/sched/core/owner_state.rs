//! The part of a cell that belongs to the worker that runs the goroutine, or to the goroutine itself while
//! it runs. This file also defines the attributes that a spawn gives to a goroutine.

use super::scope_state::ScopeToken;
use super::stacks::StackKind;
use super::wired::Change;
use crate::fiber::{Fiber, Suspender};
use crate::structures::local_values::LocalValues;

/// What a spawn may give to a goroutine.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<Box<str>>,
    pub(crate) scope: Option<ScopeToken>,
    /// Goroutine-local values that the goroutine inherits. Each of them is Send.
    pub(crate) locals: Option<Box<LocalValues>>,
}

/// The state that belongs to the worker that runs the goroutine, or to the goroutine itself while it runs.
/// The fields of this struct are laid out in the written order.
#[repr(C)]
pub(crate) struct OwnerState {
    pub(crate) fiber: std::cell::UnsafeCell<Option<Fiber>>,
    pub(crate) suspender: std::cell::Cell<*const Suspender>,
    /// The goroutine-local values. Null until the first value is made or inherited.
    pub(crate) locals: std::cell::Cell<*mut LocalValues>,
    pub(crate) pins: std::cell::Cell<u32>,
    pub(crate) no_suspend: std::cell::Cell<u32>,
    /// The number of announced blocking sections that the goroutine is in.
    pub(crate) sections: std::cell::Cell<u32>,
    /// The hint from this goroutine's blocking calls.
    pub(crate) hint: std::cell::Cell<BlockingHint>,
    /// The goroutine released its processor for a call that was in fact short.
    pub(crate) gave_up_for_nothing: std::cell::Cell<bool>,
    /// Where the goroutine's stack comes from.
    pub(crate) stack: std::cell::Cell<StackKind>,
    /// What the goroutine has changed of its kernel thread. Zero in a vacant cell.
    pub(crate) wired: std::cell::Cell<Change>,
}

/// How long recent blocking calls were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BlockingHint {
    /// There was no blocking call yet.
    #[default]
    Unknown,
    /// The call ran in place and kept its processor, or it ran on a helper thread in less than `SHORT` (see
    /// `blocking`).
    Short,
    Long,
}

//! Owner state: the part of a cell that belongs to the worker that runs the goroutine, or to the goroutine itself while
//! it runs; and what a spawn gives a goroutine.

use super::scope_state::ScopeToken;
use super::stacks::StackKind;
use super::wired::Change;
use crate::fiber::{Fiber, Suspender};
use crate::structures::local_values::LocalValues;

/// What a spawn may add to a goroutine.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<Box<str>>,
    pub(crate) scope: Option<ScopeToken>,
    /// Values that it inherits; each of them is Send.
    pub(crate) locals: Option<Box<LocalValues>>,
}

/// What belongs to the worker that runs it, or to the goroutine itself while it runs. Laid out as written.
#[repr(C)]
pub(crate) struct OwnerState {
    pub(crate) fiber: std::cell::UnsafeCell<Option<Fiber>>,
    pub(crate) suspender: std::cell::Cell<*const Suspender>,
    /// Its own values; null until one is made, or inherited.
    pub(crate) locals: std::cell::Cell<*mut LocalValues>,
    pub(crate) pins: std::cell::Cell<u32>,
    pub(crate) no_suspend: std::cell::Cell<u32>,
    /// Announced blocking sections that it is in.
    pub(crate) sections: std::cell::Cell<u32>,
    /// Of its blocking calls.
    pub(crate) hint: std::cell::Cell<BlockingHint>,
    /// It gave its processor up for a call that turned out to be short.
    pub(crate) gave_up_for_nothing: std::cell::Cell<bool>,
    /// Where its stack comes from.
    pub(crate) stack: std::cell::Cell<StackKind>,
    /// What it has changed of its kernel thread. A cell that is vacant has none.
    pub(crate) wired: std::cell::Cell<Change>,
}

/// How long calls have lately been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BlockingHint {
    /// There was none yet.
    #[default]
    Unknown,
    /// In place it kept its processor; on a helper it took less than `SHORT` (blocking).
    Short,
    Long,
}

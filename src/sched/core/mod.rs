//! core

pub(crate) mod batch;
pub(crate) mod bound;
pub(crate) mod cell;
pub(crate) mod cell_pool;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod counters;
pub(crate) mod current;
pub(crate) mod forked;
pub(crate) mod handle;
pub(crate) mod helper_queue;
pub(crate) mod leavers;
pub(crate) mod owner_state;
pub(crate) mod processor;
pub(crate) mod ready;
pub(crate) mod runtime;
pub(crate) mod scope_state;
pub(crate) mod simulation;
pub(crate) mod stacks;
pub(crate) mod trim;
pub(crate) mod wake_handle;
pub mod wired;
pub(crate) mod worker;

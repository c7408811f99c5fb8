//! goroutine

pub(crate) mod body;
pub mod join_word;
pub mod state;

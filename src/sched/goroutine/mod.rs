//! The parts of a goroutine that know no scheduler: its state word, its join word, and its body (the closure and
//! the result).

pub(crate) mod body;
pub mod join_word;
pub mod state;

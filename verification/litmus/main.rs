//! The envelope: what loom sees of weak memory, beside what C11 allows. A model is worth as much as
//! the memory model beneath it, so each fact that the models of `verification/loom/` rest on is held
//! here; a loom that answers otherwise fails, and says which row of docs/checking.md changes.
//!
//! | file | what it holds |
//! |---|---|
//! | `explore` | every outcome of a small program; rows; programs that must fail |
//! | `shapes` | the classic small programs, with orderings as parameters |
//! | `envelope` | loom against C11: right, false alarm, miss |
//! | `limits` | loom against what a machine does: parking, time-outs, caps |
//! | `twins` | each ordering pattern of `src/`: one that holds, one that is caught |
//!
//! `cargo test --features loom --test litmus`

mod envelope;
mod explore;
mod limits;
mod shapes;
mod twins;

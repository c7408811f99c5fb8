//! The harness for users' programs: each kind of failure is found by name, and shows again when its line
//! is pasted. `cargo test --test model`, and with `--features loom` or `--features shuttle`: each build
//! runs what it has, and says so of the rest.

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod channels;
mod common;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod kinds;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod missing;
mod runtimes;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod simulate;
mod stories;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod time;

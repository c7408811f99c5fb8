//! What the runtime's own operations cost, in both placements: `cargo bench --bench runtime`.
//! Each bench's head says what it holds constant. Figures are wall time by operation; an operation
//! on two processors is counted once, whichever of them does it.
#![allow(missing_docs)]

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod goroutines;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod queues;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod switch;

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
fn main() {
    use std::time::Duration;
    let mut criterion = criterion::Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    switch::all(&mut criterion);
    queues::all(&mut criterion);
    goroutines::all(&mut criterion);
    criterion.final_summary();
}

/// Models have no use for wall time.
#[cfg(any(feature = "loom", feature = "shuttle"))]
fn main() {}

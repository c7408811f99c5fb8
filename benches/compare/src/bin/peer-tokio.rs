//! tokio, with its own channels, on the system's allocator.
use selvedge_compare::{peer, tasks};

fn main() {
    peer(|workload, processors| tasks::run(workload, processors, true));
}

//! tokio, with kanal's channels, on mimalloc.
use selvedge_compare::{peer, tasks};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    peer(|workload, processors| tasks::run(workload, processors, false));
}

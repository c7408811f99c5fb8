//! selvedge, isolated: the safe default.
use selvedge_compare::{goroutines, peer};

fn main() {
    peer(|workload, processors| {
        let runtime = goroutines::builder(processors).build().expect("a runtime");
        goroutines::run(&runtime, workload, processors)
    });
}

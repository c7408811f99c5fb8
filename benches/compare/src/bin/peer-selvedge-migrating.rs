//! selvedge, migrating, as Go's goroutines are.
use selvedge_compare::{goroutines, peer};

fn main() {
    peer(|workload, processors| {
        // SAFETY: no function of the workloads that suspends touches a thread-local, or keeps
        // anything that is bound to a thread.
        let runtime =
            unsafe { goroutines::builder(processors).build_migrating() }.expect("a runtime");
        goroutines::run(&runtime, workload, processors)
    });
}

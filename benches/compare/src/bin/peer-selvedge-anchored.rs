//! selvedge, anchored: goroutines stay on the kernel thread that first ran them, and share its
//! thread-locals.
use selvedge_compare::{goroutines, peer};

fn main() {
    peer(|workload, processors| {
        // SAFETY: no function of the workloads relies on nesting where it suspends.
        let runtime =
            unsafe { goroutines::builder(processors).build_anchored() }.expect("a runtime");
        goroutines::run(&runtime, workload, processors)
    });
}

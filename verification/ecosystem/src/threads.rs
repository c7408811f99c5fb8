//! Libraries that keep something in thread-locals, unchanged: each goroutine is a thread to them. Each is
//! tried by goroutines that interleave within what the library takes for one thread, and by very many
//! that are alive at once and have used it.

use crate::watched;
use selvedge::sync::Barrier;
use selvedge::{Runtime, scope, time};
use std::time::Duration;

mod crossbeam;
mod logs;
mod numbers;
mod parking;
mod pools;
#[cfg(feature = "heavy")]
mod requests;
mod scoped;
mod spans;
mod sqlite;
mod tokio_runtime;

/// Goroutines that interleave.
const FEW: usize = 60;

/// How many are alive at once: 10,000, or what the variable says.
fn many() -> usize {
    let set = std::env::var("SELVEDGE_ECOSYSTEM_MANY");
    set.map_or(10_000, |text| text.parse().expect("a number of goroutines"))
}

fn runtime(goroutines: usize) -> Runtime {
    let builder = Runtime::builder().processors(2).max_goroutines(goroutines);
    builder.build().expect("an isolated runtime")
}

/// Runs `body` in so many goroutines at once, each with its number.
fn each(goroutines: usize, body: impl Fn(usize) + Send + Sync + 'static) {
    watched(move || {
        let runtime = runtime(20_000);
        runtime.run(|| {
            scope(|s| {
                for number in 0..goroutines {
                    let body = &body;
                    s.go(move || body(number));
                }
            });
        });
        runtime.shutdown(Duration::from_secs(30)).expect("nobody is left");
    });
}

/// Runs `body` in very many goroutines, none of which ends before all have run it. Another round follows,
/// on the stacks of the first.
fn many_alive(body: impl Fn(usize) + Send + Sync + 'static) {
    watched(move || {
        let many = many();
        let runtime = runtime(many + 1000);
        let all = Barrier::new(many);
        for _ in 0..2 {
            runtime.run(|| {
                scope(|s| {
                    for number in 0..many {
                        let (body, all) = (&body, &all);
                        s.go(move || {
                            body(number);
                            all.wait();
                        });
                    }
                });
            });
        }
        runtime.shutdown(Duration::from_secs(30)).expect("nobody is left");
    });
}

/// Suspends for a time that differs by `number`: others run meanwhile.
fn pause(number: usize) {
    match number % 3 {
        0 => selvedge::yield_now(),
        _ => time::sleep(Duration::from_micros(100 + (number as u64 * 37) % 900)),
    }
}

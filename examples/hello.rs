//! The shortest useful program: a goroutine that is joined, and some that borrow.
//!
//! `cargo run --example hello`

use selvedge::{BuildError, Runtime, go, scope};

fn main() -> Result<(), BuildError> {
    let poem = ["the loom holds the warp", "the shuttle carries the weft", "the selvedge holds"];

    let runtime = Runtime::new()?;
    let (greeting, words) = runtime.run(|| {
        let greeter = go(|| String::from("hello from a goroutine"));
        // These borrow `poem`: `scope` returns after they have ended.
        let words: usize = scope(|s| {
            let counters = poem.map(|line| s.go(move || line.split(' ').count()));
            counters.into_iter().map(|counter| counter.join().unwrap()).sum()
        });
        (greeter.join().unwrap(), words)
    });

    println!("{greeting}: {words} words in {} lines", poem.len());
    Ok(())
}

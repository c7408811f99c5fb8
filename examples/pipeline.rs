//! A pipeline with a time-out: texts go to workers, counts come back, and whoever collects them neither
//! waits for a lost worker nor stops too early. `cargo run --example pipeline`
#![forbid(unsafe_code)]

use selvedge::chan::{Receiver, Sender, bounded};
use selvedge::{Runtime, go, select};
use std::time::Duration;

const POEM: [&str; 4] = [
    "under a spreading chestnut tree",
    "the village smithy stands",
    "the smith a mighty man is he",
    "with large and sinewy hands",
];

/// Counts the words of each text, until there are no more, or nobody wants to know.
fn work(texts: Receiver<&'static str>, counts: Sender<usize>, quit: Receiver<()>) {
    loop {
        select! {
            recv(texts) -> text => {
                let Ok(text) = text else { return };
                if counts.send(text.split_whitespace().count()).is_err() {
                    return;
                }
            }
            // Nothing is ever sent here: it is closed when the collector has gone.
            recv(quit) -> _ => return,
        }
    }
}

/// Adds up what comes; says whether all of it came, or it grew tired of waiting.
fn collect(counts: &Receiver<usize>, patience: Duration) -> (usize, bool) {
    let mut sum = 0;
    loop {
        select! {
            recv(counts) -> count => match count {
                Ok(count) => sum += count,
                Err(_) => return (sum, true),
            },
            default(patience) => return (sum, false),
        }
    }
}

fn main() -> Result<(), selvedge::BuildError> {
    let runtime = Runtime::new()?;
    runtime.run(|| {
        let (texts, todo) = bounded(2);
        let (counts, done) = bounded(0);
        let (_running, quit) = bounded(0);
        for _ in 0..3 {
            let (todo, counts, quit) = (todo.clone(), counts.clone(), quit.clone());
            go(move || work(todo, counts, quit));
        }
        // One worker never answers: it holds a sender, so the channel is not closed.
        let lost = counts;

        let feeds = go(move || POEM.iter().for_each(|line| texts.send(line).unwrap()));
        let (sum, complete) = collect(&done, Duration::from_millis(200));
        println!("{sum} words, complete: {complete}");
        assert_eq!((sum, complete), (21, false));

        feeds.join().unwrap();
        drop(lost);
        let (rest, complete) = collect(&done, Duration::from_secs(10));
        println!("{rest} more, complete: {complete}");
        assert_eq!((rest, complete), (0, true));
    });
    Ok(())
}

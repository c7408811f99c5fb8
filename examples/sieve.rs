//! The concurrent prime sieve: a chain of goroutines, each of which lets through what its prime does not
//! divide. `cargo run --release --example sieve -- 20` prints the first 20 primes.
#![forbid(unsafe_code)]

use selvedge::chan::{Receiver, Sender, bounded};
use selvedge::{Runtime, go};

/// Sends 2, 3, 4, ... until nobody receives any more.
fn generate(numbers: Sender<u64>) {
    for n in 2.. {
        if numbers.send(n).is_err() {
            return;
        }
    }
}

/// Passes on what `prime` does not divide.
fn filter(numbers: Receiver<u64>, prime: u64, rest: Sender<u64>) {
    for n in numbers {
        if !n.is_multiple_of(prime) && rest.send(n).is_err() {
            return;
        }
    }
}

fn primes(count: usize) -> Vec<u64> {
    let (numbers, mut sieved) = bounded(0);
    go(move || generate(numbers));
    let mut primes = Vec::new();
    while primes.len() < count {
        let prime = sieved.recv().expect("there is always a greater prime");
        primes.push(prime);
        let (rest, next) = bounded(0);
        go(move || filter(sieved, prime, rest));
        sieved = next;
    }
    // The last receiver goes here: each filter ends when nobody receives from it, back to the generator.
    primes
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = match std::env::args().nth(1) {
        Some(count) => {
            count.parse().map_err(|_| format!("how many primes? {count} is no number"))?
        }
        None => 20,
    };
    let primes = Runtime::new()?.run(|| primes(count));
    let text: Vec<_> = primes.iter().map(u64::to_string).collect();
    println!("{}", text.join(" "));

    let divides = |n: u64| (2..n).take_while(|d| d * d <= n).any(|d| n.is_multiple_of(d));
    let expected: Vec<u64> = (2..).filter(|n| !divides(*n)).take(count).collect();
    assert_eq!(primes, expected, "as by trial division");
    Ok(())
}

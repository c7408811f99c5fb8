//! Named totals, and callers that wait until a total is large enough.

use selvedge::CancelToken;
use selvedge::sync::{Condvar, Mutex};
use std::collections::HashMap;

#[derive(Default)]
pub struct Store {
    totals: Mutex<HashMap<String, u64>>,
    changed: Condvar,
}

impl Store {
    /// Adds `n` to a total, and returns the new total.
    pub fn add(&self, name: &str, n: u64) -> u64 {
        let mut totals = self.totals.lock().unwrap();
        let total = totals.entry(name.to_owned()).or_default();
        *total = total.saturating_add(n);
        let total = *total;
        drop(totals);
        self.changed.notify_all();
        total
    }

    /// Waits until a total is at least `target`. Returns `None` if the token is cancelled first.
    pub fn wait(&self, name: &str, target: u64, token: &CancelToken) -> Option<u64> {
        let total = |totals: &HashMap<String, u64>| totals.get(name).copied().unwrap_or(0);
        let guard = self.totals.lock().unwrap();
        let too_small = |totals: &mut HashMap<String, u64>| total(totals) < target;
        let (guard, result) = self.changed.wait_cancel_while(guard, token, too_small).unwrap();
        (!result.cancelled()).then(|| total(&guard))
    }

    /// Answers one line of the protocol. `None` ends the connection.
    pub fn answer(&self, line: &str, token: &CancelToken) -> Option<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = words.last().and_then(|word| word.parse().ok());
        Some(match (&words[..], number) {
            (["ADD", name, _], Some(n)) => format!("OK {}", self.add(name, n)),
            (["WAIT", name, _], Some(n)) => match self.wait(name, n, token) {
                Some(total) => format!("OK {total}"),
                None => String::from("LATE"),
            },
            (["QUIT"], _) => return None,
            _ => String::from("ERR expected: ADD name number, WAIT name number, or QUIT"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Store;
    use selvedge::{CancelToken, Spawn, model};
    use std::sync::Arc;

    /// Two goroutines wait, each for another total.
    fn two_wait() {
        let store = Arc::new(Store::default());
        let waiters = ["warp", "weft"].map(|name| {
            let store = Arc::clone(&store);
            Spawn::new().name(name).go(move || store.wait(name, 1, &CancelToken::new()))
        });
        store.add("warp", 1);
        store.add("weft", 1);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Some(1));
        }
    }

    #[cfg(not(feature = "loom"))]
    #[test]
    fn both_waiters_return_in_a_thousand_runs() {
        model::simulate_seeds(0..1000, two_wait);
    }

    #[cfg(not(feature = "loom"))]
    #[test]
    fn a_wait_ends_at_its_deadline() {
        let hour = std::time::Duration::from_secs(3600);
        let run = model::simulate(1, move || {
            Store::default().answer("WAIT warp 1", &CancelToken::with_timeout(hour))
        });
        assert_eq!(run.value.as_deref(), Some("LATE"));
        assert!(run.elapsed >= hour);
    }

    #[cfg(feature = "loom")]
    #[test]
    fn both_waiters_return_in_every_order() {
        let report = model::check(two_wait);
        assert!(report.is_complete(), "{report}");
    }
}

//! A worker pool whose work is given up in time: jobs go through a bounded channel, and each worker
//! waits under one token. First the pool does all there is to do and ends by itself; then a deadline
//! ends it early, and every job is accounted for: done, given up, or never taken.
//!
//! `cargo run --release --example worker_pool`

use selvedge::chan::{self, Receiver};
use selvedge::time::sleep_cancel;
use selvedge::{BuildError, CancelToken, Cancelled, Runtime, go, scope};
use std::time::Duration;

const WORKERS: usize = 4;
const JOBS: u64 = 1_000;
/// How many jobs may wait. Who would add another waits, too.
const ROOM: usize = 16;

/// What became of some jobs.
#[derive(Default)]
struct SpawnCounters {
    done: u64,
    given_up: u64,
    never_taken: u64,
    sum: u64,
}

fn main() -> Result<(), BuildError> {
    let runtime = Runtime::new()?;
    runtime.run(|| {
        // Nobody cancels: the pool ends when the producer drops its end of the channel.
        let tally = pool(&CancelToken::new(), Duration::ZERO);
        assert_eq!(tally.done, JOBS);
        println!("without a limit: {} jobs done, sum {}", tally.done, tally.sum);

        // Each job takes an hour; all of it ends 20 ms from now.
        let deadline = CancelToken::with_timeout(Duration::from_millis(20));
        let tally = pool(&deadline, Duration::from_secs(3_600));
        assert!(tally.given_up <= WORKERS as u64);
        assert_eq!(tally.done + tally.given_up + tally.never_taken, JOBS);
        println!("with a deadline: {} jobs done, none lost, {:?}", tally.done, deadline.reason());

        // A job that fails cancels the others: the token of a scope.
        println!("after a failure: {}", first_error());
    });
    Ok(())
}

/// Hands all jobs to the workers, and waits for them. Each job takes `effort`.
fn pool(token: &CancelToken, effort: Duration) -> SpawnCounters {
    let (jobs, inbox) = chan::bounded::<u64>(ROOM);
    let producer = {
        let token = token.clone();
        go(move || (0..JOBS).find(|job| jobs.send_cancel(*job, &token).is_err()))
    };
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (inbox, token) = (inbox.clone(), token.clone());
            go(move || work(&inbox, &token, effort))
        })
        .collect();
    let mut all = SpawnCounters::default();
    for worker in workers {
        let part = worker.join().expect("a worker doesn't panic");
        all.done += part.done;
        all.given_up += part.given_up;
        all.sum += part.sum;
    }
    // What is still in the channel is nobody's; so is what was never sent.
    let not_sent = producer.join().expect("the producer doesn't panic").map_or(0, |job| JOBS - job);
    all.never_taken = inbox.try_iter().count() as u64 + not_sent;
    all
}

/// Takes jobs until there are no more, or the token is cancelled.
fn work(inbox: &Receiver<u64>, token: &CancelToken, effort: Duration) -> SpawnCounters {
    let mut tally = SpawnCounters::default();
    while let Ok(job) = inbox.recv_cancel(token) {
        match do_job(job, token, effort) {
            Ok(value) => {
                tally.done += 1;
                tally.sum += value;
            }
            Err(Cancelled) => tally.given_up += 1,
        }
    }
    tally
}

fn do_job(job: u64, token: &CancelToken, effort: Duration) -> Result<u64, Cancelled> {
    sleep_cancel(effort, token)?;
    Ok(job * job)
}

/// Runs what may fail side by side; the first failure cancels the rest.
fn first_error() -> String {
    let (errors, first) = chan::bounded(WORKERS);
    scope(|s| {
        for n in 0..WORKERS {
            let errors = errors.clone();
            s.go(move || {
                let result = match n {
                    2 => Err("worker 2 has failed"),
                    _ => sleep_cancel(Duration::from_secs(3_600), s.token())
                        .map_err(|Cancelled| "cancelled"),
                };
                if let Err(error) = result {
                    let _ = errors.send(error);
                    s.cancel();
                }
            });
        }
    });
    let all: Vec<_> = first.try_iter().collect();
    let cancelled = all.iter().filter(|error| **error == "cancelled").count();
    format!("{}, {cancelled} cancelled", all[0])
}

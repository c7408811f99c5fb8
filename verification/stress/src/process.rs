//! What the kernel says of this process.
#![forbid(unsafe_code)]

use std::sync::Mutex;

/// Memory in MiB after each runtime.
static SEEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Resident memory in MiB.
pub fn memory() -> u64 {
    status("VmRSS:") / 1024
}

pub fn threads() -> u64 {
    status("Threads:")
}

/// To be called where a driver has no runtime.
pub fn note_memory() {
    SEEN.lock().unwrap().push(memory());
}

/// The last quarter against the second: what the first needed is warm-up.
pub fn check_memory() {
    let seen = SEEN.lock().unwrap();
    let quarter = seen.len() / 4;
    if quarter < 8 {
        println!("stress: memory: too few runtimes to compare");
        return;
    }
    let middle = |part: &[u64]| {
        let mut sorted = part.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    let before = middle(&seen[quarter..2 * quarter]);
    let after = middle(&seen[3 * quarter..]);
    println!("stress: memory: median {before} MiB in the second quarter, {after} MiB in the last");
    if after > before + before / 4 + 24 {
        crate::violation(&format!("memory grows: {before} MiB, then {after} MiB"));
    }
}
